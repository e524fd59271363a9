//! What the tests share: a server of their own, and the tool.

#![allow(dead_code, reason = "each test program uses its part")]

pub(crate) mod lies;
pub(crate) mod proxy;

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A server of its own for a test.
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) url: String,
    pub(crate) folder: TempDir,
}

/// The server's binary lies where Cargo put ours.
pub(crate) fn binary() -> PathBuf {
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
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let port = 12_000 + (std::process::id() * 64 + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Whether a process has the socket that listens at a port of this machine.
fn listens(pid: u32, port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    // 0A is LISTEN.
    let is_listener = |row: &Vec<&str>| row[3] == "0A" && row[1].ends_with(&format!(":{port:04X}"));
    let sockets: Vec<_> = rows.filter(is_listener).map(|row| format!("socket:[{}]", row[9])).collect();
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut targets = files.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
    targets.any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&["--send-rate", "0", "--history-rate", "0", "--rest-rate", "0"])
    }

    pub(crate) fn with(flags: &[&str]) -> Self {
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
                // Whoever answers must be the one that was started: another program may have taken the port since.
                if TcpStream::connect(("127.0.0.1", port)).is_ok() && listens(process.id(), port) {
                    return Self { process, url: format!("http://127.0.0.1:{port}"), folder };
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
            let _ = process.kill();
            let status = process.wait().unwrap();
            assert!(since.elapsed() < Duration::from_secs(20), "the server doesn't start: {status}");
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kijimuna-loadtest"));
        command
            .args(arguments)
            .args(["--url", &self.url])
            .arg("--json")
            .arg(self.folder.path().join("report.json"));
        command
    }

    /// Runs to the end: the exit status' code, the JSON, and what was written.
    pub(crate) fn run(&self, arguments: &[&str]) -> (Option<i32>, Value, Output) {
        let output = self.command(arguments).output().expect("the tool starts");
        (output.status.code(), self.report(&output), output)
    }

    pub(crate) fn report(&self, output: &Output) -> Value {
        let told = String::from_utf8_lossy(&output.stderr);
        let json = std::fs::read(self.folder.path().join("report.json"));
        serde_json::from_slice(&json.unwrap_or_else(|_| panic!("no report; it said: {told}"))).expect("JSON")
    }

    /// Runs and must succeed, with nothing lost.
    pub(crate) fn runs(&self, arguments: &[&str]) -> Value {
        let (code, report, output) = self.run(arguments);
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(code, Some(0), "{told}{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(report["ended"], "complete");
        for count in [
            "lost",
            "duplicated",
            "reordered",
            "strays",
            "altered",
            "wrong_pages",
            "unanswered_pages",
            "refused",
            "unknown_frames",
            "unsaid",
            "unasked",
            "absent",
            "unanswered_pings",
        ] {
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

pub(crate) fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number at {path}: {report:#}"))
}

/// A command line's words.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

pub(crate) fn signal(signal: &str, to: &str) {
    assert!(Command::new("kill").args([signal, "--", to]).status().unwrap().success());
}

/// Runs what must fail, and gives what it says.
pub(crate) fn fails(arguments: &[&str]) -> String {
    ends_with(1, arguments)
}

/// Runs what is asked for wrongly, and gives what it says.
pub(crate) fn is_refused(arguments: &[&str]) -> String {
    ends_with(2, arguments)
}

fn ends_with(status: i32, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kijimuna-loadtest")).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
    error
}

/// Reads its progress until a word comes. What comes later is read on, so that it is never held up, and given at the end.
pub(crate) fn wait_for(tool: &mut Child, word: &str) -> JoinHandle<Vec<u8>> {
    let mut progress = progress(tool);
    wait_until(&mut progress, |line| line.contains(word));
    read_on(progress)
}

pub(crate) type Progress = BufReader<ChildStderr>;

pub(crate) fn progress(tool: &mut Child) -> Progress {
    BufReader::new(tool.stderr.take().unwrap())
}

pub(crate) fn wait_until(progress: &mut Progress, mut is: impl FnMut(&str) -> bool) {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(progress.read_line(&mut line).unwrap() > 0, "it ended before it said so");
        if is(&line) {
            return;
        }
    }
}

pub(crate) fn read_on(mut progress: Progress) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = progress.read_to_end(&mut rest);
        rest
    })
}
