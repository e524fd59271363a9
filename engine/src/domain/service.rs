//! A tenant and its secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::ids::{ServiceId, hex};

/// A tenant as the directory keeps it: the secret itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The public half of the credentials.
    pub id: ServiceId,
    /// The keyed hash of the secret half.
    pub secret_hash: [u8; 32],
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
}

/// The secret half of a tenant's credentials: 256 random bits. Shown once, never logged, never stored.
pub struct Secret(String);

impl Secret {
    /// Makes a secret of 32 random bytes.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The text to show, once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Makes a service id of 12 random bytes: 24 hexadecimal digits.
pub fn service_id(bytes: [u8; 12]) -> ServiceId {
    ServiceId::parse(&hex(&bytes)).expect("24 hexadecimal digits are a valid id")
}

/// Hashes secrets with HMAC-SHA256 under a key that the store doesn't hold.
///
/// A secret is 256 random bits, so nothing can be guessed from its hash and a slow hash would only cost each
/// request; the key makes a stolen store worthless by itself.
#[derive(Clone)]
pub struct SecretHasher(Hmac<Sha256>);

impl SecretHasher {
    /// Makes a hasher from the operator's `KIJIMUNA_HASH_SECRET`.
    pub fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// The hash to store. It covers the service's id, so a hash can't be moved to another service.
    pub fn hash(&self, service: &ServiceId, secret: &str) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(service.as_str().as_bytes());
        mac.update(b"\0");
        mac.update(secret.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Tells this key from any other without telling anything of it, for a store to keep. It covers what no
    /// service's hash does, since no service's id begins with a zero byte.
    pub fn check_value(&self) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(b"\0check value of the hash secret");
        mac.finalize().into_bytes().into()
    }

    /// Whether this is the service's secret, in a time that doesn't depend on how nearly it is.
    pub fn verify(&self, service: &Service, secret: &str) -> bool {
        self.hash(&service.id, secret).ct_eq(&service.secret_hash).into()
    }
}

impl fmt::Debug for SecretHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHasher(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(hasher: &SecretHasher, id: [u8; 12], secret: &Secret) -> Service {
        let id = service_id(id);
        Service { secret_hash: hasher.hash(&id, secret.reveal()), id, created_ms: 0 }
    }

    #[test]
    fn only_the_secret_itself_verifies() {
        let hasher = SecretHasher::new(b"key");
        let (mine, theirs) = (Secret::from_random([1; 32]), Secret::from_random([2; 32]));
        let service = service(&hasher, [7; 12], &mine);
        assert!(hasher.verify(&service, mine.reveal()));
        assert!(!hasher.verify(&service, theirs.reveal()));
        assert!(!hasher.verify(&service, ""));
        assert!(!SecretHasher::new(b"another key").verify(&service, mine.reveal()));
    }

    #[test]
    fn a_hash_belongs_to_its_service() {
        let hasher = SecretHasher::new(b"key");
        let secret = Secret::from_random([1; 32]);
        let (a, b) = (service(&hasher, [1; 12], &secret), service(&hasher, [2; 12], &secret));
        assert_ne!(a.secret_hash, b.secret_hash);
    }

    #[test]
    fn a_check_value_belongs_to_its_key() {
        let check = |key: &[u8]| SecretHasher::new(key).check_value();
        assert_eq!(check(b"key"), check(b"key"));
        assert_ne!(check(b"key"), check(b"another key"));
    }

    #[test]
    fn debug_output_hides_secrets() {
        assert_eq!(format!("{:?}", Secret::from_random([1; 32])), "Secret(…)");
        assert_eq!(format!("{:?}", SecretHasher::new(b"key")), "SecretHasher(…)");
    }
}
