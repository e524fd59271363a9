//! A node's right to serve: it was bumped a short while ago.

/// How long a lease lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRules {
    /// From one bump to the next, and from one listing of the others to the next, in milliseconds.
    pub bump_interval_ms: u64,
    /// A row that hasn't changed for so long, by a watcher's clock, is deleted. In milliseconds.
    pub lease_ms: u64,
    /// A node stops serving so much earlier, in milliseconds: what clocks that go at different rates may differ by in the time of a lease.
    pub margin_ms: u64,
}

impl Default for LeaseRules {
    fn default() -> Self {
        Self { bump_interval_ms: 1_000, lease_ms: 5_000, margin_ms: 1_000 }
    }
}

/// What this incarnation knows of its own row.
#[derive(Debug, Default)]
pub(super) struct Lease {
    beat: u64,
    /// When the newest bump was decided on, which is before it left.
    sent_ms: u64,
    /// That bump isn't answered yet.
    waits: bool,
    good_until_ms: u64,
}

impl Lease {
    /// The row was added by a request that was sent then.
    pub(super) fn begun(sent_ms: u64, rules: &LeaseRules) -> Self {
        Self { beat: 0, sent_ms, waits: false, good_until_ms: good_until_ms(sent_ms, rules) }
    }

    /// Whether the row can't have been deleted by anybody yet.
    pub(super) fn is_good(&self, now_ms: u64) -> bool {
        now_ms < self.good_until_ms
    }

    pub(super) fn good_until_ms(&self) -> u64 {
        self.good_until_ms
    }

    /// When the next bump is due. One at a time.
    pub(super) fn bump_due_ms(&self, rules: &LeaseRules) -> Option<u64> {
        (!self.waits).then(|| self.sent_ms + rules.bump_interval_ms)
    }

    /// The next bump is sent now: its beat.
    pub(super) fn bump(&mut self, now_ms: u64) -> u64 {
        self.beat += 1;
        self.sent_ms = now_ms;
        self.waits = true;
        self.beat
    }

    /// The bump was applied. Watchers count from when they saw it, which is later than when it was sent.
    pub(super) fn bumped(&mut self, rules: &LeaseRules) {
        self.waits = false;
        self.good_until_ms = good_until_ms(self.sent_ms, rules);
    }

    /// Nobody knows whether the bump was applied: the lease is as good as before.
    pub(super) fn missed(&mut self) {
        self.waits = false;
    }
}

fn good_until_ms(sent_ms: u64, rules: &LeaseRules) -> u64 {
    sent_ms + rules.lease_ms.saturating_sub(rules.margin_ms)
}
