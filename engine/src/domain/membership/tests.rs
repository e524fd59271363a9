//! One node at a time, told what happens. `model.rs` has the whole.

use super::ownership::{self, Epoch, OwnerRow, Ownership};
use super::*;
use crate::domain::ids::Seq;

const ME: NodeId = NodeId { process: 7, incarnation: 1 };
const OTHER: NodeId = NodeId { process: 8, incarnation: 1 };

fn row(id: NodeId, beat: u64) -> NodeRow {
    NodeRow { id, beat, leaving: false }
}

/// A member since 0 that has seen nobody.
fn member() -> Membership {
    let mut node = Membership::new(ME.process, LeaseRules::default(), 0);
    assert_eq!(node.handle(Command::Tick, 0), [Effect::Join(ME), Effect::List]);
    assert_eq!(node.handle(Command::Joined(ME, Written::Applied), 10), [Effect::Serve, Effect::Placed]);
    assert_eq!(node.handle(Command::Listed(Some(vec![row(ME, 0)])), 20), []);
    node
}

/// What a listing that was asked for and answered at once makes the node do.
fn lists(node: &mut Membership, rows: &[NodeRow], now_ms: u64) -> Vec<Effect> {
    let asked = node.handle(Command::Tick, now_ms);
    assert!(asked.contains(&Effect::List), "{asked:?}");
    node.handle(Command::Listed(Some(rows.to_vec())), now_ms)
}

#[test]
fn a_member_bumps_every_second() {
    let mut node = member();
    assert_eq!(node.due_ms(), Some(1_000));
    assert_eq!(node.handle(Command::Tick, 1_000), [Effect::Bump(row(ME, 1)), Effect::List]);
    node.handle(Command::Bumped(ME, Written::Applied), 1_005);
    node.handle(Command::Listed(None), 1_005);
    assert_eq!(node.handle(Command::Tick, 2_000), [Effect::Bump(row(ME, 2)), Effect::List]);
}

#[test]
fn a_lease_is_counted_from_when_the_bump_was_sent() {
    let mut node = member();
    node.handle(Command::Tick, 1_000);
    node.handle(Command::Bumped(ME, Written::Applied), 3_500);
    assert!(node.may_ack(4_999));
    assert!(!node.may_ack(5_000));
}

#[test]
fn a_node_that_cannot_bump_stops_serving_and_goes_on_when_it_can() {
    let mut node = member();
    node.handle(Command::Tick, 3_000);
    assert_eq!(node.handle(Command::Bumped(ME, Written::Unknown), 3_800), []);
    assert_eq!(node.handle(Command::Tick, 4_000)[0], Effect::StopServing);
    assert_eq!(node.handle(Command::Bumped(ME, Written::Applied), 4_100), [Effect::Serve]);
    assert!(node.may_ack(7_999));
}

#[test]
fn a_process_that_was_stopped_knows_it_before_anything_else() {
    let mut node = member();
    assert!(!node.may_ack(60_000));
    assert_eq!(node.handle(Command::Listed(None), 60_000), [Effect::StopServing]);
}

#[test]
fn a_node_that_was_declared_dead_comes_back_as_another_one() {
    let mut node = member();
    node.handle(Command::Tick, 1_000);
    let dead = node.handle(Command::Bumped(ME, Written::NotApplied), 1_010);
    assert_eq!(dead, [Effect::StopServing, Effect::Fenced(ME), Effect::Placed]);
    let again = NodeId { incarnation: 2, ..ME };
    assert_eq!(node.handle(Command::Tick, 1_010), [Effect::Join(again)]);
    // An answer of before means nothing now.
    assert_eq!(node.handle(Command::Bumped(ME, Written::Applied), 1_020), []);
    assert_eq!(node.handle(Command::Joined(again, Written::Applied), 1_030), [Effect::Serve, Effect::Placed]);
}

#[test]
fn a_join_that_may_have_been_is_never_tried_again_under_its_id() {
    let mut node = Membership::new(ME.process, LeaseRules::default(), 0);
    node.handle(Command::Tick, 0);
    assert_eq!(node.handle(Command::Joined(ME, Written::Unknown), 800), [Effect::Fenced(ME)]);
    node.handle(Command::Listed(None), 800);
    let tried = node.handle(Command::Tick, 1_800);
    assert_eq!(tried, [Effect::Join(NodeId { incarnation: 2, ..ME }), Effect::List]);
}

