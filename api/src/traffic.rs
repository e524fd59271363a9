//! What a connection has to do: the requests that are under way on it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;

/// The requests of one connection.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    under_way: AtomicUsize,
    /// One has begun or ended, or more of an answer was taken. Only [`Traffic::rests`] waits for it.
    changed: Notify,
    /// The first one has begun.
    begun: Notify,
}

/// A request that is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Traffic>);

impl Traffic {
    /// A request begins.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
        self.begun.notify_one();
        UnderWay(Arc::clone(self))
    }

    /// Waits until the first request begins.
    pub(crate) async fn begins(&self) {
        self.begun.notified().await;
    }

    /// Waits until nothing has been under way for so long, or nothing has begun, ended or gone on for twice as long: a
    /// client that doesn't read its answer would keep it, and its place, for ever.
    pub(crate) async fn rests(&self, idle: Duration) {
        loop {
            let changed = self.changed.notified();
            let is_busy = self.under_way.load(Ordering::Relaxed) > 0;
            if tokio::time::timeout(if is_busy { 2 * idle } else { idle }, changed).await.is_err() {
                return;
            }
        }
    }
}

impl UnderWay {
    /// More of its answer is taken, as happens to a long one for as long as its client reads.
    fn goes_on(&self) {
        self.0.changed.notify_one();
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_one();
    }
}

/// An answer's body, with which its request ends.
#[derive(Debug)]
pub(crate) struct Answering {
    body: Body,
    request: UnderWay,
}

impl Answering {
    pub(crate) fn new(body: Body, request: UnderWay) -> Self {
        Self { body, request }
    }
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(Some(Ok(_)))) {
            self.request.goes_on();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_nobody_takes_is_no_traffic_for_ever() {
        let traffic = Arc::new(Traffic::default());
        let _answering = traffic.begin();
        traffic.rests(Duration::from_millis(5)).await;
    }

    #[tokio::test]
    async fn an_answer_that_is_taken_bit_by_bit_is_traffic() {
        let traffic = Arc::new(Traffic::default());
        let bits = futures_util::stream::iter((0..10).map(|_| Ok::<_, std::io::Error>("bit")));
        let mut answering = Answering::new(Body::from_stream(bits), traffic.begin());
        let mut resting = std::pin::pin!(traffic.rests(Duration::from_millis(40)));
        for _ in 0..10 {
            assert!(tokio::time::timeout(Duration::from_millis(30), resting.as_mut()).await.is_err());
            let polled = poll_fn(|context| Pin::new(&mut answering).poll_frame(context)).await;
            assert!(polled.is_some());
        }
        resting.await;
    }
}
