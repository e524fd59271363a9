//! Connection tokens: one use, a minute at most.

use std::fmt;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::domain::access::{ExpiringGrant, Grant};

#[cfg(any(test, feature = "testkit"))]
pub mod contract;
pub mod memory;
pub mod redis;
pub mod ticket;

/// 256 random bits that open one session. Never logged: its `Debug` says nothing.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token([u8; 32]);

impl Token {
    /// A token of these random bytes.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads a token from a path. `None` for a text that no token ever was.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        // The length is checked first: a decoder given a longer text would refuse it only at the end.
        (text.len() == 43 && URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) == Ok(32)).then_some(Self(bytes))
    }

    /// The text to give to a client: 43 characters that need no escaping in a path.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The bytes, for a store to hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The SHA-256 of a token. Looking up a hash tells nothing of how nearly a guess was right, and a dump of a store
/// holds no token that works.
type Fingerprint = [u8; 32];

fn fingerprint(token: &Token) -> Fingerprint {
    Sha256::digest(token.as_bytes()).into()
}

/// Why a token can't be kept or redeemed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// As many tokens wait as may.
    #[error("too many tokens wait to be used")]
    Full,
    /// The store didn't answer. A token that was to be redeemed may be spent.
    #[error("the store of the tokens is unavailable: {0}")]
    Unavailable(String),
}

/// Keeps grants until they are redeemed or end.
///
/// Promises: a token is redeemed at most once, however many try at the same moment, and never at or after its
/// end. A store that loses its memory loses tokens, which is safe: clients ask their backend for new ones.
///
/// Times are Unix milliseconds, since one node may issue what another redeems: as much as their clocks differ, a token lives longer or shorter.
#[async_trait]
pub trait Tokens: Send + Sync + 'static {
    /// Keeps a grant under a token.
    async fn keep(&self, token: &Token, grant: ExpiringGrant, now_ms: u64) -> Result<(), TokenError>;

    /// Takes the grant out, if it is there and hasn't ended.
    async fn redeem(&self, token: &Token, now_ms: u64) -> Result<Option<Grant>, TokenError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_comes_back_from_its_text(bytes: [u8; 32]) {
            let token = Token::from_random(bytes);
            prop_assert_eq!(Token::parse(&token.reveal()), Some(token));
        }

        #[test]
        fn no_text_makes_token_parsing_panic(text in any::<String>(), length in "[A-Za-z0-9_-]{40,46}") {
            let _ = (Token::parse(&text), Token::parse(&length));
        }
    }

    #[test]
    fn debug_output_hides_tokens() {
        assert_eq!(format!("{:?}", Token::from_random([1; 32])), "Token(…)");
    }
}
