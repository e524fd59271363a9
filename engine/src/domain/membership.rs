//! Which nodes live, and which of them owns a group. PURE: commands and a time go in, effects come out.
//!
//! A node keeps a row in the shared store and changes it every second: that is its lease. Whoever watches a row that doesn't
//! change for the time of a lease deletes it, and so declares its node dead. A row that is gone never comes back: the node goes on under a new
//! incarnation, having let go of everything.
//!
//! The time is milliseconds on a clock that runs while the process is stopped and while the machine sleeps. Only differences count, and no clock is compared
//! with another's.
//!
//! In reading order: this file is one node among the others, [`lease`] its right to serve, [`watch`] what it concludes of the others,
//! [`placement`] where a group belongs, [`ownership`] how a group is taken and let go.

mod lease;
#[cfg(test)]
mod model;
pub mod ownership;
pub mod placement;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;
use std::fmt;

use super::ids::GroupUid;
use lease::Lease;
pub use lease::LeaseRules;
use watch::Watch;

/// One incarnation of a node. Once declared dead it stays dead, so an id is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// The process: a random number, taken when it starts.
    pub process: u64,
    /// Which of its incarnations.
    pub incarnation: u32,
}

impl NodeId {
    /// The first incarnation of a process.
    pub fn first(process: u64) -> Self {
        Self { process, incarnation: 1 }
    }

    fn next(self) -> Self {
        Self { incarnation: self.incarnation + 1, ..self }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}.{}", self.process, self.incarnation)
    }
}

/// A node's row in the shared store. A node is alive for the others while its row is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeRow {
    /// Whose.
    pub id: NodeId,
    /// Grows with each bump.
    pub beat: u64,
    /// The node is about to stop: no group is placed on it any more.
    pub leaving: bool,
}

/// What became of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is done.
    Applied,
    /// Its condition didn't hold: it isn't done, and never will be.
    NotApplied,
    /// No answer came: it is done, or will be, or never.
    Unknown,
}

/// What happened. Each effect that asks the store is answered by one of these, once, an answer that stays away by `Unknown` or `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The time [`Membership::due_ms`] told has come.
    Tick,
    /// [`Effect::Join`] was answered.
    Joined(NodeId, Written),
    /// [`Effect::Bump`] was answered.
    Bumped(NodeId, Written),
    /// [`Effect::List`] was answered.
    Listed(Option<Vec<NodeRow>>),
    /// [`Effect::Leave`] was answered.
    Left(Written),
    /// The operator wants this node to stop: its groups go to the others first.
    Leave,
    /// The node owns no group any more, after [`Command::Leave`].
    LetGo,
}

/// What the caller has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Add this row, unless it is there.
    Join(NodeId),
    /// Set the beat and whether it leaves, if the row is there and its beat is lower.
    Bump(NodeRow),
    /// Read every row.
    List,
    /// Delete this row if its beat is still this. Needs no answer: the next listing tells.
    DeclareDead(NodeId, u64),
    /// Delete this row of ours.
    Leave(NodeId),
    /// The lease is good: acks may be given and frames shown while [`Membership::may_ack`] says so.
    Serve,
    /// The lease isn't good: nothing may be acked or shown. If it becomes good again, nobody has taken anything meanwhile.
    StopServing,
    /// This incarnation was declared dead or never began: whatever it owned is somebody else's. Drop it unflushed; the node comes back as another one.
    Fenced(NodeId),
    /// Others can have groups placed on them now, or this node can: ask [`Membership::place`] again.
    Placed,
    /// A node has died or left, and won't be back: its users have left, and what it owned can be taken.
    Gone(NodeId),
    /// This node's row is gone, as it wanted.
    Left,
}

/// How far this incarnation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not a member. Tries from then on.
    Outside { from_ms: u64 },
    /// The row is being added.
    Joining { sent_ms: u64 },
    /// A member.
    Inside,
    /// A member that is about to stop, when its groups are elsewhere.
    Leaving,
    /// It has nothing any more, and its row is being deleted.
    Going,
    /// Gone for good.
    Left,
}

