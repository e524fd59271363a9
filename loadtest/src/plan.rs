//! What a run does, checked: a scenario makes it of its settings, and every worker gets the same one.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::clock::SECOND_NS;
use crate::dialect::Dialect;

/// Where the deployment is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    /// The header `Host`.
    pub(crate) host: String,
    /// What stands before `/api` and `/ws`; mostly nothing.
    pub(crate) base: String,
}

/// The headers of a tenant's request.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) client: String,
    pub(crate) secret: String,
}

/// Members `0..speakers` may speak, the last `slow` never read, and the `churners` before those come and go.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) members: u32,
    pub(crate) speakers: u32,
    pub(crate) churners: u32,
    pub(crate) slow: u32,
    /// It isn't dropped in the storm: what it suffers meanwhile is what the storm does to others.
    pub(crate) quiet: bool,
}

/// What a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Speaks and hears.
    Speaker(u32),
    Listener,
    /// Hears, and now and then leaves and comes back.
    Churner,
    /// Never reads.
    Slow,
}

impl Group {
    /// What the group's member of this index does.
    pub(crate) fn role(&self, index: u32) -> Role {
        let slow_from = self.members - self.slow;
        if index < self.speakers {
            Role::Speaker(index)
        } else if index >= slow_from {
            Role::Slow
        } else if index + self.churners >= slow_from {
            Role::Churner
        } else {
            Role::Listener
        }
    }
}

/// When messages are said.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Talk {
    /// So many a second in all, whatever becomes of them. The groups' shares follow Zipf's law with this exponent;
    /// with 0 all groups get the same.
    Open { per_s: f64, zipf: f64 },
    /// In each group so many are under way at any time: the next is said when one's speaker has heard it.
    Closed { window: u32 },
}

/// When pages of history are asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Paging {
    /// Each member asks for the next when it has got one.
    Closed,
    /// So many a second in all.
    Open { per_s: f64 },
}

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    /// After a time.
    After { ns: u64 },
    /// When all have joined.
    Joined,
    /// When all whom the storm dropped are back, and a moment later.
    Returned,
}

/// What to do in a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) groups: Vec<Group>,
    pub(crate) dialect: Dialect,
    pub(crate) talk: Option<Talk>,
    pub(crate) paging: Option<Paging>,
    /// How many leave a second, in all.
    pub(crate) churn_per_s: f64,
    /// How long who left stays away.
    pub(crate) away_ns: u64,
    /// When all but the quiet groups drop, after the measuring began.
    pub(crate) storm_after_ns: Option<u64>,
    /// Who is cut off comes back.
    pub(crate) rejoin: bool,
    /// Messages that are said in each group before the run.
    pub(crate) fill: u32,
    /// Messages of a history page.
    pub(crate) page_items: u32,
    /// The bytes of a message's text.
    pub(crate) size: usize,
    /// Joins under way at once, in all.
    pub(crate) concurrency: u32,
    /// What isn't measured at the beginning.
    pub(crate) warmup_ns: u64,
    pub(crate) end: End,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            dialect: Dialect::V1,
            talk: None,
            paging: None,
            churn_per_s: 0.0,
            away_ns: SECOND_NS,
            storm_after_ns: None,
            rejoin: false,
            fill: 0,
            page_items: 50,
            size: 100,
            concurrency: 256,
            warmup_ns: 0,
            end: End::After { ns: 10 * SECOND_NS },
        }
    }
}

/// What one worker needs to know beside the plan.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) plan: Plan,
    pub(crate) run: u32,
    pub(crate) target: Target,
    pub(crate) credentials: Credentials,
    /// This worker has the members of whom [`Plan::owner`] says so.
    pub(crate) worker: u32,
    pub(crate) workers: u32,
    /// Connect from so many addresses, 127.0.0.2, .3, …, because the ports of one don't suffice. 0 leaves it to the
    /// system.
    pub(crate) sources: u32,
    /// How long one join may take before it is given up and tried again.
    pub(crate) join_deadline_ns: u64,
    /// How long the server may take to answer a ping.
    pub(crate) pong_deadline_ns: u64,
    /// Stay on this processor.
    pub(crate) processor: Option<usize>,
}

/// A member, counted over all groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) number: u32,
    pub(crate) group: u32,
    pub(crate) role: Role,
}

impl Plan {
    /// How many sockets are held.
    pub(crate) fn members(&self) -> u32 {
        self.groups.iter().map(|group| group.members).sum()
    }

