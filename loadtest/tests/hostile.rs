//! The tool against servers that lose, alter and invent, that hang and never end: each must show, and none may hold
//! it up.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::lies::{LIES, Liar, Telling, text};
use support::proxy::{Answered, Frame, Lies, Proxy};
use support::{Server, number, words};

struct Run {
    code: Option<i32>,
    report: Value,
    output: Output,
}

/// Runs the tool against a server that lies.
fn run(server: &Server, arguments: &str, lies: impl Lies) -> Run {
    let proxy = Proxy::before(&server.url, lies);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let output = tool(arguments, &proxy.url).arg("--json").arg(&file).output().unwrap();
    let report = std::fs::read(file).map_or(Value::Null, |json| serde_json::from_slice(&json).unwrap());
    Run { code: output.status.code(), report, output }
}

fn tool(arguments: &str, url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kijimuna-loadtest"));
    command.args(words(arguments)).args(["--url", url]);
    command
}

#[test]
fn every_lie_about_a_message_shows_as_what_it_is() {
    lies_show("", |_| true);
}

#[test]
fn in_version_2_lies_show_as_the_same() {
    // These two are about version 1 alone: its ids have the places, and its messages no sequence.
    lies_show(" --protocol v2-json", |what| !["no id", "of a stranger"].contains(&what));
}

fn lies_show(protocol: &str, is_told: fn(&str) -> bool) {
    let server = Server::start();
    let arguments =
        format!("fanout --groups 1 --members 5 --rate 100 --duration 300ms --warmup 0s{protocol}");
    thread::scope(|scope| {
        for (what, lie, counts) in LIES.iter().filter(|lie| is_told(lie.0)) {
            let (server, arguments) = (&server, &arguments);
            scope.spawn(move || {
                let Run { code, report, output } = run(server, arguments, Liar(lie));
                assert_eq!(code, Some(1), "{what}: {}", String::from_utf8_lossy(&output.stdout));
                for name in [
                    "lost",
                    "duplicated",
                    "reordered",
                    "altered",
                    "unknown_frames",
                    "refused",
                    "strays",
                    "absent",
                ] {
                    let expected = counts.iter().find(|of| of.0 == name).map_or(0, |of| of.1);
                    assert_eq!(report[name], expected, "{what}: {name}");
                }
            });
        }
    });
}

