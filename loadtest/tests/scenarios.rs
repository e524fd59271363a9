//! The tool against the real server: each scenario for about a second, and what can go wrong.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Server, fails, is_refused, number, progress, read_on, signal, wait_for, wait_until, words};

const ADMIN_KEY: &str = "a key for these tests";

#[test]
fn fanout_open_loop_delivers_every_message_to_everyone() {
    let server = Server::start();
    let page = server.folder.path().join("report.html");
    let arguments = "fanout --groups 3 --members 10 --rate 100 --duration 1s --warmup 500ms";
    let mut arguments = words(arguments);
    arguments.extend(["--html", page.to_str().unwrap()]);
    let report = server.runs(&arguments);
    // 1.5 s at 100/s, to 10 members each.
    assert_eq!((number(&report, "/totals/sent"), number(&report, "/totals/deliveries")), (150.0, 1_500.0));
    assert!(number(&report, "/latency/count") >= 900.0 && number(&report, "/latency/p50_us") > 0.0);
    assert!(number(&report, "/server/rss_kib") > 0.0, "the server on this machine is found");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<polyline") && page.contains("Latency over time"));
    assert!(!page.contains("src=") && !page.contains("@import"), "the page asks nothing of a network");
}

#[test]
fn fanout_closed_loop_over_several_workers_loses_nothing() {
    let server = Server::start();
    let arguments = "fanout --groups 2 --members 9 --window 4 --duration 1s --warmup 300ms --workers 3";
    let report = server.runs(&words(arguments));
    assert_eq!(report["workers"], 3);
    assert!((number(&report, "/totals/deliveries") - 9.0 * number(&report, "/totals/sent")).abs() < 0.5);
}

#[test]
fn members_of_one_group_are_spread_over_the_nodes() {
    let mut server = Server::start();
    // The same server twice is as good as two nodes here.
    server.url = format!("{0},{0}", server.url);
    let report = server.runs(&words("fanout --groups 1 --members 10 --rate 50 --duration 1s --warmup 300ms"));
    assert_eq!(report["workers"], 2, "each node has one");
    assert!((number(&report, "/totals/deliveries") - 10.0 * number(&report, "/totals/sent")).abs() < 0.5);
    assert_eq!(report["server"]["pids"].as_array().unwrap().len(), 1);
    let (code, _, output) = server.run(&words("idle --sockets 10 --workers 1 --duration 1s"));
    assert!(code == Some(2) && String::from_utf8_lossy(&output.stderr).contains("too few for 2 nodes"));
}

#[test]
fn a_node_with_a_store_of_its_own_is_named() {
    let (one, other) = (Server::start(), Server::start());
    let error = fails(&["idle", "--sockets", "4", "--url", &format!("{},{}", one.url, other.url)]);
    let address = other.url.trim_start_matches("http://");
    assert!(error.contains(address) && error.contains("with one store?"), "{error}");
}

#[test]
fn idle_holds_its_sockets() {
    let report = Server::start().runs(&words("idle --sockets 50 --groups 5 --duration 1s --warmup 0s"));
    assert_eq!((number(&report, "/totals/joins"), number(&report, "/totals/deliveries")), (50.0, 0.0));
}

#[test]
fn a_run_leaves_no_ports_behind_that_others_would_miss() {
    let server = Server::start();
    server.runs(&words("idle --sockets 50 --groups 1 --duration 200ms --warmup 0s"));
    let port = server.url.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    // TIME_WAIT is 06; the peer's address is the third field.
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rests = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields[3] == "06" && fields[2].ends_with(&format!(":{port:04X}"))
    };
    // This test itself has knocked, to see whether the server is there.
    let resting = table.lines().filter(rests).count();
    assert!(resting < 10, "{resting} ports rest for a minute");
}

#[test]
fn a_join_storm_lets_all_in() {
    let report = Server::start().runs(&words("join-storm --joins 200 --groups 2"));
    assert_eq!((number(&report, "/measured/joins"), number(&report, "/join/count")), (200.0, 200.0));
    assert!(number(&report, "/measured/joins_per_s") > 0.0);
    let of_all = number(&report, "/measured/received_bytes");
    assert!((number(&report, "/measured/received_bytes_per_join") - of_all / 200.0).abs() < 0.01);
}