#[test]
fn a_row_that_does_not_change_for_a_lease_is_declared_dead() {
    let mut node = member();
    assert_eq!(lists(&mut node, &[row(OTHER, 4)], 1_000), [Effect::Placed]);
    node.handle(Command::Bumped(ME, Written::Applied), 1_000);
    assert_eq!(lists(&mut node, &[row(OTHER, 5)], 2_000), []);
    node.handle(Command::Bumped(ME, Written::Applied), 2_000);
    assert_eq!(lists(&mut node, &[row(OTHER, 5)], 5_000), []);
    node.handle(Command::Bumped(ME, Written::Applied), 5_000);
    assert_eq!(lists(&mut node, &[row(OTHER, 5)], 7_000), [Effect::DeclareDead(OTHER, 5)]);
    node.handle(Command::Bumped(ME, Written::Applied), 7_000);
    assert_eq!(lists(&mut node, &[], 8_000), [Effect::Gone(OTHER), Effect::Placed]);
    assert!(node.is_gone(OTHER));
}

#[test]
fn a_watcher_that_was_stopped_concludes_nothing_of_what_it_saw_before() {
    let mut node = member();
    lists(&mut node, &[row(OTHER, 4)], 1_000);
    // It is stopped with a listing under way, which was read long before the answer is handled.
    node.handle(Command::Tick, 2_000);
    let late = node.handle(Command::Listed(Some(vec![row(OTHER, 4)])), 600_000);
    assert_eq!(late, [Effect::StopServing]);
}

#[test]
fn a_node_that_leaves_is_given_nothing_and_goes_when_it_has_nothing() {
    let mut node = member();
    lists(&mut node, &[row(OTHER, 4)], 1_000);
    node.handle(Command::Bumped(ME, Written::Applied), 1_010);
    let leaving = Effect::Bump(NodeRow { leaving: true, ..row(ME, 2) });
    assert_eq!(node.handle(Command::Leave, 1_100), [leaving, Effect::Placed]);
    assert_eq!(node.place(GroupUid(1)), Some(OTHER));
    assert!(node.may_ack(1_100), "what is under way is finished");
    assert_eq!(node.handle(Command::LetGo, 1_200), [Effect::StopServing, Effect::Leave(ME)]);
    assert_eq!(node.handle(Command::Left(Written::Applied), 1_210), [Effect::Left]);
    assert_eq!(node.due_ms(), None);
}

#[test]
fn nothing_is_placed_on_a_node_that_leaves() {
    let mut node = member();
    lists(&mut node, &[NodeRow { leaving: true, ..row(OTHER, 4) }], 1_000);
    assert_eq!(node.members().collect::<Vec<_>>(), [ME]);
}

fn owned(node: NodeId, epoch: u64) -> OwnerRow {
    OwnerRow { epoch: Epoch(epoch), node: Some(node), begins: Seq(1) }
}

/// A group that this node wants.
fn wanted() -> Ownership {
    let mut group = Ownership::new(ME, 1_000);
    assert_eq!(group.handle(ownership::Command::Want, 0), Some(ownership::Effect::Read));
    group
}

fn own(group: &mut Ownership) {
    use ownership::Command::{Claimed, Found, HeadRead};
    group.handle(Found(Some(OwnerRow::NEVER)), 0);
    group.handle(HeadRead(Some(Seq(41))), 0);
    group.handle(Claimed(Written::Applied), 0);
}

#[test]
fn a_free_group_is_taken_behind_its_end() {
    use ownership::Command::{Claimed, Found, HeadRead};
    let mut group = wanted();
    let read = group.handle(Found(Some(OwnerRow { node: None, ..owned(OTHER, 3) })), 0);
    assert_eq!(read, Some(ownership::Effect::ReadHead(Epoch(3))));
    let row = OwnerRow { epoch: Epoch(4), node: Some(ME), begins: Seq(42) };
    let claim = group.handle(HeadRead(Some(Seq(41))), 0);
    assert_eq!(claim, Some(ownership::Effect::Claim { expected: Epoch(3), row }));
    let begin = group.handle(Claimed(Written::Applied), 0);
    assert_eq!(begin, Some(ownership::Effect::Begin { epoch: Epoch(4), begins: Seq(42) }));
    assert_eq!(group.epoch(), Some(Epoch(4)));
}