    /// All members in order.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        let in_groups = (0..)
            .zip(&self.groups)
            .flat_map(|(group, of)| (0..of.members).map(move |index| (group, of.role(index))));
        (0..).zip(in_groups).map(|(number, (group, role))| Place { number, group, role })
    }

    /// Which worker plays a member, and its place among that worker's. Who measures what a storm does to others has
    /// a worker to itself: in one loop with the storm it would measure the loop.
    pub(crate) fn owner(&self, number: u32, workers: u32) -> (u32, usize) {
        let quiet = self.quiet_members();
        match workers.checked_sub(1) {
            Some(others) if quiet > 0 && others > 0 => match number.checked_sub(quiet) {
                None => (0, number as usize),
                Some(number) => (1 + number % others, (number / others) as usize),
            },
            _ => (number % workers, (number / workers) as usize),
        }
    }

    /// Joins that a worker may have under way at once. In all it is what the plan says, but each has one at least; in a
    /// storm only those share it who are dropped.
    pub(crate) fn joins_at_once(&self, worker: u32, workers: u32, storm: bool) -> u32 {
        let (quiet, all) = (self.quiet_members(), self.concurrency);
        if quiet == 0 || workers < 2 {
            return share(all, worker, workers);
        }
        let part = u64::from(all) * u64::from(quiet) / u64::from(self.members());
        let of_quiet = u32::try_from(part).expect("a part of a u32").max(1);
        match worker.checked_sub(1) {
            None => of_quiet,
            Some(other) if storm => share(all, other, workers - 1),
            Some(other) => share(all.saturating_sub(of_quiet), other, workers - 1),
        }
    }

    /// How many never read.
    pub(crate) fn slow_members(&self) -> u32 {
        self.groups.iter().map(|group| group.slow).sum()
    }

    /// Quiet groups come first.
    pub(crate) fn quiet_members(&self) -> u32 {
        self.groups.iter().take_while(|group| group.quiet).map(|group| group.members).sum()
    }

    /// The longest that the run itself takes, when that is known beforehand.
    pub(crate) fn duration_ns(&self) -> Option<u64> {
        match self.end {
            End::After { ns } => Some(self.warmup_ns + ns),
            End::Joined | End::Returned => None,
        }
    }
}

/// One's share of something, at least one.
fn share(all: u32, number: u32, of: u32) -> u32 {
    (all / of + u32::from(number < all % of)).max(1)
}

/// A user's id. Runs share nothing, so that one service can be used again and again.
pub(crate) fn user_id(run: u32, number: u32) -> String {
    format!("lt{run:08x}-u{number}")
}

/// A group's id.
pub(crate) fn group_id(run: u32, group: u32) -> String {
    format!("lt{run:08x}-g{group}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_has_one_role() {
        let group = Group { members: 10, speakers: 3, churners: 2, slow: 4, quiet: false };
        let roles: Vec<_> = (0..10).map(|index| group.role(index)).collect();
        assert_eq!(roles[..3], [Role::Speaker(0), Role::Speaker(1), Role::Speaker(2)]);
        assert_eq!(roles[3], Role::Listener);
        assert_eq!(roles[4..6], [Role::Churner; 2]);
        assert_eq!(roles[6..], [Role::Slow; 4]);
    }

    #[test]
    fn each_member_has_one_owner_and_quiet_ones_have_their_own() {
        let quiet = Group { members: 3, quiet: true, ..Group::default() };
        let loud = Group { members: 5, ..Group::default() };
        let owners = |groups, workers| {
            let plan = Plan { groups, ..Plan::default() };
            (0..plan.members()).map(|number| plan.owner(number, workers)).collect::<Vec<_>>()
        };
        assert_eq!(owners(vec![loud], 2), [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]);
        let expected = [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (1, 1), (2, 1), (1, 2)];
        assert_eq!(owners(vec![quiet, loud], 3), expected);
        assert_eq!(owners(vec![quiet], 1), [(0, 0), (0, 1), (0, 2)]);
    }

    #[test]
    fn joins_at_once_are_in_all_as_many_as_the_plan_says() {
        let quiet = Group { members: 20, quiet: true, ..Group::default() };
        let loud = Group { members: 15_000, ..Group::default() };
        let shares = |groups, concurrency, workers, storm| {
            let plan = Plan { groups, concurrency, ..Plan::default() };
            (0..workers).map(|worker| plan.joins_at_once(worker, workers, storm)).collect::<Vec<_>>()
        };
        assert_eq!(shares(vec![loud], 256, 3, false), [86, 85, 85]);
        assert_eq!(shares(vec![loud], 1, 3, false), [1, 1, 1], "each has one");
        assert_eq!(shares(vec![quiet, loud], 2_000, 1, true), [2_000]);
        assert_eq!(shares(vec![quiet, loud], 2_000, 2, false), [2, 1_998]);
        assert_eq!(shares(vec![quiet, loud], 2_000, 2, true)[1..], [2_000], "the quiet ones stay");
        assert_eq!(shares(vec![quiet, loud], 2_000, 3, true)[1..], [1_000, 1_000]);
        let many_quiet = Group { members: 15_000, ..quiet };
        assert_eq!(shares(vec![many_quiet, loud], 2_000, 2, false), [1_000, 1_000]);
    }

    #[test]
    fn places_count_over_all_groups() {
        let group = Group { members: 2, speakers: 1, ..Group::default() };
        let plan = Plan { groups: vec![group; 3], ..Plan::default() };
        let places: Vec<_> = plan.places().collect();
        assert_eq!((places.len(), plan.members()), (6, 6));
        assert_eq!(places[3], Place { number: 3, group: 1, role: Role::Listener });
        assert_eq!(places[4], Place { number: 4, group: 2, role: Role::Speaker(0) });
    }
}
