//! What a client still writes when its answer is known. It is read and thrown away, within bounds: a connection
//! that is closed with bytes unread is reset, and its client sees a broken pipe and never the answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

/// What is thrown away of one request, in bytes, at most.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long that may take.
const TIME_MAX: Duration = Duration::from_secs(5);

/// A request's body, of which what a handler leaves can be read after it.
#[derive(Clone)]
pub(crate) struct Lent(Arc<Mutex<Body>>);

impl Lent {
    pub(crate) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    /// Reads what is left, while the answer is on its way.
    pub(crate) fn discard_rest(mut self) {
        if self.is_end_stream() {
            return;
        }
        let discard = async move {
            let mut discarded = 0;
            while let Some(Ok(frame)) = self.frame().await
                && discarded < BYTES_MAX
            {
                discarded += frame.data_ref().map_or(0, Bytes::len);
            }
        };
        // Who writes more, or more slowly, is cut off.
        tokio::spawn(tokio::time::timeout(TIME_MAX, discard));
    }

    fn body(&self) -> MutexGuard<'_, Body> {
        // A body that panicked while it was read is read no worse than any other.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.body()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
    }
}
