//! Version 1: JSON text frames of the form `{"a": action, "d": data}`.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{WireId, invalid, no_message};
use crate::domain::event::{Actor, Event, EventKind, Message, Shown};
use crate::domain::ids::{GroupUid, MessageId};
use crate::domain::profile::Icon;
use crate::domain::roster::{Attendee, RosterView};
use crate::protocol::code::ErrorCode;
use crate::protocol::frame::{Ask, PageEdge, Post, Refusal, Request, Scope, ServerFrame, Unreadable};
use crate::protocol::{action, ws};

/// Reads what a client said in a text frame. Unknown fields are ignored, and so is what a client says of `i`, `p` and
/// `t`. A message's id that could be of any group is taken: only its session knows of which it must be.
pub(super) fn decode(payload: &[u8]) -> Result<Request<'_>, Unreadable> {
    match decode_ask(payload) {
        Ok(ask) => Ok(Request { r: None, group: None, ask }),
        Err(refusal) => Err(Unreadable { r: None, group: None, client_id: None, refusal }),
    }
}

/// Writes a server frame, ready for the socket. `None`: there is no such frame in version 1.
pub(super) fn encode(frame: ServerFrame<'_>) -> Option<Bytes> {
    let mut json = Vec::with_capacity(256);
    serde_json::to_writer(&mut json, &Frame::new(frame)?)
        .expect("frames have string keys and writing to memory can't fail");
    Some(ws::text(&json))
}

fn decode_ask(payload: &[u8]) -> Result<Ask<'_>, Refusal> {
    let envelope = decode_envelope(payload)?;
    let action = envelope
        .a
        .and_then(|raw| raw.get().parse::<u64>().ok())
        .ok_or_else(|| invalid("a", "must be a whole number: 2 to send, 3 for history"))?;
    let data = envelope.d.map_or("{}", RawValue::get);
    match action {
        action::MESSAGE => decode_post(data),
        action::HISTORY => decode_history(data),
        other => Err(Refusal::new(
            ErrorCode::UNKNOWN_ACTION,
            format!("a client can't ask for action {other}: 2 sends, 3 pages history"),
        )),
    }
}

/// A frame, its parts unread.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    a: Option<&'a RawValue>,
    #[serde(borrow, default)]
    d: Option<&'a RawValue>,
}

/// The data of a message.
#[derive(Deserialize)]
struct PostData<'a> {
    #[serde(borrow)]
    m: Cow<'a, str>,
}

/// The data of a page that is asked for.
#[derive(Deserialize)]
struct HistoryData<'a> {
    #[serde(borrow, default)]
    b: Option<BeforeData<'a>>,
    #[serde(default)]
    l: Option<serde_json::Number>,
}

/// Where a page ends: a time or a message's id.
#[derive(Deserialize)]
#[serde(untagged)]
enum BeforeData<'a> {
    Time(serde_json::Number),
    #[serde(borrow)]
    Id(Cow<'a, str>),
    Other(IgnoredAny),
}

fn decode_envelope(payload: &[u8]) -> Result<Envelope<'_>, Refusal> {
    let malformed = |text: String| Refusal::new(ErrorCode::MALFORMED, text);
    let text = std::str::from_utf8(payload).map_err(|_| malformed("the frame is not UTF-8".to_owned()))?;
    // serde reads an array as a struct, too; on this wire only a map is a frame.
    if !text.trim_start().starts_with('{') {
        return Err(malformed("the frame is not a map {\"a\", \"d\"}".to_owned()));
    }
    serde_json::from_str(text).map_err(|error| malformed(format!("the frame is not JSON: {error}")))
}

fn decode_post(data: &str) -> Result<Ask<'_>, Refusal> {
    let refusal = || invalid("d.m", "must be the message's text, a string");
    if !data.starts_with('{') {
        return Err(refusal());
    }
    let PostData { m } = serde_json::from_str(data).map_err(|_| refusal())?;
    Ok(Ask::Post(Post { text: m, ..Post::default() }))
}

