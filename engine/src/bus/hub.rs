//! Who subscribes to what in this process, and the bounded queue of each.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Item, SUBSCRIBER_BYTES_MAX, Topic, cost};

/// Topics and their subscribers.
#[derive(Default)]
pub(super) struct Hub {
    topics: DashMap<Topic, Vec<Arc<Queue>>>,
}

impl Hub {
    /// Adds a subscriber. It hears what is delivered from now on.
    pub(super) fn join(self: &Arc<Self>, topic: &Topic) -> Seat {
        let queue = Arc::new(Queue::default());
        self.topics.entry(topic.clone()).or_default().push(queue.clone());
        Seat { hub: self.clone(), topic: topic.clone(), queue }
    }

    pub(super) fn has(&self, topic: &Topic) -> bool {
        self.topics.contains_key(topic)
    }

    pub(super) fn topics(&self) -> Vec<Topic> {
        self.topics.iter().map(|entry| entry.key().clone()).collect()
    }

    /// Gives a payload to everybody who subscribes to that name.
    pub(super) fn deliver(&self, topic: &str, payload: &Bytes) {
        if let Some(queues) = self.topics.get(topic) {
            queues.iter().for_each(|queue| queue.push(payload.clone()));
        }
    }

    /// Tells everybody who subscribes to a topic that something may have been missed.
    pub(super) fn lose(&self, topic: &Topic) {
        if let Some(queues) = self.topics.get(topic) {
            queues.iter().for_each(|queue| queue.lose());
        }
    }

    fn leave(&self, topic: &Topic, queue: &Arc<Queue>) {
        if let Entry::Occupied(mut entry) = self.topics.entry(topic.clone()) {
            entry.get_mut().retain(|other| !Arc::ptr_eq(other, queue));
            if entry.get().is_empty() {
                entry.remove();
            }
        }
    }
}

/// A place in the hub, given back when it is dropped.
pub(super) struct Seat {
    hub: Arc<Hub>,
    topic: Topic,
    queue: Arc<Queue>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.leave(&self.topic, &self.queue);
    }
}

/// What waits for one subscriber.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    payloads: VecDeque<Bytes>,
    bytes: usize,
    lost: bool,
}

impl Waiting {
    /// What is older than a loss is of no use: whoever heals it reads it from history.
    fn lose(&mut self) {
        self.payloads.clear();
        self.bytes = 0;
        self.lost = true;
    }

    fn pop(&mut self) -> Option<Item> {
        if std::mem::take(&mut self.lost) {
            return Some(Item::Lost);
        }
        let payload = self.payloads.pop_front()?;
        self.bytes -= cost(&payload);
        Some(Item::Payload(payload))
    }
}

impl Queue {
    fn push(&self, payload: Bytes) {
        let mut waiting = self.waiting.lock();
        let cost = cost(&payload);
        if waiting.bytes + cost > SUBSCRIBER_BYTES_MAX {
            waiting.lose();
        }
        waiting.bytes += cost;
        waiting.payloads.push_back(payload);
        self.changed.notify_one();
    }

    fn lose(&self) {
        self.waiting.lock().lose();
        self.changed.notify_one();
    }
}

/// A subscription to a topic. Dropping it ends it.
pub struct Subscription {
    queue: Arc<Queue>,
    topic: Topic,
    /// What the adapter has to do at the end.
    _end: Box<dyn Send + Sync>,
}

impl Subscription {
    pub(super) fn new<E: Send + Sync + 'static>(seat: Seat, end: impl FnOnce(Seat) -> E) -> Self {
        let (queue, topic) = (seat.queue.clone(), seat.topic.clone());
        Self { queue, topic, _end: Box::new(end(seat)) }
    }

    /// What it is about.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// The next item, as soon as there is one. Can be dropped and asked again without a loss.
    pub async fn next(&mut self) -> Item {
        loop {
            if let Some(item) = self.try_next() {
                return item;
            }
            // What came since is remembered by it.
            self.queue.changed.notified().await;
        }
    }

    /// The next item, if one waits.
    pub fn try_next(&mut self) -> Option<Item> {
        self.queue.waiting.lock().pop()
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscription").field(&self.topic).finish()
    }
}
