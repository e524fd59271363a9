//! Which version of the protocol is spoken, and what is said in it.

use serde::{Deserialize, Serialize};

use crate::frames::{BINARY, TEXT};

/// A version and its encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Dialect {
    #[default]
    V1,
    V2Json,
    V2MessagePack,
}

impl Dialect {
    /// As it is called on the command line.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "v1" => Some(Self::V1),
            "v2-json" => Some(Self::V2Json),
            "v2-msgpack" => Some(Self::V2MessagePack),
            _ => None,
        }
    }

    /// What the handshake asks for.
    pub(crate) fn subprotocol(self) -> Option<&'static str> {
        match self {
            Self::V1 => None,
            Self::V2Json => Some("kijimuna.v2.json"),
            Self::V2MessagePack => Some("kijimuna.v2.msgpack"),
        }
    }

    /// The opcode of all that it says, either way.
    pub(crate) fn opcode(self) -> u8 {
        if self == Self::V2MessagePack { BINARY } else { TEXT }
    }

    /// Appends the frame that says a text, which has nothing to be escaped.
    pub(crate) fn say(self, text: &str, out: &mut Vec<u8>) {
        if self != Self::V2MessagePack {
            out.extend_from_slice(br#"{"a":2,"d":{"m":""#);
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(br#""}}"#);
            return;
        }
        out.extend_from_slice(b"\x82\xa1a\x02\xa1d\x81\xa1m\xda");
        out.extend_from_slice(&u16::try_from(text.len()).expect("at most 16 KiB").to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }

    /// What a client asks for when it is welcomed: the newest page, of 50 messages. Version 1 gives it unasked.
    pub(crate) fn newest_page(self) -> Option<&'static [u8]> {
        match self {
            Self::V1 => None,
            Self::V2Json => Some(br#"{"a":3,"d":{"l":50}}"#),
            Self::V2MessagePack => Some(b"\x82\xa1a\x03\xa1d\x81\xa1l\x32"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_said_in_each() {
        let said = |dialect: Dialect| {
            let mut out = Vec::new();
            dialect.say("hello", &mut out);
            out
        };
        assert_eq!(said(Dialect::V1), br#"{"a":2,"d":{"m":"hello"}}"#);
        assert_eq!(said(Dialect::V2Json), said(Dialect::V1));
        assert_eq!(said(Dialect::V2MessagePack), b"\x82\xa1a\x02\xa1d\x81\xa1m\xda\x00\x05hello");
    }
}
