//! The tool against the real server: each scenario for about a second, and what can go wrong.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const ADMIN_KEY: &str = "a key for these tests";

/// A server of its own for a test.
struct Server {
    process: Child,
    url: String,
    folder: TempDir,
}

/// The server's binary lies where Cargo put ours.
fn binary() -> PathBuf {
    let ours = Path::new(env!("CARGO_BIN_EXE_kijimuna-loadtest"));
    let binary = ours.with_file_name("kijimuna");
    assert!(
        binary.exists(),
        "{} isn't there: build the server first, with `cargo build -p kijimuna-api` (or test the whole --workspace)",
        binary.display()
    );
    binary
}

/// A port that nobody has. Each test of this process gets another one, from below those that the system gives to
/// connections.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let port = 12_000 + (std::process::id() * 64 + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Server {
    fn start() -> Self {
        Self::with(&["--send-rate", "0", "--rest-rate", "0"])
    }

    fn with(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        loop {
            let port = free_port();
            let mut process = Command::new(binary())
                .args(["--listen", &format!("127.0.0.1:{port}"), "--log", "warn"])
                .arg("--data-dir")
                .arg(folder.path().join("data"))
                .args(flags)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the server starts");
            let since = Instant::now();
            while process.try_wait().unwrap().is_none() && since.elapsed() < Duration::from_secs(20) {
                // Whoever answers must be the one that was started.
                if TcpStream::connect(("127.0.0.1", port)).is_ok() && process.try_wait().unwrap().is_none() {
                    return Self { process, url: format!("http://127.0.0.1:{port}"), folder };
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
            let _ = process.kill();
            let status = process.wait().unwrap();
            assert!(since.elapsed() < Duration::from_secs(20), "the server doesn't start: {status}");
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kijimuna-loadtest"));
        command
            .args(arguments)
            .args(["--url", &self.url])
            .arg("--json")
            .arg(self.folder.path().join("report.json"));
        command
    }

    /// Runs to the end: the exit status' code, the JSON, and what was written.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, Value, Output) {
        let output = self.command(arguments).output().expect("the tool starts");
        (output.status.code(), self.report(&output), output)
    }

    fn report(&self, output: &Output) -> Value {
        let told = String::from_utf8_lossy(&output.stderr);
        let json = std::fs::read(self.folder.path().join("report.json"));
        serde_json::from_slice(&json.unwrap_or_else(|_| panic!("no report; it said: {told}"))).expect("JSON")
    }

    /// Runs and must succeed, with nothing lost.
    fn runs(&self, arguments: &[&str]) -> Value {
        let (code, report, output) = self.run(arguments);
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(code, Some(0), "{told}{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(report["ended"], "complete");
        for count in ["lost", "duplicated", "reordered", "strays", "unsaid"] {
            assert_eq!(report[count], 0, "{count}: {told}");
        }
        report
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number at {path}: {report:#}"))
}

#[test]
fn fanout_open_loop_delivers_every_message_to_everyone() {
    let server = Server::start();
    let page = server.folder.path().join("report.html");
    let arguments = "fanout --groups 3 --members 10 --rate 100 --duration 1s --warmup 500ms";
    let mut arguments: Vec<_> = arguments.split(' ').collect();
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
    let report = server.runs(&arguments.split(' ').collect::<Vec<_>>());
    assert_eq!(report["workers"], 3);
    assert!((number(&report, "/totals/deliveries") - 9.0 * number(&report, "/totals/sent")).abs() < 0.5);
}

#[test]
fn idle_holds_its_sockets() {
    let report = Server::start()
        .runs(&"idle --sockets 50 --groups 5 --duration 1s --warmup 0s".split(' ').collect::<Vec<_>>());
    assert_eq!((number(&report, "/totals/joins"), number(&report, "/totals/deliveries")), (50.0, 0.0));
}

#[test]
fn a_run_leaves_no_ports_behind_that_others_would_miss() {
    let server = Server::start();
    server.runs(&"idle --sockets 50 --groups 1 --duration 200ms --warmup 0s".split(' ').collect::<Vec<_>>());
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
    let report = Server::start().runs(&"join-storm --joins 200 --groups 2".split(' ').collect::<Vec<_>>());
    assert_eq!((number(&report, "/measured/joins"), number(&report, "/join/count")), (200.0, 200.0));
    assert!(number(&report, "/measured/joins_per_s") > 0.0);
}

#[test]
fn all_come_back_from_a_reconnect_storm() {
    let arguments = "reconnect-storm --sockets 100 --groups 4 --quiet 5 --before 500ms --warmup 200ms";
    let report = Server::start().runs(&arguments.split(' ').collect::<Vec<_>>());
    assert_eq!(number(&report, "/totals/joins"), 205.0);
    assert!(number(&report, "/storm/all_back_s") > 0.0);
}

#[test]
fn churn_loses_nothing_for_those_who_stay() {
    let arguments =
        "churn --groups 2 --members 20 --rate 100 --churn-rate 40 --away 100ms --duration 1s --warmup 0s";
    let report = Server::start().runs(&arguments.split(' ').collect::<Vec<_>>());
    assert!(number(&report, "/totals/leaves") > 10.0 && number(&report, "/totals/joins") > 50.0);
}

#[test]
fn slow_readers_hold_nobody_up() {
    let arguments = "slow-readers --groups 1 --members 10 --slow 3 --rate 50 --duration 1s --warmup 0s";
    let report = Server::start().runs(&arguments.split(' ').collect::<Vec<_>>());
    assert_eq!((number(&report, "/totals/sent"), number(&report, "/totals/deliveries")), (50.0, 350.0));
}

#[test]
fn history_is_paged() {
    let arguments = "history --groups 2 --members 2 --messages 120 --page-items 50 --page-rate 40 --duration 1s --warmup 0s";
    let report = Server::start().runs(&arguments.split(' ').collect::<Vec<_>>());
    assert!(number(&report, "/totals/pages") >= 30.0);
    assert!(number(&report, "/measured/page_messages") > number(&report, "/measured/pages") * 30.0);
}

#[test]
fn mixed_does_everything_at_once() {
    let arguments =
        "mixed --groups 10 --sockets 60 --rate 60 --churn-rate 20 --away 100ms --page-rate 20 --duration 1s";
    let report = Server::start().runs(&arguments.split(' ').collect::<Vec<_>>());
    for path in ["/totals/sent", "/totals/deliveries", "/totals/leaves", "/totals/pages"] {
        assert!(number(&report, path) > 0.0, "{path}");
    }
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
    let report = server.runs(&["run", file.to_str().unwrap(), "--warmup", "0s"]);
    assert_eq!(number(&report, "/totals/deliveries"), 60.0);
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
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let mut tool = server.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
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
    assert!(String::from_utf8_lossy(&output.stdout).contains("The server is gone"));
}

#[test]
fn an_interrupt_ends_the_run_with_its_report() {
    let server = Server::start();
    let tool = measuring(&server, "fanout --groups 1 --members 5 --rate 50 --duration 60s --warmup 0s");
    let sent = Command::new("kill").args(["-INT", &tool.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = tool.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let report = server.report(&output);
    assert_eq!((report["ended"].as_str(), number(&report, "/lost")), (Some("interrupted"), 0.0));
    assert!(number(&report, "/totals/deliveries") > 0.0);
}

#[test]
fn what_is_refused_for_its_rate_is_told_with_what_to_do() {
    let server = Server::with(&["--send-rate", "1", "--rest-rate", "0"]);
    let arguments = "fanout --groups 1 --members 2 --speakers 1 --rate 100 --duration 1s --warmup 0s";
    let (code, report, _) = server.run(&arguments.split(' ').collect::<Vec<_>>());
    assert_eq!(code, Some(1));
    assert!(number(&report, "/errors/rate_limited") > 0.0 && number(&report, "/lost") > 0.0);
    assert!(report["hints"].to_string().contains("KIJIMUNA_SEND_RATE=0"));
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
fn what_cannot_begin_says_why() {
    for (arguments, word) in [
        (&["idle", "--url", "https://example.com"][..], "must begin with http://"),
        (&["idle", "--url", "http://127.0.0.1:1"], "nothing answers"),
        (&["idle", "--duration", "soon"], "--duration"),
        (&["fanout", "--size", "10"], "58 to 16384"),
        (&["slow-readers", "--members", "3", "--slow", "3"], "--slow 3"),
        (&["idle", "--client", "a"], "--secret"),
        (&["run", "/nowhere.toml"], "/nowhere.toml"),
    ] {
        let error = fails(arguments);
        assert!(error.contains(word), "{arguments:?}: {error}");
    }
}

#[test]
fn a_file_with_a_wrong_key_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, "scenario = \"fanout\"\nrtae = 5\n").unwrap();
    let error = fails(&["run", file.to_str().unwrap()]);
    assert!(error.contains("\"rtae\"") && error.contains("rate"), "{error}");
}

/// Runs what must fail, and gives what it says.
fn fails(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kijimuna-loadtest")).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    error
}

/// Reads its progress until a word comes. What comes later is read on, so that it is never held up.
fn wait_for(tool: &mut Child, word: &str) {
    let mut progress = BufReader::new(tool.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        assert!(progress.read_line(&mut line).unwrap() > 0, "it ended before it said {word:?}");
    }
    std::thread::spawn(move || progress.read_to_end(&mut Vec::new()));
}
