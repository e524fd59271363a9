//! The group against a model: clients that say, change, react, mark, drop, come back and send again, on a group that crashes, with a store
//! that lags behind. Whatever happens, every client ends with what history shows, nothing twice and nothing missing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;
use crate::domain::attendance::Standing;
use crate::domain::event::{Edit, Extra, Reaction};
use crate::domain::ids::{ClientId, ReactionKey, UserUid};
use crate::domain::profile::{Change, Name};

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const KEYS: [&str; 2] = ["+", "-"];

/// What the store holds: the durable log, and the view that history shows.
#[derive(Default)]
struct Store {
    log: Vec<Event>,
    view: View,
}

type View = BTreeMap<Seq, Seen>;

/// A message as somebody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    text: String,
    deleted: bool,
    reactions: BTreeMap<String, BTreeSet<String>>,
}

fn apply(view: &mut View, event: &Event) {
    match &event.kind {
        EventKind::Message(message) => {
            let seen =
                Seen { text: message.text.to_string(), deleted: message.deleted, reactions: BTreeMap::new() };
            assert!(view.insert(event.seq, seen).is_none(), "a message came twice");
        }
        EventKind::Edit(edit) => {
            let seen = view.get_mut(&edit.of).expect("a message");
            if let Some(text) = edit.text.as_ref().filter(|_| !seen.deleted) {
                seen.text = text.to_string();
            }
        }
        EventKind::Delete { of } => {
            let seen = view.get_mut(of).expect("a message");
            *seen = Seen { text: String::new(), deleted: true, reactions: BTreeMap::new() };
        }
        EventKind::Reaction(Reaction { of, key, set }) => {
            let seen = view.get_mut(of).expect("a message");
            let who = seen.reactions.entry(key.as_str().to_owned()).or_default();
            let user = event.by.id().to_owned();
            let changed = if *set { who.insert(user) } else { who.remove(&user) };
            assert!(changed || seen.deleted, "a reaction that changes nothing took a place");
            if who.is_empty() || seen.deleted {
                seen.reactions.remove(key.as_str());
            }
        }
        EventKind::Moderation(_) => {}
    }
}

impl Store {
    fn head(&self) -> Head {
        self.log.last().map_or(Head::default(), |event| Head { seq: event.seq, time_ms: event.time_ms })
    }

    fn append(&mut self, event: Event) {
        assert_eq!(event.seq, self.head().seq.next(), "the log has a hole");
        if let EventKind::Edit(Edit { of, .. }) | EventKind::Reaction(Reaction { of, .. }) = &event.kind {
            assert!(!self.view[of].deleted, "a tombstone was changed");
        }
        apply(&mut self.view, &event);
        self.log.push(event);
    }

    fn facts(&self, of: Seq, user: &str) -> Option<Facts> {
        let seen = self.view.get(&of)?;
        let author = self.log[usize::try_from(of.0).unwrap() - 1].by.clone();
        let key = |key: &String| ReactionKey::parse(key).unwrap();
        let reactions = seen.reactions.iter().map(|(name, who)| (key(name), who.len() as u64)).collect();
        let mine =
            seen.reactions.iter().filter(|(_, who)| who.contains(user)).map(|(name, _)| key(name)).collect();
        Some(Facts { author, deleted: seen.deleted, reactions, mine })
    }

    fn sent(&self, user: &str, client_id: &str) -> Option<Head> {
        let same = |event: &&Event| {
            let EventKind::Message(message) = &event.kind else { return false };
            event.by.id() == user && message.client_id().is_some_and(|id| id.as_str() == client_id)
        };
        self.log.iter().find(same).map(|event| Head { seq: event.seq, time_ms: event.time_ms })
    }

    /// A replay has messages and edits in their newest version.
    fn replay(&self, after: Seq) -> Vec<Event> {
        let newest = |event: &Event| {
            let mut event = event.clone();
            match &mut event.kind {
                EventKind::Message(message) => {
                    let seen = &self.view[&event.seq];
                    (message.text, message.deleted) = (seen.text.as_str().into(), seen.deleted);
                }
                EventKind::Edit(edit) => {
                    let seen = &self.view[&edit.of];
                    edit.text = (!seen.deleted).then(|| seen.text.as_str().into());
                }
                _ => {}
            }
            event
        };
        self.log.iter().filter(|event| event.seq > after).map(newest).collect()
    }
}

/// A client: what it has seen, what it wants to have said, and whether it is connected.
#[derive(Default)]
struct Client {
    session: Option<SessionId>,
    seen: Seq,
    view: View,
    unacked: Vec<(String, String)>,
    said: usize,
}

