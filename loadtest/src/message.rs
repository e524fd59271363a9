//! The text of a message under load: who said it, which of its messages it is, and when it should have been sent.
//!
//! `kjlt|RUN.....|GROUP...|SLOT....|SEQUENCE|INTENDED NS.....|xxxx…`, numbers in hexadecimal of fixed width, so that
//! writing and reading one takes no allocation and no JSON.

use std::fmt::Write;

/// What every message text begins with.
pub const MARK: &[u8; 5] = b"kjlt|";
/// What fills a text up to its size.
pub const PADDING: u8 = b'x';
const NUMBER: usize = 8;
const TIME: usize = 16;
/// The shortest text: the mark, four numbers, the time, and a bar after each.
pub const SIZE_MIN: usize = MARK.len() + 4 * (NUMBER + 1) + TIME + 1;

/// What a message text says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The run that it belongs to.
    pub run: u32,
    /// The group that it was said in.
    pub group: u32,
    /// Which of the group's speakers said it.
    pub slot: u32,
    /// Which of the speaker's messages it is, from 0.
    pub sequence: u32,
    /// When it should have been sent, by the monotonic clock.
    pub intended_ns: u64,
}

/// Appends a text of `size` bytes.
pub fn write(stamp: Stamp, size: usize, text: &mut String) {
    let Stamp { run, group, slot, sequence, intended_ns } = stamp;
    let begin = text.len();
    write!(text, "kjlt|{run:08x}|{group:08x}|{slot:08x}|{sequence:08x}|{intended_ns:016x}|")
        .expect("writing to a String can't fail");
    let padding = size.saturating_sub(text.len() - begin);
    text.extend(std::iter::repeat_n(char::from(PADDING), padding));
}

/// The stamp that a text begins with.
#[inline]
pub fn read(text: &[u8]) -> Option<Stamp> {
    let text: &[u8; SIZE_MIN] = text.strip_prefix(MARK).and(text.first_chunk())?;
    let number = |field: usize| {
        let begin = MARK.len() + field * (NUMBER + 1);
        hexadecimal(&text[begin..begin + NUMBER]).and_then(|number| u32::try_from(number).ok())
    };
    Some(Stamp {
        run: number(0)?,
        group: number(1)?,
        slot: number(2)?,
        sequence: number(3)?,
        intended_ns: hexadecimal(&text[SIZE_MIN - TIME - 1..SIZE_MIN - 1])?,
    })
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    let mut number = 0;
    for &digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u64::from(value);
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp =
        Stamp { run: 7, group: 3, slot: 0xabcd, sequence: u32::MAX, intended_ns: 0x1234_5678_9abc_def0 };

    fn text(stamp: Stamp, size: usize) -> String {
        let mut text = String::new();
        write(stamp, size, &mut text);
        text
    }

    #[test]
    fn a_text_has_its_size_and_says_what_was_written() {
        let text_of_100 = text(STAMP, 100);
        assert_eq!(text_of_100.len(), 100);
        assert_eq!(read(text_of_100.as_bytes()), Some(STAMP));
        assert_eq!(text(STAMP, 0).len(), SIZE_MIN);
    }

    #[test]
    fn what_is_no_stamp_is_none() {
        let text = text(STAMP, 100);
        assert_eq!(read(b""), None);
        assert_eq!(read(b"hello"), None);
        for end in 0..SIZE_MIN {
            assert_eq!(read(&text.as_bytes()[..end]), None, "cut at {end}");
        }
        assert_eq!(read(text.replace("abcd", "ABCD").as_bytes()), None);
        assert_eq!(read(text.replace("kjlt", "kjtl").as_bytes()), None);
    }
}
