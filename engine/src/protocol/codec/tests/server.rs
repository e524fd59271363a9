//! What the server says in version 2, byte for byte in both encodings.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use super::*;
use crate::domain::attendance::{Bar, Role};
use crate::domain::event::{Edit, Event, EventKind, Extra, Marker, Moderation, ModerationOp, Reaction};
use crate::domain::ids::ReactionKey;
use crate::domain::profile::Change;
use crate::domain::roster::RosterView;
use crate::protocol::code::CloseCode;
use crate::protocol::frame::{
    Ack, ErrorFrame, GroupWelcome, InboxEntry, NotResumed, RosterFrame, Terms, Welcome, WireLimits,
};

const EPOCH: &str = "f3c1a9d20b7e4485";
const TICKET: &str = "tk_9Zr4cW1qYV8mB2xQeN6dLhT0uSgKjPfA";
const DAY_MS: u64 = 86_400_000;

/// The golden frames, each of which must be written by a test.
struct Golden {
    cases: HashMap<String, Value>,
    lobby: GroupId,
    other: GroupId,
}

impl Golden {
    fn new(actions: &[u64]) -> Self {
        let all: Vec<Value> =
            serde_json::from_str(include_str!("../../../../tests/wire/v2/server.json")).unwrap();
        let cases = all.into_iter().filter(|case| actions.contains(&case["json"]["a"].as_u64().unwrap()));
        Self {
            cases: cases.map(|case| (case["name"].as_str().unwrap().to_owned(), case)).collect(),
            lobby: group("lobby"),
            other: group("部屋/1 🏠"),
        }
    }

    fn lobby(&self) -> Scope<'_> {
        Scope { id: &self.lobby, uid: GROUP }
    }

    fn other(&self) -> Scope<'_> {
        Scope { id: &self.other, uid: GROUP }
    }

    /// A frame that is written as the golden one of this name.
    fn check(&self, name: &str, r: Option<u32>, frame: ServerFrame<'_>) {
        let case = self.cases.get(name).unwrap_or_else(|| panic!("no golden frame {name}"));
        let json = encode(Dialect::V2Json, r, frame).unwrap();
        assert_eq!(payload(&json), case["text"].as_str().unwrap(), "{name}");
        let msgpack = encode(Dialect::V2Msgpack, r, frame).unwrap();
        let (is_text, bytes) = unframed(&msgpack);
        assert!(!is_text, "{name}");
        assert_eq!(hex(bytes), case["msgpack"].as_str().unwrap(), "{name}");
        assert_eq!(rmp_serde::from_slice::<Value>(bytes).unwrap(), case["json"], "{name}");
        assert_eq!(serde_json::from_str::<Value>(payload(&json)).unwrap(), case["json"], "{name}");
    }

    fn check_event(&self, name: &str, scope: Scope<'_>, by: Actor, event: (u64, u64, EventKind)) {
        let (seq, time_ms, kind) = event;
        self.check(name, None, ServerFrame::Event(scope, &Event { seq: Seq(seq), time_ms, by, kind }));
    }

    fn checked(&self, count: usize) {
        assert_eq!(self.cases.len(), count, "a golden frame that no test writes");
    }
}

fn some_custom() -> Custom {
    custom(&json!({
        "emoji": "🌺",
        "list": [1, -2, 300, 70000, 5_000_000_000_u64, -5_000_000_000_i64, 1.5, -0.25, null, true, "é"],
        "map": {"": {}, "a b": [[]]},
    }))
}

fn many() -> Custom {
    let fifth = |n: u64| (format!("k{n:02}"), Value::from(n.pow(5)));
    custom(&Value::Object((0..17).map(fifth).collect()))
}

fn long() -> String {
    format!("{}…", "長い話 ".repeat(20))
}

fn said_with(text: &str, client_id: Option<&str>, reply_to: Option<u64>, custom: Option<Custom>) -> Message {
    let client_id = client_id.map(super::client_id);
    Message::new(text, Extra { client_id, reply_to: reply_to.map(Seq), custom })
}

