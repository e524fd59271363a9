//! What goes wrong.

use proptest::prelude::*;

use super::NODES;

/// Where a process is stopped on purpose.
pub(super) const AMBUSHES: &[&str] = &["bump", "bump", "read log", "claim", "append", "release"];

#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The process is stopped for a time, its clock isn't.
    Stop(usize, u64),
    /// The process is stopped for a time when it next asks this of the store: before it leaves or just after.
    Ambush(usize, &'static str, u64),
    /// Nothing goes between the node and the store for a time.
    Cut(usize, u64),
    /// The rows of the nodes are out of the node's reach for a time, those of the groups aren't.
    Mute(usize, u64),
    /// The process is killed and started again after a time.
    Kill(usize, u64),
    /// The operator stops the node in order; it is started again after a time.
    Leave(usize, u64),
    /// For a time the store is slow for everybody.
    Slow(u64),
}

pub(super) fn fault() -> impl Strategy<Value = Fault> {
    let node = || 0..NODES;
    prop_oneof![
        2 => (node(), 100_u64..15_000).prop_map(|(node, time_ms)| Fault::Stop(node, time_ms)),
        5 => (node(), prop::sample::select(AMBUSHES), 4_000_u64..15_000)
            .prop_map(|(node, name, time_ms)| Fault::Ambush(node, name, time_ms)),
        3 => (node(), 100_u64..12_000).prop_map(|(node, time_ms)| Fault::Cut(node, time_ms)),
        3 => (node(), 3_000_u64..15_000).prop_map(|(node, time_ms)| Fault::Mute(node, time_ms)),
        2 => (node(), 10_u64..8_000).prop_map(|(node, time_ms)| Fault::Kill(node, time_ms)),
        2 => (node(), 10_u64..6_000).prop_map(|(node, time_ms)| Fault::Leave(node, time_ms)),
        1 => (100_u64..6_000).prop_map(Fault::Slow),
    ]
}
