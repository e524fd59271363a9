//! What the server tells, here in version 1, in `v2` and `pack` in version 2. Frames that look as this server writes them
//! are read where they lie; any other, with white space or fields in another order, as JSON. What is neither is no
//! frame of the protocol.

mod pack;
mod v2;

use std::borrow::Cow;

use memchr::memchr;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::Dialect;

/// A frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told<'a> {
    Roster,
    Message(Item<'a>),
    /// A page of history.
    Page(Vec<Item<'a>>),
    /// Something was refused, with a code.
    Refusal(Cow<'a, str>),
    /// Nothing that the protocol knows.
    Unknown,
    /// Of version 2: what follows has sequences above this one.
    Welcome {
        seq: u64,
    },
    /// Of version 2: state, acks and tickets, of which nothing is to be accounted for.
    Aside,
}

/// A message, live or from history.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Item<'a> {
    #[serde(borrow, rename = "i")]
    pub(crate) id: Cow<'a, str>,
    #[serde(borrow, rename = "m")]
    pub(crate) text: Cow<'a, str>,
    #[serde(rename = "t")]
    pub(crate) time_ms: u64,
    #[serde(borrow, rename = "p")]
    pub(crate) author: Cow<'a, str>,
    /// Of version 2, and so is the group, which messages of a page don't have.
    #[serde(default, rename = "s")]
    pub(crate) seq: Option<u64>,
    #[serde(borrow, default, rename = "g")]
    pub(crate) group: Option<Cow<'a, str>>,
}

/// Reads a frame.
#[inline]
pub(crate) fn read(dialect: Dialect, payload: &[u8]) -> Told<'_> {
    match dialect {
        Dialect::V1 => v1(payload),
        Dialect::V2Json => v2::read(payload),
        Dialect::V2MessagePack => pack::read(payload),
    }
}

/// The actions of version 2 that are neither events nor history.
fn is_aside(action: u64) -> bool {
    matches!(action, 4 | 6 | 10..=13 | 30 | 31)
}

fn v1(payload: &[u8]) -> Told<'_> {
    quick(payload).unwrap_or_else(|| slow(payload).unwrap_or(Told::Unknown))
}