fn tombstone(client_id: Option<&str>, reply_to: Option<u64>) -> Message {
    Message { deleted: true, ..said_with("", client_id, reply_to, None) }
}

#[test]
fn welcome() {
    let golden = Golden::new(&[0]);
    let limits = WireLimits {
        frame: 65_536,
        message: 16_384,
        custom: 4_096,
        send: 20,
        request: 20,
        signal: 0,
        groups: 1_000,
        replay: 1_000,
    };
    let terms = Terms { heartbeat_ms: 25_000, limits, ticket: TICKET, ticket_expires_ms: TIME_MS + DAY_MS };
    let (alice, yuza) = (user("alice"), user("ユーザー"));
    let member = GroupWelcome {
        scope: golden.lobby(),
        epoch: EPOCH,
        head: Seq(41),
        role: "member",
        muted_until_ms: None,
    };
    let muted =
        GroupWelcome { head: Seq(0), role: "muted", muted_until_ms: Some(TIME_MS + 60_000), ..member };
    let joined = GroupWelcome { scope: golden.other(), head: Seq(70_000), role: "moderator", ..member };
    for (name, r, user, group, terms) in [
        ("welcome of a group", None, &alice, Some(member), Some(terms)),
        ("welcome of a muted user", None, &alice, Some(muted), Some(terms)),
        ("welcome without a group", None, &yuza, None, Some(terms)),
        ("welcome that answers a join", Some(7), &alice, Some(joined), None),
    ] {
        golden.check(name, r, ServerFrame::Welcome(&Welcome { user, group, terms }));
    }
    golden.checked(4);
}

#[test]
fn rosters() {
    let golden = Golden::new(&[1, 6]);
    let plain = Standing::default();
    let moderator = Standing { role: Role::Moderator, ..plain };
    let muted = Standing { muted: Some(Bar { until_ms: Some(1_000) }), ..plain };
    let alice = attendee("alice", "Alice", None, plain);
    let bob = attendee("bob", "Bob 🌺", Some("https://example.com/bob.png"), moderator);
    let small = RosterView {
        on: vec![Arc::clone(&alice), bob],
        off: vec![
            attendee("carol", "Carol", None, muted),
            attendee("dave", "Dave", None, Standing { muted: Some(Bar { until_ms: Some(999) }), ..plain }),
        ],
    };
    let markers = HashMap::from([
        (user("alice"), Marker { read: Seq(40), received: Seq(41) }),
        (user("bob"), Marker { read: Seq(0), received: Seq(7) }),
    ]);
    let (large, empty) = (RosterView { on: vec![alice], off: vec![] }, RosterView::default());
    let change = RosterView {
        on: vec![
            attendee("erin", "Erin", Some("https://example.com/é.png"), plain),
            attendee("frank", "Frank", None, Standing { muted: Some(Bar { until_ms: None }), ..moderator }),
        ],
        off: vec![attendee("bob", "Bob", None, plain), attendee("ユーザー", "x", None, plain)],
    };
    let nobody = HashMap::new();
    let frame = |version, online, view, count_only| RosterFrame {
        scope: golden.lobby(),
        version,
        online,
        whole: false,
        view,
        count_only,
        markers: &nobody,
        unix_ms: 999,
    };
    let of_small = RosterFrame { whole: true, markers: &markers, ..frame(3, 2, &small, false) };
    golden.check("roster of a small group", None, ServerFrame::Roster(&of_small));
    golden.check("roster of a large group", None, ServerFrame::Roster(&frame(70_000, 4_200, &large, false)));
    let asked_for = RosterFrame { whole: true, ..frame(1, 0, &empty, false) };
    golden.check("roster that was asked for", Some(u32::MAX), ServerFrame::Roster(&asked_for));
    for (name, delta) in [
        ("roster delta", frame(18, 412, &change, false)),
        ("roster delta of nobody", frame(19, 412, &empty, false)),
        ("roster delta of a very large group", frame(4_294_967_296, 65_536, &change, true)),
    ] {
        golden.check(name, None, ServerFrame::RosterDelta(&delta));
    }
    golden.checked(6);
}

