//! The newest pages of history, encoded, for who joins next: many who join a group at once are handed the same
//! bytes, so that a storm reads and encodes the page once, and those who don't take it hold no copy of their own.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::domain::ids::{GroupUid, Seq};

/// What a page counts beyond its bytes.
const PAGE_OVERHEAD_BYTES: usize = 128;
/// How long a page is handed out, in milliseconds: as long as a storm takes, and no longer than somebody may see what another node has taken away.
const PAGE_MS: u64 = 1_000;

/// One page a group, bounded in bytes for all groups together.
#[derive(Debug)]
pub(crate) struct Greetings {
    kept: Mutex<Kept>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Kept {
    pages: HashMap<GroupUid, Page>,
    bytes: usize,
    /// How often everything was forgotten.
    forgotten: u64,
}

#[derive(Debug)]
struct Page {
    upto: Seq,
    bytes: Bytes,
    until_ms: u64,
}

/// A page is being read. What is forgotten meanwhile may be in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    forgotten: u64,
    until_ms: u64,
}

impl Greetings {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { kept: Mutex::default(), bytes_max }
    }

    /// The page that ends at a place. What is said later makes it another place, and the page of no use.
    pub(crate) fn get(&self, group: GroupUid, upto: Seq, mono_ms: u64) -> Option<Bytes> {
        let kept = self.kept.lock();
        let page = kept.pages.get(&group).filter(|page| page.upto == upto && mono_ms < page.until_ms);
        page.map(|page| page.bytes.clone())
    }

    /// Before a page is read that is to be kept.
    pub(crate) fn read(&self, mono_ms: u64) -> Reading {
        Reading { forgotten: self.kept.lock().forgotten, until_ms: mono_ms + PAGE_MS }
    }

    /// Keeps a page in place of an older one of its group. When there are too many bytes, all other pages go: that
    /// is rare, and each is read again when somebody joins.
    pub(crate) fn keep(&self, group: GroupUid, upto: Seq, page: Bytes, reading: Reading) {
        let mut kept = self.kept.lock();
        let is_older = kept.pages.get(&group).is_some_and(|newer| newer.upto > upto);
        if is_older || kept.forgotten != reading.forgotten {
            return;
        }
        kept.forget(group);
        let cost = page.len() + PAGE_OVERHEAD_BYTES;
        if kept.bytes + cost > self.bytes_max {
            kept.clear();
        }
        if cost <= self.bytes_max {
            kept.bytes += cost;
            kept.pages.insert(group, Page { upto, bytes: page, until_ms: reading.until_ms });
        }
    }

    /// Somebody was erased from what was said, wherever that was.
    pub(crate) fn forget_all(&self) {
        let mut kept = self.kept.lock();
        kept.clear();
        kept.forgotten += 1;
    }

    /// The group sleeps, or keeps less.
    pub(crate) fn forget(&self, group: GroupUid) {
        self.kept.lock().forget(group);
    }
}

impl Kept {
    fn forget(&mut self, group: GroupUid) {
        if let Some(page) = self.pages.remove(&group) {
            self.bytes -= page.bytes.len() + PAGE_OVERHEAD_BYTES;
        }
    }

    fn clear(&mut self) {
        self.pages.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOBBY: GroupUid = GroupUid(1);

    fn page(size: usize) -> Bytes {
        Bytes::from(vec![0; size])
    }

    fn keep(greetings: &Greetings, group: GroupUid, upto: u64, size: usize) {
        greetings.keep(group, Seq(upto), page(size), greetings.read(0));
    }

    #[test]
    fn a_page_is_handed_out_until_the_log_goes_on() {
        let greetings = Greetings::new(10_000);
        keep(&greetings, LOBBY, 7, 1);
        assert_eq!(greetings.get(LOBBY, Seq(7), 0), Some(page(1)));
        assert_eq!(greetings.get(LOBBY, Seq(8), 0), None);
        assert_eq!(greetings.get(GroupUid(2), Seq(7), 0), None);
        keep(&greetings, LOBBY, 8, 2);
        keep(&greetings, LOBBY, 7, 1);
        assert_eq!(greetings.get(LOBBY, Seq(8), 0), Some(page(2)), "an older one takes no newer one's place");
        greetings.forget(LOBBY);
        assert_eq!(greetings.get(LOBBY, Seq(8), 0), None);
        assert_eq!(greetings.kept.lock().bytes, 0);
    }

    #[test]
    fn what_was_taken_away_is_handed_out_no_more_also_when_it_was_being_read() {
        let greetings = Greetings::new(10_000);
        keep(&greetings, LOBBY, 7, 1);
        let reading = greetings.read(0);
        greetings.forget_all();
        assert_eq!(greetings.get(LOBBY, Seq(7), 0), None);
        greetings.keep(LOBBY, Seq(7), page(1), reading);
        assert_eq!(greetings.get(LOBBY, Seq(7), 0), None);
        keep(&greetings, LOBBY, 7, 1);
        assert!(greetings.get(LOBBY, Seq(7), 999).is_some());
        assert!(greetings.get(LOBBY, Seq(7), 1_000).is_none(), "nor for long where nobody is told");
    }

    #[test]
    fn pages_never_take_more_than_they_may() {
        let greetings = Greetings::new(10_000);
        for round in 1..100 {
            for group in 1..=5 {
                keep(&greetings, GroupUid(group), round, 3_000);
                assert!(greetings.kept.lock().bytes <= 10_000);
                assert!(greetings.get(GroupUid(group), Seq(round), 0).is_some());
            }
        }
        keep(&greetings, LOBBY, 100, 10_000);
        assert_eq!(greetings.get(LOBBY, Seq(100), 0), None, "one that is too large isn't kept");
    }
}
