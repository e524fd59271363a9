//! What a node publishes: a bounded queue, and the one connection that it goes out on, many payloads in a round trip.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Health, PING_INTERVAL, Part, again, away};
use crate::bus::{BusError, PUBLISHER_BYTES_MAX, Topic, cost};
use crate::redis_link::{Commands, RedisLink};

/// What goes out in one round trip, in bytes, or a little more.
const BATCH_BYTES: usize = 1 << 20;

pub(super) struct Mouth {
    queue: Mutex<Queue>,
    filled: Notify,
    health: Arc<Health>,
}

#[derive(Default)]
struct Queue {
    up: bool,
    waiting: VecDeque<(Topic, Bytes)>,
    bytes: usize,
}

impl Queue {
    fn take_batch(&mut self) -> Vec<(Topic, Bytes)> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES
            && let Some((topic, payload)) = self.waiting.pop_front()
        {
            bytes += cost(&payload);
            batch.push((topic, payload));
        }
        self.bytes -= bytes;
        batch
    }
}

impl Mouth {
    pub(super) fn new(health: Arc<Health>) -> Self {
        Self { queue: Mutex::default(), filled: Notify::new(), health }
    }

    pub(super) fn publish(&self, topic: &Topic, payload: Bytes) -> Result<(), BusError> {
        let mut queue = self.queue.lock();
        if !queue.up {
            return Err(away());
        }
        let bytes = queue.bytes + cost(&payload);
        if bytes > PUBLISHER_BYTES_MAX {
            return Err(BusError::Unavailable("as much waits to be published as may".to_owned()));
        }
        queue.bytes = bytes;
        queue.waiting.push_back((topic.clone(), payload));
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    pub(super) async fn run(self: Arc<Self>, link: RedisLink, mut commands: Commands) {
        loop {
            self.queue.lock().up = true;
            self.health.set(Part::Mouth, true);
            let (error, lost) = self.speak(&mut commands).await;
            self.fall_silent(lost);
            tracing::warn!(error, "Redis takes nothing to publish any more: connecting again");
            commands = again(Part::Mouth, || link.commands()).await;
            tracing::info!("Redis takes what is published again");
        }
    }

    /// Publishes until that fails: why, and whether something may have been lost with it. What may have been carried is never sent again.
    async fn speak(&self, commands: &mut Commands) -> (String, bool) {
        loop {
            let batch = tokio::select! {
                batch = self.next_batch() => batch,
                () = commands.ended() => return ("the connection has ended".to_owned(), false),
            };
            let connection = &mut commands.connection;
            let said = if batch.is_empty() { ping(connection).await } else { say(&batch, connection).await };
            if let Err(error) = said {
                return (error.to_string(), !batch.is_empty());
            }
        }
    }

    /// What waits, or nothing when nothing came for a while. Takes nothing before it is done.
    async fn next_batch(&self) -> Vec<(Topic, Bytes)> {
        loop {
            let batch = self.queue.lock().take_batch();
            if !batch.is_empty() || timeout(PING_INTERVAL, self.filled.notified()).await.is_err() {
                return batch;
            }
        }
    }

    fn fall_silent(&self, lost: bool) {
        let mut queue = self.queue.lock();
        let lost = lost || !queue.waiting.is_empty();
        *queue = Queue::default();
        drop(queue);
        self.health.set(Part::Mouth, false);
        if lost {
            self.health.outage();
        }
    }
}

async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PING").exec_async(connection).await
}

async fn say(batch: &[(Topic, Bytes)], connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut pipeline = Pipeline::with_capacity(batch.len());
    for (topic, payload) in batch {
        pipeline.cmd("PUBLISH").arg(topic.as_str()).arg(payload.as_ref()).ignore();
    }
    pipeline.exec_async(connection).await
}
