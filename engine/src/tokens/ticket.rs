//! Resume tickets: what opens the next connection without the tenant's backend. A ticket holds its own grant and end, signed,
//! so giving one costs no store anything; that it was used is kept until it ends.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::domain::access::Grant;

/// Bytes of the signature.
const MAC_BYTES: usize = 32;
/// The longest ticket: three ids of the longest kind, and the rest. What is longer isn't looked at.
const TICKET_BYTES_MAX: usize = 4_096;

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// What it opens.
    pub grant: Grant,
    /// When it ends, Unix milliseconds.
    pub expires_ms: u64,
    /// Tells it from every other one.
    pub nonce: [u8; 16],
}

/// Signs tickets. Every node of a deployment has the same one, since it is made of the hash secret.
#[derive(Clone)]
pub struct TicketKey(Hmac<Sha256>);

impl TicketKey {
    /// A key of its own, made of the operator's `KIJIMUNA_HASH_SECRET`.
    pub fn new(hash_secret: &[u8]) -> Self {
        let mut derived = hmac(hash_secret);
        derived.update(b"kijimuna resume tickets");
        Self(hmac(&derived.finalize().into_bytes()))
    }

    /// The ticket's text: it needs no escaping in a path.
    pub fn sign(&self, ticket: &Ticket) -> String {
        let mut bytes = rmp_serde::to_vec(ticket).expect("a ticket is plain data");
        let mut mac = self.0.clone();
        mac.update(&bytes);
        bytes.extend_from_slice(&mac.finalize().into_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a text that [`TicketKey::sign`] made. `None` for any other, and for one whose time is over.
    pub fn open(&self, text: &str, unix_ms: u64) -> Option<Ticket> {
        if text.len() > TICKET_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (said, signature) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        let mut mac = self.0.clone();
        mac.update(said);
        // Compared in a time that doesn't depend on where they differ.
        mac.verify_slice(signature).ok()?;
        let ticket: Ticket = rmp_serde::from_slice(said).ok()?;
        (unix_ms < ticket.expires_ms).then_some(ticket)
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract;
    use super::*;
    use proptest::prelude::*;

    fn ticket() -> Ticket {
        Ticket { grant: contract::grant("alice"), expires_ms: 61_000, nonce: [7; 16] }
    }

    #[test]
    fn a_ticket_comes_back_until_it_ends() {
        let key = TicketKey::new(b"key");
        let text = key.sign(&ticket());
        assert_eq!(key.open(&text, 60_999), Some(ticket()));
        assert_eq!(key.open(&text, 61_000), None);
        assert_eq!(TicketKey::new(b"another key").open(&text, 2_000), None);
    }

    proptest! {
        #[test]
        fn a_changed_ticket_opens_nothing(at in any::<prop::sample::Index>(), flip in 1_u8..=255) {
            let key = TicketKey::new(b"key");
            let mut bytes = URL_SAFE_NO_PAD.decode(key.sign(&ticket())).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert_eq!(key.open(&URL_SAFE_NO_PAD.encode(bytes), 2_000), None);
        }

        #[test]
        fn no_text_makes_opening_panic(text in any::<String>(), base64 in "[A-Za-z0-9_-]{0,200}") {
            let key = TicketKey::new(b"key");
            prop_assert_eq!(key.open(&text, 0), None);
            prop_assert_eq!(key.open(&base64, 0), None);
        }
    }
}