#[test]
fn all_come_back_from_a_reconnect_storm() {
    let arguments = "reconnect-storm --sockets 100 --groups 4 --quiet 5 --before 500ms --warmup 200ms";
    let report = Server::start().runs(&words(arguments));
    assert_eq!(number(&report, "/totals/joins"), 205.0);
    assert!(number(&report, "/storm/all_back_s") > 0.0);
}

#[test]
fn churn_loses_nothing_for_those_who_stay() {
    let arguments =
        "churn --groups 2 --members 20 --rate 100 --churn-rate 40 --away 100ms --duration 1s --warmup 0s";
    let report = Server::start().runs(&words(arguments));
    assert!(number(&report, "/totals/leaves") > 10.0 && number(&report, "/totals/joins") > 50.0);
    assert!(report["server"]["cpu_us_per_delivery"].is_null(), "joins are in it, too");
    assert!(number(&report, "/server/cpu_us_per_delivery_at_most") > 0.0);
}

#[test]
fn slow_readers_hold_nobody_up() {
    let server = Server::start();
    let arguments =
        "slow-readers --groups 1 --members 6 --slow 3 --rate 200 --size 16000 --duration 2s --warmup 0s";
    let report = server.runs(&words(arguments));
    assert_eq!((number(&report, "/totals/sent"), number(&report, "/totals/deliveries")), (400.0, 1_200.0));
    let closed: u64 =
        report["closes_of_slow_readers"].as_object().unwrap().values().flat_map(Value::as_u64).sum();
    assert_eq!((closed, report["closes"].as_object().unwrap().len()), (3, 0), "{report:#}");
}

#[test]
fn slow_readers_for_whom_too_little_came_have_shown_nothing() {
    let arguments =
        "slow-readers --groups 1 --members 10 --slow 3 --rate 50 --size 100 --duration 1s --warmup 0s";
    let (code, report, _) = Server::start().run(&words(arguments));
    assert_eq!(
        (code, number(&report, "/totals/deliveries"), number(&report, "/lost")),
        (Some(1), 350.0, 0.0)
    );
    assert!(report["faults"].to_string().contains("No member who never reads was closed"), "{report:#}");
}

#[test]
fn a_server_that_dies_leaves_nobody_connected_and_that_is_no_part_of_slow_reading() {
    let mut server = Server::start();
    let arguments = "slow-readers --groups 1 --members 6 --slow 3 --rate 20 --duration 60s --warmup 0s";
    let tool = measuring(&server, arguments);
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    let output = tool.wait_with_output().unwrap();
    let report = server.report(&output);
    assert_eq!((output.status.code(), report["ended"].as_str()), (Some(1), Some("server_gone")));
    let faults = report["faults"].to_string();
    assert!(faults.contains("3 sockets were closed by the server or broke"), "those who read: {faults}");
    let last = report["seconds"].as_array().unwrap().last().unwrap();
    assert_eq!(number(last, "/connected"), 0.0, "{report:#}");
}

#[test]
fn history_is_paged() {
    let arguments = "history --groups 2 --members 2 --messages 120 --page-items 50 --page-rate 40 --duration 1s --warmup 0s";
    let report = Server::start().runs(&words(arguments));
    assert!(number(&report, "/totals/pages") >= 30.0);
    assert!(number(&report, "/measured/page_messages") > number(&report, "/measured/pages") * 30.0);
}

#[test]
fn the_server_of_the_help_holds_nobody_back() {
    let help = Command::new(env!("CARGO_BIN_EXE_kijimuna-loadtest")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, flags) = help.split_once("kijimuna --listen 127.0.0.1:3010 ").unwrap();
    let server = Server::with(&words(flags.lines().next().unwrap()));
    // As fast as they come, which is more than the rate and the burst that a server has by default.
    let report =
        server.runs(&words("history --groups 1 --members 2 --messages 100 --duration 1s --warmup 0s"));
    assert!(number(&report, "/totals/pages") > 200.0, "{report:#}");
    server.runs(&words("fanout --groups 1 --members 2 --rate 200 --speakers 1 --duration 1s --warmup 0s"));
}

