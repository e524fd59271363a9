//! The mark of a clean stop: it stands beside what fjall keeps, and names every journal with a digest of its bytes.
//!
//! fjall cuts a damaged journal where the damage begins and says nothing. A hole inside a log can be seen
//! afterwards, a lost end can't; so after a clean stop the journals are compared before fjall opens them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3Default;

/// Stands in the directory while nobody has it open and it was closed cleanly.
const FILE: &str = "CLEAN";
/// Bytes of a journal that are read at once.
const READ_BYTES: usize = 256 * 1024;

/// The journals of a store, by number, each with the digest of its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mark(BTreeMap<u64, u128>);

impl Mark {
    /// The mark that the last process left in a directory. One that can't be read is as good as none.
    pub(super) fn left_in(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::read_to_string(path.join(FILE)) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What stands in a store's folder now.
    pub(super) fn of(store: &Path) -> io::Result<Self> {
        let mut journals = BTreeMap::new();
        for entry in std::fs::read_dir(store)? {
            let entry = entry?;
            let Some(number) = entry.file_name().to_str().and_then(number_of) else { continue };
            match digest(&entry.path()) {
                Ok(digest) => _ = journals.insert(number, digest),
                // fjall removes an old journal as soon as the tables hold all of it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self(journals))
    }

    /// The journals that are no longer what they were. An old one may be gone, since fjall may still have removed
    /// it after the mark was left; the newest may not.
    pub(super) fn damaged(&self, store: &Path) -> io::Result<Vec<String>> {
        let found = if store.exists() { Self::of(store)?.0 } else { BTreeMap::new() };
        let is_damaged = |number: &u64, digest: &u128| match found.get(number) {
            Some(found) => found != digest,
            None => found.range(number..).next().is_none(),
        };
        Ok(self
            .0
            .iter()
            .filter(|(number, digest)| is_damaged(number, digest))
            .map(|(n, _)| name(*n))
            .collect())
    }

    /// Leaves it in a directory, whole or not at all.
    pub(super) fn leave_in(&self, path: &Path) -> io::Result<()> {
        let aside = path.join("CLEAN.new");
        let mut file = File::create(&aside)?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(aside, path.join(FILE))?;
        File::open(path)?.sync_all()
    }

    /// Removes what [`Mark::leave_in`] left, so that it doesn't come back after a power cut.
    pub(super) fn clear(path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => File::open(path)?.sync_all(),
        }
    }

    fn text(&self) -> String {
        self.0.iter().map(|(number, digest)| format!("{} {digest:032x}\n", name(*number))).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let journal = |line: &str| {
            let (name, digest) = line.split_once(' ')?;
            Some((number_of(name)?, u128::from_str_radix(digest, 16).ok()?))
        };
        let journals = text.lines().map(journal).collect::<Option<BTreeMap<_, _>>>()?;
        (!journals.is_empty()).then_some(Self(journals))
    }
}

fn name(number: u64) -> String {
    format!("{number}.jnl")
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".jnl")?.parse().ok()
}

fn digest(journal: &Path) -> io::Result<u128> {
    let mut file = File::open(journal)?;
    let mut digest = Xxh3Default::new();
    let mut part = vec![0; READ_BYTES];
    loop {
        match file.read(&mut part)? {
            0 => return Ok(digest.digest128()),
            read => digest.update(part.get(..read).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(journals: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in journals {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    #[test]
    fn a_mark_is_read_as_it_was_left() {
        let dir = store(&[("8.jnl", "old"), ("9.jnl", "new"), ("lock", "")]);
        let mark = Mark::of(dir.path()).unwrap();
        mark.leave_in(dir.path()).unwrap();
        assert_eq!(Mark::left_in(dir.path()).unwrap(), Some(mark));
        Mark::clear(dir.path()).unwrap();
        assert_eq!(Mark::left_in(dir.path()).unwrap(), None);
    }

    #[test]
    fn a_mark_that_says_nothing_is_none() {
        for text in ["", "9.jnl", "9.jnl x", "9 00", "9.jnl 00\nmore"] {
            assert_eq!(Mark::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_changed_is_named() {
        let before = store(&[("8.jnl", "old"), ("9.jnl", "new")]);
        let mark = Mark::of(before.path()).unwrap();
        let damaged = |journals: &[(&str, &str)]| mark.damaged(store(journals).path()).unwrap();
        assert_eq!(damaged(&[("8.jnl", "old"), ("9.jnl", "new")]), [""; 0]);
        assert_eq!(damaged(&[("9.jnl", "new")]), [""; 0], "an old journal was no longer needed");
        assert_eq!(damaged(&[("9.jnl", "new"), ("10.jnl", "")]), [""; 0], "a new one was begun");
        assert_eq!(damaged(&[("8.jnl", "0ld"), ("9.jnl", "new")]), ["8.jnl"]);
        assert_eq!(damaged(&[("8.jnl", "old"), ("9.jnl", "ne")]), ["9.jnl"]);
        assert_eq!(damaged(&[("8.jnl", "old")]), ["9.jnl"]);
        assert_eq!(damaged(&[]), ["8.jnl", "9.jnl"]);
    }
}