/// A frame as this server writes it.
#[inline]
fn quick(payload: &[u8]) -> Option<Told<'_>> {
    let [b'{', b'"', b'a', b'"', b':', action, b',', data @ ..] = payload else { return None };
    match action {
        b'2' => {
            let (item, rest) = Item::quick(data.strip_prefix(br#""d":"#)?)?;
            (rest == b"}").then_some(Told::Message(item))
        }
        b'1' => Some(Told::Roster),
        b'3' => quick_page(data).map(Told::Page),
        _ => None,
    }
}

fn quick_page(data: &[u8]) -> Option<Vec<Item<'_>>> {
    let mut rest = data.strip_prefix(br#""d":{"h":["#)?;
    let mut items = Vec::new();
    while let Some((item, after)) = Item::quick(rest) {
        items.push(item);
        rest = match after.strip_prefix(b",") {
            Some(next) if next.starts_with(b"{") => next,
            _ => after,
        };
    }
    (rest == b"]}}").then_some(items)
}

impl<'a> Item<'a> {
    /// The item that the bytes begin with, and what follows it.
    #[inline]
    fn quick(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (id, rest) = text(bytes.strip_prefix(br#"{"i":""#)?)?;
        let (text_of_it, rest) = text(rest.strip_prefix(br#","m":""#)?)?;
        let (time_ms, rest) = number(rest.strip_prefix(br#","t":"#)?)?;
        let (author, rest) = text(rest.strip_prefix(br#","p":""#)?)?;
        let rest = rest.strip_prefix(b"}")?;
        Some((Self { id, text: text_of_it, time_ms, author, seq: None, group: None }, rest))
    }
}

/// A text up to its end, and what follows. One with escapes is left to a reader of JSON.
#[inline]
fn text(bytes: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let end = memchr(b'"', bytes)?;
    let text = str::from_utf8(&bytes[..end]).ok()?;
    (!text.contains('\\')).then_some((Cow::Borrowed(text), &bytes[end + 1..]))
}

#[inline]
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit())?;
    let number = str::from_utf8(&bytes[..end]).ok()?.parse().ok()?;
    Some((number, &bytes[end..]))
}

#[derive(Deserialize)]
struct Frame<'a> {
    a: u64,
    #[serde(borrow)]
    d: &'a RawValue,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    h: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow)]
    c: Cow<'a, str>,
}

/// A frame in any JSON.
fn slow(payload: &[u8]) -> Option<Told<'_>> {
    let Frame { a, d } = serde_json::from_slice(payload).ok()?;
    Some(match a {
        1 => Told::Roster,
        2 => Told::Message(serde_json::from_str(d.get()).ok()?),
        3 => Told::Page(serde_json::from_str::<Page<'_>>(d.get()).ok()?.h),
        5 => Told::Refusal(serde_json::from_str::<Refusal<'_>>(d.get()).ok()?.c),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEM: &str =
        r#"{"i":"f795385f03d8e0420000000000000001","m":"hello","t":1795380078026,"p":"alice"}"#;

    fn item() -> Item<'static> {
        let id = "f795385f03d8e0420000000000000001";
        Item {
            id: id.into(),
            text: "hello".into(),
            time_ms: 1_795_380_078_026,
            author: "alice".into(),
            seq: None,
            group: None,
        }
    }

    #[test]
    fn a_message_is_the_same_however_it_is_spaced() {
        let written = format!(r#"{{"a":2,"d":{ITEM}}}"#);
        assert_eq!(quick(written.as_bytes()), Some(Told::Message(item())));
        assert_eq!(slow(written.as_bytes()), Some(Told::Message(item())));
        let spaced = written.replace(':', " : ").replace(',', " ,\n").replace('{', "{ ");
        assert_eq!(quick(spaced.as_bytes()), None);
        assert_eq!(v1(spaced.as_bytes()), Told::Message(item()));
        let turned = r#"{"d":{"p":"alice","t":1795380078026,"m":"hel\u006co","i":"f795385f03d8e0420000000000000001"},"a":2}"#;
        assert_eq!(v1(turned.as_bytes()), Told::Message(item()));
    }

    #[test]
    fn a_page_has_all_its_items() {
        for items in [vec![], vec![ITEM], vec![ITEM; 3]] {
            let written = format!(r#"{{"a":3,"d":{{"h":[{}]}}}}"#, items.join(","));
            let Some(Told::Page(page)) = quick(written.as_bytes()) else { panic!("{written}") };
            assert_eq!(page, items.iter().map(|_| item()).collect::<Vec<_>>());
            assert_eq!(slow(written.as_bytes()), Some(Told::Page(page)));
        }
    }

    #[test]
    fn refusals_and_rosters_are_told_apart() {
        let refusal = br#"{"a":5,"d":{"c":"rate_limited","m":"slower"}}"#;
        assert_eq!(v1(refusal), Told::Refusal("rate_limited".into()));
        assert_eq!(v1(br#"{"a":1,"d":{"on":[],"off":[]}}"#), Told::Roster);
        assert_eq!(v1(br#"{ "a" : 1, "d" : {} }"#), Told::Roster);
    }

    #[test]
    fn everything_else_is_unknown() {
        let broken = [
            r#"{"a":3,"d":{"h":[,]}}"#,
            "",
            "hello",
            "{}",
            r#"{"a":4,"d":{}}"#,
            r#"{"a":2,"d":{"i":"1"}}"#,
            r#"{"a":2,"d":{}"#,
            r#"{"a":3,"d":{"h":[{}]}}"#,
            r#"{"a":5,"d":{}}"#,
        ];
        for broken in broken {
            assert_eq!(v1(broken.as_bytes()), Told::Unknown, "{broken}");
        }
        let unfinished = format!(r#"{{"a":2,"d":{ITEM}"#);
        assert_eq!(v1(unfinished.as_bytes()), Told::Unknown);
    }
}
