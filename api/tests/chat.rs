//! What people do: talk, come and go, read what was said.
#![allow(missing_docs)]

mod common;

use common::{Server, limits};
use engine::config::Limits;
use engine::testkit::encoded;
use kijimuna_api::AppOptions;
use serde_json::json;

#[tokio::test]
async fn two_people_talk() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);

    let mut alice = alice.joins("lobby").await;
    alice.sees_online(&["alice"]).await;
    assert_eq!(alice.is_given_history().await, Vec::<serde_json::Value>::new());
    let mut bob = bob.joins("lobby").await;
    alice.sees_online(&["alice", "bob"]).await;
    bob.sees_online(&["alice", "bob"]).await;

    alice.says("hi bob").await;
    let heard = bob.hears("hi bob").await;
    assert_eq!(alice.hears("hi bob").await, heard, "the sender hears it, too, and just the same");
    assert_eq!(heard["p"], "alice");
    assert!(heard["t"].is_u64() && heard["i"].as_str().is_some_and(|id| id.len() <= 36));
    assert_eq!(heard.as_object().map(serde_json::Map::len), Some(4));
}

#[tokio::test]
async fn a_newcomer_is_given_the_roster_and_then_what_was_said() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    bob.attends("lobby").await;
    let mut alice = alice.joins("lobby").await;
    for number in 0..60 {
        alice.says(&format!("number {number}")).await;
    }
    for number in 0..60 {
        alice.hears(&format!("number {number}")).await;
    }
    let mut bob = bob.connects("lobby").await;
    let roster = bob.sees_roster().await;
    assert_eq!(roster["on"], json!([{"id": "alice", "name": "alice"}, {"id": "bob", "name": "bob"}]));
    let history = bob.is_given_history().await;
    assert_eq!(history.len(), 50, "the newest page");
    assert_eq!((&history[0]["m"], &history[49]["m"]), (&json!("number 10"), &json!("number 59")));

    let older = bob.reads_history(json!({"b": history[0]["i"], "l": 100})).await;
    assert_eq!(older.len(), 10);
    assert_eq!(older[9]["m"], "number 9");
    let by_time = bob.reads_history(json!({"b": history[0]["t"]})).await;
    assert!(by_time.iter().all(|message| message["t"].as_u64() < history[0]["t"].as_u64()));
    let newest = bob.reads_history(json!({"l": 1})).await;
    assert_eq!(newest[0]["m"], "number 59");
    assert_eq!(bob.reads_history(json!({"l": 1_000_000})).await.len(), 60, "never more than a hundred");
}

#[tokio::test]
async fn any_text_arrives_as_it_was_said() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let mut alice = world.person("alice").await.joins("lobby").await;
    alice.is_given_history().await;
    let longest = "é".repeat(8 * 1024);
    for text in
        ["x", " ", "\"quoted\" \\ / \n\t\u{0}", "日本語 العربية हिन्दी 👩‍👩‍👧‍👦 \u{202e}", "</script>", &longest]
    {
        alice.says(text).await;
        alice.hears(text).await;
    }
    let history = alice.reads_history(json!({"l": 1})).await;
    assert_eq!(history[0]["m"], longest.as_str());
}

#[tokio::test]
async fn a_session_finds_its_own_words_in_history() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let mut alice = world.person("alice").await.joins("lobby").await;
    alice.is_given_history().await;
    for round in 1..=50_usize {
        alice.says("said").await;
        assert_eq!(alice.reads_history(json!({"l": 100})).await.len(), round);
    }
}

#[tokio::test]
async fn a_user_with_two_sessions_is_offline_when_the_last_goes() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut bob = bob.joins("lobby").await;
    let mut phone = alice.joins("lobby").await;
    let mut laptop = alice.connects("lobby").await;
    bob.sees_online(&["alice", "bob"]).await;

    phone.says("from the phone").await;
    for hearer in [&mut phone, &mut laptop, &mut bob] {
        hearer.hears("from the phone").await;
    }
    phone.leaves().await;
    laptop.says("still here").await;
    bob.hears("still here").await;
    laptop.vanishes();
    let roster = bob.sees_online(&["bob"]).await;
    assert_eq!(roster["off"][0]["id"], "alice");
}

#[tokio::test]
async fn ids_with_slashes_spaces_and_any_script_work_everywhere() {
    let server = Server::start().await;
    let world = server.world().await;
    for id in ["a/b c", "部屋 🏠", "%2F?#&=+", "'\"\\"] {
        world.has_group(id).await;
        let person = world.person(id).await;
        let mut chatter = person.joins(id).await;
        chatter.sees_online(&[id]).await;
        chatter.says("hi").await;
        assert_eq!(chatter.hears("hi").await["p"], id);
        let shown = world.get(&format!("/api/groups/{}", encoded(id))).await.expect_success();
        assert_eq!((&shown["id"], &shown["attendees"][0]["id"]), (&json!(id), &json!(id)));
        person.is_removed_from(id).await;
        chatter.is_closed_with(4503).await;
    }
}

#[tokio::test]
async fn who_is_removed_is_closed_and_the_others_go_on() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let (mut in_a, mut in_b) = (alice.joins("lobby").await, bob.joins("lobby").await);
    let unused = world.token("lobby", "bob").await;

    bob.is_removed_from("lobby").await;
    in_b.is_closed_with(4503).await;
    let roster = in_a.sees_online(&["alice"]).await;
    assert_eq!(roster["off"], json!([]), "whoever doesn't attend isn't on the roster");
    in_a.says("bye bob").await;
    in_a.hears("bye bob").await;
    world.connect(&unused).await.is_closed_with(4503).await;
    world
        .post("/api/token", json!({"group": "lobby", "user": "bob"}))
        .await
        .expect_error(404, "not_attending");
}

