//! Where a group belongs: rendezvous hashing. Each node has a weight for each group, and the heaviest has the group. So all who see the same nodes agree
//! without a table, and a node that comes or goes moves only the groups that it gets or had: one in so many as there are nodes.

use xxhash_rust::xxh3::xxh3_64;

use super::NodeId;
use crate::domain::ids::GroupUid;

/// The one of these nodes where a group belongs.
pub fn place(group: GroupUid, nodes: impl IntoIterator<Item = NodeId>) -> Option<NodeId> {
    nodes.into_iter().max_by_key(|node| (weight(group, node.process), *node))
}

/// Of the process, not of its incarnation: a node that was declared dead by mistake gets back what it had.
///
/// Nodes of different versions must agree, so this never changes.
fn weight(group: GroupUid, process: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&process.to_be_bytes());
    bytes[8..].copy_from_slice(&group.0.to_be_bytes());
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const GROUPS: u64 = 10_000;

    fn nodes(count: u64) -> Vec<NodeId> {
        (0..count).map(|process| NodeId::first(process * 7_919 + 1)).collect()
    }

    fn placed(nodes: &[NodeId]) -> Vec<NodeId> {
        (0..GROUPS).map(|group| place(GroupUid(group), nodes.iter().copied()).unwrap()).collect()
    }

    #[test]
    fn nobody_has_a_group_where_nobody_is() {
        assert_eq!(place(GroupUid(1), []), None);
    }

    #[test]
    fn the_order_of_the_nodes_is_of_no_matter() {
        let mut backwards = nodes(5);
        backwards.reverse();
        assert_eq!(placed(&nodes(5)), placed(&backwards));
    }

    #[test]
    fn every_node_gets_its_part() {
        let mut counts = HashMap::new();
        for node in placed(&nodes(5)) {
            *counts.entry(node).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 5);
        assert!(counts.values().all(|count| (1_850..=2_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_node_that_comes_takes_only_what_it_gets() {
        let (before, after) = (placed(&nodes(5)), placed(&nodes(6)));
        let newcomer = nodes(6)[5];
        let moved: Vec<_> = before.iter().zip(&after).filter(|(old, new)| old != new).collect();
        assert!(moved.iter().all(|(_, new)| **new == newcomer));
        assert!((1_500..=1_850).contains(&moved.len()), "{} of {GROUPS} moved", moved.len());
    }

    #[test]
    fn a_node_that_goes_moves_only_what_it_had() {
        let (before, after) = (placed(&nodes(5)), placed(&nodes(4)));
        let gone = nodes(5)[4];
        assert!(before.iter().zip(&after).all(|(old, new)| old == new || *old == gone));
    }

    #[test]
    fn another_incarnation_has_the_same_groups() {
        let before = nodes(3);
        let mut after = before.clone();
        after[1].incarnation += 1;
        let same =
            placed(&before).into_iter().zip(placed(&after)).all(|(old, new)| old.process == new.process);
        assert!(same);
    }

    #[test]
    fn weights_never_change_between_versions() {
        assert_eq!(weight(GroupUid(1), 1), 897_665_769_359_756_412);
        assert_eq!(weight(GroupUid(u64::MAX), 42), 11_591_188_513_424_707_526);
    }
}