impl Client {
    fn hear(&mut self, event: &Event) {
        assert_eq!(event.seq, self.seen.next(), "a client heard a hole or something twice");
        self.seen = event.seq;
        apply(&mut self.view, event);
    }
}

/// The whole: a group, its store, and what is on its way to it.
struct Play {
    group: Group,
    store: Store,
    in_flight: Vec<(Event, Option<(usize, String)>)>,
    clients: Vec<Client>,
    markers: HashMap<usize, Marker>,
    sessions: u64,
    now_ms: u64,
}

fn life(user: usize) -> UserLife {
    UserLife { id: UserId::parse(USERS[user]).unwrap(), uid: UserUid(user as u64 + 1) }
}

fn attendees() -> impl Iterator<Item = Attendee> {
    (0..USERS.len()).map(|user| Attendee {
        id: life(user).id,
        uid: life(user).uid,
        name: Name::parse(USERS[user]).unwrap(),
        icon: None,
        revision: 0,
        standing: Standing::member(1),
    })
}

const RULES: GroupRules = GroupRules {
    pace: RosterPace { full_max: 250, delta_max: 5_000, interval_ms: 250 },
    sessions_per_user_max: 10,
    leave_grace_ms: 5_000,
    typing_ms: 6_000,
    signal_interval_ms: 250,
};

impl Play {
    fn new() -> Self {
        let now = Now::default();
        Self {
            group: Group::new(Head::default(), attendees(), [], RULES, now),
            store: Store::default(),
            in_flight: Vec::new(),
            clients: (0..USERS.len()).map(|_| Client::default()).collect(),
            markers: HashMap::new(),
            sessions: 0,
            now_ms: 0,
        }
    }

    fn now(&self) -> Now {
        Now { unix_ms: 1_000_000 + self.now_ms, mono_ms: self.now_ms }
    }

    /// Stores so much of what is under way, and shows it.
    fn store(&mut self, count: usize) {
        for (event, receipt) in self.in_flight.drain(..count.min(self.in_flight.len())) {
            self.store.append(event.clone());
            for client in self.clients.iter_mut().filter(|client| client.session.is_some()) {
                client.hear(&event);
            }
            if let Some((client, client_id)) = receipt {
                self.clients[client].unacked.retain(|(unacked, _)| *unacked != client_id);
            }
        }
    }

    fn say(&mut self, client: usize, client_id: &str, text: &str) {
        let Some(session) = self.clients[client].session else { return };
        self.group.settle(self.store.head().seq);
        let extra = Extra { client_id: ClientId::parse(client_id), ..Extra::default() };
        let command = Command::Say {
            speaker: Speaker::Session(session),
            message: Message::new(text, extra),
            sent: self.store.sent(USERS[client], client_id),
            answers_known: true,
            marks: true,
        };
        for effect in self.group.handle(command, self.now()).expect("who is in may speak") {
            match effect {
                Effect::Append(event) => self.in_flight.push((event, Some((client, client_id.to_owned())))),
                Effect::Duplicate(head) if head.seq <= self.store.head().seq => {
                    self.clients[client].unacked.retain(|(unacked, _)| *unacked != client_id);
                }
                _ => {}
            }
        }
    }

    fn change(&mut self, client: usize, kind: EventKind) {
        let Some(session) = self.clients[client].session else { return };
        self.group.settle(self.store.head().seq);
        let facts = self.store.facts(kind.of().unwrap(), USERS[client]);
        let command = Command::Change { speaker: Speaker::Session(session), kind, facts };
        // Others' messages, tombstones and what isn't there are refused.
        for effect in self.group.handle(command, self.now()).unwrap_or_default() {
            if let Effect::Append(event) = effect {
                self.in_flight.push((event, None));
            }
        }
    }

    fn drop_connection(&mut self, client: usize) {
        if let Some(session) = self.clients[client].session.take() {
            self.group.handle(Command::Leave { session, lingers: true }, self.now()).unwrap();
        }
    }

    /// Connects, is given what was missed, and sends again what wasn't acked.
    fn connect(&mut self, client: usize) {
        if self.clients[client].session.is_some() {
            return;
        }
        self.sessions += 1;
        let session = SessionId(self.sessions);
        let joined = self.group.handle(Command::Join { session, user: life(client) }, self.now());
        assert!(joined.is_ok_and(|effects| effects.contains(&Effect::Admit(session))));
        for event in self.store.replay(self.clients[client].seen) {
            self.clients[client].hear(&event);
        }
        self.clients[client].session = Some(session);
        for (client_id, text) in self.clients[client].unacked.clone() {
            self.say(client, &client_id, &text);
        }
    }

