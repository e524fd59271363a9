//! Version 1: JSON text frames of the form `{"a": action, "d": data}`.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::code::ErrorCode;
use super::frame::{ClientFrame, Refusal, ServerFrame};
use super::{action, ws};
use crate::domain::ids::{GroupUid, MessageId};
use crate::domain::message::{Before, Message};
use crate::domain::profile::Icon;
use crate::domain::roster::{Attendee, RosterView};

/// Reads what a client said in a text frame to its group. Unknown fields are ignored, and so is what a client
/// says of `i`, `p` and `t`.
pub fn decode(payload: &[u8], group: GroupUid) -> Result<ClientFrame<'_>, Refusal> {
    let envelope = decode_envelope(payload)?;
    let action = envelope
        .a
        .and_then(|raw| raw.get().parse::<u64>().ok())
        .ok_or_else(|| invalid("a", "must be a whole number: 2 to send, 3 for history"))?;
    let data = envelope.d.map_or("{}", RawValue::get);
    match action {
        action::MESSAGE => decode_post(data),
        action::HISTORY => decode_history(data, group),
        other => Err(Refusal::new(
            ErrorCode::UNKNOWN_ACTION,
            format!("a client can't ask for action {other}: 2 sends, 3 pages history"),
        )),
    }
}

/// Writes a server frame, ready for the socket.
pub fn encode(frame: ServerFrame<'_>) -> Bytes {
    let mut json = Vec::with_capacity(256);
    serde_json::to_writer(&mut json, &Wire(frame))
        .expect("frames have string keys and writing to memory can't fail");
    ws::text(&json)
}

/// Writes a page of history, oldest first, of at most so many bytes. Texts whose escapes make them longer than the
/// page may be leave out the older half, again and again; one message is always written.
pub fn encode_page(group: GroupUid, mut messages: &[Message], bytes_max: usize) -> Bytes {
    loop {
        let frame = encode(ServerFrame::History(group, messages));
        if frame.len() <= bytes_max || messages.len() <= 1 {
            return frame;
        }
        messages = &messages[messages.len().div_ceil(2)..];
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    a: Option<&'a RawValue>,
    #[serde(borrow, default)]
    d: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PostData<'a> {
    #[serde(borrow)]
    m: Cow<'a, str>,
}

#[derive(Deserialize)]
struct HistoryData<'a> {
    #[serde(borrow, default)]
    b: Option<BeforeData<'a>>,
    #[serde(default)]
    l: Option<serde_json::Number>,
}

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

fn decode_post(data: &str) -> Result<ClientFrame<'_>, Refusal> {
    let refusal = || invalid("d.m", "must be the message's text, a string");
    if !data.starts_with('{') {
        return Err(refusal());
    }
    let PostData { m } = serde_json::from_str(data).map_err(|_| refusal())?;
    Ok(ClientFrame::Post { text: m })
}

fn decode_history(data: &str, group: GroupUid) -> Result<ClientFrame<'_>, Refusal> {
    // `"d": null` asks for the newest page, as an absent one does.
    let data = if data == "null" { "{}" } else { data };
    let refusal = || invalid("d", "may hold b (milliseconds or a message id) and l (a number)");
    if !data.starts_with('{') {
        return Err(refusal());
    }
    let HistoryData { b, l } = serde_json::from_str(data).map_err(|_| refusal())?;
    let before = match b {
        None => None,
        Some(BeforeData::Time(time)) => Some(Before::Time(whole(&time).ok_or_else(bad_before)?)),
        Some(BeforeData::Id(id)) => Some(Before::of_message(&id, group).ok_or_else(|| {
            Refusal::new(ErrorCode::MESSAGE_NOT_FOUND, "d.b is no message of this group: use a message's i")
        })?),
        Some(BeforeData::Other(_)) => return Err(bad_before()),
    };
    let limit = match l {
        None => None,
        Some(number) => match whole(&number) {
            None | Some(0) => return Err(invalid("d.l", "must be a whole number from 1 to 100")),
            Some(limit) => Some(usize::try_from(limit).unwrap_or(usize::MAX)),
        },
    };
    Ok(ClientFrame::History { before, limit })
}

/// A number that is whole and not negative, however it is written: JavaScript writes large ones as 1.5e12.
fn whole(number: &serde_json::Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let float = number.as_f64()?;
        // Every whole f64 in this range is exact, so the conversion loses nothing.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        ((0.0..=9_007_199_254_740_992.0).contains(&float) && float.fract() == 0.0).then_some(float as u64)
    })
}

fn bad_before() -> Refusal {
    invalid("d.b", "must be Unix milliseconds or a message id")
}

fn invalid(field: &str, rule: &str) -> Refusal {
    Refusal::new(ErrorCode::INVALID_FIELD, format!("{field} {rule}"))
}

struct Wire<'a>(ServerFrame<'a>);

impl Serialize for Wire<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        match self.0 {
            ServerFrame::Roster(view) => {
                map.serialize_entry("a", &action::ROSTER)?;
                map.serialize_entry("d", &WireRoster::new(view))?;
            }
            ServerFrame::Message(group, message) => {
                map.serialize_entry("a", &action::MESSAGE)?;
                map.serialize_entry("d", &WireMessage(group, message))?;
            }
            ServerFrame::History(group, messages) => {
                map.serialize_entry("a", &action::HISTORY)?;
                map.serialize_entry("d", &WireHistory { h: WireMessages(group, messages) })?;
            }
            ServerFrame::Error(refusal) => {
                map.serialize_entry("a", &action::ERROR)?;
                map.serialize_entry("d", &WireError { c: refusal.code.word, m: &refusal.text })?;
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
struct WireRoster<'a> {
    on: Vec<WireAttendee<'a>>,
    off: Vec<WireAttendee<'a>>,
}

impl<'a> WireRoster<'a> {
    fn new(view: &'a RosterView) -> Self {
        Self {
            on: view.on.iter().map(|attendee| WireAttendee::new(attendee)).collect(),
            off: view.off.iter().map(|attendee| WireAttendee::new(attendee)).collect(),
        }
    }
}

#[derive(Serialize)]
struct WireAttendee<'a> {
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<&'a str>,
}

impl<'a> WireAttendee<'a> {
    fn new(attendee: &'a Attendee) -> Self {
        Self {
            id: attendee.id.as_str(),
            name: attendee.name.as_str(),
            icon: attendee.icon.as_ref().map(Icon::as_str),
        }
    }
}

struct WireMessage<'a>(GroupUid, &'a Message);

impl Serialize for WireMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(group, message) = self;
        let id = MessageId { group: *group, seq: message.seq };
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("i", &format_args!("{id}"))?;
        map.serialize_entry("m", &*message.text)?;
        map.serialize_entry("t", &message.time_ms)?;
        map.serialize_entry("p", message.author.as_str())?;
        map.end()
    }
}

#[derive(Serialize)]
struct WireHistory<'a> {
    h: WireMessages<'a>,
}

struct WireMessages<'a>(GroupUid, &'a [Message]);

impl Serialize for WireMessages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.1.iter().map(|message| WireMessage(self.0, message)))
    }
}

#[derive(Serialize)]
struct WireError<'a> {
    c: &'a str,
    m: &'a str,
}

#[cfg(test)]
mod tests;
