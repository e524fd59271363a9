//! The text of a message under load: who said it, which of its messages it is, and when it should have been sent.
//!
//! `kjcp|RUN.....|GROUP...|SLOT....|SEQUENCE|INTENDED NS.....|xxxx…`, numbers in hexadecimal of fixed width. It is legal
//! inside JSON and inside every peer's framing, so one scan finds it in all of them.

use std::io::Write;

use memchr::memmem::Finder;

/// The text's size in bytes.
pub(crate) const SIZE: usize = 100;
const MARK: &[u8; 5] = b"kjcp|";
const NUMBER: usize = 8;
const TIME: usize = 16;
const NEEDED: usize = MARK.len() + 4 * (NUMBER + 1) + TIME;

/// What a message's text says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The run that it belongs to.
    pub(crate) run: u32,
    /// The group that it was said in.
    pub(crate) group: u32,
    /// Which of the group's speakers said it.
    pub(crate) slot: u32,
    /// Which of the speaker's messages it is, from 0.
    pub(crate) sequence: u32,
    /// When it should have been sent.
    pub(crate) intended_ns: u64,
}

/// Writes the text.
pub(crate) fn write(stamp: Stamp, text: &mut Vec<u8>) {
    let Stamp { run, group, slot, sequence, intended_ns } = stamp;
    text.clear();
    write!(text, "kjcp|{run:08x}|{group:08x}|{slot:08x}|{sequence:08x}|{intended_ns:016x}|")
        .expect("writing to memory can't fail");
    text.resize(SIZE, b'x');
}

/// Finds stamps in payloads.
pub(crate) struct Scan(Finder<'static>);

impl Scan {
    pub(crate) fn new() -> Self {
        Self(Finder::new(MARK))
    }

    /// All stamps of a payload, in order: some peers put many messages into one frame.
    #[inline]
    pub(crate) fn stamps<'a>(&'a self, payload: &'a [u8]) -> impl Iterator<Item = Stamp> + 'a {
        let mut at = 0;
        std::iter::from_fn(move || {
            let begin = at + self.0.find(payload.get(at..)?)?;
            // A text holds no second mark.
            at = begin + SIZE;
            read(&payload[begin..])
        })
    }
}

#[inline]
fn read(text: &[u8]) -> Option<Stamp> {
    let text: &[u8; NEEDED] = text.first_chunk()?;
    let number = |field: usize| {
        let begin = MARK.len() + field * (NUMBER + 1);
        hexadecimal(&text[begin..begin + NUMBER]).and_then(|number| u32::try_from(number).ok())
    };
    Some(Stamp {
        run: number(0)?,
        group: number(1)?,
        slot: number(2)?,
        sequence: number(3)?,
        intended_ns: hexadecimal(&text[NEEDED - TIME..])?,
    })
}

#[inline]
fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stamp_of_a_payload_is_found_in_order() {
        let stamps: Vec<_> = (0..3)
            .map(|sequence| Stamp { run: 7, group: 3, slot: 0xabcd, sequence, intended_ns: u64::MAX - 5 })
            .collect();
        let (mut text, mut payload) = (Vec::new(), Vec::new());
        for &stamp in &stamps {
            write(stamp, &mut text);
            assert_eq!(text.len(), SIZE);
            payload.extend(b"MSG g 1 100\r\n");
            payload.extend(&text);
        }
        let scan = Scan::new();
        assert_eq!(scan.stamps(&payload).collect::<Vec<_>>(), stamps);
        assert_eq!(scan.stamps(b"kjcp|00").count(), 0);
        assert_eq!(scan.stamps(b"").count(), 0);
    }
}
