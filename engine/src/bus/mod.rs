//! The bus between the nodes: what an owner shows, to the nodes whose clients want to see it, and what they send to the owner. It carries, and decides nothing.
//!
//! Adapters stand beside this file and pass the suite in `contract.rs`.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

#[cfg(any(test, feature = "testkit"))]
pub mod contract;
mod hub;
pub mod local;
pub mod redis;

pub use hub::Subscription;

/// The largest payload, in bytes. A message is far smaller; what is larger belongs into history.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// What waits for a subscriber at most, in bytes, each payload with [`PAYLOAD_OVERHEAD_BYTES`]. When it is more, it is dropped and the subscriber is told.
pub const SUBSCRIBER_BYTES_MAX: usize = 4 << 20;
/// What waits to be published at most, in bytes. When it is more, publishing fails.
pub const PUBLISHER_BYTES_MAX: usize = 16 << 20;
/// What a payload counts beside its bytes, so that many empty ones are bounded as well.
pub const PAYLOAD_OVERHEAD_BYTES: usize = 64;

/// What a payload is about. Its name has a hash tag in braces, so that everything about one thing is at one place if the bus is ever a cluster.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// A topic of a kind, such as `events`, about a thing, such as a group's uid in hexadecimal digits.
    ///
    /// All deployments on one server share its names, so a thing's id must be unique beyond one of them, as uids are.
    pub fn new(kind: &'static str, thing: impl fmt::Display) -> Self {
        Self(format!("kijimuna:{{{thing}}}:{kind}").into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why something can't be published or subscribed to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The bus isn't there, or doesn't keep up. Try again in a moment.
    #[error("the bus is unavailable: {0}")]
    Unavailable(String),
    /// The payload has more than [`PAYLOAD_BYTES_MAX`] bytes.
    #[error("a payload of {0} bytes is too large for the bus")]
    TooLarge(usize),
}

/// What a subscriber hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Something was published.
    Payload(Bytes),
    /// Something may have been missed, and from here on nothing is. Whoever needs all of it reads history now.
    Lost,
}

/// How the bus is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusState {
    /// It can be published and subscribed to.
    pub up: bool,
    /// How often something that was taken may never have been carried. A publisher sees nothing else of that, and the subscribers don't either, since their connections may be well:
    /// whoever published says again where things stand.
    pub outages: u64,
}

/// Carries payloads from whoever publishes to whoever subscribes.
///
/// Promises:
/// - At most once: nothing is ever carried twice. What was taken may get lost; [`BusState::outages`] and [`Item::Lost`] tell, each for its side.
/// - What one node publishes to a topic comes in that order.
/// - A subscription hears everything that is published after it was made, its own node's too, unless it is told [`Item::Lost`] in its place.
/// - Nothing waits without bound: a publisher is refused, a subscriber loses.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Takes a payload to be carried, and doesn't wait for it. Fails at once when the bus isn't there.
    fn publish(&self, topic: &Topic, payload: Bytes) -> Result<(), BusError>;

    /// Subscribes to a topic. Dropping the subscription ends it.
    async fn subscribe(&self, topic: &Topic) -> Result<Subscription, BusError>;

    /// How the bus is, now and as it changes.
    fn state(&self) -> watch::Receiver<BusState>;
}

/// What a payload counts while it waits, in bytes.
fn cost(payload: &Bytes) -> usize {
    payload.len() + PAYLOAD_OVERHEAD_BYTES
}

/// That a payload isn't too large.
fn check_size(payload: &Bytes) -> Result<(), BusError> {
    if payload.len() > PAYLOAD_BYTES_MAX { Err(BusError::TooLarge(payload.len())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_carries_a_hash_tag() {
        assert_eq!(Topic::new("events", "00c0ffee").as_str(), "kijimuna:{00c0ffee}:events");
    }
}
