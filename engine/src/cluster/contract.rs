//! What every adapter of [`Nodes`] and [`Owners`] promises, as tests. An adapter runs [`check`], on rows that may be there from before.

use super::{Nodes, Owners};
use crate::domain::ids::{GroupUid, Seq};
use crate::domain::membership::ownership::{Epoch, OwnerRow};
use crate::domain::membership::{NodeId, NodeRow};

/// Runs the whole suite. Ids are made of the seed, so that runs on a store that keeps its rows don't meet.
pub async fn check<C: Nodes + Owners>(cluster: &C, seed: u64) {
    a_row_is_added_once(cluster, node(seed, 1)).await;
    a_bump_goes_forward_only(cluster, node(seed, 2)).await;
    a_row_that_moved_is_not_deleted(cluster, node(seed, 3)).await;
    who_is_dead_stays_dead(cluster, node(seed, 4)).await;
    who_left_is_gone(cluster, node(seed, 5)).await;
    incarnations_are_told_apart(cluster, node(seed, 6)).await;
    of_many_who_declare_it_one_did(cluster, node(seed, 7)).await;
    a_group_is_claimed_in_its_epoch(cluster, GroupUid(seed.wrapping_add(1)), node(seed, 8)).await;
    of_many_who_claim_one_wins(cluster, seed).await;
    only_its_owner_lets_a_group_go(cluster, GroupUid(seed.wrapping_add(2)), node(seed, 9)).await;
    every_beginning_stays(cluster, GroupUid(seed.wrapping_add(3)), node(seed, 10)).await;
}

fn node(seed: u64, number: u64) -> NodeId {
    NodeId::first(seed.wrapping_mul(1_000).wrapping_add(number))
}

fn row(id: NodeId, beat: u64) -> NodeRow {
    NodeRow { id, beat, leaving: false }
}

/// What a listing and a look say of a node. They agree.
async fn find(nodes: &impl Nodes, id: NodeId) -> Option<NodeRow> {
    let listed: Vec<_> =
        nodes.list().await.expect("a listing").into_iter().filter(|row| row.id == id).collect();
    assert!(listed.len() <= 1, "a row is listed twice");
    assert_eq!(nodes.is_there(id).await, Ok(!listed.is_empty()));
    listed.first().copied()
}

async fn a_row_is_added_once(nodes: &impl Nodes, id: NodeId) {
    assert_eq!(find(nodes, id).await, None);
    assert_eq!(nodes.join(id).await, Ok(true));
    assert_eq!(find(nodes, id).await, Some(row(id, 0)));
    assert_eq!(nodes.bump(row(id, 1)).await, Ok(true));
    assert_eq!(nodes.join(id).await, Ok(false));
    assert_eq!(find(nodes, id).await, Some(row(id, 1)), "another join changes nothing");
    assert_eq!(nodes.leave(id).await, Ok(true));
}

async fn a_bump_goes_forward_only(nodes: &impl Nodes, id: NodeId) {
    assert_eq!(nodes.join(id).await, Ok(true));
    let leaving = NodeRow { leaving: true, ..row(id, 3) };
    assert_eq!(nodes.bump(leaving).await, Ok(true));
    assert_eq!(nodes.bump(row(id, 2)).await, Ok(false), "one that comes late");
    assert_eq!(nodes.bump(row(id, 3)).await, Ok(false));
    assert_eq!(find(nodes, id).await, Some(leaving));
    assert_eq!(nodes.leave(id).await, Ok(true));
}

async fn a_row_that_moved_is_not_deleted(nodes: &impl Nodes, id: NodeId) {
    assert_eq!(nodes.join(id).await, Ok(true));
    assert_eq!(nodes.bump(row(id, 1)).await, Ok(true));
    assert_eq!(nodes.declare_dead(id, 0).await, Ok(false));
    assert_eq!(find(nodes, id).await, Some(row(id, 1)));
    assert_eq!(nodes.declare_dead(id, 1).await, Ok(true));
    assert_eq!(find(nodes, id).await, None);
}

async fn who_is_dead_stays_dead(nodes: &impl Nodes, id: NodeId) {
    assert_eq!(nodes.bump(row(id, 1)).await, Ok(false), "a bump adds nothing");
    assert_eq!(nodes.join(id).await, Ok(true));
    assert_eq!(nodes.declare_dead(id, 0).await, Ok(true));
    assert_eq!(nodes.bump(row(id, 1)).await, Ok(false));
    assert_eq!(nodes.declare_dead(id, 0).await, Ok(false));
    assert_eq!(find(nodes, id).await, None);
}

async fn who_left_is_gone(nodes: &impl Nodes, id: NodeId) {
    assert_eq!(nodes.join(id).await, Ok(true));
    assert_eq!(nodes.leave(id).await, Ok(true));
    assert_eq!(nodes.leave(id).await, Ok(false));
    assert_eq!(nodes.bump(row(id, 1)).await, Ok(false));
    assert_eq!(find(nodes, id).await, None);
}