#[tokio::test]
async fn a_deleted_group_closes_its_sessions_and_forgets_everything() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let alice = world.person("alice").await;
    let mut session = alice.joins("lobby").await;
    session.says("soon gone").await;
    session.hears("soon gone").await;
    let unused = world.token("lobby", "alice").await;

    world.delete("/api/groups/lobby").await.expect_success();
    session.is_closed_with(4504).await;
    world.connect(&unused).await.is_closed_with(4504).await;
    world.get("/api/groups/lobby").await.expect_error(404, "group_not_found");

    world.has_group("lobby").await;
    let mut again = alice.joins("lobby").await;
    assert!(again.is_given_history().await.is_empty(), "another group under the same id");
    again.says("new").await;
    again.hears("new").await;
}

#[tokio::test]
async fn a_deleted_user_is_closed_everywhere() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("one").await;
    world.has_group("two").await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut sessions = [bob.joins("one").await, bob.joins("two").await];
    let mut alice = alice.joins("one").await;
    alice.sees_online(&["alice", "bob"]).await;
    world.delete("/api/users/bob").await.expect_success();
    for session in &mut sessions {
        session.is_closed_with(4503).await;
    }
    alice.sees_online(&["alice"]).await;
    let shown = world.get("/api/groups/two").await.expect_success();
    assert_eq!(shown["attendees"], json!([]));
}

#[tokio::test]
async fn what_the_tenant_changes_shows_live() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let mut alice = world.person("alice").await.joins("lobby").await;
    alice.sees_online(&["alice"]).await;
    world.person("bob").await.attends("lobby").await;
    loop {
        let roster = alice.sees_roster().await;
        if roster["off"] == json!([{"id": "bob", "name": "bob"}]) {
            break;
        }
    }
    let icon = "https://example.com/bob.png";
    world.patch("/api/users/bob", json!({"name": "Bob B.", "icon": icon})).await.expect_success();
    loop {
        let roster = alice.sees_roster().await;
        if roster["off"] == json!([{"id": "bob", "name": "Bob B.", "icon": icon}]) {
            break;
        }
    }
}

#[tokio::test]
async fn a_group_that_fell_asleep_wakes_where_it_was() {
    let limits = Limits { group_idle_ms: 50, ..limits() };
    let server = Server::with(limits, AppOptions::default()).await;
    let world = server.world().await;
    world.has_group("lobby").await;
    let alice = world.person("alice").await;
    let mut session = alice.joins("lobby").await;
    session.says("before").await;
    let first = session.hears("before").await;
    session.leaves().await;
    // Not a wait for luck: the gauge says when the group is gone from memory.
    while server.engine.metrics().groups_awake.get() > 0 {
        tokio::task::yield_now().await;
    }
    let mut session = alice.connects("lobby").await;
    assert_eq!(session.is_given_history().await, std::slice::from_ref(&first));
    session.says("after").await;
    let second = session.hears("after").await;
    assert!(second["i"].as_str() > first["i"].as_str(), "the log goes on");
}

#[tokio::test]
async fn in_a_large_group_later_rosters_hold_only_who_changed() {
    let limits = Limits { roster_full_max: 2, ..limits() };
    let server = Server::with(limits, AppOptions::default()).await;
    let world = server.world().await;
    world.has_group("hall").await;
    for name in ["alice", "bob", "carol", "dave"] {
        world.person(name).await.attends("hall").await;
    }
    let connect = async |name: &str| world.connect(&world.token("hall", name).await).await;
    let mut alice = connect("alice").await;
    let whole = alice.sees_roster().await;
    assert_eq!(whole["off"].as_array().map(Vec::len), Some(3));
    let mut bob = connect("bob").await;
    let whole = bob.sees_roster().await;
    assert_eq!(
        (whole["on"].as_array().map(Vec::len), whole["off"].as_array().map(Vec::len)),
        (Some(2), Some(2))
    );
    // What happened before may be told together with bob's coming; afterwards bob's going is all there is.
    while !alice.sees_roster().await["on"].to_string().contains("bob") {}
    bob.leaves().await;
    assert_eq!(alice.sees_roster().await, json!({"on": [], "off": [{"id": "bob", "name": "bob"}]}));
}

#[tokio::test]
async fn a_hundred_people_hear_everything_in_the_same_order() {
    let server = Server::start().await;
    let world = server.world().await;
    world.has_group("hall").await;
    let mut chatters = Vec::new();
    for number in 0..100 {
        chatters.push(world.person(&format!("user {number}")).await.joins("hall").await);
    }
    for round in 0..5 {
        for (number, chatter) in chatters.iter_mut().enumerate() {
            chatter.says(&format!("{number} in round {round}")).await;
        }
    }
    let mut orders = Vec::new();
    for chatter in &mut chatters {
        let mut order = Vec::new();
        for _ in 0..500 {
            order.push(chatter.hears_something().await["i"].as_str().unwrap().to_owned());
        }
        orders.push(order);
    }
    assert!(orders[0].is_sorted(), "ids grow with the log");
    assert!(orders.iter().all(|order| *order == orders[0]));
}