#[test]
fn messages() {
    let golden = Golden::new(&[2]);
    let check = |name: &str, by: Actor, seq: u64, message: Message| {
        golden.check_event(name, golden.lobby(), by, (seq, TIME_MS, EventKind::Message(message)));
    };
    check("message", said_by("alice"), 42, Message::plain("test message"));
    let text = "wörld 🌍 \"quoted\" \\ / \u{2028}\n\u{0}\u{1f}\u{7f}";
    let everything = said_with(text, Some("c-1"), Some(42), Some(some_custom()));
    check("message with everything", said_by("bob"), 70_000, everything);
    let of_backend = EventKind::Message(said_with(&long(), None, None, Some(many())));
    golden.check_event("message of the backend", golden.other(), Actor::System, (1, 0, of_backend));
    check("message of an erased author", Actor::Erased, 43, Message::plain("still here"));
    check("message that was deleted", said_by("alice"), 44, tombstone(Some("c-2"), Some(42)));
    let erased = "message that was deleted, of an erased author";
    check(erased, Actor::Erased, 45, tombstone(None, None));
    let empty_map = said_with(".", None, None, Some(custom(&json!({}))));
    check("message with an empty custom map", said_by("alice"), 46, empty_map);
    let no = said_with(".", None, None, Some(custom(&json!(false))));
    check("message with a custom false", said_by("alice"), 47, no);
    golden.checked(8);
}

#[test]
fn history() {
    let golden = Golden::new(&[3]);
    let key = |text| ReactionKey::parse(text).unwrap();
    let reactions = [("+1", 3), ("👍", 250), ("heart", 1), ("❤️", 70_000)];
    let answer = said_with("hello, alice 👋🏽", Some("b-1"), Some(1), Some(some_custom()));
    let page = [
        shown(1, TIME_MS - 9_000, said_by("alice"), Message::plain("hello")),
        Shown {
            edited_ms: Some(TIME_MS - 1_000),
            reactions: reactions.map(|(text, count)| (key(text), count)).into(),
            mine: vec![key("+1"), key("👍")],
            version: Seq(12),
            ..shown(2, TIME_MS - 8_000, said_by("bob"), answer)
        },
        Shown { version: Seq(9), ..shown(3, TIME_MS - 7_000, said_by("bob"), tombstone(None, None)) },
        shown(4, TIME_MS - 6_000, Actor::Erased, Message::plain("from nobody any more")),
        Shown { version: Seq(11), ..shown(5, TIME_MS - 5_000, Actor::Erased, tombstone(None, None)) },
        Shown {
            reactions: BTreeMap::from([(key("ok"), 1)]),
            version: Seq(10),
            ..shown(6, TIME_MS - 4_000, Actor::System, Message::plain("of the backend"))
        },
    ];
    let asked_for = [shown(300, TIME_MS, said_by("alice"), Message::plain("x"))];
    let many: Vec<Shown> = (0..17)
        .map(|n| shown(n + 250, TIME_MS + n, said_by("alice"), Message::plain(format!("n{n}"))))
        .collect();
    let (lobby, other) = (golden.lobby(), golden.other());
    golden.check("history", None, ServerFrame::History(lobby, &page, true));
    golden.check("history that is empty", None, ServerFrame::History(lobby, &[], false));
    golden.check("history that was asked for", Some(0), ServerFrame::History(other, &asked_for, false));
    golden.check("history of many messages", Some(255), ServerFrame::History(lobby, &many, true));
    golden.checked(4);
}