    /// The actor dies with everything that isn't stored; the next one begins from the store, with the sessions that are there.
    fn crash(&mut self) {
        self.in_flight.clear();
        let markers: Vec<_> = self.markers.iter().map(|(user, marker)| (life(*user), *marker)).collect();
        self.group = Group::new(self.store.head(), attendees(), markers, RULES, self.now());
        let seated = self.clients.iter().enumerate();
        let seated: Vec<_> = seated.filter_map(|(user, it)| Some((it.session?, life(user)))).collect();
        assert!(self.group.restore(seated, []).is_empty());
        // Each sender was told that what it said is uncertain, and sends it again.
        for client in 0..self.clients.len() {
            for (client_id, text) in self.clients[client].unacked.clone() {
                self.say(client, &client_id, &text);
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Say(usize),
    SayAgain(usize),
    Edit(usize, u64),
    Delete(usize, u64),
    React(usize, u64, usize, bool),
    Mark(usize, u64),
    Drop(usize),
    Connect(usize),
    Store(usize),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let client = || 0..USERS.len();
    let place = || 1_u64..12;
    prop_oneof![
        6 => client().prop_map(Step::Say),
        2 => client().prop_map(Step::SayAgain),
        3 => (client(), place()).prop_map(|(client, of)| Step::Edit(client, of)),
        2 => (client(), place()).prop_map(|(client, of)| Step::Delete(client, of)),
        5 => (client(), place(), 0..KEYS.len(), any::<bool>()).prop_map(|(client, of, key, set)| Step::React(client, of, key, set)),
        1 => (client(), place()).prop_map(|(client, of)| Step::Mark(client, of)),
        2 => client().prop_map(Step::Drop),
        3 => client().prop_map(Step::Connect),
        6 => (0_usize..4).prop_map(Step::Store),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    // A failure prints its seed and is kept beside this file.
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn every_client_ends_with_what_history_shows(steps in prop::collection::vec(step(), 0..60)) {
        let mut play = Play::new();
        for step in steps {
            play.now_ms += 10;
            match step {
                Step::Say(client) => {
                    let said = &mut play.clients[client];
                    said.said += 1;
                    let (client_id, text) = (said.said.to_string(), format!("{} {}", USERS[client], said.said));
                    said.unacked.push((client_id.clone(), text.clone()));
                    play.say(client, &client_id, &text);
                }
                Step::SayAgain(client) => {
                    let again = play.clients[client].said.to_string();
                    if play.clients[client].said > 0 {
                        play.say(client, &again, &format!("{} {again}", USERS[client]));
                    }
                }
                Step::Edit(client, of) => {
                    let text = Some(format!("edited at {}", play.now_ms).into());
                    play.change(client, EventKind::Edit(Edit { of: Seq(of), text, custom: Change::Keep }));
                }
                Step::Delete(client, of) => play.change(client, EventKind::Delete { of: Seq(of) }),
                Step::React(client, of, key, set) => {
                    let key = ReactionKey::parse(KEYS[key]).unwrap();
                    play.change(client, EventKind::Reaction(Reaction { of: Seq(of), key, set }));
                }
                Step::Mark(client, read) => {
                    if let Some(session) = play.clients[client].session {
                        let marker = Marker { read: Seq(read), received: Seq(0) };
                        let now = play.now();
                        let beyond = Seq(read) > play.group.head().seq;
                        prop_assert_eq!(play.group.handle(Command::Mark { session, marker }, now).is_err(), beyond);
                    }
                }
                Step::Drop(client) => play.drop_connection(client),
                Step::Connect(client) => play.connect(client),
                Step::Store(count) => play.store(count),
                Step::Crash => play.crash(),
            }
            let now = play.now();
            for effect in play.group.handle(Command::Tick, now).unwrap() {
                let Effect::Mark(marked) = effect else { continue };
                for moved in &marked {
                    let user = USERS.iter().position(|name| *name == moved.user.id.as_str()).unwrap();
                    let before = play.markers.insert(user, moved.marker);
                    prop_assert!(before.is_none_or(|before| before.read <= moved.marker.read), "a marker went back");
                }
                play.group.handle(Command::Marked(marked), now).unwrap();
            }
        }
        for client in 0..USERS.len() {
            play.connect(client);
        }
        play.store(usize::MAX);
        for client in &play.clients {
            prop_assert!(client.unacked.is_empty(), "something was never acked");
            prop_assert_eq!(&client.view, &play.store.view);
        }
        for (user, client) in play.clients.iter().enumerate() {
            let said = play.store.log.iter().filter(|event| {
                matches!(event.kind, EventKind::Message(_)) && event.by.id() == USERS[user]
            });
            prop_assert_eq!(said.count(), client.said, "each was said once");
        }
    }
}
