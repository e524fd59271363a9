//! The shared store, as a model: conditional writes happen at one instant, appends land whenever they like.

use std::collections::BTreeMap;

use super::super::ownership::{Epoch, OwnerRow};
use super::super::{NodeId, NodeRow, Written};
use super::{CLIENTS, GROUPS, Word};
use crate::domain::ids::Seq;

/// What a node asks the store.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request {
    Join(NodeId),
    Bump(NodeRow),
    List,
    DeclareDead(NodeId, u64),
    Leave(NodeId),
    Look(NodeId),
    ReadOwner(usize),
    ReadLog(usize),
    Claim(usize, Epoch, OwnerRow),
    Release(usize, Epoch, NodeId),
    Append(usize, Seq, Epoch, Word),
}

impl Request {
    /// About the nodes' rows, and not a group's.
    pub(super) fn is_of_nodes(&self) -> bool {
        use Request::{Bump, DeclareDead, Join, Leave, List, Look};
        matches!(self, Join(_) | Bump(_) | List | DeclareDead(..) | Leave(_) | Look(_))
    }

    /// Where a process can be stopped on purpose.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Bump(_) => "bump",
            Self::ReadLog(_) => "read log",
            Self::Claim(..) => "claim",
            Self::Append(..) => "append",
            Self::Release(..) => "release",
            _ => "",
        }
    }
}

/// What it says, if its answer isn't lost.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Written(Written),
    Rows(Vec<NodeRow>),
    There(bool),
    Owner(OwnerRow),
    Log(Vec<Word>),
}

#[derive(Default)]
pub(super) struct Store {
    nodes: BTreeMap<NodeId, NodeRow>,
    groups: [GroupLog; GROUPS],
}

struct GroupLog {
    owner: OwnerRow,
    /// Where each epoch begins.
    epochs: BTreeMap<Epoch, Seq>,
    rows: BTreeMap<(Seq, Epoch), Word>,
}

impl Default for GroupLog {
    fn default() -> Self {
        Self { owner: OwnerRow::NEVER, epochs: BTreeMap::new(), rows: BTreeMap::new() }
    }
}

impl GroupLog {
    /// No later epoch begins at or before it.
    fn is_valid(&self, seq: Seq, epoch: Epoch) -> bool {
        self.epochs.range(epoch.next()..).all(|(_, begins)| *begins > seq)
    }

    /// The end is where the next place has no valid row.
    fn gapless(&self) -> Vec<Word> {
        let mut words = Vec::new();
        loop {
            let seq = Seq(words.len() as u64 + 1);
            let row = self.rows.range((seq, Epoch(0))..(seq.next(), Epoch(0)));
            let mut valid =
                row.filter(|((seq, epoch), _)| self.is_valid(*seq, *epoch)).map(|(_, word)| *word);
            let Some(word) = valid.next() else { return words };
            assert_eq!(valid.next(), None, "a place has two events");
            words.push(word);
        }
    }
}

impl Store {
    pub(super) fn apply(&mut self, request: Request) -> Reply {
        match request {
            Request::List => Reply::Rows(self.rows()),
            Request::Look(node) => Reply::There(self.nodes.contains_key(&node)),
            Request::ReadOwner(group) => Reply::Owner(self.groups[group].owner),
            Request::ReadLog(group) => Reply::Log(self.log(group)),
            write => Reply::Written(if self.write(write) { Written::Applied } else { Written::NotApplied }),
        }
    }

    fn write(&mut self, request: Request) -> bool {
        match request {
            Request::Join(id) => {
                let new = !self.nodes.contains_key(&id);
                self.nodes.entry(id).or_insert(NodeRow { id, beat: 0, leaving: false });
                new
            }
            Request::Bump(row) => {
                self.nodes.get_mut(&row.id).filter(|old| old.beat < row.beat).is_some_and(|old| {
                    *old = row;
                    true
                })
            }
            Request::DeclareDead(id, beat) => {
                let same = self.nodes.get(&id).is_some_and(|row| row.beat == beat);
                same && self.nodes.remove(&id).is_some()
            }
            Request::Leave(id) => self.nodes.remove(&id).is_some(),
            Request::Claim(group, expected, row) => {
                let log = &mut self.groups[group];
                let same = log.owner.epoch == expected;
                if same {
                    log.owner = row;
                    log.epochs.insert(row.epoch, row.begins);
                }
                same
            }
            Request::Release(group, epoch, node) => {
                let owner = &mut self.groups[group].owner;
                let same = owner.epoch == epoch && owner.node == Some(node);
                if same {
                    owner.node = None;
                }
                same
            }
            Request::Append(group, seq, epoch, word) => {
                let before = self.groups[group].rows.insert((seq, epoch), word);
                assert!(before.is_none_or(|before| before == word), "a row was overwritten");
                true
            }
            _ => unreachable!("reads are answered above"),
        }
    }

    pub(super) fn rows(&self) -> Vec<NodeRow> {
        self.nodes.values().copied().collect()
    }

    pub(super) fn owner(&self, group: usize) -> OwnerRow {
        self.groups[group].owner
    }

    pub(super) fn log(&self, group: usize) -> Vec<Word> {
        self.groups[group].gapless()
    }
}

/// How far each client has come in a log: its words are counted from 1, in order and each once.
pub(super) fn counted(words: &[Word]) -> [u64; CLIENTS] {
    let mut last = [0; CLIENTS];
    for (client, number) in words {
        assert_eq!(
            *number,
            last[*client] + 1,
            "a client's words are out of order, missing or twice in {words:?}"
        );
        last[*client] = *number;
    }
    last
}