fn decode_history(data: &str) -> Result<Ask<'_>, Refusal> {
    // `"d": null` asks for the newest page, as an absent one does.
    let data = if data == "null" { "{}" } else { data };
    let refusal = || invalid("d", "may hold b (milliseconds or a message id) and l (a number)");
    if !data.starts_with('{') {
        return Err(refusal());
    }
    let HistoryData { b, l } = serde_json::from_str(data).map_err(|_| refusal())?;
    let edge = b.map_or(Ok(PageEdge::Newest), decode_before)?;
    let limit = match l.map(|number| whole(&number)) {
        None => None,
        Some(None | Some(0)) => return Err(invalid("d.l", "must be a whole number from 1 to 100")),
        Some(Some(limit)) => Some(usize::try_from(limit).unwrap_or(usize::MAX)),
    };
    Ok(Ask::History { edge, limit })
}

fn decode_before(before: BeforeData<'_>) -> Result<PageEdge, Refusal> {
    match before {
        BeforeData::Time(time) => whole(&time).map(PageEdge::BeforeTime).ok_or_else(bad_before),
        BeforeData::Id(id) => MessageId::parse(&id).map(PageEdge::BeforeId).ok_or_else(|| no_message("d.b")),
        BeforeData::Other(_) => Err(bad_before()),
    }
}

fn bad_before() -> Refusal {
    invalid("d.b", "must be Unix milliseconds or a message id")
}

fn whole(number: &serde_json::Number) -> Option<u64> {
    number.as_u64().or_else(|| super::whole(number.as_f64()?))
}

/// A frame as it goes over the wire.
#[derive(Serialize)]
struct Frame<'a> {
    a: u64,
    d: Data<'a>,
}

/// What stands in a frame's `d`.
#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Roster { on: People<'a>, off: People<'a> },
    Message(WireMessage<'a>),
    History { h: Page<'a> },
    Error { c: &'a str, m: &'a str },
}

impl<'a> Frame<'a> {
    fn new(frame: ServerFrame<'a>) -> Option<Self> {
        let (a, d) = match frame {
            ServerFrame::Roster(roster) | ServerFrame::RosterDelta(roster) => {
                (action::ROSTER, Data::roster(roster.view))
            }
            ServerFrame::Event(scope, event) => {
                (action::MESSAGE, Data::Message(WireMessage::of_event(scope, event)?))
            }
            ServerFrame::History(scope, messages, _) => {
                (action::HISTORY, Data::History { h: Page(scope.uid, messages) })
            }
            ServerFrame::Error(error) => {
                (action::ERROR, Data::Error { c: error.refusal.code.word, m: &error.refusal.text })
            }
            _ => return None,
        };
        Some(Self { a, d })
    }
}

impl<'a> Data<'a> {
    fn roster(view: &'a RosterView) -> Self {
        Self::Roster { on: People(&view.on), off: People(&view.off) }
    }
}

/// Attendees, one after the other.
struct People<'a>(&'a [Arc<Attendee>]);

impl Serialize for People<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|attendee| Person::new(attendee)))
    }
}

/// An attendee.
#[derive(Serialize)]
struct Person<'a> {
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<&'a str>,
}

impl<'a> Person<'a> {
    fn new(attendee: &'a Attendee) -> Self {
        Self {
            id: attendee.id.as_str(),
            name: attendee.name.as_str(),
            icon: attendee.icon.as_ref().map(Icon::as_str),
        }
    }
}

/// A message. One that was deleted has an empty text, and one of nobody an empty author.
#[derive(Serialize)]
struct WireMessage<'a> {
    i: WireId,
    m: &'a str,
    t: u64,
    p: &'a str,
}

impl<'a> WireMessage<'a> {
    fn new(i: WireId, time_ms: u64, author: &'a Actor, message: &'a Message) -> Self {
        let m = if message.deleted { "" } else { &message.text };
        Self { i, m, t: time_ms, p: author.id() }
    }

    fn of_event(scope: Scope<'_>, event: &'a Event) -> Option<Self> {
        let EventKind::Message(message) = &event.kind else { return None };
        Some(Self::new(WireId::new(scope.uid, event.seq), event.time_ms, &event.by, message))
    }

    fn of_page(group: GroupUid, shown: &'a Shown) -> Self {
        Self::new(WireId::new(group, shown.seq), shown.time_ms, &shown.author, &shown.message)
    }
}

/// The messages of a page, oldest first.
struct Page<'a>(GroupUid, &'a [Shown]);

impl Serialize for Page<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.1.iter().map(|shown| WireMessage::of_page(self.0, shown)))
    }
}