async fn incarnations_are_told_apart(nodes: &impl Nodes, id: NodeId) {
    let next = NodeId { incarnation: 2, ..id };
    assert_eq!(nodes.join(id).await, Ok(true));
    assert_eq!(nodes.join(next).await, Ok(true));
    assert_eq!(nodes.declare_dead(id, 0).await, Ok(true));
    assert_eq!(find(nodes, next).await, Some(row(next, 0)));
    assert_eq!(nodes.leave(next).await, Ok(true));
}

async fn of_many_who_declare_it_one_did(nodes: &impl Nodes, id: NodeId) {
    assert_eq!(nodes.join(id).await, Ok(true));
    let (a, b, c) =
        tokio::join!(nodes.declare_dead(id, 0), nodes.declare_dead(id, 0), nodes.declare_dead(id, 0));
    assert_eq!(won([a, b, c]), 1);
}

fn won<E: std::fmt::Debug>(answers: [Result<bool, E>; 3]) -> usize {
    answers.into_iter().filter(|answer| *answer.as_ref().expect("an answer")).count()
}

fn owned(epoch: u64, node: NodeId, begins: u64) -> OwnerRow {
    OwnerRow { epoch: Epoch(epoch), node: Some(node), begins: Seq(begins) }
}

async fn a_group_is_claimed_in_its_epoch(owners: &impl Owners, group: GroupUid, node: NodeId) {
    assert_eq!(owners.owner(group).await, Ok(OwnerRow::NEVER));
    assert_eq!(owners.claim(group, Epoch(1), owned(2, node, 1)).await, Ok(false), "it never began");
    assert_eq!(owners.claim(group, Epoch(0), owned(1, node, 1)).await, Ok(true));
    assert_eq!(owners.owner(group).await, Ok(owned(1, node, 1)));
    assert_eq!(owners.claim(group, Epoch(0), owned(1, node, 5)).await, Ok(false), "one that comes late");
    assert_eq!(owners.claim(group, Epoch(1), owned(2, node, 42)).await, Ok(true));
    assert_eq!(owners.owner(group).await, Ok(owned(2, node, 42)));
}

async fn of_many_who_claim_one_wins(owners: &impl Owners, seed: u64) {
    for round in 0..10 {
        let group = GroupUid(seed.wrapping_add(100 + round));
        let claim = |number| owners.claim(group, Epoch(0), owned(1, node(seed, 20 + number), number));
        let (a, b, c) = tokio::join!(claim(1), claim(2), claim(3));
        let winner = [&a, &b, &c].into_iter().position(|answer| *answer == Ok(true)).expect("a winner");
        assert_eq!(won([a, b, c]), 1);
        let number = winner as u64 + 1;
        assert_eq!(owners.owner(group).await, Ok(owned(1, node(seed, 20 + number), number)));
    }
}

async fn only_its_owner_lets_a_group_go(owners: &impl Owners, group: GroupUid, node: NodeId) {
    assert_eq!(owners.release(group, Epoch(0), node).await, Ok(false));
    assert_eq!(owners.claim(group, Epoch(0), owned(1, node, 1)).await, Ok(true));
    assert_eq!(owners.release(group, Epoch(1), NodeId { incarnation: 2, ..node }).await, Ok(false));
    assert_eq!(owners.release(group, Epoch(2), node).await, Ok(false));
    assert_eq!(owners.release(group, Epoch(1), node).await, Ok(true));
    let free = OwnerRow { node: None, ..owned(1, node, 1) };
    assert_eq!(owners.owner(group).await, Ok(free), "the epoch stays");
    assert_eq!(owners.release(group, Epoch(1), node).await, Ok(false));
    assert_eq!(owners.claim(group, Epoch(1), owned(2, node, 7)).await, Ok(true));
    assert_eq!(owners.release(group, Epoch(1), node).await, Ok(false), "one that comes late");
}

async fn every_beginning_stays(owners: &impl Owners, group: GroupUid, node: NodeId) {
    assert_eq!(owners.epochs(group).await, Ok(vec![]));
    assert_eq!(owners.claim(group, Epoch(0), owned(1, node, 1)).await, Ok(true));
    assert_eq!(owners.claim(group, Epoch(1), owned(2, node, 42)).await, Ok(true));
    assert_eq!(owners.claim(group, Epoch(1), owned(2, node, 43)).await, Ok(false));
    assert_eq!(owners.release(group, Epoch(2), node).await, Ok(true));
    assert_eq!(owners.claim(group, Epoch(2), owned(3, node, 42)).await, Ok(true));
    let begun = vec![(Epoch(1), Seq(1)), (Epoch(2), Seq(42)), (Epoch(3), Seq(42))];
    assert_eq!(owners.epochs(group).await, Ok(begun));
}
