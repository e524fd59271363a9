//! The newest pages of history, encoded, for who joins next: many who join a group at once are handed the same
//! bytes, so that a storm reads and encodes the page once, and those who don't take it hold no copy of their own.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::domain::ids::{GroupUid, Seq};

/// What a page counts beyond its bytes.
const PAGE_OVERHEAD_BYTES: usize = 128;

/// One page a group, bounded in bytes for all groups together.
#[derive(Debug)]
pub(crate) struct Greetings {
    kept: Mutex<Kept>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Kept {
    pages: HashMap<GroupUid, (Seq, Bytes)>,
    bytes: usize,
}

impl Greetings {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { kept: Mutex::default(), bytes_max }
    }

    /// The page that ends at a place. What is said later makes it another place, and the page of no use.
    pub(crate) fn get(&self, group: GroupUid, upto: Seq) -> Option<Bytes> {
        self.kept.lock().pages.get(&group).filter(|(kept, _)| *kept == upto).map(|(_, page)| page.clone())
    }

    /// Keeps a page in place of an older one of its group. When there are too many bytes, all other pages go: that
    /// is rare, and each is read again when somebody joins.
    pub(crate) fn keep(&self, group: GroupUid, upto: Seq, page: Bytes) {
        let mut kept = self.kept.lock();
        if kept.pages.get(&group).is_some_and(|(newer, _)| *newer > upto) {
            return;
        }
        kept.forget(group);
        let cost = page.len() + PAGE_OVERHEAD_BYTES;
        if kept.bytes + cost > self.bytes_max {
            *kept = Kept::default();
        }
        if cost <= self.bytes_max {
            kept.bytes += cost;
            kept.pages.insert(group, (upto, page));
        }
    }

    /// The group sleeps.
    pub(crate) fn forget(&self, group: GroupUid) {
        self.kept.lock().forget(group);
    }
}

impl Kept {
    fn forget(&mut self, group: GroupUid) {
        if let Some((_, page)) = self.pages.remove(&group) {
            self.bytes -= page.len() + PAGE_OVERHEAD_BYTES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOBBY: GroupUid = GroupUid(1);

    fn page(size: usize) -> Bytes {
        Bytes::from(vec![0; size])
    }

    #[test]
    fn a_page_is_handed_out_until_the_log_goes_on() {
        let greetings = Greetings::new(10_000);
        greetings.keep(LOBBY, Seq(7), page(1));
        assert_eq!(greetings.get(LOBBY, Seq(7)), Some(page(1)));
        assert_eq!(greetings.get(LOBBY, Seq(8)), None);
        assert_eq!(greetings.get(GroupUid(2), Seq(7)), None);
        greetings.keep(LOBBY, Seq(8), page(2));
        greetings.keep(LOBBY, Seq(7), page(1));
        assert_eq!(greetings.get(LOBBY, Seq(8)), Some(page(2)), "an older one takes no newer one's place");
        greetings.forget(LOBBY);
        assert_eq!(greetings.get(LOBBY, Seq(8)), None);
        assert_eq!(greetings.kept.lock().bytes, 0);
    }

    #[test]
    fn pages_never_take_more_than_they_may() {
        let greetings = Greetings::new(10_000);
        for round in 1..100 {
            for group in 1..=5 {
                greetings.keep(GroupUid(group), Seq(round), page(3_000));
                assert!(greetings.kept.lock().bytes <= 10_000);
                assert!(greetings.get(GroupUid(group), Seq(round)).is_some());
            }
        }
        greetings.keep(LOBBY, Seq(100), page(10_000));
        assert_eq!(greetings.get(LOBBY, Seq(100)), None, "one that is too large isn't kept");
    }
}
