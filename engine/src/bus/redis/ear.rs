//! What a node hears: the one connection that all of its subscriptions stand on.
//!
//! Those who subscribe and leave put a note on the desk; one task carries the notes to the server and answers when it has confirmed. When the connection is
//! made again, everything is subscribed again first, and only then is everybody told of the loss: so what they read from history is followed by all that comes later.

use std::collections::HashSet;
use std::convert::Infallible;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use parking_lot::Mutex;
use redis::RedisResult;
use redis::aio::{PubSub, PubSubSink, PubSubStream};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::{Health, PING_INTERVAL, Part, again, away};
use crate::bus::hub::{Hub, Seat};
use crate::bus::{BusError, Subscription, Topic};
use crate::redis_link::{ANSWER_MAX, RedisLink};

/// Topics in one command at most.
const TOPICS_AT_ONCE: usize = 500;

pub(super) struct Ear {
    hub: Arc<Hub>,
    desk: Mutex<Desk>,
    noted: Notify,
    health: Arc<Health>,
}

#[derive(Default)]
struct Desk {
    up: bool,
    /// Who waits for a subscription to be confirmed.
    asked: Vec<(Topic, oneshot::Sender<()>)>,
    /// Topics that somebody left.
    left: HashSet<Topic>,
}

impl Ear {
    pub(super) fn new(health: Arc<Health>) -> Self {
        Self { hub: Arc::default(), desk: Mutex::default(), noted: Notify::new(), health }
    }

    pub(super) async fn subscribe(self: &Arc<Self>, topic: &Topic) -> Result<Subscription, BusError> {
        let place = |seat| Place { seat: Some(seat), topic: topic.clone(), ear: self.clone() };
        let subscription = Subscription::new(self.hub.join(topic), place);
        let confirmed = self.ask(topic)?;
        // Whoever would confirm it is gone with the connection.
        confirmed.await.map_err(|_| away())?;
        Ok(subscription)
    }

    fn ask(&self, topic: &Topic) -> Result<oneshot::Receiver<()>, BusError> {
        let mut desk = self.desk.lock();
        if !desk.up {
            return Err(away());
        }
        let (confirm, confirmed) = oneshot::channel();
        desk.asked.push((topic.clone(), confirm));
        drop(desk);
        self.noted.notify_one();
        Ok(confirmed)
    }

    pub(super) async fn run(self: Arc<Self>, link: RedisLink, mut connection: PubSub) {
        loop {
            let error = self.listen(connection).await;
            self.fall_deaf();
            tracing::warn!(error, "Redis says nothing any more: connecting again");
            connection = again(Part::Ear, || link.subscriptions()).await;
            tracing::info!("Redis can be heard again");
        }
    }

    /// Listens until that fails: why.
    async fn listen(&self, connection: PubSub) -> String {
        let (sink, stream) = connection.split();
        tokio::select! {
            () = self.hear(stream) => "the connection has ended".to_owned(),
            failed = self.tend(sink) => match failed { Err(error) => error },
        }
    }

    /// Gives away what comes at once: what waits stands in the bounded queues of the subscribers.
    async fn hear(&self, mut stream: PubSubStream) {
        while let Some(message) = stream.next().await {
            self.hub
                .deliver(message.get_channel_name(), &Bytes::copy_from_slice(message.get_payload_bytes()));
        }
    }

    async fn tend(&self, mut sink: PubSubSink) -> Result<Infallible, String> {
        let mut topics = HashSet::new();
        let before = self.hub.topics();
        add(&mut sink, &mut topics, before.clone()).await?;
        before.iter().for_each(|topic| self.hub.lose(topic));
        // From here on others can subscribe; they have missed nothing.
        self.desk.lock().up = true;
        self.health.set(Part::Ear, true);
        loop {
            if timeout(PING_INTERVAL, self.noted.notified()).await.is_err() {
                in_time(sink.ping::<redis::Value>()).await?;
            }
            let (asked, left) = self.take_notes();
            let left = left.into_iter().filter(|topic| !self.hub.has(topic)).collect();
            remove(&mut sink, &mut topics, left).await?;
            let wanted = asked.iter().map(|(topic, _)| topic.clone()).collect();
            add(&mut sink, &mut topics, wanted).await?;
            for (_, confirm) in asked {
                // Whoever doesn't wait any more has left, too.
                let _ = confirm.send(());
            }
        }
    }

    fn take_notes(&self) -> (Vec<(Topic, oneshot::Sender<()>)>, HashSet<Topic>) {
        let mut desk = self.desk.lock();
        (mem::take(&mut desk.asked), mem::take(&mut desk.left))
    }

    fn fall_deaf(&self) {
        // The next connection begins with what the hub has then. Those who wait for a confirmation find it gone.
        *self.desk.lock() = Desk::default();
        self.health.set(Part::Ear, false);
    }

    fn note_left(&self, topic: &Topic) {
        if !self.hub.has(topic) {
            self.desk.lock().left.insert(topic.clone());
            self.noted.notify_one();
        }
    }
}

/// A subscriber's place, given back when it is dropped.
struct Place {
    seat: Option<Seat>,
    topic: Topic,
    ear: Arc<Ear>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // First the seat, so that it is seen to be free.
        self.seat.take();
        self.ear.note_left(&self.topic);
    }
}

async fn add(sink: &mut PubSubSink, topics: &mut HashSet<Topic>, wanted: Vec<Topic>) -> Result<(), String> {
    let new: HashSet<_> = wanted.into_iter().filter(|topic| !topics.contains(topic)).collect();
    let new: Vec<_> = new.into_iter().collect();
    for some in new.chunks(TOPICS_AT_ONCE) {
        let names: Vec<_> = some.iter().map(Topic::as_str).collect();
        in_time(sink.subscribe(names)).await?;
        topics.extend(some.iter().cloned());
    }
    Ok(())
}

async fn remove(sink: &mut PubSubSink, topics: &mut HashSet<Topic>, left: Vec<Topic>) -> Result<(), String> {
    let old: Vec<_> = left.into_iter().filter(|topic| topics.remove(topic)).collect();
    for some in old.chunks(TOPICS_AT_ONCE) {
        let names: Vec<_> = some.iter().map(Topic::as_str).collect();
        in_time(sink.unsubscribe(names)).await?;
    }
    Ok(())
}

async fn in_time<T>(answer: impl Future<Output = RedisResult<T>>) -> Result<T, String> {
    match timeout(ANSWER_MAX, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("it doesn't answer".to_owned()),
    }
}
