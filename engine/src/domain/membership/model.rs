//! Three nodes against a model of the world: a store that answers late, twice or never, processes that stop and go on, that are cut off, killed and started
//! again, clocks that go at different rates, clients that send again until they are acked.
//!
//! Whatever happens, nothing that was acked is lost or replaced, the order holds, one owner at a time acks, and when the faults end
//! everything goes on.

mod chance;
mod faults;
mod host;
mod node;
mod store;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::ownership::{self, Epoch};
use super::{LeaseRules, NodeId, Written, placement};
use crate::domain::ids::Seq;
use chance::Chance;
use faults::{Fault, fault};
use host::Host;
use node::{Node, Out, uid};
use store::{Reply, Request, Store, counted};

const NODES: usize = 3;
const GROUPS: usize = 2;
const CLIENTS: usize = 4;
/// Words of a client under way at most.
const WINDOW: u64 = 3;
/// How long a node waits for the store.
const TIMEOUT_MS: u64 = 800;
/// Nothing is on its way for longer.
const LATE_MS: u64 = 8_000;
/// After the last fault: what is late arrives, what is dead is declared so, and groups move.
const CALM_MS: u64 = 24_000;

/// A client and the number of its word.
type Word = (usize, u64);

/// What happens at an instant.
#[derive(Debug)]
enum Happening {
    Wake,
    Start,
    Leave,
    Answer { by: NodeId, id: u64, request: Request, reply: Option<Reply> },
    Tell(usize, ownership::Command),
    Hear(usize, Vec<Word>),
}

/// Where.
#[derive(Debug)]
enum At {
    /// On a node, in that life of it; in any if none is given.
    Node(usize, Option<u64>, Happening),
    /// In the store.
    Store { from: usize, life: u64, by: NodeId, id: u64, request: Request, answered: bool },
    /// A node that was stopped goes on, with all that came meanwhile.
    GoesOn(usize),
    /// A client sends what isn't acked.
    Client(usize),
    /// A client is told.
    Acked(usize, u64),
}

