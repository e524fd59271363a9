//! Where sessions that come and go stand in line, so that a storm of them doesn't hold up those that talk.
//!
//! The runtime takes tasks in turn. When fifteen thousand sockets drop at once, each of their tasks has some tens of
//! microseconds of work, and a message that comes after them would wait for all of it at every hop. Behind the
//! turnstile only a few have their turn between two looks at the sockets; the others cost nothing but memory.

use tokio::sync::Semaphore;

/// Passages in one turn of the runtime (tokio looks at the sockets after at most 61 polls). Each makes some five polls of
/// work, so that one turn is done before the next begins.
const PASSAGES_PER_TURN: usize = 8;

/// The line.
#[derive(Debug)]
pub(crate) struct Turnstile(Semaphore);

impl Default for Turnstile {
    fn default() -> Self {
        Self(Semaphore::new(PASSAGES_PER_TURN))
    }
}

impl Turnstile {
    /// Waits for one's turn, in order of coming.
    pub(crate) async fn pass(&self) {
        // It is never closed; a closed one would let all through.
        let _passing = self.0.acquire().await;
        // Until everyone else who is ready, and the sockets, had theirs.
        tokio::task::yield_now().await;
    }
}
