//! How this node takes one group, and lets it go. PURE.
//!
//! The store keeps a row for each group: its epoch, who owns it, and where the epoch begins in the log. Whoever takes the group over reads the row, makes sure that its
//! owner has let go or is dead, reads where the log ends, and only then writes the next epoch, on the condition that the epoch is still the one it began with.
//! So one who was stopped in the middle of this writes nothing once somebody else was faster.
//!
//! A machine is of one incarnation of the node. When that is [fenced](super::Effect::Fenced), it is dropped with all its answers.

use super::{NodeId, Written};
use crate::domain::ids::Seq;

/// Counts the owners of a group. What an epoch wrote beyond where a later one begins was never acked, and is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Who owns a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnerRow {
    /// The newest epoch.
    pub epoch: Epoch,
    /// Whose it is. `None` when it was let go.
    pub node: Option<NodeId>,
    /// The first place in the log that is written in it.
    pub begins: Seq,
}

impl OwnerRow {
    /// Of a group that nobody has owned yet.
    pub const NEVER: Self = Self { epoch: Epoch(0), node: None, begins: Seq(1) };
}

/// What happened. Each effect that asks the store is answered by one of these, once, an answer that stays away by `Unknown` or `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Somebody here needs the group, and it is placed on this node.
    Want,
    /// It is placed on another node, or nobody needs it.
    LetGo,
    /// Another node waits for this one to let go. What this node doesn't know to have may be its own by a write whose answer was lost.
    Asked,
    /// The owner may have let go, or died.
    Hint,
    /// [`Effect::Read`] was answered.
    Found(Option<OwnerRow>),
    /// [`Effect::Look`] was answered: whether that node's row is there. One answer serves every group that waits for it.
    Looked(NodeId, Option<bool>),
    /// [`Effect::ReadHead`] was answered: the last place of the gapless log.
    HeadRead(Option<Seq>),
    /// [`Effect::Claim`] was answered.
    Claimed(Written),
    /// An append has failed, or nobody knows: the log goes on in another epoch. Every later append has failed with it.
    AppendFailed,
    /// [`Effect::Drain`] is done: no append is under way, and whoever waits for one was told.
    Drained,
    /// [`Effect::Release`] was answered.
    Released(Written),
    /// The time [`Ownership::due_ms`] told has come.
    Tick,
}

/// What the caller has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Read the group's row.
    Read,
    /// See whether that node's row is there. A node that [is gone](super::Membership::is_gone) needs no asking.
    Look(NodeId),
    /// Read where the log ends, if no epoch but those up to this one is counted.
    ReadHead(Epoch),
    /// Write this row if the epoch is still that one.
    Claim {
        /// The epoch that was read.
        expected: Epoch,
        /// The new row.
        row: OwnerRow,
    },
    /// The group is this node's: append from there on, in that epoch. Acks need the node's lease beside it.
    Begin {
        /// Goes with each append.
        epoch: Epoch,
        /// The place of the first append.
        begins: Seq,
    },
    /// Take nothing more in, and finish what is under way.
    Drain,
    /// Take the owner out of the row if the epoch is still that one and this node's.
    Release(Epoch),
    /// The group was let go: tell the node where it is placed, if that is another one.
    Freed,
    /// The group is that living node's. Serve by it, and tell it that it is waited for.
    Relay(NodeId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not ours, as far as is known.
    Away,
    /// The group's row is being read.
    Reading,
    /// Whether its owner is alive is being looked up.
    Looking(OwnerRow),
    /// Nobody else has it. The end of its log is being read.
    Measuring(OwnerRow),
    /// This row is being written.
    Claiming(OwnerRow),
    /// Reads again then, or at a hint.
    Waiting { until_ms: u64 },
    /// Ours.
    Owning(Epoch),
    /// Ours, and what is under way is being finished.
    Draining(Epoch),
    /// Being let go.
    Releasing(Epoch),
}

/// How one group stands with this incarnation of this node.
#[derive(Debug)]
pub struct Ownership {
    me: NodeId,
    retry_ms: u64,
    wanted: bool,
    state: State,
}

impl Ownership {
    /// A group that this incarnation hasn't asked for yet. What can't be had now is tried again so much later.
    pub fn new(me: NodeId, retry_ms: u64) -> Self {
        Self { me, retry_ms, wanted: false, state: State::Away }
    }

    /// The epoch to append in, while the group is this node's.
    pub fn epoch(&self) -> Option<Epoch> {
        match self.state {
            State::Owning(epoch) | State::Draining(epoch) => Some(epoch),
            _ => None,
        }
    }

    /// Nothing is here and nothing is under way: the machine can be forgotten.
    pub fn is_away(&self) -> bool {
        self.state == State::Away
    }