#[test]
fn a_living_owner_is_asked_and_waited_for() {
    use ownership::Command::{Found, Hint, Looked, Tick};
    let mut group = wanted();
    assert_eq!(group.handle(Found(Some(owned(OTHER, 3))), 0), Some(ownership::Effect::Look(OTHER)));
    assert_eq!(group.handle(Looked(OTHER, Some(true)), 10), Some(ownership::Effect::Relay(OTHER)));
    assert_eq!(group.handle(Tick, 1_009), None);
    assert_eq!(group.handle(Tick, 1_010), Some(ownership::Effect::Read));
    group.handle(Found(None), 1_020);
    assert_eq!(group.handle(Hint, 1_030), Some(ownership::Effect::Read));
}

#[test]
fn a_dead_owner_is_replaced() {
    use ownership::Command::{Found, Looked};
    let mut group = wanted();
    group.handle(Found(Some(owned(OTHER, 3))), 0);
    let looked = group.handle(Looked(OTHER, Some(false)), 0);
    assert_eq!(looked, Some(ownership::Effect::ReadHead(Epoch(3))));
}

#[test]
fn an_answer_about_another_node_says_nothing_of_the_owner() {
    use ownership::Command::{Found, Looked};
    let mut group = wanted();
    group.handle(Found(Some(owned(OTHER, 3))), 0);
    assert_eq!(group.handle(Looked(NodeId::first(9), Some(false)), 0), None);
}

#[test]
fn an_owner_finishes_before_it_lets_go() {
    use ownership::Command::{Drained, LetGo, Released};
    let mut group = wanted();
    own(&mut group);
    assert_eq!(group.handle(LetGo, 0), Some(ownership::Effect::Drain));
    assert_eq!(group.epoch(), Some(Epoch(1)), "what is under way is acked");
    assert_eq!(group.handle(Drained, 0), Some(ownership::Effect::Release(Epoch(1))));
    assert_eq!(group.epoch(), None);
    assert_eq!(group.handle(Released(Written::Applied), 0), Some(ownership::Effect::Freed));
    assert!(group.is_away());
}

#[test]
fn after_a_failed_append_the_log_goes_on_in_another_epoch() {
    use ownership::Command::{AppendFailed, HeadRead};
    let mut group = wanted();
    own(&mut group);
    assert_eq!(group.handle(AppendFailed, 0), Some(ownership::Effect::ReadHead(Epoch(1))));
    assert_eq!(group.epoch(), None);
    let row = OwnerRow { epoch: Epoch(2), node: Some(ME), begins: Seq(45) };
    let claim = group.handle(HeadRead(Some(Seq(44))), 0);
    assert_eq!(claim, Some(ownership::Effect::Claim { expected: Epoch(1), row }));
}

#[test]
fn who_was_slower_reads_again() {
    use ownership::Command::{Claimed, Found, HeadRead};
    let mut group = wanted();
    group.handle(Found(Some(OwnerRow::NEVER)), 0);
    group.handle(HeadRead(Some(Seq(0))), 0);
    assert_eq!(group.handle(Claimed(Written::NotApplied), 0), Some(ownership::Effect::Read));
}

#[test]
fn a_claim_that_came_late_is_let_go_when_another_asks() {
    use ownership::Command::{Asked, Claimed, Found, HeadRead, LetGo};
    let mut group = wanted();
    group.handle(Found(Some(OwnerRow::NEVER)), 0);
    group.handle(HeadRead(Some(Seq(0))), 0);
    group.handle(LetGo, 0);
    group.handle(Claimed(Written::Unknown), 0);
    // Not there yet.
    group.handle(Found(Some(OwnerRow::NEVER)), 0);
    assert!(group.is_away());
    assert_eq!(group.handle(Asked, 0), Some(ownership::Effect::Read));
    let found = group.handle(Found(Some(owned(ME, 1))), 0);
    assert_eq!(found, Some(ownership::Effect::Release(Epoch(1))));
}
