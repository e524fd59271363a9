//! What stands in a frame of the server, field by field in the order of the protocol's page.

use serde::Serialize;

use super::custom::WireCustom;
use super::parts::{Entries, Ids, MessageData, Page, People, is_not};
use crate::domain::event::{Edit, Event, EventKind, Moderation, Reaction};
use crate::domain::ids::{ClientId, GroupId, UserId};
use crate::domain::profile::Change;
use crate::protocol::action;
use crate::protocol::codec::WireId;
use crate::protocol::frame::{Ack, ErrorFrame, RosterFrame, Scope, ServerFrame, Welcome, WireLimits};

/// A frame as it goes over the wire.
#[derive(Serialize)]
pub(super) struct Frame<'a> {
    a: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    r: Option<u32>,
    d: Data<'a>,
}

/// What stands in a frame's `d`.
#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Welcome(WelcomeData<'a>),
    Roster {
        g: &'a str,
        rv: u64,
        n: usize,
        w: bool,
        on: People<'a>,
        off: People<'a>,
    },
    Delta {
        g: &'a str,
        rv: u64,
        n: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        j: Option<People<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        l: Option<Ids<'a>>,
    },
    Message(MessageData<'a>),
    History {
        g: &'a str,
        h: Page<'a>,
        more: bool,
    },
    Ack(AckData<'a>),
    Error(ErrorData<'a>),
    Edit {
        g: &'a str,
        s: u64,
        i: WireId,
        #[serde(skip_serializing_if = "Option::is_none")]
        m: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        x: Option<Option<WireCustom<'a>>>,
        ed: u64,
        by: &'a str,
    },
    Delete {
        g: &'a str,
        s: u64,
        i: WireId,
        t: u64,
        by: &'a str,
    },
    Reaction {
        g: &'a str,
        s: u64,
        i: WireId,
        k: &'a str,
        op: &'static str,
        u: &'a str,
    },
    Marker {
        g: &'a str,
        u: &'a str,
        rd: u64,
        rc: u64,
    },
    Typing {
        g: &'a str,
        u: &'a str,
        k: bool,
    },
    TypingCount {
        g: &'a str,
        n: usize,
    },
    Ephemeral {
        g: &'a str,
        p: &'a str,
        x: WireCustom<'a>,
    },
    Resumed {
        g: &'a str,
        ok: bool,
        n: usize,
    },
    NotResumed {
        g: &'a str,
        ok: bool,
        why: &'static str,
    },
    Left {
        g: &'a str,
        op: &'static str,
        c: u16,
    },
    Inbox(Entries<'a>),
    Moderation {
        g: &'a str,
        s: u64,
        op: &'static str,
        u: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<u64>,
        by: &'a str,
    },
    Ticket {
        tk: &'a str,
        exp: u64,
    },
    Drain {
        w: u64,
        tk: &'a str,
    },
}

impl<'a> Frame<'a> {
    /// A frame that answers the request with this `r`, or none.
    pub(super) fn new(r: Option<u32>, frame: ServerFrame<'a>) -> Self {
        let (a, d) = match frame {
            ServerFrame::Welcome(welcome) => (action::WELCOME, Data::Welcome(WelcomeData::new(welcome))),
            ServerFrame::Roster(roster) => (action::ROSTER, Data::roster(roster)),
            ServerFrame::RosterDelta(roster) => (action::ROSTER_DELTA, Data::delta(roster)),
            ServerFrame::Event(scope, event) => Data::event(scope, event),
            ServerFrame::History(scope, messages, more) => {
                (action::HISTORY, Data::History { g: group(scope), h: Page(scope.uid, messages), more })
            }
            ServerFrame::Ack(ack) => (action::ACK, Data::Ack(AckData::new(ack))),
            ServerFrame::Error(error) => (action::ERROR, Data::Error(ErrorData::new(error))),
            ServerFrame::Marker(scope, user, marker) => {
                let (rd, rc) = (marker.read.0, marker.received.0);
                (action::MARKER, Data::Marker { g: group(scope), u: user.as_str(), rd, rc })
            }
            ServerFrame::Typing(scope, user, k) => {
                (action::TYPING, Data::Typing { g: group(scope), u: user.as_str(), k })
            }
            ServerFrame::TypingCount(scope, n) => (action::TYPING, Data::TypingCount { g: group(scope), n }),
            ServerFrame::Ephemeral(scope, user, custom) => {
                let (p, x) = (user_id(user), WireCustom(custom));
                (action::EPHEMERAL, Data::Ephemeral { g: group(scope), p, x })
            }
            ServerFrame::Resumed(scope, n) => {
                (action::RESUME, Data::Resumed { g: group(scope), ok: true, n })
            }
            ServerFrame::NotResumed(scope, why) => {
                (action::RESUME, Data::NotResumed { g: group(scope), ok: false, why: why.word() })
            }
            ServerFrame::Left(scope, code) => {
                (action::JOIN, Data::Left { g: group(scope), op: "leave", c: code.number })
            }
            ServerFrame::Inbox(entries) => (action::INBOX, Data::Inbox(Entries(entries))),
            ServerFrame::Ticket(tk, exp) => (action::TICKET, Data::Ticket { tk, exp }),
            ServerFrame::Drain(w, tk) => (action::DRAIN, Data::Drain { w, tk }),
        };
        Self { a, r, d }
    }
}

/// The group's id as its tenant names it.
fn group(scope: Scope<'_>) -> &str {
    scope.id.as_str()
}

impl<'a> Data<'a> {
    fn roster(roster: &'a RosterFrame<'a>) -> Self {
        Self::Roster {
            g: group(roster.scope),
            rv: roster.version,
            n: roster.online,
            w: roster.whole,
            on: People { roster, list: &roster.view.on },
            off: People { roster, list: &roster.view.off },
        }
    }

    fn delta(roster: &'a RosterFrame<'a>) -> Self {
        Self::Delta {
            g: group(roster.scope),
            rv: roster.version,
            n: roster.online,
            j: (!roster.count_only).then_some(People { roster, list: &roster.view.on }),
            l: (!roster.count_only).then_some(Ids(&roster.view.off)),
        }
    }

    fn event(scope: Scope<'a>, event: &'a Event) -> (u64, Self) {
        let (g, s, by) = (group(scope), event.seq.0, event.by.id());
        match &event.kind {
            EventKind::Message(message) => {
                (action::MESSAGE, Self::Message(MessageData::of_event(scope, event, message)))
            }
            EventKind::Edit(Edit { of, text, custom }) => {
                let x = match custom {
                    Change::Keep => None,
                    Change::Clear => Some(None),
                    Change::Set(custom) => Some(Some(WireCustom(custom))),
                };
                let (i, m) = (WireId::new(scope.uid, *of), text.as_deref());
                (action::EDIT, Self::Edit { g, s, i, m, x, ed: event.time_ms, by })
            }
            EventKind::Delete { of } => {
                let i = WireId::new(scope.uid, *of);
                (action::DELETE, Self::Delete { g, s, i, t: event.time_ms, by })
            }
            EventKind::Reaction(Reaction { of, key, set }) => {
                let (i, op) = (WireId::new(scope.uid, *of), if *set { "add" } else { "remove" });
                (action::REACTION, Self::Reaction { g, s, i, k: key.as_str(), op, u: by })
            }
            EventKind::Moderation(Moderation { op, user, until_ms }) => {
                let u = user_id(user.as_ref().map(|user| &user.id));
                (action::MODERATION, Self::Moderation { g, s, op: op.word(), u, until: *until_ms, by })
            }
        }
    }
}

/// The user's id as it goes over the wire; empty for nobody.
fn user_id(user: Option<&UserId>) -> &str {
    user.map_or("", UserId::as_str)
}

/// The first frame, and the first about a group.
#[derive(Serialize)]
struct WelcomeData<'a> {
    v: u8,
    u: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    g: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ep: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ro: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mu: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hb: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lim: Option<WireLimits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tk: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
}

impl<'a> WelcomeData<'a> {
    fn new(Welcome { user, group, terms }: &Welcome<'a>) -> Self {
        Self {
            v: 2,
            u: user.as_str(),
            g: group.map(|group| group.scope.id.as_str()),
            ep: group.map(|group| group.epoch),
            s: group.map(|group| group.head.0),
            ro: group.map(|group| group.role),
            mu: group.and_then(|group| group.muted_until_ms),
            hb: terms.map(|terms| terms.heartbeat_ms),
            lim: terms.map(|terms| terms.limits),
            tk: terms.map(|terms| terms.ticket),
            exp: terms.map(|terms| terms.ticket_expires_ms),
        }
    }
}

/// What was carried out, as far as there is anything to say of it.
#[derive(Serialize)]
struct AckData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    g: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ci: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    i: Option<WireId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    t: Option<u64>,
    #[serde(skip_serializing_if = "is_not")]
    dup: bool,
}

impl<'a> AckData<'a> {
    fn new(ack: &Ack<'a>) -> Self {
        Self {
            g: ack.scope.map(group),
            ci: ack.client_id.map(ClientId::as_str),
            i: ack.scope.zip(ack.message).map(|(scope, seq)| WireId::new(scope.uid, seq)),
            s: ack.seq.map(|seq| seq.0),
            t: ack.time_ms,
            dup: ack.duplicate,
        }
    }
}

/// Why a frame wasn't served.
#[derive(Serialize)]
struct ErrorData<'a> {
    c: &'static str,
    m: &'a str,
    tmp: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ra: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    g: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ci: Option<&'a str>,
}

impl<'a> ErrorData<'a> {
    fn new(ErrorFrame { refusal, group, client_id }: &ErrorFrame<'a>) -> Self {
        Self {
            c: refusal.code.word,
            m: &refusal.text,
            tmp: refusal.code.retryable,
            ra: refusal.retry_after_ms,
            g: group.map(GroupId::as_str),
            ci: client_id.map(ClientId::as_str),
        }
    }
}