#[test]
fn mixed_does_everything_at_once() {
    let arguments =
        "mixed --groups 10 --sockets 60 --rate 60 --churn-rate 20 --away 100ms --page-rate 20 --duration 1s";
    let report = Server::start().runs(&words(arguments));
    for path in ["/totals/sent", "/totals/deliveries", "/totals/leaves", "/totals/pages"] {
        assert!(number(&report, path) > 0.0, "{path}");
    }
    assert_eq!(number(&report, "/members"), 60.0);
}

#[test]
fn a_file_is_run_and_flags_win_over_its_keys() {
    let server = Server::start();
    let file = server.folder.path().join("small.toml");
    std::fs::write(
        &file,
        "scenario = \"fanout\"\ngroups = 1\nmembers = 3\nrate = 20\nduration = \"1s\"\nwarmup = \"5s\"",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let report = server.runs(&["run", file, "--warmup", "0s", "--rate", "30"]);
    assert_eq!(number(&report, "/totals/deliveries"), 90.0);
    let error = is_refused(&["run", file, "--churn-rate", "5"]);
    assert!(error.contains("--churn-rate is no flag of fanout") && error.contains("speakers"), "{error}");
}

#[test]
fn the_examples_are_understood() {
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios")).unwrap() {
        let file = file.unwrap().path();
        // Nobody is there, which is found out after the file was understood.
        let error = fails(&["run", file.to_str().unwrap(), "--url", "http://127.0.0.1:1"]);
        assert!(error.contains("nothing answers at 127.0.0.1:1"), "{}: {error}", file.display());
    }
}

/// A run of the tool that has begun to measure.
fn measuring(server: &Server, arguments: &str) -> Child {
    let mut tool =
        server.command(&words(arguments)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&mut tool, "measuring");
    tool
}