    /// When a [`Command::Tick`] is due.
    pub fn due_ms(&self) -> Option<u64> {
        if let State::Waiting { until_ms } = self.state { Some(until_ms) } else { None }
    }

    /// Carries a command out in the state, and says what to do about it. An answer that wasn't waited for changes nothing.
    pub fn handle(&mut self, command: Command, now_ms: u64) -> Option<Effect> {
        match (command, self.state) {
            (Command::Want, state) => {
                self.wanted = true;
                if state == State::Away { self.read() } else { None }
            }
            (Command::LetGo, state) => {
                self.wanted = false;
                if let State::Owning(epoch) = state {
                    self.step(State::Draining(epoch), Effect::Drain)
                } else {
                    None
                }
            }
            (Command::Asked, State::Away) | (Command::Hint, State::Waiting { .. }) => self.read(),
            (Command::Tick, State::Waiting { until_ms }) if until_ms <= now_ms => self.read(),
            (Command::Found(row), State::Reading) => self.found(row, now_ms),
            (Command::Looked(node, alive), State::Looking(row)) if row.node == Some(node) => {
                self.looked(row, alive, now_ms)
            }
            (Command::HeadRead(head), State::Measuring(row)) => self.head_read(row, head, now_ms),
            (Command::Claimed(written), State::Claiming(row)) => self.claimed(row, written),
            (Command::AppendFailed, State::Owning(epoch)) => self.measure(self.ours(epoch)),
            (Command::Drained, State::Draining(epoch)) => self.release(epoch),
            (Command::Released(written), State::Releasing(_)) => self.released(written, now_ms),
            _ => None,
        }
    }

    fn step(&mut self, state: State, effect: Effect) -> Option<Effect> {
        self.state = state;
        Some(effect)
    }

    fn read(&mut self) -> Option<Effect> {
        self.step(State::Reading, Effect::Read)
    }

    fn wait(&mut self, now_ms: u64) -> Option<Effect> {
        self.state = State::Waiting { until_ms: now_ms + self.retry_ms };
        None
    }

    fn ours(&self, epoch: Epoch) -> OwnerRow {
        OwnerRow { epoch, node: Some(self.me), begins: Seq::default() }
    }

    fn found(&mut self, row: Option<OwnerRow>, now_ms: u64) -> Option<Effect> {
        let Some(row) = row else { return self.wait(now_ms) };
        match row.node {
            // By an earlier epoch of ours, or by a claim whose answer was lost.
            Some(node) if node == self.me && !self.wanted => self.release(row.epoch),
            _ if !self.wanted => self.give_up(),
            Some(node) if node != self.me => self.step(State::Looking(row), Effect::Look(node)),
            _ => self.measure(row),
        }
    }

    fn looked(&mut self, row: OwnerRow, alive: Option<bool>, now_ms: u64) -> Option<Effect> {
        match alive {
            _ if !self.wanted => self.give_up(),
            None => self.wait(now_ms),
            Some(false) => self.measure(row),
            Some(true) => {
                self.wait(now_ms);
                row.node.map(Effect::Relay)
            }
        }
    }

    /// Nobody appends in this epoch any more, or what they append is late.
    fn measure(&mut self, row: OwnerRow) -> Option<Effect> {
        self.step(State::Measuring(row), Effect::ReadHead(row.epoch))
    }

    fn head_read(&mut self, found: OwnerRow, head: Option<Seq>, now_ms: u64) -> Option<Effect> {
        if !self.wanted {
            return if found.node == Some(self.me) { self.release(found.epoch) } else { self.give_up() };
        }
        let Some(head) = head else { return self.wait(now_ms) };
        let row = OwnerRow { epoch: found.epoch.next(), node: Some(self.me), begins: head.next() };
        self.step(State::Claiming(row), Effect::Claim { expected: found.epoch, row })
    }

    fn claimed(&mut self, row: OwnerRow, written: Written) -> Option<Effect> {
        match written {
            Written::Applied if self.wanted => {
                self.step(State::Owning(row.epoch), Effect::Begin { epoch: row.epoch, begins: row.begins })
            }
            Written::Applied => self.release(row.epoch),
            // Whatever stands there now decides. A claim that comes late finds another epoch, or is found.
            Written::NotApplied | Written::Unknown => self.read(),
        }
    }

    fn release(&mut self, epoch: Epoch) -> Option<Effect> {
        self.step(State::Releasing(epoch), Effect::Release(epoch))
    }

    fn released(&mut self, written: Written, now_ms: u64) -> Option<Effect> {
        match written {
            Written::Unknown => self.wait(now_ms),
            _ if self.wanted => self.read(),
            Written::Applied | Written::NotApplied => {
                self.state = State::Away;
                Some(Effect::Freed)
            }
        }
    }

    fn give_up(&mut self) -> Option<Effect> {
        self.state = State::Away;
        None
    }
}
