//! Whether a page of history is the one that was asked for: nothing left out, nothing altered, in order, as large as
//! it must be, and up to where it must go.

use std::collections::BTreeMap;

use crate::witness::Testimony;

/// A page has at most so many bytes: of large messages it holds fewer than were asked for. One that the server
/// halves may have half of it.
const BYTES_MAX: usize = 256 << 10;
/// What a message takes beside its text, in bytes, and then some.
const ENVELOPE: usize = 256;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) at_ns: u64,
    /// The page ends before this place; without one it is the newest.
    pub(crate) before: Option<u64>,
    /// The newest holds at least this place, which was heard before it was asked for.
    pub(crate) reaches: u64,
    pub(crate) items: usize,
}

/// What is wrong with a page, as errors are counted.
pub(crate) type Flaw = &'static str;

/// How far a reader has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The oldest message of the last page: the next page ends before it.
    pub(crate) id: String,
    pub(crate) place: u64,
    /// The oldest number of each speaker in the pages so far.
    numbers: BTreeMap<u32, u32>,
}

impl Asked {
    /// Looks at a page of so many bytes, whose messages are of one group; `size` is that of a message's text.
    pub(crate) fn check(&self, page: &[Testimony], bytes: usize, size: usize) -> Result<(), Flaw> {
        if page.iter().any(|item| item.altered) {
            return Err("page_altered");
        }
        let places: Vec<u64> = page.iter().filter_map(|item| item.place).collect();
        for pair in places.windows(2) {
            follows(pair[0], pair[1])?;
        }
        let mut numbers = BTreeMap::new();
        for item in page {
            let (slot, number) = (item.stamp.slot, item.stamp.sequence);
            if let Some(before) = numbers.insert(slot, number) {
                follows(u64::from(before), u64::from(number))?;
            }
        }
        let (first, last) = (places.first().copied().unwrap_or(1), places.last().copied().unwrap_or(0));
        let ends_right = self.before.map_or(last >= self.reaches, |before| last + 1 == before);
        let large = bytes + size + ENVELOPE > BYTES_MAX / 2;
        let full = page.len() == self.items || first == 1 || large && !page.is_empty();
        match (ends_right, page.len() <= self.items && full) {
            (false, _) => Err("page_wrong_end"),
            (true, false) => Err("page_wrong_size"),
            (true, true) => Ok(()),
        }
    }
}

fn follows(before: u64, after: u64) -> Result<(), Flaw> {
    if after <= before {
        Err("page_out_of_order")
    } else if after - before > 1 {
        Err("page_gap")
    } else {
        Ok(())
    }
}

