//! The text of a message under load: who said it, which of its messages it is, and when it should have been sent.
//!
//! `kjlt|RUN.....|GROUP...|SLOT....|SEQUENCE|INTENDED NS.....|CHECK...|xxxx…`, numbers in hexadecimal of fixed width, so
//! that writing and reading one takes no allocation and no JSON. The check is over all numbers before it.

use std::fmt::Write;

use crate::schedule::scatter;

/// What every message text begins with.
pub const MARK: &[u8; 5] = b"kjlt|";
/// What fills a text up to its size.
pub const PADDING: u8 = b'x';
const NUMBER: usize = 8;
const TIME: usize = 16;
/// Where the time and the check begin.
const TIME_AT: usize = MARK.len() + 4 * (NUMBER + 1);
const CHECK_AT: usize = TIME_AT + TIME + 1;
/// The shortest text: the mark, four numbers, the time, the check, and a bar after each.
pub const SIZE_MIN: usize = CHECK_AT + NUMBER + 1;

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
    let check = check(stamp);
    write!(text, "kjlt|{run:08x}|{group:08x}|{slot:08x}|{sequence:08x}|{intended_ns:016x}|{check:08x}|")
        .expect("writing to a String can't fail");
    let padding = size.saturating_sub(text.len() - begin);
    text.extend(std::iter::repeat_n(char::from(PADDING), padding));
}

/// The stamp that a text begins with, if it is whole and nothing of it was altered.
#[inline]
pub fn read(text: &[u8]) -> Option<Stamp> {
    let text: &[u8; SIZE_MIN] = text.strip_prefix(MARK).and(text.first_chunk())?;
    let number_at = |begin: usize| {
        hexadecimal(&text[begin..begin + NUMBER]).and_then(|number| u32::try_from(number).ok())
    };
    let field = |field: usize| number_at(MARK.len() + field * (NUMBER + 1));
    let stamp = Stamp {
        run: field(0)?,
        group: field(1)?,
        slot: field(2)?,
        sequence: field(3)?,
        intended_ns: hexadecimal(&text[TIME_AT..TIME_AT + TIME])?,
    };
    let bars = BARS.iter().all(|&bar| text[bar] == b'|');
    (bars && number_at(CHECK_AT)? == check(stamp)).then_some(stamp)
}

/// Where the bars after the numbers stand.
const BARS: [usize; 6] = [
    MARK.len() + NUMBER,
    MARK.len() + 2 * NUMBER + 1,
    MARK.len() + 3 * NUMBER + 2,
    TIME_AT - 1,
    CHECK_AT - 1,
    SIZE_MIN - 1,
];

/// What is another number, but for one in four thousand million times, when any number of the stamp is.
#[inline]
fn check(stamp: Stamp) -> u32 {
    let Stamp { run, group, slot, sequence, intended_ns } = stamp;
    let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    let mixed = scatter(scatter(scatter(pair(run, group)) ^ pair(slot, sequence)) ^ intended_ns);
    u32::try_from(mixed >> 32).expect("32 bits")
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

    #[test]
    fn a_stamp_of_which_anything_was_altered_is_none() {
        let text = text(STAMP, SIZE_MIN);
        for at in 0..SIZE_MIN {
            let mut altered = text.clone().into_bytes();
            altered[at] = if altered[at] == b'1' { b'2' } else { b'1' };
            assert_eq!(read(&altered), None, "at {at}");
        }
    }
}
