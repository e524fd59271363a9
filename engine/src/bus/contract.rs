//! What every [`Bus`] promises, as tests. An adapter runs [`check`] with two of it that are on one bus, or with one twice.

use std::time::Duration;

use bytes::Bytes;

use super::{Bus, BusError, Item, PAYLOAD_BYTES_MAX, SUBSCRIBER_BYTES_MAX, Subscription, Topic};

/// How long a test waits for what must come, before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the whole suite.
pub async fn check(here: &impl Bus, there: &impl Bus) {
    everything_comes_in_order(here, there).await;
    payloads_come_as_they_are(here, there).await;
    every_subscriber_hears_and_nobody_else(here, there).await;
    a_publisher_hears_itself(here).await;
    a_topic_can_be_left_and_joined_again(here, there).await;
    one_of_two_can_leave(here, there).await;
    there_can_be_many_topics(here, there).await;
    too_large_a_payload_is_refused(here);
    who_does_not_keep_up_is_told(here, there).await;
    assert!(here.state().borrow().up && there.state().borrow().up);
}

fn topic(name: &str) -> Topic {
    Topic::new("contract", name)
}

/// The next item, which must come.
pub async fn next(subscription: &mut Subscription) -> Item {
    let item = tokio::time::timeout(PATIENCE, subscription.next()).await;
    item.unwrap_or_else(|_| panic!("{subscription:?} hears nothing"))
}

/// Fails unless this text comes next.
pub async fn hears(subscription: &mut Subscription, text: &str) {
    assert_eq!(next(subscription).await, Item::Payload(Bytes::copy_from_slice(text.as_bytes())));
}

/// Publishes a text, which must be taken.
pub fn say(bus: &impl Bus, topic: &Topic, text: &str) {
    bus.publish(topic, Bytes::copy_from_slice(text.as_bytes())).expect("taken");
}

/// Waits until everything that one bus published before has come to the other, if it comes at all.
async fn settle(from: &impl Bus, to: &impl Bus) {
    let fence = topic("fence");
    let mut subscription = to.subscribe(&fence).await.expect("a subscription");
    say(from, &fence, "fence");
    hears(&mut subscription, "fence").await;
}

async fn everything_comes_in_order(here: &impl Bus, there: &impl Bus) {
    let topic = topic("order");
    let mut subscription = there.subscribe(&topic).await.expect("a subscription");
    for number in 0..1_000 {
        say(here, &topic, &number.to_string());
    }
    for number in 0..1_000 {
        hears(&mut subscription, &number.to_string()).await;
    }
}

async fn payloads_come_as_they_are(here: &impl Bus, there: &impl Bus) {
    let topic = topic("bytes");
    let mut subscription = there.subscribe(&topic).await.expect("a subscription");
    let all = Bytes::from_iter(0..=255_u8);
    let large = Bytes::from(vec![b'\n'; PAYLOAD_BYTES_MAX]);
    for payload in [Bytes::new(), all, large] {
        here.publish(&topic, payload.clone()).expect("taken");
        assert_eq!(next(&mut subscription).await, Item::Payload(payload));
    }
}

async fn every_subscriber_hears_and_nobody_else(here: &impl Bus, there: &impl Bus) {
    let (tea, coffee) = (topic("tea"), topic("coffee"));
    let mut alice = here.subscribe(&tea).await.expect("a subscription");
    let mut bob = there.subscribe(&tea).await.expect("a subscription");
    let mut carol = there.subscribe(&coffee).await.expect("a subscription");
    say(here, &tea, "tea");
    say(here, &coffee, "coffee");
    hears(&mut alice, "tea").await;
    hears(&mut bob, "tea").await;
    hears(&mut carol, "coffee").await;
    assert_eq!((alice.try_next(), bob.try_next(), carol.try_next()), (None, None, None));
}

async fn a_publisher_hears_itself(bus: &impl Bus) {
    let topic = topic("echo");
    let mut subscription = bus.subscribe(&topic).await.expect("a subscription");
    say(bus, &topic, "hello");
    hears(&mut subscription, "hello").await;
}

async fn a_topic_can_be_left_and_joined_again(here: &impl Bus, there: &impl Bus) {
    let topic = topic("again");
    for round in 0..20 {
        let mut subscription = there.subscribe(&topic).await.expect("a subscription");
        say(here, &topic, &format!("for round {round}"));
        hears(&mut subscription, &format!("for round {round}")).await;
        drop(subscription);
        say(here, &topic, "for nobody");
        settle(here, there).await;
    }
}

async fn one_of_two_can_leave(here: &impl Bus, there: &impl Bus) {
    let topic = topic("two");
    let leaves = there.subscribe(&topic).await.expect("a subscription");
    let mut stays = there.subscribe(&topic).await.expect("a subscription");
    drop(leaves);
    settle(here, there).await;
    say(here, &topic, "still here?");
    hears(&mut stays, "still here?").await;
}

async fn there_can_be_many_topics(here: &impl Bus, there: &impl Bus) {
    let topics: Vec<_> = (0..500).map(|number| topic(&format!("many {number}"))).collect();
    let mut subscriptions = Vec::new();
    for topic in &topics {
        subscriptions.push(there.subscribe(topic).await.expect("a subscription"));
    }
    for (number, topic) in topics.iter().enumerate() {
        say(here, topic, &number.to_string());
    }
    for (number, subscription) in subscriptions.iter_mut().enumerate() {
        hears(subscription, &number.to_string()).await;
    }
}

fn too_large_a_payload_is_refused(bus: &impl Bus) {
    let size = PAYLOAD_BYTES_MAX + 1;
    let refused = bus.publish(&topic("large"), Bytes::from(vec![0; size]));
    assert_eq!(refused, Err(BusError::TooLarge(size)));
}

async fn who_does_not_keep_up_is_told(here: &impl Bus, there: &impl Bus) {
    let topic = topic("slow");
    let mut slow = there.subscribe(&topic).await.expect("a subscription");
    let payload = Bytes::from(vec![0; PAYLOAD_BYTES_MAX / 2]);
    for _ in 0..=SUBSCRIBER_BYTES_MAX / payload.len() {
        here.publish(&topic, payload.clone()).expect("taken");
        settle(here, there).await;
    }
    assert_eq!(next(&mut slow).await, Item::Lost);
    say(here, &topic, "after");
    let after = Item::Payload(Bytes::from_static(b"after"));
    let mut item = next(&mut slow).await;
    while item != after {
        assert_ne!(item, Item::Lost, "it is told once");
        item = next(&mut slow).await;
    }
}
