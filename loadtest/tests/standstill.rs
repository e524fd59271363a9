//! The tool against a server that stands still: its sockets stay open, and nothing comes.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::process::{Child, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{Server, number, progress, read_on, signal, wait_until, words};

fn start(server: &Server, arguments: &str) -> Child {
    server.command(&words(arguments)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Stops the server once the tool measures, for good.
fn against_a_server_that_stops(arguments: &str) -> (Value, Output) {
    let server = Server::start();
    let mut tool = start(&server, arguments);
    let mut progress = progress(&mut tool);
    wait_until(&mut progress, |line| line.contains("measuring"));
    signal("-STOP", &server.process.id().to_string());
    let _told = read_on(progress);
    let output = tool.wait_with_output().unwrap();
    (server.report(&output), output)
}

fn is_told(report: &Value, output: &Output) {
    let table = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert!(number(report, "/unanswered_pings") > 0.0 && number(report, "/errors/no_pong") > 0.0, "{table}");
    assert!(table.contains("the server stood still"), "{table}");
}

#[test]
fn sockets_that_are_held_by_nobody_are_told() {
    let (report, output) =
        against_a_server_that_stops("idle --sockets 5 --groups 1 --duration 1500ms --warmup 0s");
    is_told(&report, &output);
    assert_eq!(report["ended"], "complete");
}

#[test]
fn what_an_open_loop_waited_for_in_vain_is_in_its_latency() {
    let arguments = "fanout --groups 2 --members 5 --rate 50 --duration 2s --warmup 0s --workers 2";
    let (report, output) = against_a_server_that_stops(arguments);
    is_told(&report, &output);
    let (heard, lost) = (number(&report, "/totals/deliveries"), number(&report, "/lost"));
    assert_eq!((heard + lost, number(&report, "/latency/count")), (500.0, 500.0), "{report:#}");
    assert!(lost > 100.0);
    // Each was waited for for five seconds after the last word, at least.
    let waited = 100.0 * (1.0 - (lost - 1.0) / 500.0);
    let distribution = report["latency_distribution"].as_array().unwrap();
    let long = |point: &&Value| point[0].as_f64().unwrap() >= waited;
    assert!(
        distribution.iter().filter(long).all(|point| point[1].as_u64().unwrap() > 4_900_000),
        "{report:#}"
    );
}

#[test]
fn a_server_that_stood_still_for_a_while_is_told_although_nothing_was_lost() {
    let server = Server::start();
    let arguments = "idle --sockets 5 --groups 1 --duration 5s --warmup 0s --pong-deadline 100ms";
    let mut tool = start(&server, arguments);
    let mut progress = progress(&mut tool);
    wait_until(&mut progress, |line| line.contains("measuring"));
    signal("-STOP", &server.process.id().to_string());
    wait_until(&mut progress, |line| !line.contains(" 0 errors"));
    signal("-CONT", &server.process.id().to_string());
    let _told = read_on(progress);
    let output = tool.wait_with_output().unwrap();
    let report = server.report(&output);
    is_told(&report, &output);
    assert_eq!((number(&report, "/lost"), number(&report, "/absent")), (0.0, 0.0));
}

#[test]
fn a_storm_from_which_not_all_came_back_is_told_of_with_what_others_suffered() {
    let server = Server::start();
    let arguments = "reconnect-storm --sockets 200 --groups 4 --concurrency 1 --quiet 5 --rate 100 --before 500ms --warmup 0s";
    let mut tool =
        server.command(&words(arguments)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut progress = progress(&mut tool);
    wait_until(&mut progress, |line| line.contains("measuring"));
    let _told = read_on(progress);
    signal("-STOP", &server.process.id().to_string());
    std::thread::park_timeout(Duration::from_millis(700));
    signal("-INT", &tool.id().to_string());
    let output = tool.wait_with_output().unwrap();
    let (report, table) = (server.report(&output), String::from_utf8_lossy(&output.stdout));
    assert!(report["storm"]["all_back_s"].is_null() && table.contains("not all were back"), "{table}");
    assert!(number(&report, "/storm/quiet_meanwhile/p99_us") > 500_000.0, "{report:#}");
}
