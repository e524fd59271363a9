//! How fast a client may be. Each kind of request has its bucket; what comes too fast is refused, and floods of what can't be refused
//! wait for their time.

use std::time::Duration;

use super::super::Shared;
use crate::config::{CONTROLS, Limits, REFUSALS};
use crate::domain::rate::{Bucket, Rate};
use crate::protocol::code::ErrorCode;
use crate::protocol::frame::Refusal;

/// The buckets of one session.
pub(super) struct Paces {
    sends: Bucket,
    requests: Bucket,
    signals: Bucket,
    refusals: Bucket,
    controls: Bucket,
}

/// What a request counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Something for the log.
    Send,
    /// Something to be read.
    Request,
    /// A marker, typing, words that aren't stored.
    Signal,
}

impl Paces {
    pub(super) fn new(limits: &Limits, now_ms: u64) -> Self {
        let full = |pace| Bucket::full(rate(pace, limits), now_ms);
        Self {
            sends: full(Pace::Send),
            requests: full(Pace::Request),
            signals: full(Pace::Signal),
            refusals: Bucket::full(REFUSALS, now_ms),
            controls: Bucket::full(CONTROLS, now_ms),
        }
    }

    /// Lets a request pass, or refuses it.
    pub(super) fn take(&mut self, pace: Pace, shared: &Shared) -> Result<(), Refusal> {
        self.bucket(pace).take(rate(pace, &shared.limits), shared.clock.mono_ms()).map_err(|wait_ms| {
            let text = format!("too fast: not stored, try again in {wait_ms} ms");
            Refusal::new(ErrorCode::RATE_LIMITED, text).after(wait_ms)
        })
    }

    /// A request that passed was worth so many more. The next one waits until there would have been as many.
    pub(super) fn also(&mut self, pace: Pace, more: usize, shared: &Shared) {
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        self.bucket(pace).take_ahead(more, rate(pace, &shared.limits), shared.clock.mono_ms());
    }

    fn bucket(&mut self, pace: Pace) -> &mut Bucket {
        match pace {
            Pace::Send => &mut self.sends,
            Pace::Request => &mut self.requests,
            Pace::Signal => &mut self.signals,
        }
    }

    /// A control frame costs little, but not nothing: of a flood the next isn't looked at before its time.
    pub(super) async fn control(&mut self, shared: &Shared) {
        held_back(&mut self.controls, CONTROLS, shared).await;
    }

    /// So does an answer to a frame that can't be served.
    pub(super) async fn refusal(&mut self, shared: &Shared) {
        held_back(&mut self.refusals, REFUSALS, shared).await;
    }
}

fn rate(pace: Pace, limits: &Limits) -> Rate {
    let (per_s, burst) = match pace {
        Pace::Send => (limits.send_rate_per_s, limits.send_burst),
        Pace::Request => (limits.request_rate_per_s, limits.request_burst),
        Pace::Signal => (limits.signal_rate_per_s, limits.signal_burst),
    };
    Rate { per_s, burst }
}

/// Lets one use pass, after its time when there have been too many.
async fn held_back(uses: &mut Bucket, rate: Rate, shared: &Shared) {
    if let Err(wait_ms) = uses.take(rate, shared.clock.mono_ms()) {
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }
}
