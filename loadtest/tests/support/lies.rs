//! Lies about messages, each with the counts that must show it.

use kijimuna_loadtest::message::{self, Stamp};

use super::proxy::{Frame, Lies, TEXT};

/// A change to what one of several sockets is told.
pub(crate) struct Liar<F>(pub(crate) F);

impl<F: Fn(usize, String, &mut Vec<Frame>) -> Vec<Frame> + Send + Sync + 'static> Lies for Liar<F> {
    fn tell(&self, socket: usize, messages: usize, payload: Vec<u8>, held: &mut Vec<Frame>) -> Vec<Frame> {
        if socket != 3 || !payload.starts_with(br#"{"a":2"#) {
            return vec![(TEXT, payload)];
        }
        (self.0)(messages, String::from_utf8(payload).unwrap(), held)
    }
}

pub(crate) fn text(payload: impl Into<Vec<u8>>) -> Frame {
    (TEXT, payload.into())
}

/// Numbers a message otherwise, so that it looks as if that had been said.
fn numbered(payload: &str, sequence: u32) -> Vec<Frame> {
    let begin = payload.find("kjlt|").unwrap();
    let stamp = message::read(&payload.as_bytes()[begin..]).unwrap();
    let mut other = String::new();
    message::write(Stamp { sequence, ..stamp }, message::SIZE_MIN, &mut other);
    altered(payload, begin, &other)
}

/// Puts other letters in the place of those from `begin` on.
fn altered(payload: &str, begin: usize, letters: &str) -> Vec<Frame> {
    let mut payload = payload.to_owned();
    payload.replace_range(begin..begin + letters.len(), letters);
    vec![text(payload)]
}

/// Where the time begins at which a message was due.
fn due_at(payload: &str) -> usize {
    payload.find("kjlt|").unwrap() + "kjlt|RUN.....|GROUP...|SLOT....|SEQUENCE|".len()
}

/// What a socket was told otherwise than it was, and which counts say so.
pub(crate) type Lie = (&'static str, Telling, &'static [(&'static str, u64)]);

/// What is told instead of a message, with which one of the socket's it is and what was held back.
pub(crate) type Telling = fn(usize, String, &mut Vec<Frame>) -> Vec<Frame>;

pub(crate) const LIES: &[Lie] = &[
    ("lost", |nth, payload, _| if nth == 20 { vec![] } else { vec![text(payload)] }, &[("lost", 1)]),
    (
        "twice",
        |nth, payload, _| {
            if nth == 20 { vec![text(payload.clone()), text(payload)] } else { vec![text(payload)] }
        },
        &[("duplicated", 1)],
    ),
    (
        // Neighbours are of different speakers.
        "swapped",
        |nth, payload, held| {
            if nth == 20 {
                held.push(text(payload));
                return vec![];
            }
            [vec![text(payload)], std::mem::take(held)].concat()
        },
        &[("reordered", 1)],
    ),
    (
        "another padding",
        |nth, payload, _| vec![text(if nth == 20 { payload.replace("xxxx", "xxyx") } else { payload })],
        &[("altered", 1)],
    ),
    (
        "a shorter text",
        |nth, payload, _| vec![text(if nth == 20 { payload.replacen("xxxx", "", 1) } else { payload })],
        &[("altered", 1)],
    ),
    (
        "another author",
        |nth, payload, _| {
            vec![text(if nth == 20 { payload.replace(r#""p":"lt"#, r#""p":"no"#) } else { payload })]
        },
        &[("altered", 1)],
    ),
    (
        "no id",
        |nth, payload, _| {
            let id = payload[..r#"{"a":2,"d":{"i":""#.len() + 32].split('"').next_back().unwrap().to_owned();
            vec![text(if nth == 20 { payload.replace(&id, "1") } else { payload })]
        },
        // Its place is missing, too.
        &[("altered", 1), ("lost", 1)],
    ),
    (
        "a huge number",
        |nth, payload, _| {
            if nth == 20 { numbered(&payload, 0xffff_fff0) } else { vec![text(payload)] }
        },
        &[("altered", 1), ("lost", 1)],
    ),
    (
        "the hugest number",
        |nth, payload, _| {
            if nth == 20 { numbered(&payload, u32::MAX) } else { vec![text(payload)] }
        },
        &[("altered", 1), ("lost", 1)],
    ),
    (
        // Nobody knows which message it was.
        "another due time",
        |nth, payload, _| {
            if nth == 20 { altered(&payload, due_at(&payload), "ffff") } else { vec![text(payload)] }
        },
        &[("altered", 1), ("lost", 1)],
    ),
    (
        "junk",
        |nth, payload, _| {
            if nth == 20 { vec![text(payload), text("hello junk")] } else { vec![text(payload)] }
        },
        &[("unknown_frames", 1)],
    ),
    (
        "binary",
        |nth, payload, _| if nth == 20 { vec![text(payload), (2, vec![1])] } else { vec![text(payload)] },
        &[("unknown_frames", 1)],
    ),
    (
        "an error",
        |nth, payload, _| {
            let error = text(r#"{"a":5,"d":{"c":"weird","m":"so"}}"#);
            if nth == 20 { vec![text(payload), error] } else { vec![text(payload)] }
        },
        &[("refused", 1)],
    ),
    (
        "twice, the second with white space",
        |nth, payload, _| {
            let again = text(payload.replacen(r#"{"a":2"#, r#"{ "a": 2"#, 1));
            if nth == 20 { vec![text(payload), again] } else { vec![text(payload)] }
        },
        &[("duplicated", 1)],
    ),
    (
        "of a stranger",
        |nth, payload, _| {
            let stray = text(r#"{"a":2,"d":{"i":"1","m":"hi","t":1,"p":"x"}}"#);
            if nth == 20 { vec![text(payload), stray] } else { vec![text(payload)] }
        },
        &[("strays", 1)],
    ),
];
