//! The floor server against a client that isn't ours, and the comparison's own generator against the floor.
#![allow(missing_docs)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A floor server of its own, on a port that was free.
struct Floor {
    child: Child,
    address: String,
}

impl Floor {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kijimuna-floor"))
            .arg("0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the floor starts");
        let mut address = String::new();
        let said = child.stdout.take().expect("it was piped");
        BufReader::new(said).read_line(&mut address).expect("it says where it is");
        Self { child, address: address.trim().to_owned() }
    }

    async fn member(&self, group: &str) -> Member {
        let (socket, _) = connect_async(format!("ws://{}/{group}", self.address)).await.expect("an upgrade");
        Member(socket)
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("the floor ends when it is told to");
    }
}

struct Member(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Member {
    async fn says(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.expect("the socket is open");
    }

    async fn hears(&mut self, expected: &str) {
        let heard = self.0.next().await.expect("the socket is open").expect("frames are legal");
        assert_eq!(heard, Message::text(expected));
    }
}

#[tokio::test]
async fn each_member_of_the_group_hears_a_message_once() {
    let floor = Floor::start();
    let (mut alice, mut bob) = (floor.member("lobby").await, floor.member("lobby").await);
    let mut carol = floor.member("attic").await;
    let long = "x".repeat(60_000);
    for text in ["hi", &long] {
        alice.says(text).await;
    }
    bob.says("hello").await;
    for member in [&mut alice, &mut bob] {
        // Two speakers may come in either order, so bob's word is taken out where it stands.
        let mut heard = Vec::new();
        while heard.len() < 3 {
            heard.push(member.0.next().await.expect("open").expect("legal").into_text().expect("text"));
        }
        heard.retain(|text| text.as_str() != "hello");
        assert_eq!(heard, ["hi", &long]);
    }
    carol.says("alone").await;
    carol.hears("alone").await;
}

#[tokio::test]
async fn what_a_slow_member_has_no_room_for_waits() {
    let floor = Floor::start();
    let (mut alice, mut slow) = (floor.member("lobby").await, floor.member("lobby").await);
    // More than the kernel holds for one socket.
    let texts: Vec<_> = (0..400).map(|number| format!("{number:05}").repeat(10_000)).collect();
    for text in &texts {
        alice.says(text).await;
        alice.hears(text).await;
    }
    for text in &texts {
        slow.hears(text).await;
    }
}

#[test]
fn the_generator_hears_everything_that_the_floor_says() {
    let scratch = tempfile::tempdir().expect("a folder");
    let results = scratch.path().join("RESULTS.md");
    let compared = Command::new(env!("CARGO_BIN_EXE_kijimuna-compare"))
        .args(["--only", "floor", "--load", "open", "--rounds", "1", "--seconds", "1", "--idle", "200"])
        .args(["--scratch".as_ref(), scratch.path().as_os_str()])
        .args(["--results".as_ref(), results.as_os_str()])
        .output()
        .expect("the comparison starts");
    assert!(compared.status.success(), "{compared:?}");
    let table = std::fs::read_to_string(&results).expect("it is written");
    let rows: Vec<_> = table.lines().filter(|line| line.contains("| floor |")).collect();
    let [delivered, idled] = rows[..] else { panic!("{table}") };
    // Two seconds of 500 messages, each to a hundred members.
    assert!(delivered.ends_with("| 100,000 | 0 | 0 |"), "{delivered}");
    assert!(idled.contains(" KiB |"), "{idled}");
    assert!(!table.contains("failed"), "{table}");
}
