//! The bus, on servers that go away and come back.

use std::time::Duration;

use bytes::Bytes;
use kijimuna_engine::bus::contract::{self, hears, next, say};
use kijimuna_engine::bus::redis::RedisBus;
use kijimuna_engine::bus::{Bus, BusError, BusState, Item, Topic};

use crate::server::Server;

const PATIENCE: Duration = Duration::from_secs(20);

async fn bus(server: &Server) -> RedisBus {
    RedisBus::connect(&server.uri()).await.unwrap()
}

fn topic() -> Topic {
    Topic::new("events", "lobby")
}

/// Waits until the bus is so.
async fn until(bus: &RedisBus, is: impl FnMut(&BusState) -> bool) -> BusState {
    let mut state = bus.state();
    let state = tokio::time::timeout(PATIENCE, state.wait_for(is)).await;
    *state.expect("the state doesn't change").unwrap()
}

fn is_away<T>(answer: &Result<T, BusError>) -> bool {
    matches!(answer, Err(BusError::Unavailable(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let server = Server::start();
    let (here, there) = (bus(&server).await, bus(&server).await);
    contract::check(&here, &there).await;
    contract::check(&here, &here).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_with_its_reason() {
    let BusError::Unavailable(why) = RedisBus::connect(&Server::nowhere()).await.err().unwrap() else {
        panic!("another error");
    };
    assert!(why.contains("Connection refused"), "{why}");
}

#[tokio::test]
async fn an_address_that_is_none_is_an_error_with_its_reason() {
    for address in ["", "lobby", "http://127.0.0.1", "rediss://127.0.0.1", "redis://127.0.0.1:999999"] {
        let BusError::Unavailable(why) = RedisBus::connect(address).await.err().unwrap() else {
            panic!("another error");
        };
        assert!(why.contains("address of Redis"), "{address}: {why}");
    }
}

#[tokio::test]
async fn a_password_is_given_and_never_told() {
    let server = Server::start_with(&["--requirepass", "correct-horse"]);
    let uri = |password: &str| format!("redis://:{password}@127.0.0.1:{}", server.port());
    let bus = RedisBus::connect(&uri("correct-horse")).await.unwrap();
    let mut subscription = bus.subscribe(&topic()).await.unwrap();
    say(&bus, &topic(), "hello");
    hears(&mut subscription, "hello").await;
    let refused = RedisBus::connect(&uri("wrong-donkey")).await.err().unwrap();
    assert!(!refused.to_string().contains("donkey"), "{refused}");
    assert!(is_away(&RedisBus::connect(&server.uri()).await));
}

#[tokio::test]
async fn after_a_restart_every_subscriber_is_told_and_hears_again() {
    let mut server = Server::start();
    let (here, there) = (bus(&server).await, bus(&server).await);
    let mut lobby = there.subscribe(&topic()).await.unwrap();
    let mut second = there.subscribe(&topic()).await.unwrap();
    let mut attic = there.subscribe(&Topic::new("events", "attic")).await.unwrap();
    say(&here, &topic(), "before");
    hears(&mut lobby, "before").await;
    hears(&mut second, "before").await;

    server.end();
    until(&here, |state| !state.up).await;
    until(&there, |state| !state.up).await;
    assert!(is_away(&there.subscribe(&topic()).await));
    server.begin();
    for subscription in [&mut lobby, &mut second, &mut attic] {
        assert_eq!(next(subscription).await, Item::Lost);
    }
    until(&here, |state| state.up).await;
    say(&here, &topic(), "after");
    hears(&mut lobby, "after").await;
    hears(&mut second, "after").await;
    assert_eq!(attic.try_next(), None);
}

#[tokio::test]
async fn nothing_is_taken_while_the_server_is_away() {
    let mut server = Server::start();
    let bus = bus(&server).await;
    server.end();
    until(&bus, |state| !state.up).await;
    // One connection may notice before the other; until then something may be taken, and counts as an outage.
    while bus.publish(&topic(), Bytes::new()).is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(is_away(&bus.publish(&topic(), Bytes::new())));
    server.begin();
    until(&bus, |state| state.up).await;
    say(&bus, &topic(), "taken again");
}

#[tokio::test]
async fn a_server_that_hangs_for_a_moment_makes_things_late_and_loses_nothing() {
    let server = Server::start();
    let (here, there) = (bus(&server).await, bus(&server).await);
    let mut lobby = there.subscribe(&topic()).await.unwrap();
    server.freeze();
    for number in 0..100 {
        say(&here, &topic(), &number.to_string());
    }
    server.thaw();
    for number in 0..100 {
        hears(&mut lobby, &number.to_string()).await;
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_and_what_it_took_counts_as_lost() {
    let server = Server::start();
    let (here, there) = (bus(&server).await, bus(&server).await);
    let mut lobby = there.subscribe(&topic()).await.unwrap();
    say(&here, &topic(), "before");
    hears(&mut lobby, "before").await;

    server.freeze();
    say(&here, &topic(), "uncertain");
    let state = until(&here, |state| state.outages > 0).await;
    assert_eq!(state, BusState { up: false, outages: 1 });
    until(&there, |state| !state.up).await;
    assert!(is_away(&here.publish(&topic(), Bytes::new())));
    assert!(is_away(&there.subscribe(&topic()).await));

    server.thaw();
    // What was said uncertainly may still have come to the old connection, never to the new one.
    assert_eq!(next(&mut lobby).await, Item::Lost);
    until(&here, |state| state.up).await;
    say(&here, &topic(), "after");
    hears(&mut lobby, "after").await;
}

#[tokio::test]
async fn a_subscription_that_waits_for_a_server_that_hangs_is_refused() {
    let server = Server::start();
    let bus = bus(&server).await;
    server.freeze();
    let answer = tokio::time::timeout(PATIENCE, bus.subscribe(&topic())).await;
    assert!(is_away(&answer.expect("an answer")));
}

#[tokio::test]
async fn what_waits_for_a_server_that_hangs_is_bounded() {
    let server = Server::start();
    let bus = bus(&server).await;
    server.freeze();
    let payload = Bytes::from(vec![0; 1 << 20]);
    let taken = (0..100).take_while(|_| bus.publish(&topic(), payload.clone()).is_ok()).count();
    assert!((15..40).contains(&taken), "{taken} MiB were taken");
}

#[tokio::test]
async fn a_connection_that_the_server_cuts_is_made_again() {
    let server = Server::start();
    let bus = bus(&server).await;
    let mut lobby = bus.subscribe(&topic()).await.unwrap();
    for round in 0..3 {
        assert_eq!(server.command("CLIENT KILL TYPE pubsub"), [":1"]);
        assert_eq!(next(&mut lobby).await, Item::Lost);
        until(&bus, |state| state.up).await;
        say(&bus, &topic(), &round.to_string());
        hears(&mut lobby, &round.to_string()).await;
    }
}

#[tokio::test]
async fn what_nobody_subscribes_to_any_more_is_left_at_the_server() {
    let server = Server::start();
    let bus = bus(&server).await;
    let fence = Topic::new("events", "fence");
    let lobby = bus.subscribe(&topic()).await.unwrap();
    let second = bus.subscribe(&topic()).await.unwrap();
    let count = || server.command(&format!("PUBSUB NUMSUB {}", topic().as_str()))[3].clone();
    assert_eq!(count(), ":1", "one subscription for both");
    drop(lobby);
    bus.subscribe(&fence).await.unwrap();
    assert_eq!(count(), ":1");
    drop(second);
    // Notes are carried in order, so it is left when this is confirmed.
    bus.subscribe(&fence).await.unwrap();
    assert_eq!(count(), ":0");
}