/// One node among the others.
#[derive(Debug)]
pub struct Membership {
    rules: LeaseRules,
    me: NodeId,
    phase: Phase,
    lease: Lease,
    watch: Watch,
    serving: bool,
    /// The newest incarnation of each process that groups can be placed on, this node among them.
    members: BTreeMap<u64, NodeId>,
}

impl Membership {
    /// A node that wants to be a member. The first [`Command::Tick`] is due at once.
    pub fn new(process: u64, rules: LeaseRules, now_ms: u64) -> Self {
        Self {
            rules,
            me: NodeId::first(process),
            phase: Phase::Outside { from_ms: now_ms },
            lease: Lease::default(),
            watch: Watch::new(now_ms),
            serving: false,
            members: BTreeMap::new(),
        }
    }

    /// The present incarnation of this node, a member or not yet.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// Whether this node may ack and show what is stored. To be asked after the append is known to be stored, and before the ack.
    pub fn may_ack(&self, now_ms: u64) -> bool {
        self.is_member() && self.lease.is_good(now_ms)
    }

    /// Until when [`Membership::may_ack`] holds, if nothing else comes: for groups to look at without asking.
    pub fn good_until_ms(&self) -> u64 {
        if self.is_member() { self.lease.good_until_ms() } else { 0 }
    }

    /// Where a group belongs, as far as this node sees. `None` when it sees no node that could have it.
    pub fn place(&self, group: GroupUid) -> Option<NodeId> {
        placement::place(group, self.members.values().copied())
    }

    /// The nodes that groups can be placed on, as far as this node sees.
    pub fn members(&self) -> impl Iterator<Item = NodeId> {
        self.members.values().copied()
    }

    /// Whether a node is known to have died or left. `false` says nothing: then the store has to be asked.
    pub fn is_gone(&self, node: NodeId) -> bool {
        self.watch.is_gone(node)
    }

    /// When a [`Command::Tick`] is due.
    pub fn due_ms(&self) -> Option<u64> {
        let lapse = self.serving.then(|| self.lease.good_until_ms());
        let step = match self.phase {
            Phase::Outside { from_ms } => Some(from_ms),
            Phase::Joining { .. } | Phase::Going => None,
            Phase::Inside | Phase::Leaving => self.lease.bump_due_ms(&self.rules),
            Phase::Left => return None,
        };
        [lapse, step, self.watch.due_ms(&self.rules)].into_iter().flatten().min()
    }

    /// Carries a command out in the state, and says what to do about it.
    pub fn handle(&mut self, command: Command, now_ms: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        // The process may have been stopped for any time before this.
        self.check_lease(now_ms, &mut effects);
        match command {
            Command::Tick => self.tick(now_ms, &mut effects),
            Command::Joined(node, written) if node == self.me => self.joined(written, now_ms, &mut effects),
            Command::Bumped(node, written) if node == self.me => self.bumped(written, now_ms, &mut effects),
            // Of an incarnation that is over.
            Command::Joined(..) | Command::Bumped(..) => {}
            Command::Listed(rows) => self.listed(rows, now_ms, &mut effects),
            Command::Left(_) => self.left(&mut effects),
            Command::Leave => self.leave(now_ms, &mut effects),
            Command::LetGo => self.let_go(&mut effects),
        }
        self.check_lease(now_ms, &mut effects);
        self.count_members(&mut effects);
        effects
    }

    fn is_member(&self) -> bool {
        matches!(self.phase, Phase::Inside | Phase::Leaving)
    }

    /// Says when the right to serve begins and ends.
    fn check_lease(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        let may = self.may_ack(now_ms);
        if may != self.serving {
            self.serving = may;
            effects.push(if may { Effect::Serve } else { Effect::StopServing });
        }
    }

    fn tick(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        let bump_due = self.lease.bump_due_ms(&self.rules).is_some_and(|due_ms| due_ms <= now_ms);
        match self.phase {
            Phase::Outside { from_ms } if from_ms <= now_ms => {
                self.phase = Phase::Joining { sent_ms: now_ms };
                effects.push(Effect::Join(self.me));
            }
            Phase::Inside | Phase::Leaving if bump_due => self.bump(now_ms, effects),
            _ => {}
        }
        let listing_due = self.watch.due_ms(&self.rules).is_some_and(|due_ms| due_ms <= now_ms);
        if listing_due && self.phase != Phase::Left {
            self.watch.ask(now_ms, &self.rules);
            effects.push(Effect::List);
        }
    }

