//! A bus within one process: for one node alone, and for tests with several engines in one process, which share it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use super::hub::Hub;
use super::{Bus, BusError, BusState, Subscription, Topic, check_size};

/// Carries at once, from the thread that publishes.
pub struct LocalBus {
    hub: Arc<Hub>,
    state: watch::Sender<BusState>,
}

impl Default for LocalBus {
    fn default() -> Self {
        Self { hub: Arc::default(), state: watch::Sender::new(BusState { up: true, outages: 0 }) }
    }
}

impl LocalBus {
    /// Breaks the bus, or mends it, as a server would that goes away and comes back: for tests of those who stand on it.
    pub fn set_up(&self, up: bool) {
        let changed = self.state.send_if_modified(|state| std::mem::replace(&mut state.up, up) != up);
        if changed && up {
            self.hub.topics().iter().for_each(|topic| self.hub.lose(topic));
        }
    }

    fn check_up(&self) -> Result<(), BusError> {
        if self.state.borrow().up {
            Ok(())
        } else {
            Err(BusError::Unavailable("it was taken down".to_owned()))
        }
    }
}

#[async_trait]
impl Bus for LocalBus {
    fn publish(&self, topic: &Topic, payload: Bytes) -> Result<(), BusError> {
        check_size(&payload)?;
        self.check_up()?;
        self.hub.deliver(topic.as_str(), &payload);
        Ok(())
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Subscription, BusError> {
        self.check_up()?;
        Ok(Subscription::new(self.hub.join(topic), |seat| seat))
    }

    fn state(&self) -> watch::Receiver<BusState> {
        self.state.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Item, contract};
    use super::*;

    #[tokio::test]
    async fn keeps_the_contract() {
        let bus = LocalBus::default();
        contract::check(&bus, &bus).await;
    }

    #[tokio::test]
    async fn whoever_subscribes_is_told_when_it_was_down() {
        let (bus, topic) = (LocalBus::default(), Topic::new("events", "down"));
        let mut subscription = bus.subscribe(&topic).await.unwrap();
        bus.set_up(false);
        assert!(matches!(bus.publish(&topic, Bytes::new()), Err(BusError::Unavailable(_))));
        assert!(matches!(bus.subscribe(&topic).await, Err(BusError::Unavailable(_))));
        bus.set_up(true);
        assert_eq!(subscription.try_next(), Some(Item::Lost));
        assert_eq!(subscription.try_next(), None);
    }
}
