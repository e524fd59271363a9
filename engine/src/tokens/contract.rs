//! What every [`Tokens`] adapter promises, as tests.

use super::{Token, Tokens};
use crate::domain::access::{ExpiringGrant, Grant, Place};
use crate::domain::ids::{GroupId, GroupUid, ServiceId, UserId, UserLife, UserUid};

/// Some grant for a user.
pub fn grant(user: &str) -> Grant {
    Grant {
        service: ServiceId::parse("service").expect("a valid id"),
        user: UserLife { id: UserId::parse(user).expect("a valid id"), uid: UserUid(u64::MAX - 1) },
        place: Some(Place {
            group: GroupId::parse("a/b c 部屋").expect("a valid id"),
            uid: GroupUid(u64::MAX),
            stint: u64::MAX,
        }),
        sign_outs: u64::MAX,
    }
}

/// Runs the whole suite against an adapter.
pub async fn check(tokens: &impl Tokens) {
    a_token_opens_once(tokens).await;
    an_ended_token_opens_nothing(tokens).await;
    an_unknown_token_opens_nothing(tokens).await;
    of_many_who_try_at_once_one_wins(tokens).await;
}

async fn a_token_opens_once(tokens: &impl Tokens) {
    let token = Token::from_random([11; 32]);
    tokens.keep(&token, ExpiringGrant::new(grant("alice"), 1_000, 60_000), 1_000).await.expect("kept");
    assert_eq!(tokens.redeem(&token, 1_001).await, Ok(Some(grant("alice"))));
    assert_eq!(tokens.redeem(&token, 1_002).await, Ok(None));
}

async fn an_ended_token_opens_nothing(tokens: &impl Tokens) {
    let token = Token::from_random([12; 32]);
    tokens.keep(&token, ExpiringGrant::new(grant("alice"), 1_000, 60_000), 1_000).await.expect("kept");
    assert_eq!(tokens.redeem(&token, 61_000).await, Ok(None));
}

async fn an_unknown_token_opens_nothing(tokens: &impl Tokens) {
    assert_eq!(tokens.redeem(&Token::from_random([13; 32]), 0).await, Ok(None));
}

async fn of_many_who_try_at_once_one_wins(tokens: &impl Tokens) {
    for round in 0..50 {
        let token = Token::from_random([100 + round; 32]);
        tokens.keep(&token, ExpiringGrant::new(grant("alice"), 0, 60_000), 0).await.expect("kept");
        let (a, b, c) =
            tokio::join!(tokens.redeem(&token, 1), tokens.redeem(&token, 1), tokens.redeem(&token, 1));
        let winners = [a, b, c].into_iter().filter(|result| matches!(result, Ok(Some(_)))).count();
        assert_eq!(winners, 1);
    }
}
