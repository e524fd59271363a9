//! What was told of the last messages of each group when they were first heard. It must be the same whoever hears it and
//! however, live or in a page of history.

/// Messages of which it is kept, of all groups together, and of each at least and at most.
const KEPT_MAX: usize = 1 << 17;
const KEPT_OF_GROUP: (usize, usize) = (64, 1 << 14);

/// What is told of a message beside its text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its place in the group, from 1.
    pub(crate) place: u64,
    /// The first half of its id; its place is the second.
    pub(crate) id: u64,
    pub(crate) time_ms: u64,
}

/// The entries of all groups.
pub(crate) struct Chronicle {
    /// So many of each group, those of the same remainder in one place.
    kept: usize,
    groups: Vec<Vec<Entry>>,
}

impl Chronicle {
    pub(crate) fn new(groups: usize) -> Self {
        let (least, most) = KEPT_OF_GROUP;
        Self { kept: (KEPT_MAX / groups.max(1)).clamp(least, most), groups: vec![Vec::new(); groups] }
    }

    /// False when it was told otherwise before.
    #[inline]
    pub(crate) fn agrees(&mut self, group: u32, entry: Entry) -> bool {
        let (Some(entries), kept) = (self.groups.get_mut(group as usize), self.kept as u64) else {
            return false;
        };
        let at = usize::try_from(entry.place % kept).expect("less than what is kept");
        if at >= entries.len() {
            entries.resize(at + 1, Entry::default());
        }
        let known = &mut entries[at];
        if known.place == entry.place {
            return *known == entry;
        }
        // An older one, from far back in a history, doesn't take the place of a newer one.
        if known.place < entry.place {
            *known = entry;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(place: u64) -> Entry {
        Entry { place, id: 7, time_ms: 1_000 + place }
    }

    #[test]
    fn what_is_told_twice_must_be_the_same() {
        let mut chronicle = Chronicle::new(2);
        assert!(chronicle.agrees(0, entry(3)) && chronicle.agrees(0, entry(3)));
        assert!(chronicle.agrees(1, Entry { id: 8, ..entry(3) }), "another group");
        for other in [Entry { id: 8, ..entry(3) }, Entry { time_ms: 1, ..entry(3) }] {
            assert!(!chronicle.agrees(0, other), "{other:?}");
        }
        assert!(!chronicle.agrees(2, entry(3)), "no such group");
    }

    #[test]
    fn only_the_last_are_kept() {
        let mut chronicle = Chronicle::new(1_000_000);
        for place in 1..=1_000 {
            assert!(chronicle.agrees(0, entry(place)));
        }
        assert_eq!(chronicle.groups[0].len(), KEPT_OF_GROUP.0);
        assert!(chronicle.agrees(0, Entry { time_ms: 0, ..entry(1) }), "nothing is known of it any more");
        assert!(!chronicle.agrees(0, Entry { time_ms: 0, ..entry(1_000) }));
    }
}