#[test]
fn a_server_that_dies_ends_the_run_with_what_was_seen() {
    let mut server = Server::start();
    let tool = measuring(&server, "fanout --groups 2 --members 10 --rate 100 --duration 60s --warmup 0s");
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    let since = Instant::now();
    let output = tool.wait_with_output().unwrap();
    assert!(since.elapsed() < Duration::from_secs(20), "it doesn't go on for the whole minute");
    assert_eq!(output.status.code(), Some(1));
    let report = server.report(&output);
    assert_eq!(report["ended"], "server_gone");
    assert!(number(&report, "/totals/deliveries") > 100.0);
    assert!(report["lost"].is_null(), "nobody can know what was lost");
    assert!(String::from_utf8_lossy(&output.stdout).contains("lost, twice, reordered     unknown"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("The server is gone"));
}

#[test]
fn a_server_that_dies_just_before_the_end_is_named_as_gone_too() {
    for arguments in [
        "idle --sockets 5 --groups 1 --duration 1500ms --warmup 0s",
        "fanout --groups 1 --members 5 --rate 100 --duration 1500ms --warmup 0s --workers 2",
    ] {
        let mut server = Server::start();
        // The first second has been measured when this is told.
        let tool = measuring(&server, arguments);
        thread::park_timeout(Duration::from_millis(300));
        server.process.kill().unwrap();
        server.process.wait().unwrap();
        let since = Instant::now();
        let output = tool.wait_with_output().unwrap();
        let report = server.report(&output);
        assert_eq!((output.status.code(), report["ended"].as_str()), (Some(1), Some("server_gone")));
        assert!(report["lost"].is_null(), "{report:#}");
        assert!(since.elapsed() < Duration::from_secs(4), "nothing is waited for");
    }
}

#[test]
fn an_interrupt_ends_the_run_with_its_report() {
    let server = Server::start();
    let tool = measuring(&server, "fanout --groups 1 --members 5 --rate 50 --duration 60s --warmup 0s");
    signal("-INT", &tool.id().to_string());
    was_interrupted(&server, tool);
}

#[test]
fn whatever_is_sent_to_the_whole_group_of_processes_ends_the_run_with_its_report() {
    let server = Server::start();
    for sent in ["-TERM", "-HUP", "-INT"] {
        let arguments = "fanout --groups 1 --members 5 --rate 50 --duration 60s --warmup 0s --workers 2";
        let mut command = server.command(&words(arguments));
        let command = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut tool = command.spawn().unwrap();
        wait_for(&mut tool, "measuring");
        // The workers, too, get it: those of this process alone, by their parent.
        let group = format!("-{}", tool.id());
        let workers = children(tool.id());
        assert_eq!(workers.len(), 2);
        workers.iter().for_each(|worker| signal(sent, worker));
        signal(sent, &group);
        if sent != "-INT" {
            signal(sent, &group);
        }
        was_interrupted(&server, tool);
    }
}

/// The processes that a process has started.
fn children(of: u32) -> Vec<String> {
    let children = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap();
    children.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_worker_that_dies_ends_the_run_with_its_report() {
    let server = Server::start();
    let tool =
        measuring(&server, "fanout --groups 1 --members 6 --rate 50 --duration 60s --warmup 0s --workers 3");
    thread::park_timeout(Duration::from_millis(700));
    signal("-KILL", &children(tool.id())[1]);
    let since = Instant::now();
    let output = tool.wait_with_output().unwrap();
    assert!(since.elapsed() < Duration::from_secs(20));
    assert_eq!(output.status.code(), Some(1));
    let report = server.report(&output);
    assert_eq!(report["ended"], "failed");
    assert!(report["faults"].to_string().contains("ended too early"), "{report:#}");
    assert!(report["lost"].is_null() && number(&report, "/totals/deliveries") > 0.0, "{report:#}");
    // The second in which it died is the others', whose words were heard: two of three in it, and all before.
    let per_s = number(&report, "/measured/deliveries_per_s");
    assert!((220.0..301.0).contains(&per_s), "{report:#}");
}

#[test]
fn a_worker_that_stands_still_neither_silences_the_others_nor_goes_unnamed() {
    let server = Server::start();
    let arguments = "fanout --groups 1 --members 6 --rate 50 --duration 4s --warmup 0s --workers 3";
    let mut tool =
        server.command(&words(arguments)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut progress = progress(&mut tool);
    wait_until(&mut progress, |line| line.contains("measuring"));
    signal("-STOP", &children(tool.id())[1]);
    wait_until(&mut progress, |line| line.contains("hearing out"));
    signal("-INT", &tool.id().to_string());
    let _told = read_on(progress);
    let output = tool.wait_with_output().unwrap();
    let report = server.report(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(report["faults"].to_string().contains("worker 2 of 3 stood still"), "{report:#}");
    assert!((3.9..4.1).contains(&number(&report, "/measured/seconds")), "{report:#}");
}

#[test]
fn workers_do_not_outlive_their_coordinator() {
    let server = Server::start();
    let arguments = "fanout --groups 1 --members 6 --rate 50 --duration 60s --warmup 0s --workers 3";
    let mut command = server.command(&words(arguments));
    let mut tool = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let told = wait_for(&mut tool, "measuring");
    tool.kill().unwrap();
    tool.wait().unwrap();
    // All workers have the pipe too, so it ends with the last of them.
    let (ended, heard) = mpsc::channel();
    thread::spawn(move || ended.send(told.join()));
    assert!(heard.recv_timeout(Duration::from_secs(10)).is_ok(), "a worker goes on");
}

fn was_interrupted(server: &Server, tool: Child) {
    let output = tool.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let report = server.report(&output);
    assert_eq!((report["ended"].as_str(), number(&report, "/lost")), (Some("interrupted"), 0.0));
    assert!(number(&report, "/totals/deliveries") > 0.0);
}

/// How many groups and users a service has.
fn things_of(server: &Server, client: &str, secret: &str) -> [u64; 2] {
    ["groups", "users"].map(|things| {
        let url = format!("{}/api/{things}", server.url);
        let headers = [format!("client: {client}"), format!("secret: {secret}")];
        let answer = Command::new("curl").args(["-s", "-H", &headers[0], "-H", &headers[1], &url]).output();
        let answer: Value = serde_json::from_slice(&answer.unwrap().stdout).unwrap();
        answer["total"].as_u64().unwrap()
    })
}

#[test]
fn what_a_run_has_made_is_deleted_unless_it_is_to_be_kept() {
    let server = Server::start();
    let service =
        Command::new("curl").args(["-s", "-X", "POST", &format!("{}/api/services", server.url)]).output();
    let service: Value = serde_json::from_slice(&service.unwrap().stdout).unwrap();
    let [client, secret] = ["client", "secret"].map(|field| service[field].as_str().unwrap());
    for (keep, left) in [("--keep=off", [0, 0]), ("--keep", [3, 12]), ("--keep=off", [3, 12])] {
        let mut arguments = words("fanout --groups 3 --members 4 --rate 50 --duration 200ms --warmup 0s");
        arguments.extend([keep, "--client", client, "--secret", secret]);
        server.runs(&arguments);
        assert_eq!(things_of(&server, client, secret), left, "{keep}");
    }
}

#[test]
fn what_was_due_and_never_said_is_told() {
    // Two million within 20 ms are more than anybody says.
    let server = Server::start();
    let arguments = "fanout --groups 1 --members 1 --rate 100000000 --size 67 --duration 20ms --warmup 0s";
    let (code, report, _) = server.run(&words(arguments));
    assert_eq!(code, Some(1));
    assert!(
        (number(&report, "/unsaid") + number(&report, "/totals/sent") - 2_000_000.0).abs() < 1.5,
        "{report:#}"
    );
    assert!(number(&report, "/unsaid") > 0.0);
}

#[test]
fn what_is_refused_for_its_rate_is_told_with_what_to_do() {
    let server = Server::with(&["--send-rate", "1", "--rest-rate", "0"]);
    let arguments = "fanout --groups 1 --members 2 --speakers 1 --rate 100 --duration 1s --warmup 0s";
    let (code, report, _) = server.run(&words(arguments));
    assert_eq!(code, Some(1));
    assert!(number(&report, "/errors/rate_limited") > 0.0 && number(&report, "/refused") > 50.0);
    assert!(report["hints"].to_string().contains("KIJIMUNA_SEND_RATE=0"));
    // Nobody was to hear it, so nothing is lost, and nobody waited for it.
    assert_eq!(number(&report, "/lost"), 0.0);
    assert_eq!(number(&report, "/latency/count"), number(&report, "/totals/deliveries"));
    assert!(number(&report, "/latency/max_us") < 1_000_000.0, "{report:#}");
}

#[test]
fn a_deployment_with_a_key_says_what_it_wants() {
    let server = Server::with(&["--admin-key", ADMIN_KEY]);
    let error = fails(&["idle", "--sockets", "2", "--url", &server.url]);
    assert!(error.contains("--admin-key"), "{error}");
    let error = fails(&["idle", "--sockets", "2", "--url", &server.url, "--client", "a", "--secret", "b"]);
    assert!(error.contains("check --client and --secret"), "{error}");
    server.runs(&[
        "idle",
        "--sockets",
        "2",
        "--duration",
        "200ms",
        "--warmup",
        "0s",
        "--admin-key",
        ADMIN_KEY,
    ]);
}

#[test]
fn version_2_is_spoken_in_both_encodings_with_nothing_lost() {
    let server = Server::start();
    for protocol in ["v2-json", "v2-msgpack"] {
        let run = |arguments: &str| server.runs(&words(&format!("{arguments} --protocol {protocol}")));
        let report = run("fanout --groups 2 --members 10 --rate 100 --duration 500ms --warmup 200ms");
        assert_eq!((number(&report, "/totals/sent"), number(&report, "/totals/deliveries")), (70.0, 700.0));
        let report = run("fanout --groups 2 --members 5 --window 4 --duration 300ms --warmup 0s --workers 2");
        let (sent, heard) = (number(&report, "/totals/sent"), number(&report, "/totals/deliveries"));
        assert!(sent > 0.0 && (heard - 5.0 * sent).abs() < 0.5, "{report:#}");
        let report = run("join-storm --joins 320 --groups 2");
        assert_eq!(number(&report, "/join/count"), 320.0);
        let report = run("reconnect-storm --sockets 60 --groups 3 --quiet 5 --before 500ms --warmup 200ms");
        assert_eq!(number(&report, "/totals/joins"), 125.0);
        let report = run("idle --sockets 20 --groups 2 --duration 300ms --warmup 0s");
        assert_eq!(number(&report, "/totals/joins"), 20.0);
    }
}

#[test]
fn what_cannot_begin_says_why() {
    let error = fails(&["idle", "--url", "http://127.0.0.1:1"]);
    assert!(error.contains("nothing answers"), "{error}");
    for (arguments, word) in [
        (&["idle", "--url", "https://example.com"][..], "must begin with http://"),
        (&["idle", "--duration", "soon"], "--duration"),
        (&["fanout", "--size", "10"], "67 to 16384"),
        (&["mixed", "--groups", "1000"], "two for each of the 1000 groups"),
        (&["fanout", "--rate", "5", "--window", "2"], "--rate opens the loop and --window closes it"),
        (&["idle", "--keep=maybe"], "on or off"),
        (&["idle", "--protocol", "v3"], "v1, v2-json or v2-msgpack"),
        (&["slow-readers", "--members", "3", "--slow", "3"], "--slow 3"),
        (&["idle", "--client", "a"], "--secret"),
        (&["run", "/nowhere.toml"], "/nowhere.toml"),
        (&["run", "/dev/zero"], "64 KiB"),
        (&["idle", "--pin", "1023"], "may use: "),
        (&["idle", "--workers", "5000"], "At most 64"),
        (
            &["idle", "--json", "/nowhere/report.json"],
            "--json is /nowhere/report.json, which can't be written",
        ),
        (&["idle", "--html", "/proc/report.html"], "--html is /proc/report.html"),
        (&["idle", "--json", "/dev/null", "--html", "/dev/../dev/null"], "a file of its own"),
        (&["idle", "--pid", "4194305"], "no such process"),
        (&["idle", "--sockets"], "a value is required"),
    ] {
        let error = is_refused(arguments);
        assert!(error.contains(word), "{arguments:?}: {error}");
    }
}

#[test]
fn too_few_descriptors_are_told_before_anything_is_made() {
    // Nobody is at this address, which would be told if anybody had asked there.
    for (limit, word) in [(100, "151 or more"), (200, "100 workers")] {
        let line = format!("ulimit -n {limit} && exec \"$0\" idle --sockets 5000 --url http://127.0.0.1:1");
        let output =
            Command::new("sh").args(["-c", &line, env!("CARGO_BIN_EXE_kijimuna-loadtest")]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(word) && told.contains("ulimit -Hn"), "{told}");
    }
}

#[test]
fn nothing_in_a_file_reaches_the_terminal_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    for line in [
        "rate = \u{1b}[31m",
        r#"url = "\u001b[31m""#,
        r#"url = "http://\u001b[31m""#,
        r#"json = "/nowhere/\u001b[31m""#,
    ] {
        std::fs::write(&file, format!("scenario = \"fanout\"\n{line}\n")).unwrap();
        let error = is_refused(&["run", file.to_str().unwrap()]);
        assert!(!error.contains(|letter: char| letter.is_control() && letter != '\n'), "{error:?}");
    }
}

#[test]
fn a_file_with_a_wrong_key_or_value_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    for (line, words) in [
        ("rtae = 5", ["\"rtae\"", "rate"]),
        ("rate = \"fast\"", ["the key rate of", "wrong.toml"]),
        ("url = \"\"", ["the key url of", "is \"\": it must begin with http://"]),
        ("pid = 4194305", ["the key pid of", "no such process"]),
    ] {
        std::fs::write(&file, format!("scenario = \"fanout\"\n{line}\n")).unwrap();
        let error = is_refused(&["run", file.to_str().unwrap()]);
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}
