//! What may happen once happens once, however many try.

use crate::store::Once;

pub(super) async fn check<S: Once>(store: &S) {
    assert_eq!(store.first([1; 16], 1_000, 2_000).await, Ok(true));
    assert_eq!(store.first([1; 16], 1_500, 2_000).await, Ok(false));
    assert_eq!(store.first([2; 16], 1_500, 2_000).await, Ok(true), "another one");
    for round in 10..40 {
        let nonce = [round; 16];
        let (a, b, c) = tokio::join!(
            store.first(nonce, 1_000, 2_000),
            store.first(nonce, 1_000, 2_000),
            store.first(nonce, 1_000, 2_000)
        );
        assert_eq!([a, b, c].into_iter().filter(|first| *first == Ok(true)).count(), 1, "of many one wins");
    }
}