#[test]
fn acks() {
    let golden = Golden::new(&[4]);
    let ci = client_id("c-1");
    let in_lobby = Ack { scope: Some(golden.lobby()), ..Ack::default() };
    let said = Ack {
        client_id: Some(&ci),
        message: Some(Seq(42)),
        seq: Some(Seq(42)),
        time_ms: Some(TIME_MS),
        ..in_lobby
    };
    let edited = Ack { message: Some(Seq(42)), seq: Some(Seq(48)), time_ms: Some(TIME_MS + 1), ..in_lobby };
    let reacted = Ack { message: Some(Seq(42)), duplicate: true, ..in_lobby };
    for (name, r, ack) in [
        ("ack of a message", None, said),
        ("ack of a message that was stored before", Some(8), Ack { duplicate: true, ..said }),
        ("ack of an edit", Some(9), edited),
        ("ack of a reaction that was there", Some(10), reacted),
        ("ack of a leave", Some(11), Ack { scope: Some(golden.other()), ..Ack::default() }),
        ("ack of nothing in particular", Some(12), Ack::default()),
    ] {
        golden.check(name, r, ServerFrame::Ack(&ack));
    }
    golden.checked(6);
}

#[test]
fn errors() {
    let golden = Golden::new(&[5]);
    let (of_message, of_nothing) = (client_id("c-3"), client_id("é"));
    let too_fast = Refusal::new(ErrorCode::RATE_LIMITED, "too fast: try again in 50 ms").after(50);
    let restarting =
        Refusal::new(ErrorCode::GROUP_UNAVAILABLE, "the group is being started again").after(1_000);
    let no_text = Refusal::new(ErrorCode::INVALID_FIELD, "d.m must be the message's text");
    let no_map = Refusal::new(ErrorCode::MALFORMED, "the frame is not a map");
    for (name, r, refusal, group, client_id) in [
        ("error", None, no_map, None, None),
        ("error about a message", Some(13), too_fast, Some(&golden.lobby), Some(&of_message)),
        ("error about a group", None, restarting, Some(&golden.other), None),
        ("error that won't pass", Some(u32::MAX), no_text, None, Some(&of_nothing)),
    ] {
        golden.check(name, r, ServerFrame::Error(&ErrorFrame { refusal: &refusal, group, client_id }));
    }
    golden.checked(4);
}

#[test]
fn changes_of_messages() {
    let golden = Golden::new(&[7, 8, 9]);
    let edit = |name: &str, by, seq, of: u64, text: Option<&str>, custom| {
        let edit = Edit { of: Seq(of), text: text.map(Into::into), custom };
        golden.check_event(name, golden.lobby(), by, (seq, TIME_MS + seq - 44, EventKind::Edit(edit)));
    };
    let alice = || said_by("alice");
    edit("edit of the text", alice(), 49, 42, Some("test message, mended"), Change::Keep);
    edit("edit of the custom data", alice(), 50, 42, None, Change::Set(some_custom()));
    edit("edit that takes the custom data away", alice(), 51, 42, None, Change::Clear);
    let list = custom(&json!([1]));
    edit("edit of both, of the backend", Actor::System, 52, 42, Some("🌺"), Change::Set(list));
    edit("edit of what was deleted since", alice(), 53, 44, None, Change::Keep);
    let (lobby, other) = (golden.lobby(), golden.other());
    let delete = |of| EventKind::Delete { of: Seq(of) };
    golden.check_event("deletion", lobby, said_by("bob"), (54, TIME_MS + 10, delete(44)));
    golden.check_event("deletion by nobody", other, Actor::System, (55, TIME_MS + 11, delete(45)));
    let reaction =
        |key, set| EventKind::Reaction(Reaction { of: Seq(42), key: ReactionKey::parse(key).unwrap(), set });
    golden.check_event("reaction", lobby, said_by("bob"), (56, TIME_MS, reaction("👍🏽", true)));
    golden.check_event(
        "reaction that is taken back",
        lobby,
        Actor::Erased,
        (57, TIME_MS, reaction("ok", false)),
    );
    golden.checked(9);
}