    fn bump(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        let leaving = self.phase == Phase::Leaving;
        effects.push(Effect::Bump(NodeRow { id: self.me, beat: self.lease.bump(now_ms), leaving }));
    }

    fn joined(&mut self, written: Written, now_ms: u64, effects: &mut Vec<Effect>) {
        let Phase::Joining { sent_ms } = self.phase else { return };
        if written == Written::Applied {
            self.phase = Phase::Inside;
            self.lease = Lease::begun(sent_ms, &self.rules);
        } else {
            // A row that may be there or come later is nobody's: the others will see that it doesn't change.
            self.begin_again(now_ms + self.rules.bump_interval_ms, effects);
        }
    }

    fn bumped(&mut self, written: Written, now_ms: u64, effects: &mut Vec<Effect>) {
        match written {
            Written::Applied => self.lease.bumped(&self.rules),
            Written::Unknown => self.lease.missed(),
            Written::NotApplied => match self.phase {
                Phase::Inside => self.begin_again(now_ms, effects),
                // Declared dead while its groups were on their way.
                Phase::Leaving => {
                    self.fence(effects);
                    self.end(effects);
                }
                Phase::Outside { .. } | Phase::Joining { .. } | Phase::Going | Phase::Left => {}
            },
        }
    }

    /// This incarnation is over; another one begins then.
    fn begin_again(&mut self, from_ms: u64, effects: &mut Vec<Effect>) {
        self.fence(effects);
        self.phase = Phase::Outside { from_ms };
        self.me = self.me.next();
    }

    fn fence(&mut self, effects: &mut Vec<Effect>) {
        self.lease = Lease::default();
        self.stop_serving(effects);
        effects.push(Effect::Fenced(self.me));
    }

    fn stop_serving(&mut self, effects: &mut Vec<Effect>) {
        if self.serving {
            self.serving = false;
            effects.push(Effect::StopServing);
        }
    }

    fn listed(&mut self, rows: Option<Vec<NodeRow>>, now_ms: u64, effects: &mut Vec<Effect>) {
        let Some(asked_ms) = self.watch.answered() else { return };
        // A listing that fails says nothing of anybody.
        let Some(rows) = rows else { return };
        let others = rows.into_iter().filter(|row| row.id != self.me);
        let conclusion = self.watch.conclude(others, asked_ms, now_ms, &self.rules);
        effects.extend(conclusion.gone.into_iter().map(Effect::Gone));
        let dead = conclusion.unchanged.into_iter();
        effects.extend(dead.map(|row| Effect::DeclareDead(row.id, row.beat)));
    }

    fn leave(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        match self.phase {
            Phase::Inside => {
                self.phase = Phase::Leaving;
                // The sooner the others know, the sooner they take over. A bump under way is followed by one that says so.
                if self.lease.bump_due_ms(&self.rules).is_some() {
                    self.bump(now_ms, effects);
                }
            }
            // A row that is being added and never changes is deleted by the others.
            Phase::Outside { .. } | Phase::Joining { .. } => self.end(effects),
            Phase::Leaving | Phase::Going | Phase::Left => {}
        }
    }

    fn let_go(&mut self, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Leaving {
            self.phase = Phase::Going;
            self.stop_serving(effects);
            effects.push(Effect::Leave(self.me));
        }
    }

    /// Whatever became of the row: one that stays, because the deletion got lost, is deleted by the others as one that doesn't change.
    fn left(&mut self, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Going {
            self.end(effects);
        }
    }

    fn end(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Left;
        effects.push(Effect::Left);
    }

    fn count_members(&mut self, effects: &mut Vec<Effect>) {
        let mut members = self.watch.members();
        // A row of an incarnation of ours that is over may still be there.
        members.remove(&self.me.process);
        if self.phase == Phase::Inside {
            members.insert(self.me.process, self.me);
        }
        if members != self.members {
            self.members = members;
            effects.push(Effect::Placed);
        }
    }
}
