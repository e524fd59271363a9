//! Finds the stamps of messages in what a server sends. They are the load generator's own: legal inside JSON and inside
//! every peer's framing, so one scan finds them in all of them.

use kijimuna_loadtest::message::{self, MARK, Stamp};
use memchr::memmem::Finder;

/// A message's size in bytes.
pub(crate) const SIZE: usize = 100;

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
            message::read(&payload[begin..])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stamp_of_a_payload_is_found_in_order() {
        let stamps: Vec<_> = (0..3)
            .map(|sequence| Stamp { run: 7, group: 3, slot: 0xabcd, sequence, intended_ns: u64::MAX - 5 })
            .collect();
        let mut payload = String::new();
        for &stamp in &stamps {
            payload.push_str("MSG g 1 100\r\n");
            message::write(stamp, SIZE, &mut payload);
        }
        let scan = Scan::new();
        assert_eq!(scan.stamps(payload.as_bytes()).collect::<Vec<_>>(), stamps);
        assert_eq!(scan.stamps(b"kjlt|00").count(), 0);
        assert_eq!(scan.stamps(b"").count(), 0);
    }
}