impl Cursor {
    /// Where a reader is after a page with this oldest message; `None` when there is nothing older. The page must
    /// continue those before it, if it was asked for where they end.
    pub(crate) fn advance(
        before: Option<Self>,
        asked: &Asked,
        oldest_id: &str,
        page: &[Testimony],
    ) -> Result<Option<Self>, Flaw> {
        let going_on = before.filter(|cursor| asked.before == Some(cursor.place));
        let mut numbers = going_on.map(|cursor| cursor.numbers).unwrap_or_default();
        // From the newest to the oldest: each number is the one before that of the speaker's next message.
        for item in page.iter().rev() {
            let (slot, number) = (item.stamp.slot, item.stamp.sequence);
            if let Some(after) = numbers.insert(slot, number) {
                follows(u64::from(number), u64::from(after))?;
            }
        }
        let oldest = page.first().and_then(|item| item.place).filter(|&place| place > 1);
        Ok(oldest.map(|place| Self { id: oldest_id.to_owned(), place, numbers }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Stamp;

    /// Messages as place, speaker and number.
    fn page(items: &[(u64, u32, u32)]) -> Vec<Testimony> {
        let item = |&(place, slot, sequence): &(u64, u32, u32)| Testimony {
            stamp: Stamp { run: 1, group: 0, slot, sequence, intended_ns: 0 },
            place: Some(place),
            altered: false,
        };
        items.iter().map(item).collect()
    }

    const NEWEST: Asked = Asked { at_ns: 0, before: None, reaches: 7, items: 3 };
    const OLDER: Asked = Asked { before: Some(5), ..NEWEST };

    fn checked(asked: Asked, items: &[(u64, u32, u32)]) -> Result<(), Flaw> {
        asked.check(&page(items), 300, 100)
    }

    #[test]
    fn a_page_that_is_right_is_taken() {
        assert_eq!(checked(NEWEST, &[(5, 0, 3), (6, 1, 0), (7, 0, 4)]), Ok(()));
        assert_eq!(checked(NEWEST, &[(6, 1, 0), (7, 0, 4), (8, 0, 5)]), Ok(()), "somebody went on");
        assert_eq!(checked(OLDER, &[(2, 0, 0), (3, 0, 1), (4, 0, 2)]), Ok(()));
        assert_eq!(
            checked(Asked { before: Some(3), ..OLDER }, &[(1, 0, 0), (2, 0, 1)]),
            Ok(()),
            "the oldest"
        );
        assert_eq!(checked(Asked { before: Some(1), ..OLDER }, &[]), Ok(()), "there is nothing older");
        assert_eq!(checked(Asked { reaches: 0, ..NEWEST }, &[]), Ok(()), "nothing was said");
    }

    #[test]
    fn what_was_left_out_is_seen() {
        assert_eq!(checked(NEWEST, &[(4, 0, 2), (5, 0, 3), (7, 0, 4)]), Err("page_gap"));
        assert_eq!(checked(NEWEST, &[(5, 0, 2), (6, 0, 3), (7, 0, 5)]), Err("page_gap"), "of a speaker");
        assert_eq!(checked(NEWEST, &[(7, 0, 4), (6, 1, 0), (5, 0, 3)]), Err("page_out_of_order"));
        assert_eq!(checked(NEWEST, &[(6, 0, 4), (6, 0, 4), (7, 0, 5)]), Err("page_out_of_order"), "twice");
        assert_eq!(checked(NEWEST, &[]), Err("page_wrong_end"));
        assert_eq!(checked(NEWEST, &[(4, 0, 2), (5, 0, 3), (6, 0, 4)]), Err("page_wrong_end"));
        assert_eq!(checked(OLDER, &[(3, 0, 2), (4, 0, 3), (5, 0, 4)]), Err("page_wrong_end"));
        assert_eq!(checked(OLDER, &[(3, 0, 1), (4, 0, 2)]), Err("page_wrong_size"));
        assert_eq!(checked(NEWEST, &[(4, 0, 0), (5, 0, 1), (6, 0, 2), (7, 0, 3)]), Err("page_wrong_size"));
        let mut altered = page(&[(5, 0, 3), (6, 1, 0), (7, 0, 4)]);
        altered[1].altered = true;
        assert_eq!(NEWEST.check(&altered, 300, 100), Err("page_altered"));
    }

    #[test]
    fn of_large_messages_a_page_may_hold_fewer_but_not_none() {
        let two = page(&[(6, 0, 4), (7, 0, 5)]);
        assert_eq!(NEWEST.check(&two, 200 << 10, 16_000), Ok(()));
        assert_eq!(NEWEST.check(&two, 100 << 10, 1_000), Err("page_wrong_size"));
        assert_eq!(OLDER.check(&[], 200 << 10, 16_000), Err("page_wrong_end"));
    }

    #[test]
    fn a_page_continues_the_one_before_it() {
        let advance = |before, asked: Asked, items: &[(u64, u32, u32)]| {
            Cursor::advance(before, &asked, "id", &page(items))
        };
        let newest = advance(None, NEWEST, &[(5, 0, 3), (6, 1, 0), (7, 0, 4)]).unwrap();
        assert_eq!(newest.as_ref().map(|cursor| cursor.place), Some(5));
        assert!(advance(newest.clone(), OLDER, &[(2, 2, 0), (3, 0, 1), (4, 0, 2)]).unwrap().is_some());
        assert_eq!(advance(newest.clone(), OLDER, &[(3, 0, 0), (4, 0, 1)]), Err("page_gap"));
        assert_eq!(advance(newest, OLDER, &[(4, 0, 3)]), Err("page_out_of_order"));
        assert_eq!(advance(None, OLDER, &[(1, 0, 0)]), Ok(None), "the oldest of all");
    }
}
