//! Version 2 in JSON. What there is much of is read where it lies, as this server writes it; all else as JSON.

use serde::Deserialize;

use super::{Frame, Item, Page, Refusal, Told, is_aside, number, text};

/// Reads a frame.
pub(super) fn read(payload: &[u8]) -> Told<'_> {
    quick(payload).unwrap_or_else(|| slow(payload).unwrap_or(Told::Unknown))
}

/// A frame as this server writes it.
#[inline]
fn quick(payload: &[u8]) -> Option<Told<'_>> {
    if let Some(data) = payload.strip_prefix(br#"{"a":2,"d":{"g":""#) {
        let (group, rest) = text(data)?;
        let (item, rest) = quick_item(rest.strip_prefix(b",")?)?;
        return (rest == b"}}").then_some(Told::Message(Item { group: Some(group), ..item }));
    }
    match payload.get(..7)? {
        br#"{"a":1,"# => Some(Told::Roster),
        br#"{"a":6,"# | br#"{"a":10"# => Some(Told::Aside),
        _ => None,
    }
}

/// The fields of a message that the bytes begin with, and what follows them.
#[inline]
fn quick_item(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (id, rest) = text(bytes.strip_prefix(br#""i":""#)?)?;
    let (seq, rest) = number(rest.strip_prefix(br#","s":"#)?)?;
    let (time_ms, rest) = number(rest.strip_prefix(br#","t":"#)?)?;
    let (author, rest) = text(rest.strip_prefix(br#","p":""#)?)?;
    let (text, rest) = text(rest.strip_prefix(br#","m":""#)?)?;
    Some((Item { id, text, time_ms, author, seq: Some(seq), group: None }, rest))
}

#[derive(Deserialize)]
struct Welcome {
    v: u64,
    s: u64,
}

fn slow(payload: &[u8]) -> Option<Told<'_>> {
    let Frame { a, d } = serde_json::from_slice(payload).ok()?;
    Some(match a {
        0 => {
            let Welcome { v: 2, s } = serde_json::from_str(d.get()).ok()? else { return None };
            Told::Welcome { seq: s }
        }
        1 => Told::Roster,
        2 => {
            let item: Item<'_> = serde_json::from_str(d.get()).ok()?;
            if item.seq.is_none() || item.group.is_none() {
                return None;
            }
            Told::Message(item)
        }
        3 => {
            let items = serde_json::from_str::<Page<'_>>(d.get()).ok()?.h;
            if items.iter().any(|item| item.seq.is_none()) {
                return None;
            }
            Told::Page(items)
        }
        5 => Told::Refusal(serde_json::from_str::<Refusal<'_>>(d.get()).ok()?.c),
        other if is_aside(other) => Told::Aside,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEM: &str =
        r#""i":"3f64664835d4396f0000000000000001","s":1,"t":1795598965772,"p":"u0","m":"hello""#;

    fn item() -> Item<'static> {
        Item {
            id: "3f64664835d4396f0000000000000001".into(),
            text: "hello".into(),
            time_ms: 1_795_598_965_772,
            author: "u0".into(),
            seq: Some(1),
            group: Some("g0".into()),
        }
    }

    #[test]
    fn a_message_is_the_same_however_it_is_spaced() {
        let written = format!(r#"{{"a":2,"d":{{"g":"g0",{ITEM}}}}}"#);
        assert_eq!(quick(written.as_bytes()), Some(Told::Message(item())));
        assert_eq!(slow(written.as_bytes()), Some(Told::Message(item())));
        let more = written.replace(r#""m""#, r#""x":{"y":1}, "m""#);
        assert_eq!((quick(more.as_bytes()), read(more.as_bytes())), (None, Told::Message(item())));
        let answered = written.replacen(',', r#","r":7,"#, 1);
        assert_eq!(read(answered.as_bytes()), Told::Message(item()));
    }

    #[test]
    fn what_greets_is_told_apart() {
        let welcome =
            br#"{"a":0,"d":{"v":2,"u":"u0","g":"g0","ep":"3f","s":41,"hb":25000,"lim":{"frame":65536}}}"#;
        assert_eq!(read(welcome), Told::Welcome { seq: 41 });
        assert_eq!(read(br#"{"a":1,"d":{"g":"g0","rv":1,"n":0,"w":true,"on":[],"off":[]}}"#), Told::Roster);
        let page = format!(r#"{{"a":3,"d":{{"g":"g0","h":[{{{ITEM}}},{{{ITEM}}}],"more":false}}}}"#);
        let of_page = || Item { group: None, ..item() };
        assert_eq!(read(page.as_bytes()), Told::Page(vec![of_page(), of_page()]));
        assert_eq!(read(br#"{"a":3,"d":{"g":"g0","h":[],"more":false}}"#), Told::Page(vec![]));
    }

    #[test]
    fn what_is_state_is_an_aside_and_a_refusal_has_its_code() {
        for aside in
            [r#"{"a":6,"d":{}}"#, r#"{"a":10,"d":{}}"#, r#"{"a":4,"d":{}}"#, r#"{"a":30,"d":{"tk":""}}"#]
        {
            assert_eq!(read(aside.as_bytes()), Told::Aside, "{aside}");
        }
        assert_eq!(read(br#"{"a":5,"d":{"c":"muted","m":"no"}}"#), Told::Refusal("muted".into()));
    }

    #[test]
    fn everything_else_is_unknown() {
        let without = |field: &str| format!(r#"{{"a":2,"d":{{"g":"g0",{ITEM}}}}}"#).replace(field, r#""y":"#);
        for broken in [
            without(r#""s":"#),
            without(r#""g":"#),
            without(r#""m":"#),
            format!(r#"{{"a":2,"d":{{"g":"g0",{ITEM}}}"#),
            r#"{"a":7,"d":{}}"#.to_owned(),
            r#"{"a":0,"d":{"v":3,"s":1}}"#.to_owned(),
            r#"{"a":0,"d":{"v":2}}"#.to_owned(),
            String::new(),
        ] {
            assert_eq!(read(broken.as_bytes()), Told::Unknown, "{broken}");
        }
    }
}
