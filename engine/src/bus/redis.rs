//! The bus on Redis: `PUBLISH` on one connection, `SUBSCRIBE` on another, both made again when they break.
//!
//! Limits: no TLS (`rediss://` is refused: put Redis on a private network or behind a tunnel); one server, not a cluster, though the names are ready for
//! one; a server whose `client-output-buffer-limit pubsub` a node exceeds cuts it off, which its subscribers hear as a loss. A server that stops to answer is given up after
//! [`ANSWER_MAX`](crate::redis_link::ANSWER_MAX); one that stops for less makes everything late and loses nothing.

mod ear;
mod mouth;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Bus, BusError, BusState, Subscription, Topic, check_size};
use crate::redis_link::RedisLink;
use ear::Ear;
use mouth::Mouth;

/// How often a connection that has nothing to do is tried.
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// How long to wait before a connection is made again: first, and at most.
const AGAIN_FIRST: Duration = Duration::from_millis(50);
const AGAIN_MAX: Duration = Duration::from_secs(1);

/// A node's place on the bus. Its connections end with it.
pub struct RedisBus {
    ear: Arc<Ear>,
    mouth: Arc<Mouth>,
    health: Arc<Health>,
    tasks: [JoinHandle<()>; 2],
}

impl RedisBus {
    /// Connects to a server such as `redis://127.0.0.1:6379`. One that isn't there yet is an error; one that goes away later is waited for.
    pub async fn connect(uri: &str) -> Result<Self, BusError> {
        let link = RedisLink::open(uri).map_err(BusError::Unavailable)?;
        let connections = tokio::try_join!(link.commands(), link.subscriptions());
        let (commands, subscriptions) = connections.map_err(BusError::Unavailable)?;
        let health = Arc::new(Health::default());
        let (ear, mouth) = (Arc::new(Ear::new(health.clone())), Arc::new(Mouth::new(health.clone())));
        let tasks = [
            tokio::spawn(ear.clone().run(link.clone(), subscriptions)),
            tokio::spawn(mouth.clone().run(link, commands)),
        ];
        let bus = Self { ear, mouth, health, tasks };
        // The connections are there, so this is a moment; if one broke since, it is made again.
        let _ = bus.state().wait_for(|state| state.up).await;
        Ok(bus)
    }
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

#[async_trait]
impl Bus for RedisBus {
    fn publish(&self, topic: &Topic, payload: Bytes) -> Result<(), BusError> {
        check_size(&payload)?;
        self.mouth.publish(topic, payload)
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Subscription, BusError> {
        self.ear.subscribe(topic).await
    }

    fn state(&self) -> watch::Receiver<BusState> {
        self.health.state.subscribe()
    }
}

/// Which connection.
#[derive(Debug, Clone, Copy)]
enum Part {
    Ear,
    Mouth,
}

/// How both connections are.
struct Health {
    up: Mutex<[bool; 2]>,
    state: watch::Sender<BusState>,
}

impl Default for Health {
    fn default() -> Self {
        Self { up: Mutex::default(), state: watch::Sender::new(BusState { up: false, outages: 0 }) }
    }
}

impl Health {
    fn set(&self, part: Part, up: bool) {
        let mut parts = self.up.lock();
        parts[part as usize] = up;
        let all = parts.iter().all(|up| *up);
        self.state.send_if_modified(|state| std::mem::replace(&mut state.up, all) != all);
    }

    fn outage(&self) {
        self.state.send_modify(|state| state.outages += 1);
    }
}

/// Makes a connection again until there is one, more slowly each time.
async fn again<T, F: Future<Output = Result<T, String>>>(part: Part, connect: impl Fn() -> F) -> T {
    let mut wait = AGAIN_FIRST;
    loop {
        match connect().await {
            Ok(connection) => return connection,
            Err(error) => tracing::debug!(?part, error, "the bus is still away"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(AGAIN_MAX);
    }
}

fn away() -> BusError {
    BusError::Unavailable("there is no connection to Redis".to_owned())
}