#[test]
fn signals() {
    let golden = Golden::new(&[10, 11, 12]);
    let (lobby, bob, yuza) = (golden.lobby(), user("bob"), user("ユーザー"));
    let marker = Marker { read: Seq(42), received: Seq(57) };
    golden.check("marker", None, ServerFrame::Marker(lobby, &bob, marker));
    golden.check("marker at the beginning", None, ServerFrame::Marker(lobby, &yuza, Marker::default()));
    golden.check("typing", None, ServerFrame::Typing(lobby, &bob, true));
    golden.check("typing that ends", None, ServerFrame::Typing(lobby, &bob, false));
    golden.check("typing in a large group", None, ServerFrame::TypingCount(lobby, 130));
    golden.check("ephemeral", None, ServerFrame::Ephemeral(lobby, Some(&bob), &some_custom()));
    let null = custom(&Value::Null);
    golden.check("ephemeral of the backend", None, ServerFrame::Ephemeral(lobby, None, &null));
    golden.checked(7);
}

#[test]
fn coming_and_going() {
    let golden = Golden::new(&[13, 14, 15, 30, 31]);
    let (lobby, other) = (golden.lobby(), golden.other());
    golden.check("resume", Some(1), ServerFrame::Resumed(lobby, 16));
    golden.check("resume of nothing", None, ServerFrame::Resumed(lobby, 0));
    for why in [NotResumed::Epoch, NotResumed::TooFar, NotResumed::Ahead, NotResumed::Late] {
        let name = format!("no resume: {}", why.word());
        golden.check(&name, Some(2), ServerFrame::NotResumed(lobby, why));
    }
    golden.check("taken out of a group", None, ServerFrame::Left(lobby, CloseCode::REMOVED));
    golden.check("banned from a group", None, ServerFrame::Left(other, CloseCode::BANNED));
    let entry = |group: &GroupId, head, read, unread| InboxEntry {
        group: group.clone(),
        head: Seq(head),
        read: Seq(read),
        unread,
    };
    let inbox = [entry(other.id, 70_000, 69_000, 812), entry(lobby.id, 57, 57, 0)];
    golden.check("inbox", Some(3), ServerFrame::Inbox(&inbox));
    golden.check("inbox that is empty", Some(4), ServerFrame::Inbox(&[]));
    golden.check("inbox unasked", None, ServerFrame::Inbox(&[entry(lobby.id, 58, 0, 43)]));
    golden.check("ticket", None, ServerFrame::Ticket(TICKET, TIME_MS + DAY_MS));
    golden.check("drain", None, ServerFrame::Drain(1_500, TICKET));
    golden.checked(13);
}

#[test]
fn moderation() {
    let golden = Golden::new(&[16]);
    let check = |name: &str, by, seq, op, user: Option<&str>, until_ms| {
        let moderation = Moderation {
            op,
            user: user.map(|id| UserLife { id: super::user(id), uid: UserUid(1) }),
            until_ms,
        };
        let event = (seq, TIME_MS, EventKind::Moderation(moderation));
        golden.check_event(name, golden.lobby(), by, event);
    };
    let (bob, dave) = (|| said_by("bob"), Some("dave"));
    check("mute", bob(), 59, ModerationOp::Mute, dave, Some(TIME_MS + 3_600_000));
    check("mute until further notice", Actor::System, 60, ModerationOp::Mute, dave, None);
    check("unmute", bob(), 61, ModerationOp::Unmute, dave, None);
    check("kick", bob(), 62, ModerationOp::Kick, dave, None);
    check("ban", bob(), 63, ModerationOp::Ban, dave, Some(TIME_MS + DAY_MS));
    check("unban", bob(), 64, ModerationOp::Unban, dave, None);
    check("moderation of an erased user", Actor::Erased, 65, ModerationOp::Kick, None, None);
    golden.checked(7);
}
