//! What a client still writes when its answer is known. It is read and thrown away, within bounds: a connection
//! that is closed with bytes unread is reset, and its client sees a broken pipe and never the answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

/// What is thrown away of one request, in bytes, at most.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long that may take.
const TIME_MAX: Duration = Duration::from_secs(5);

/// A request's body while a handler has it, which can be taken back.
pub(crate) struct Lent(Arc<Mutex<Shared>>);

/// The other end of a [`Lent`] body.
pub(crate) struct Lender(Arc<Mutex<Shared>>);

struct Shared {
    body: Body,
    /// The handler, while it waits for more.
    handler: Option<Waker>,
    taken_back: bool,
}

/// Why a handler gets no more of its body.
#[derive(Debug, thiserror::Error)]
#[error("the request has been answered")]
struct TakenBack;

/// Lends a body to a handler.
pub(crate) fn lend(body: Body) -> (Lender, Lent) {
    let shared = Arc::new(Mutex::new(Shared { body, handler: None, taken_back: false }));
    (Lender(Arc::clone(&shared)), Lent(shared))
}

impl Lender {
    /// Takes the body back, from a handler that still waits for it, too, and reads what is left, while the answer
    /// is on its way.
    pub(crate) fn discard_rest(self) {
        let handler = {
            let mut shared = lock(&self.0);
            shared.taken_back = true;
            shared.handler.take()
        };
        if let Some(handler) = handler {
            handler.wake();
        }
        if lock(&self.0).body.is_end_stream() {
            return;
        }
        let discard = async move {
            let mut discarded = 0;
            while let Some(Ok(frame)) = poll_fn(|context| poll_body(&self.0, context)).await
                && discarded < BYTES_MAX
            {
                discarded += frame.data_ref().map_or(0, Bytes::len);
            }
        };
        // Who writes more, or more slowly, is cut off.
        tokio::spawn(tokio::time::timeout(TIME_MAX, discard));
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // A body that panicked while it was read is read no worse than any other.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn poll_body(
    shared: &Mutex<Shared>,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
    Pin::new(&mut lock(shared).body).poll_frame(context)
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut shared = lock(&self.0);
        if shared.taken_back {
            return Poll::Ready(Some(Err(axum::Error::new(TakenBack))));
        }
        shared.handler = Some(context.waker().clone());
        Pin::new(&mut shared.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).body.size_hint()
    }
}
