//! The process dies, and what anybody has seen is there afterwards, once and in order.
#![allow(missing_docs)]

mod common;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::Process;
use common::raw::{Event, Raw, saying, text};
use engine::testkit::{Chatter, World, within};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const GROUPS: [&str; 3] = ["attic", "garden", "kitchen"];
/// In which group each of the writers is.
const WRITERS: [usize; 8] = [0, 1, 2, 0, 1, 2, 0, 0];
const ROUNDS: usize = 24;
/// Messages that a writer has under way.
const AHEAD: usize = 4;
/// Within this a process that is asked to stop has stopped.
const STOP_MAX: Duration = Duration::from_secs(5);

/// A tenant with its groups, a writer for each place, and a listener a group.
async fn house(base: &str) -> World {
    let world = World::at(base).await;
    for group in GROUPS {
        world.has_group(group).await;
        world.person(&listener(group)).await.attends(group).await;
    }
    for (number, group) in WRITERS.iter().enumerate() {
        world.person(&writer(number)).await.attends(GROUPS[*group]).await;
    }
    world
}

fn writer(number: usize) -> String {
    format!("writer {number}")
}

fn listener(group: &str) -> String {
    format!("listener in the {group}")
}

/// What one session was shown before its connection ended.
struct Seen {
    me: String,
    group: &'static str,
    /// The history that it began with, and what it heard after that.
    given: Vec<Value>,
    heard: Vec<Value>,
    end: Option<u16>,
}

/// Says one thing after the other, and notes what it is shown, until the connection ends.
async fn writes(mut raw: Raw, group: &'static str, me: String, round: usize) -> Seen {
    let mut seen = Seen::begins(&mut raw, group, me.clone()).await;
    let mut said = 0;
    let mut say = move || {
        said += 1;
        text(&saying(&format!("{me}, round {round}, number {said}")))
    };
    for _ in 0..AHEAD {
        raw.throws(&say()).await;
    }
    while seen.goes_on(&mut raw).await {
        // One for each of its own that comes back, so that there is always something under way.
        if seen.heard.last().is_some_and(|message| message["p"] == seen.me.as_str()) {
            raw.throws(&say()).await;
        }
    }
    seen
}

/// Notes what it is shown, and counts it, until the connection ends.
async fn listens(mut raw: Raw, group: &'static str, heard: Arc<Semaphore>) -> Seen {
    let mut seen = Seen::begins(&mut raw, group, listener(group)).await;
    while seen.goes_on(&mut raw).await {
        heard.add_permits(1);
    }
    seen
}

impl Seen {
    async fn begins(raw: &mut Raw, group: &'static str, me: String) -> Self {
        let mut seen = Self { me, group, given: Vec::new(), heard: Vec::new(), end: None };
        match raw.event_but_rosters().await {
            Event::Frame(frame) if frame["a"] == 3 => {
                seen.given.clone_from(frame["d"]["h"].as_array().expect("a list"));
            }
            Event::Closed(end) => seen.end = end,
            other => panic!("{other:?} instead of history"),
        }
        seen
    }

    /// The next message. False at the end.
    async fn goes_on(&mut self, raw: &mut Raw) -> bool {
        match raw.event_but_rosters().await {
            Event::Frame(mut frame) if frame["a"] == 2 => self.heard.push(frame["d"].take()),
            // While it stops, a server may refuse what it no longer takes.
            Event::Frame(frame) if frame["a"] == 5 => {}
            Event::Closed(end) => {
                self.end = end;
                return false;
            }
            other => panic!("{other:?} instead of a message"),
        }
        true
    }

    /// Everything that was shown is in history, once, in this order, and nothing else is in between.
    fn is_part_of(&self, history: &[Value], places: &HashMap<&str, usize>) {
        let shown: Vec<&Value> = self.given.iter().chain(&self.heard).collect();
        let Some(first) = shown.first() else { return };
        let start = places.get(id(first)).unwrap_or_else(|| panic!("{first} was seen and is lost"));
        for (offset, message) in shown.into_iter().enumerate() {
            assert_eq!(history.get(start + offset), Some(message), "in the {}", self.group);
        }
    }
}

fn id(message: &Value) -> &str {
    message["i"].as_str().expect("an id")
}

/// Connects everyone, who then talk until the listeners have heard so many messages. Then `stop` ends the process.
async fn talk(world: &World, round: usize, enough: usize, stop: impl FnOnce()) -> Vec<Seen> {
    let (heard, mut sessions) = (Arc::new(Semaphore::new(0)), JoinSet::new());
    for group in GROUPS {
        let raw = Raw::connects(world, &world.token(group, &listener(group)).await).await;
        sessions.spawn(listens(raw, group, Arc::clone(&heard)));
    }
    for (number, group) in WRITERS.iter().enumerate() {
        let (group, me) = (GROUPS[*group], writer(number));
        let raw = Raw::connects(world, &world.token(group, &me).await).await;
        sessions.spawn(writes(raw, group, me, round));
    }
    let enough = u32::try_from(enough).expect("few");
    within("enough talk", heard.acquire_many(enough)).await.expect("never closed").forget();
    stop();
    within("the end of all sessions", sessions.join_all()).await
}

