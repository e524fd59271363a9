//! What becomes of a run whose reports can't be written.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::fs;
use std::process::{Command, Output, Stdio};

use support::{Server, wait_for, words};

const IDLE: &str = "idle --sockets 2 --groups 1 --duration 200ms --warmup 0s";

fn tool(server: &Server, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kijimuna-loadtest"));
    command.args(words(arguments)).args(["--url", &server.url]);
    command
}

/// The table is there, and the trouble is a sentence and the exit status.
fn tells_all_the_same(output: &Output, trouble: &str) {
    let (table, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(table.contains("lost, twice, reordered     0, 0, 0"), "{table}{told}");
    assert!(told.contains(trouble), "{told}");
}

#[test]
fn a_report_that_finds_no_room_leaves_the_table_and_the_other_report() {
    let server = Server::start();
    let page = server.folder.path().join("page.html");
    let output = tool(&server, IDLE).args(["--json", "/dev/full", "--html"]).arg(&page).output().unwrap();
    tells_all_the_same(&output, "/dev/full can't be written");
    assert!(fs::read_to_string(page).unwrap().contains("</html>"));
}

#[test]
fn a_folder_that_goes_during_the_run_leaves_the_table() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let arguments = IDLE.replace("200ms", "1500ms");
    let mut tool = tool(&server, &arguments)
        .arg("--json")
        .arg(folder.path().join("report.json"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let told = wait_for(&mut tool, "measuring");
    folder.close().unwrap();
    let mut output = tool.wait_with_output().unwrap();
    output.stderr = told.join().unwrap();
    tells_all_the_same(&output, "report.json can't be written");
}