struct World {
    now_ms: u64,
    chance: Chance,
    calm: bool,
    slow_until_ms: u64,
    agenda: BinaryHeap<Reverse<(u64, u64)>>,
    due: std::collections::HashMap<u64, At>,
    serial: u64,
    store: Store,
    hosts: Vec<Host>,
    acked: [u64; CLIENTS],
    /// What was shown in each group.
    shown: [Vec<Word>; GROUPS],
    /// The newest epoch that showed something.
    epochs: [Epoch; GROUPS],
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let hosts = (0..NODES).map(|_| Host::new(&mut chance)).collect();
        let mut world = Self {
            now_ms: 0,
            chance,
            calm: false,
            slow_until_ms: 0,
            agenda: BinaryHeap::new(),
            due: std::collections::HashMap::new(),
            serial: 0,
            store: Store::default(),
            hosts,
            acked: [0; CLIENTS],
            shown: Default::default(),
            epochs: Default::default(),
        };
        (0..NODES).for_each(|node| world.later(1, At::Node(node, None, Happening::Start)));
        (0..CLIENTS).for_each(|client| world.later(2, At::Client(client)));
        world
    }

    fn later(&mut self, in_ms: u64, at: At) {
        self.serial += 1;
        self.agenda.push(Reverse((self.now_ms + in_ms, self.serial)));
        self.due.insert(self.serial, at);
    }

    fn run_for(&mut self, time_ms: u64) {
        let end_ms = self.now_ms + time_ms;
        while let Some(Reverse((at_ms, serial))) =
            self.agenda.peek().copied().filter(|next| next.0.0 <= end_ms)
        {
            self.agenda.pop();
            self.now_ms = at_ms;
            let at = self.due.remove(&serial).unwrap();
            self.happen(at);
        }
        self.now_ms = end_ms;
    }

    fn happen(&mut self, at: At) {
        match at {
            At::Node(node, life, happening) => self.on_node(node, life, happening),
            At::Store { from, life, by, id, request, answered } => {
                let reply = self.store.apply(request);
                self.check_write(request, &reply);
                if answered {
                    let in_ms = self.way_ms();
                    let answer = Happening::Answer { by, id, request, reply: Some(reply) };
                    self.later(in_ms, At::Node(from, Some(life), answer));
                }
            }
            At::GoesOn(node) => {
                if self.hosts[node].stopped_until_ms <= self.now_ms {
                    let held = std::mem::take(&mut self.hosts[node].held);
                    held.into_iter().for_each(|at| self.later(0, at));
                }
            }
            At::Client(client) => self.speak(client),
            At::Acked(client, number) => self.acked[client] = self.acked[client].max(number),
        }
    }

    /// A new epoch begins behind all that was shown, and who is declared dead has no lease any more.
    fn check_write(&self, request: Request, reply: &Reply) {
        if !matches!(reply, Reply::Written(Written::Applied)) {
            return;
        }
        match request {
            Request::Claim(group, _, row) => {
                assert!(row.begins > Seq(self.shown[group].len() as u64), "what was acked is lost");
            }
            Request::DeclareDead(id, _) => {
                let good = |host: &Host| {
                    let node = host.node.as_ref().filter(|node| node.membership.me() == id);
                    node.is_some_and(|node| node.membership.may_ack(host.clock_ms(self.now_ms)))
                };
                assert!(!self.hosts.iter().any(good), "a node with a lease was declared dead");
            }
            _ => {}
        }
    }

    /// A client doesn't know who owns its group, so it tells every node.
    fn speak(&mut self, client: usize) {
        let from = self.acked[client] + 1;
        let words: Vec<_> = (from..from + WINDOW).map(|number| (client, number)).collect();
        for node in 0..NODES {
            if !self.is_lost(5) {
                let in_ms = self.chance.between(1, 30);
                self.later(in_ms, At::Node(node, None, Happening::Hear(client, words.clone())));
            }
        }
        let pause_ms = self.chance.between(100, 500);
        self.later(pause_ms, At::Client(client));
    }

    fn is_lost(&mut self, percent: u64) -> bool {
        !self.calm && self.chance.percent(percent)
    }

    /// How long something goes from a node to the store, or back.
    fn way_ms(&mut self) -> u64 {
        if self.is_lost(2) {
            return self.chance.between(TIMEOUT_MS, LATE_MS);
        }
        if self.now_ms < self.slow_until_ms {
            self.chance.between(50, 2_000)
        } else {
            self.chance.between(1, 40)
        }
    }

    fn on_node(&mut self, node: usize, life: Option<u64>, happening: Happening) {
        let now_ms = self.now_ms;
        let host = &mut self.hosts[node];
        if life.is_some_and(|life| life != host.life) {
            return;
        }
        if now_ms < host.stopped_until_ms {
            return host.held.push(At::Node(node, life, happening));
        }
        let clock_ms = host.clock_ms(now_ms);
        if let Happening::Start = happening {
            if host.node.is_none() {
                host.life += 1;
                host.wakes_ms = None;
                host.waiting.clear();
                let process = self.chance.next();
                host.node = Some(Node::start(process, LeaseRules::default(), clock_ms));
            }
        } else if let Some(process) = &mut host.node {
            match happening {
                Happening::Start => {}
                Happening::Wake => {
                    host.wakes_ms = None;
                    process.tick(clock_ms);
                }
                Happening::Leave => process.leave(clock_ms),
                Happening::Tell(group, command) => process.told(group, command, clock_ms),
                Happening::Hear(client, words) => process.hear(client % GROUPS, &words, clock_ms),
                Happening::Answer { by, id, request, reply } => {
                    let waits = host.waiting.iter().position(|waiting| *waiting == id);
                    let Some(waits) = waits else { return };
                    host.waiting.swap_remove(waits);
                    process.answered(by, request, reply, clock_ms);
                }
            }
        }
        self.carry_out(node);
    }

    fn carry_out(&mut self, node: usize) {
        let host = &mut self.hosts[node];
        let Some(process) = &mut host.node else { return };
        let out = std::mem::take(&mut process.out);
        let due_ms = process.due_ms();
        let life = host.life;
        let wakes_ms = due_ms.map(|due_ms| host.instant_ms(due_ms).max(self.now_ms));
        if let Some(wakes_ms) = wakes_ms
            && host.wakes_ms.is_none_or(|already_ms| wakes_ms < already_ms)
        {
            host.wakes_ms = Some(wakes_ms);
            self.later(wakes_ms - self.now_ms, At::Node(node, Some(life), Happening::Wake));
        }
        for out in out {
            self.send(node, life, out);
        }
    }

    fn send(&mut self, node: usize, life: u64, out: Out) {
        match out {
            Out::Ask(by, request) => self.ask(node, life, by, request),
            Out::Tell(to, group, command) => {
                let is_it = |host: &Host| host.node.as_ref().is_some_and(|node| node.membership.me() == to);
                if let Some(to) = self.hosts.iter().position(is_it)
                    && !self.is_lost(20)
                {
                    let in_ms = self.chance.between(1, 30);
                    self.later(in_ms, At::Node(to, None, Happening::Tell(group, command)));
                }
            }
            Out::Ack(client, number) => {
                if !self.is_lost(5) {
                    let in_ms = self.chance.between(1, 30);
                    self.later(in_ms, At::Acked(client, number));
                }
            }
            Out::Show(group, by, epoch, seq, word) => self.show(group, by, epoch, seq, word),
            Out::Exit => self.hosts[node].node = None,
        }
    }

    fn ask(&mut self, node: usize, life: u64, by: NodeId, request: Request) {
        self.serial += 1;
        let id = self.serial;
        self.hosts[node].waiting.push(id);
        let no_answer = Happening::Answer { by, id, request, reply: None };
        self.later(TIMEOUT_MS, At::Node(node, Some(life), no_answer));
        let host = &self.hosts[node];
        let mute = self.now_ms < host.mute_until_ms && request.is_of_nodes();
        let cut = self.now_ms < host.cut_until_ms;
        // A request that is lost never arrives; one whose answer is lost is carried out all the same.
        if mute || (cut && self.chance.percent(70)) || self.is_lost(3) {
            return;
        }
        let answered = !cut && !self.is_lost(3);
        let in_ms = self.way_ms() + self.spring(node, request);
        self.later(in_ms, At::Store { from: node, life, by, id, request, answered });
    }

    /// How much later a request leaves, because its process is stopped now.
    fn spring(&mut self, node: usize, request: Request) -> u64 {
        let ambush = self.hosts[node].ambush;
        let Some((_, time_ms)) = ambush.filter(|(name, _)| *name == request.name()) else { return 0 };
        self.hosts[node].ambush = None;
        self.stop(node, time_ms);
        if self.chance.percent(50) { time_ms } else { 0 }
    }

    fn stop(&mut self, node: usize, time_ms: u64) {
        let until_ms = &mut self.hosts[node].stopped_until_ms;
        *until_ms = (*until_ms).max(self.now_ms + time_ms);
        let in_ms = *until_ms - self.now_ms;
        self.later(in_ms, At::GoesOn(node));
    }

    /// An owner acks and shows: this is what must always hold.
    fn show(&mut self, group: usize, by: NodeId, epoch: Epoch, seq: Seq, word: Word) {
        let owner = self.store.owner(group);
        assert_eq!((owner.node, owner.epoch), (Some(by), epoch), "somebody acks who isn't the owner");
        assert!(self.epochs[group] <= epoch, "an earlier owner acks after a later one");
        self.epochs[group] = epoch;
        let shown = &mut self.shown[group];
        let index = usize::try_from(seq.0).unwrap() - 1;
        assert!(index <= shown.len(), "something was shown before what comes before it");
        if index == shown.len() {
            shown.push(word);
        }
        assert_eq!(shown[index], word, "what was seen was replaced");
    }

    fn strike(&mut self, fault: &Fault) {
        match *fault {
            Fault::Stop(node, time_ms) => self.stop(node, time_ms),
            Fault::Ambush(node, name, time_ms) => self.hosts[node].ambush = Some((name, time_ms)),
            Fault::Cut(node, time_ms) => self.hosts[node].cut_until_ms = self.now_ms + time_ms,
            Fault::Mute(node, time_ms) => self.hosts[node].mute_until_ms = self.now_ms + time_ms,
            Fault::Kill(node, time_ms) => {
                let host = &mut self.hosts[node];
                (host.node, host.stopped_until_ms) = (None, 0);
                host.life += 1;
                self.later(0, At::GoesOn(node));
                self.later(time_ms, At::Node(node, None, Happening::Start));
            }
            Fault::Leave(node, time_ms) => {
                self.later(0, At::Node(node, Some(self.hosts[node].life), Happening::Leave));
                self.later(time_ms, At::Node(node, None, Happening::Start));
            }
            Fault::Slow(time_ms) => self.slow_until_ms = self.now_ms + time_ms,
        }
    }

    /// No more faults, and those that last end.
    fn calm(&mut self) {
        self.calm = true;
        self.slow_until_ms = 0;
        for node in 0..NODES {
            self.hosts[node].stopped_until_ms = 0;
            self.hosts[node].ambush = None;
            self.hosts[node].cut_until_ms = 0;
            self.hosts[node].mute_until_ms = 0;
            self.later(0, At::GoesOn(node));
            self.later(1, At::Node(node, None, Happening::Start));
            // One that was about to leave may need a while for it.
            self.later(CALM_MS / 2, At::Node(node, None, Happening::Start));
        }
    }

    fn check_logs(&self) {
        for (group, shown) in self.shown.iter().enumerate() {
            let log = self.store.log(group);
            assert!(log.starts_with(shown), "what was acked is lost or replaced");
            counted(&log);
        }
    }

    fn check_everybody_lives(&self) {
        let running = |host: &Host| host.node.as_ref().map(|node| node.membership.me());
        let mut running: Vec<_> = self.hosts.iter().filter_map(running).collect();
        running.sort();
        assert_eq!(running.len(), NODES, "a node didn't come back");
        let rows: Vec<_> = self.store.rows().into_iter().map(|row| row.id).collect();
        assert_eq!(rows, running, "the dead weren't declared so, or the living were");
        for group in 0..GROUPS {
            let owner = self.store.owner(group).node;
            assert_eq!(
                owner,
                placement::place(uid(group), rows.iter().copied()),
                "a group isn't where it belongs"
            );
        }
    }
}

proptest! {
    // A failure prints its seed and its faults, and is kept beside this file.
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acked_stays_and_everything_goes_on(
        seed: u64,
        faults in prop::collection::vec((0_u64..4_000, fault()), 0..14),
    ) {
        let mut world = World::new(seed);
        for (pause_ms, fault) in &faults {
            world.run_for(*pause_ms);
            world.strike(fault);
        }
        world.run_for(2_000);
        world.calm();
        world.run_for(CALM_MS);
        world.check_everybody_lives();
        world.check_logs();
        let before = world.acked;
        world.run_for(3_000);
        world.check_logs();
        for (client, before) in before.iter().enumerate() {
            prop_assert!(world.acked[client] > *before, "client {client} isn't acked any more");
        }
    }
}