#[test]
fn an_id_or_a_time_that_others_heard_otherwise_shows() {
    let lies: [Telling; 2] = [
        |nth, payload, _| {
            vec![text(if nth == 20 { payload.replace(r#""t":1"#, r#""t":2"#) } else { payload })]
        },
        // The half of it that isn't the place.
        |nth, payload, _| {
            let id = payload.find(r#""i":""#).unwrap() + 5;
            let other = if payload[id..].starts_with('0') { "1" } else { "0" };
            vec![text(if nth == 20 {
                payload[..id].to_owned() + other + &payload[id + 1..]
            } else {
                payload
            })]
        },
    ];
    let server = Server::start();
    for lie in lies {
        let arguments = "fanout --groups 1 --members 5 --rate 100 --duration 300ms --warmup 0s";
        let Run { code, report, output } = run(&server, arguments, Liar(lie));
        assert_eq!(code, Some(1), "{}", String::from_utf8_lossy(&output.stdout));
        // One of them was lied to. If it was the first to hear it, all others seem to be.
        assert!([1.0, 4.0].contains(&number(&report, "/altered")), "{report:#}");
        assert_eq!((number(&report, "/lost"), number(&report, "/duplicated")), (0.0, 0.0));
    }
}

#[test]
fn white_space_is_no_lie() {
    let spaced = |_: usize, payload: String, _: &mut Vec<Frame>| {
        vec![text(payload.replace(r#""d":{"#, "\"d\" : {\n").replace(r#","p":"#, " , \"p\": "))]
    };
    let arguments = "fanout --groups 1 --members 5 --rate 100 --duration 300ms --warmup 0s";
    let Run { code, report, output } = run(&Server::start(), arguments, Liar(spaced));
    assert_eq!(code, Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(number(&report, "/totals/deliveries"), 150.0);
}

type Change = fn(String) -> String;

/// A change to every page but the ones that greet.
struct Archivist(Change);

impl Lies for Archivist {
    fn tell(&self, _: usize, messages: usize, payload: Vec<u8>, _: &mut Vec<Frame>) -> Vec<Frame> {
        let asked_for = payload.starts_with(br#"{"a":3"#) && messages > 0;
        vec![text(if asked_for {
            (self.0)(String::from_utf8(payload).unwrap()).into_bytes()
        } else {
            payload
        })]
    }
}

/// The items of a page, and the page of items.
fn items(page: &str) -> Vec<String> {
    let page: Value = serde_json::from_str(page).unwrap();
    page["d"]["h"].as_array().unwrap().iter().map(Value::to_string).collect()
}

fn page(items: &[String]) -> String {
    format!(r#"{{"a":3,"d":{{"h":[{}]}}}}"#, items.join(","))
}

#[test]
fn history_that_is_lost_or_altered_shows() {
    let lies: [(&str, Change); 8] = [
        ("empty", |_| page(&[])),
        ("every second", |told| page(&items(&told).into_iter().step_by(2).collect::<Vec<_>>())),
        ("without the newest", |told| page(&items(&told)[..19])),
        ("without the oldest", |told| page(&items(&told)[1..])),
        ("turned round", |told| page(&items(&told).into_iter().rev().collect::<Vec<_>>())),
        ("altered", |told| told.replace("xxxx|", "xxx|").replace("xxxx", "xyxx")),
        ("at another time", |told| told.replace(r#""t":1"#, r#""t":2"#)),
        ("refused", |_| r#"{"a":5,"d":{"c":"internal","m":"no"}}"#.to_owned()),
    ];
    let server = Server::start();
    let arguments = "history --groups 1 --members 2 --messages 60 --page-items 20 --page-rate 50 --duration 300ms --warmup 0s";
    thread::scope(|scope| {
        for (what, lie) in lies {
            let server = &server;
            scope.spawn(move || {
                let Run { code, report, output } = run(server, arguments, Archivist(lie));
                assert_eq!(code, Some(1), "{what}: {}", String::from_utf8_lossy(&output.stdout));
                let wrong = number(&report, "/wrong_pages") + number(&report, "/refused");
                assert!(wrong > 5.0, "{what}: {report:#}");
                assert_eq!(report["lost"], 0, "{what}: what was heard live was right");
            });
        }
    });
}

/// The page that greets those who come back is empty.
struct Forgetful;

impl Lies for Forgetful {
    fn tell(&self, socket: usize, _: usize, payload: Vec<u8>, _: &mut Vec<Frame>) -> Vec<Frame> {
        let greets_again = socket > 10 && payload.starts_with(br#"{"a":3"#);
        vec![text(if greets_again { page(&[]).into_bytes() } else { payload })]
    }
}

#[test]
fn a_greeting_that_leaves_out_what_was_heard_before_shows() {
    let arguments =
        "churn --groups 1 --members 10 --rate 100 --churn-rate 20 --away 10ms --duration 500ms --warmup 0s";
    let Run { code, report, .. } = run(&Server::start(), arguments, Forgetful);
    assert_eq!(code, Some(1));
    assert!(
        number(&report, "/wrong_pages") > 0.0 && number(&report, "/errors/page_wrong_end") > 0.0,
        "{report:#}"
    );
}

/// One of the sockets gets what no server sends.
struct Nonsense;

impl Lies for Nonsense {
    fn tell(&self, socket: usize, messages: usize, payload: Vec<u8>, _: &mut Vec<Frame>) -> Vec<Frame> {
        // The rest of a frame of which no beginning came.
        vec![if socket == 3 && messages == 20 { (0, payload) } else { text(payload) }]
    }
}

#[test]
fn a_worker_that_gives_up_ends_the_run_with_its_report() {
    let server = Server::start();
    let since = Instant::now();
    for _ in 0..3 {
        let arguments = "fanout --groups 1 --members 6 --rate 200 --duration 60s --warmup 0s --workers 2";
        let Run { code, report, output } = run(&server, arguments, Nonsense);
        assert_eq!((code, report["ended"].as_str()), (Some(1), Some("failed")), "{output:?}");
        assert!(report["faults"].to_string().contains("in fragments"), "{report:#}");
        assert!(number(&report, "/totals/deliveries") > 0.0);
    }
    assert!(since.elapsed() < Duration::from_secs(40));
}

/// From the storm on nobody hears a message until all have been back for long.
struct Starving {
    /// Who joins before the storm.
    members: usize,
    until: OnceLock<Instant>,
}

impl Starving {
    const HELD: Duration = Duration::from_millis(2_500);
}

impl Lies for Starving {
    fn answer(&self, head: &str, number: usize, _: &mut TcpStream) -> Answered {
        if head.starts_with("GET /ws/") && number > self.members {
            self.until.get_or_init(|| Instant::now() + Self::HELD);
        }
        Answered::ByTheServer
    }

    fn tell(&self, _: usize, _: usize, payload: Vec<u8>, _: &mut Vec<Frame>) -> Vec<Frame> {
        let held = payload.starts_with(br#"{"a":2"#);
        while let Some(until) = self.until.get().filter(|until| held && Instant::now() < **until) {
            thread::park_timeout(until.saturating_duration_since(Instant::now()));
        }
        vec![text(payload)]
    }
}

#[test]
fn what_a_storm_starves_others_of_shows_when_it_is_heard_only_after_the_end() {
    let arguments =
        "reconnect-storm --sockets 60 --groups 3 --quiet 5 --rate 100 --before 500ms --warmup 200ms";
    let starving = Starving { members: 65, until: OnceLock::new() };
    let Run { code, report, output } = run(&Server::start(), arguments, starving);
    assert_eq!(code, Some(0), "nothing was lost: {}", String::from_utf8_lossy(&output.stdout));
    let p99 = |which| number(&report, &format!("/storm/quiet_{which}/p99_us"));
    assert!(p99("meanwhile") > 2_000_000.0, "{report:#}");
    // Half a second of a hundred messages, of which the last may have been held.
    assert!(number(&report, "/storm/quiet_before/p50_us") < 1_000_000.0, "{report:#}");
    assert_eq!(number(&report, "/storm/quiet_before/count"), 250.0);
    // Five hear each of a hundred a second, and nothing else is in the figure.
    let due = number(&report, "/storm/all_back_s") * 500.0;
    assert!((number(&report, "/storm/quiet_meanwhile/count") - due).abs() <= 10.0, "{due}: {report:#}");
}

/// Upgrades after so many are never answered.
struct Silent {
    after: usize,
}

impl Lies for Silent {
    fn answer(&self, head: &str, number: usize, _: &mut TcpStream) -> Answered {
        let hangs = head.starts_with("GET /ws/") && number > self.after;
        if hangs { Answered::Hanging } else { Answered::ByTheServer }
    }
}

#[test]
fn who_never_comes_back_is_a_fault() {
    let arguments = "churn --groups 1 --members 10 --rate 50 --churn-rate 30 --away 10ms --duration 600ms --warmup 0s \
                     --join-deadline 1s";
    let Run { code, report, output } = run(&Server::start(), arguments, Silent { after: 10 });
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        number(&report, "/absent") > 0.0 && number(&report, "/errors/handshake_timed_out") > 0.0,
        "{report:#}"
    );
    assert!(told.contains("should have been in at the end"), "{told}");
}

#[test]
fn who_never_reads_is_in_when_the_server_says_so() {
    let since = Instant::now();
    let arguments = "slow-readers --groups 1 --members 4 --slow 1 --rate 10 --duration 60s --join-timeout 1s";
    // The first three upgrades may be anybody's.
    let Run { code, report, .. } = run(&Server::start(), arguments, Silent { after: 0 });
    assert_eq!((code, report["ended"].as_str()), (Some(1), Some("too_slow")));
    assert_eq!(number(&report, "/totals/joins"), 0.0);
    assert!(since.elapsed() < Duration::from_secs(30));
}

/// What a clerk says to a request.
type Answer = fn(&mut TcpStream) -> Answered;

/// What is said instead of an answer to a request.
struct Clerk {
    to: &'static str,
    says: Answer,
}

impl Lies for Clerk {
    fn answer(&self, head: &str, _: usize, connection: &mut TcpStream) -> Answered {
        if head.starts_with(self.to) { (self.says)(connection) } else { Answered::ByTheServer }
    }
}

fn says(connection: &mut TcpStream, answer: &str) -> Answered {
    let _ = connection.write_all(answer.as_bytes());
    Answered::Hanging
}

fn endless(connection: &mut TcpStream) -> Answered {
    let _ = connection.write_all(b"HTTP/1.1 200 OK\r\n");
    while connection.write_all(&[b'A'; 4096]).is_ok() {}
    Answered::Here
}

#[test]
fn an_answer_that_is_none_ends_it_with_a_sentence() {
    let answers: [(Answer, &str); 3] = [
        (endless, "no Kijimuna server"),
        (
            |connection| {
                says(connection, "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n{}")
            },
            "more than 1 MiB",
        ),
        (|connection| says(connection, "\x16\x03\x01\r\n\r\n"), "isn't HTTP"),
    ];
    let server = Server::start();
    for (answer, word) in answers {
        let clerk = Clerk { to: "POST /api/services", says: answer };
        let Run { code, output, .. } = run(&server, "idle --sockets 2", clerk);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(word), "{told}");
    }
}

#[test]
fn nothing_that_a_server_says_reaches_the_terminal_as_it_is() {
    const TEXT: &str = r#"{"error":"\u001b[2J\u009b31mred","code":"x"}"#;
    let refusal = |connection: &mut TcpStream| {
        let head = format!("HTTP/1.1 400 No\r\nContent-Length: {}\r\n\r\n", TEXT.len());
        says(connection, &(head + TEXT))
    };
    let raw =
        |connection: &mut TcpStream| says(connection, "HTTP/1.1 400 No\r\nContent-Length: 5\r\n\r\n\x1b[31m");
    let clerks: [(&str, Answer); 2] = [("POST /api/services", refusal), ("POST /api/token", raw)];
    let server = Server::start();
    for (to, says) in clerks {
        let Run { code, output, .. } = run(&server, "idle --sockets 1 --groups 1", Clerk { to, says });
        let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(code, Some(1), "{told:?}");
        assert!(told.contains("400") && told.contains('\u{fffd}'), "{told:?}");
        assert!(!told.contains(|it: char| it.is_control() && it != '\n'), "{told:?}");
    }
    let codes = |nth: usize, payload: String, _: &mut Vec<Frame>| {
        let error = format!(r#"{{"a":5,"d":{{"c":"\u001b]0;{nth}{}","m":"no"}}}}"#, "y".repeat(1_000));
        vec![text(payload), text(error)]
    };
    let arguments = "fanout --groups 1 --members 5 --rate 500 --duration 300ms --warmup 0s";
    let Run { report, output, .. } = run(&server, arguments, Liar(codes));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(!told.contains(|it: char| it.is_control() && it != '\n'), "{told:?}");
    assert_eq!(number(&report, "/refused"), 150.0);
    assert!(report["errors"].as_object().unwrap().len() <= 101 && number(&report, "/errors/other") > 0.0);
}

#[test]
fn one_interrupt_ends_it_whatever_it_waits_for() {
    const LATER: &str = "HTTP/1.1 429 Later\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n";
    let answers: [(&str, Answer); 4] = [
        ("POST /api/services", |_| Answered::Hanging),
        ("POST /api/services", |connection| says(connection, LATER)),
        ("POST /api/groups", |_| Answered::Hanging),
        ("POST /api/users", |connection| says(connection, LATER)),
    ];
    let server = Server::start();
    for (to, answer) in answers {
        let proxy = Proxy::before(&server.url, Clerk { to, says: answer });
        let tool = tool("idle --sockets 2", &proxy.url).stderr(Stdio::piped()).spawn().unwrap();
        proxy.caught.recv().unwrap();
        let since = Instant::now();
        assert!(Command::new("kill").args(["-INT", &tool.id().to_string()]).status().unwrap().success());
        let output = tool.wait_with_output().unwrap();
        assert!(since.elapsed() < Duration::from_secs(10), "{to}");
        assert_eq!(output.status.code(), Some(1), "{to}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("before anybody joined"), "{to}: {told}");
    }
}

#[test]
fn tokens_that_never_come_end_with_the_time_that_joining_has() {
    let answers: [Answer; 3] = [
        endless,
        |_| Answered::Hanging,
        |connection| {
            says(
                connection,
                "HTTP/1.1 429 X\r\nRetry-After: 18446744073709551615\r\nContent-Length: 0\r\n\r\n",
            )
        },
    ];
    let server = Server::start();
    for answer in answers {
        let clerk = Clerk { to: "POST /api/token", says: answer };
        let since = Instant::now();
        let arguments = "idle --sockets 3 --groups 1 --join-timeout 500ms --join-deadline 200ms";
        let Run { code, report, output } = run(&server, arguments, clerk);
        assert_eq!((code, report["ended"].as_str()), (Some(1), Some("too_slow")), "{output:?}");
        assert!(since.elapsed() < Duration::from_secs(15));
    }
}

/// The first request for a token is put off for a second.
#[derive(Default)]
struct Reluctant(AtomicBool);

impl Lies for Reluctant {
    fn answer(&self, head: &str, _: usize, connection: &mut TcpStream) -> Answered {
        if !head.starts_with("POST /api/token") || self.0.swap(true, Ordering::Relaxed) {
            return Answered::ByTheServer;
        }
        says(
            connection,
            "HTTP/1.1 429 X\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        );
        Answered::Here
    }
}

#[test]
fn the_time_of_a_join_has_what_it_was_put_off_for_in_it() {
    let arguments = "idle --sockets 1 --groups 1 --duration 100ms --warmup 0s";
    let Run { code, report, output } = run(&Server::start(), arguments, Reluctant::default());
    assert_eq!(code, Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((number(&report, "/held_back"), number(&report, "/join/count")), (1.0, 1.0));
    assert!(number(&report, "/join/p50_us") >= 1_000_000.0, "{report:#}");
}