/// All of a group's history, page by page from the newest.
async fn history(world: &World, group: &str) -> Vec<Value> {
    let mut reader: Chatter = world.connect(&world.token(group, &listener(group)).await).await;
    let mut pages = vec![reader.is_given_history().await];
    while let Some(oldest) = pages.last().and_then(|page| page.first()) {
        let before = id(oldest).to_owned();
        pages.push(reader.reads_history(json!({"b": before, "l": 100})).await);
    }
    reader.leaves().await;
    pages.into_iter().rev().flatten().collect()
}

/// Compares everything that anybody has seen with what is there.
async fn nothing_is_lost(world: &World, seen: &[Seen]) {
    for group in GROUPS {
        let history = history(world, group).await;
        let places: HashMap<&str, usize> =
            history.iter().enumerate().map(|(place, message)| (id(message), place)).collect();
        assert_eq!(places.len(), history.len(), "ids are unique");
        let words: HashSet<&str> = history.iter().filter_map(|message| message["m"].as_str()).collect();
        assert_eq!(words.len(), history.len(), "nothing is stored twice");
        assert!(history.is_sorted_by_key(|message| message["t"].as_u64()), "time never goes back");
        for seen in seen.iter().filter(|seen| seen.group == group) {
            seen.is_part_of(&history, &places);
        }
    }
}

#[tokio::test]
async fn what_anybody_saw_survives_every_kill() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut process = start(dir.path());
    let world = house(&process.base).await;
    let mut seen = Vec::new();
    for round in 0..ROUNDS {
        let world = world.moved_to(&process.base);
        // Killed sometimes at once, sometimes in full flow.
        let enough = (round * 37) % 200;
        seen.extend(talk(&world, round, enough, || process.kill()).await);
        process = start(dir.path());
        nothing_is_lost(&world.moved_to(&process.base), &seen).await;
    }
    assert!(seen.iter().map(|seen| seen.heard.len()).sum::<usize>() > 2_000, "there was talk");
}

#[tokio::test]
async fn a_kill_while_starting_loses_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut process = start(dir.path());
    let world = house(&process.base).await;
    let seen = talk(&world, 0, 100, || process.kill()).await;
    for _ in 0..5 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kijimuna"))
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(dir.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the binary starts");
        // Wherever in its start it is.
        child.kill().expect("killed");
        child.wait().expect("reaped");
    }
    process = start(dir.path());
    nothing_is_lost(&world.moved_to(&process.base), &seen).await;
}

#[tokio::test]
async fn who_stops_in_order_under_load_loses_nothing_and_says_goodbye() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut process = start(dir.path());
    let world = house(&process.base).await;
    let seen = talk(&world, 0, 200, || process.terminate()).await;
    stops(&mut process);
    assert!(
        seen.iter().all(|seen| seen.end == Some(4000)),
        "{:?}",
        seen.iter().map(|seen| seen.end).collect::<Vec<_>>()
    );

    let process = start(dir.path());
    let world = world.moved_to(&process.base);
    nothing_is_lost(&world, &seen).await;
    // Who said something that was stored has heard it, and so won't say it again.
    for group in GROUPS {
        for message in history(&world, group).await {
            let heard_by_author = |seen: &Seen| seen.me == message["p"] && seen.heard.contains(&message);
            assert!(seen.iter().any(heard_by_author), "{message}");
        }
    }
}

#[tokio::test]
async fn a_quiet_house_stops_and_begins_again_as_it_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut process = start(dir.path());
    let world = house(&process.base).await;
    let mut alice = world.person("alice").await.joins("attic").await;
    let unused = world.token("attic", "alice").await;
    alice.says("good night").await;
    let said = alice.hears("good night").await;
    process.terminate();
    alice.is_closed_with(4000).await;
    stops(&mut process);

    let process = start(dir.path());
    let world = world.moved_to(&process.base);
    world.connect(&unused).await.is_closed_with(4501).await;
    let group = world.get("/api/groups/attic").await.expect_success();
    assert_eq!(group["attendees"].as_array().map(Vec::len), Some(6));
    let mut alice = world.connect(&world.token("attic", "alice").await).await;
    assert_eq!(alice.is_given_history().await, std::slice::from_ref(&said));
    alice.says("good morning").await;
    assert!(id(&alice.hears("good morning").await) > id(&said), "the log goes on");
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_says_why_it_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let process = start(dir.path());
    let second = Command::new(env!("CARGO_BIN_EXE_kijimuna"))
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir.path())
        .output()
        .expect("the binary starts");
    let told = String::from_utf8(second.stderr).expect("text");
    assert_eq!(second.status.code(), Some(1), "{told}");
    assert!(second.stdout.is_empty() && !told.contains("panicked"), "{told}");
    for part in ["in use by another process", "KIJIMUNA_DATA_DIR", &dir.path().display().to_string()] {
        assert!(told.contains(part), "{told}");
    }
    let world = house(&process.base).await;
    world.person("alice").await.joins("attic").await.is_given_history().await;
}

fn start(dir: &Path) -> Process {
    Process::start(dir, &["--send-rate=0", "--rest-rate=0"])
}

/// Waits for the end, which must come soon and be a success.
fn stops(process: &mut Process) {
    let asked = Instant::now();
    assert!(process.wait().success());
    assert!(asked.elapsed() < STOP_MAX, "{:?}", asked.elapsed());
}
