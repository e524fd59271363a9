//! Tests that read aloud: `alice.says("hi")`, `bob.hears("hi")`.
//!
//! A [`World`] is a tenant of a server that runs somewhere, a [`Person`] one of its users, a [`Chatter`] one of
//! their WebSockets. They use reqwest and tokio-tungstenite, and nothing of the engine's own code. Everything
//! that waits gives up loudly after [`PATIENCE`].

mod peer;

pub use peer::{Encoding, Peer};

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long a test waits for what must come, before it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The action of a page of history.
const HISTORY: u64 = 3;

/// A tenant of a running server.
#[derive(Debug, Clone)]
pub struct World(Arc<Tenant>);

#[derive(Debug)]
struct Tenant {
    base: String,
    http: reqwest::Client,
    client: String,
    secret: String,
}

/// What a request was answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text))
    }

    /// The error's word.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_else(|| panic!("no code: {}", self.text)).to_owned()
    }

    /// The body of a success. Fails the test otherwise.
    pub fn expect_success(self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.text);
        self.json()
    }

    /// Fails the test unless this is an error with that status and word.
    pub fn expect_error(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{}", self.text);
        assert!(self.json()["error"].as_str().is_some_and(|error| !error.is_empty()), "{}", self.text);
    }
}

impl World {
    /// Makes a new tenant at a server such as `http://127.0.0.1:3010`.
    pub async fn at(base: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        let answer = http.post(format!("{base}/api/services")).send().await.expect("the server answers");
        let made: Value = answer.json().await.expect("JSON");
        let text = |field: &str| made[field].as_str().expect("a credential").to_owned();
        let (client, secret) = (text("client"), text("secret"));
        Self(Arc::new(Tenant { base: base.to_owned(), http, client, secret }))
    }

    /// The same tenant at a server that moved, such as after a restart on another port.
    #[must_use]
    pub fn moved_to(&self, base: &str) -> Self {
        let Tenant { http, client, secret, .. } = &*self.0;
        let (http, client, secret) = (http.clone(), client.clone(), secret.clone());
        Self(Arc::new(Tenant { base: base.to_owned(), http, client, secret }))
    }

    /// The server's address.
    pub fn base(&self) -> &str {
        &self.0.base
    }

    /// The tenant's credentials, `client` and `secret`.
    pub fn credentials(&self) -> (&str, &str) {
        (&self.0.client, &self.0.secret)
    }

    /// A request of this tenant. The path is taken as it is, so ids in it are encoded by the caller.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let Tenant { base, http, client, secret } = &*self.0;
        http.request(method, format!("{base}{path}")).header("client", client).header("secret", secret)
    }

    /// Sends a request without a body.
    pub async fn get(&self, path: &str) -> Answer {
        answered(self.request(Method::GET, path)).await
    }

    /// Sends a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        answered(self.request(Method::POST, path).json(&body)).await
    }

    /// Sends a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        answered(self.request(Method::PATCH, path).json(&body)).await
    }

    /// Sends a request without a body.
    pub async fn delete(&self, path: &str) -> Answer {
        answered(self.request(Method::DELETE, path)).await
    }

    /// Makes a group.
    pub async fn has_group(&self, id: &str) {
        self.post("/api/groups", json!({"id": id})).await.expect_success();
    }

    /// Makes a user.
    pub async fn person(&self, id: &str) -> Person {
        self.post("/api/users", json!({"id": id})).await.expect_success();
        Person { world: self.clone(), id: id.to_owned() }
    }

    /// A user that was made before.
    pub fn known(&self, id: &str) -> Person {
        Person { world: self.clone(), id: id.to_owned() }
    }

    /// Asks for a token.
    pub async fn token(&self, group: &str, user: &str) -> String {
        let issued = self.post("/api/token", json!({"group": group, "user": user})).await.expect_success();
        issued["token"].as_str().expect("a token").to_owned()
    }

    /// Opens a WebSocket with any token.
    pub async fn connect(&self, token: &str) -> Chatter {
        let url = format!("{}/ws/connects/{token}", self.0.base.replacen("http", "ws", 1));
        let connecting = tokio_tungstenite::connect_async(url);
        let (socket, _) = within("the handshake", connecting).await.expect("the handshake succeeds");
        Chatter { socket, waiting: HashMap::new() }
    }
}

/// Sends a request.
pub async fn answered(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("the server answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.expect("a body") }
}

/// An id, encoded for a path.
pub fn encoded(id: &str) -> String {
    let mut out = String::new();
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A user of a [`World`].
#[derive(Debug, Clone)]
pub struct Person {
    world: World,
    /// The user's id.
    pub id: String,
}

impl Person {
    /// The tenant lets the user attend a group.
    pub async fn attends(&self, group: &str) {
        let path = format!("/api/groups/{}/attendees", encoded(group));
        self.world.post(&path, json!({"user": self.id})).await.expect_success();
    }

    /// The tenant ends the user's attendance.
    pub async fn is_removed_from(&self, group: &str) {
        let path = format!("/api/groups/{}/attendees/{}", encoded(group), encoded(&self.id));
        self.world.delete(&path).await.expect_success();
    }

    /// Attends a group and opens a WebSocket.
    pub async fn joins(&self, group: &str) -> Chatter {
        self.attends(group).await;
        self.connects(group).await
    }

    /// Opens a WebSocket in a group that the user attends, and waits until it is let in: what is said from then
    /// on it hears.
    pub async fn connects(&self, group: &str) -> Chatter {
        let mut chatter = self.world.connect(&self.world.token(group, &self.id).await).await;
        let greeting = chatter.next(HISTORY).await;
        chatter.waiting.entry(HISTORY).or_default().push_front(greeting);
        chatter
    }
}

/// One WebSocket of a user.
#[derive(Debug)]
pub struct Chatter {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Frames that came while another kind was waited for, by action.
    waiting: HashMap<u64, VecDeque<Value>>,
}

impl Chatter {
    /// Sends a message.
    pub async fn says(&mut self, text: &str) {
        self.sends(&json!({"a": 2, "d": {"m": text}}).to_string()).await;
    }

    /// Sends any text frame.
    pub async fn sends(&mut self, frame: &str) {
        self.sends_message(Message::text(frame)).await;
    }

    /// Sends any WebSocket message.
    pub async fn sends_message(&mut self, message: Message) {
        within("a send", self.socket.send(message)).await.expect("sent");
    }

    /// The data of the next frame of an action. Frames of other actions wait until they are asked for.
    pub async fn next(&mut self, action: u64) -> Value {
        self.next_of(&[action]).await.1
    }

    /// The next frame of any of these actions, with its data.
    pub async fn next_of(&mut self, actions: &[u64]) -> (u64, Value) {
        for action in actions {
            if let Some(data) = self.waiting.get_mut(action).and_then(VecDeque::pop_front) {
                return (*action, data);
            }
        }
        loop {
            let mut frame = match self.event(&format!("a frame with an action of {actions:?}")).await {
                Event::Frame(frame) => frame,
                Event::Closed(code) => panic!("closed with {code:?} instead of an action of {actions:?}"),
            };
            let data = frame["d"].take();
            match frame["a"].as_u64() {
                Some(action) if actions.contains(&action) => return (action, data),
                Some(other) => self.waiting.entry(other).or_default().push_back(data),
                None => panic!("a frame without an action: {frame}"),
            }
        }
    }

    /// Says something, and again whenever the server refuses anything, until it is heard. Answers the refusals.
    pub async fn says_until_heard(&mut self, text: &str) -> usize {
        let mut refusals = 0;
        self.says(text).await;
        loop {
            match self.next_of(&[2, 5]).await {
                (2, message) if message["m"] == text => return refusals,
                (5, _) => {
                    refusals += 1;
                    self.says(text).await;
                }
                _ => {}
            }
        }
    }

    /// The next message, whatever it says.
    pub async fn hears_something(&mut self) -> Value {
        self.next(2).await
    }

    /// The next message, which must say this.
    pub async fn hears(&mut self, text: &str) -> Value {
        let message = self.next(2).await;
        assert_eq!(message["m"], text, "heard something else");
        message
    }

    /// Waits until the roster shows exactly these as online.
    pub async fn sees_online(&mut self, ids: &[&str]) -> Value {
        let wanted: BTreeSet<&str> = ids.iter().copied().collect();
        loop {
            let roster = self.next(1).await;
            let online: BTreeSet<&str> = roster["on"]
                .as_array()
                .expect("a list")
                .iter()
                .filter_map(|user| user["id"].as_str())
                .collect();
            if online == wanted {
                return roster;
            }
        }
    }

    /// The next roster.
    pub async fn sees_roster(&mut self) -> Value {
        self.next(1).await
    }

    /// The history that a session is given when it begins.
    pub async fn is_given_history(&mut self) -> Vec<Value> {
        self.next(HISTORY).await["h"].as_array().expect("a list").clone()
    }

    /// Asks for a page of history.
    pub async fn reads_history(&mut self, request: Value) -> Vec<Value> {
        self.sends(&json!({"a": 3, "d": request}).to_string()).await;
        self.is_given_history().await
    }

    /// The next error, which must have this word.
    pub async fn is_refused_with(&mut self, code: &str) -> Value {
        let error = self.next(5).await;
        assert_eq!(error["c"], code, "{error}");
        assert!(error["m"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
        error
    }

    /// Waits until the server closes, which must be with this code.
    pub async fn is_closed_with(&mut self, code: u16) {
        loop {
            if let Event::Closed(found) = self.event(&format!("a close with {code}")).await {
                assert_eq!(found, Some(code));
                return;
            }
        }
    }

    /// Waits until the connection ends, in whatever way. Answers the close code, if one came.
    pub async fn ends(&mut self) -> Option<u16> {
        loop {
            if let Event::Closed(found) = self.event("the end").await {
                return found;
            }
        }
    }

    /// Closes as a well-behaved client does.
    pub async fn leaves(self) {
        close(self.socket).await;
    }

    /// Goes without a word, as when a network is lost.
    pub fn vanishes(self) {
        drop(self);
    }

    async fn event(&mut self, what: &str) -> Event {
        loop {
            match within(what, self.socket.next()).await {
                Some(Ok(Message::Text(text))) => {
                    return Event::Frame(serde_json::from_str(&text).expect("frames are JSON"));
                }
                Some(Ok(Message::Close(close))) => {
                    return Event::Closed(close.map(|close| u16::from(close.code)));
                }
                Some(Ok(_)) => {}
                None
                | Some(Err(
                    tungstenite::Error::ConnectionClosed
                    | tungstenite::Error::Protocol(_)
                    | tungstenite::Error::Io(_),
                )) => {
                    return Event::Closed(None);
                }
                Some(Err(error)) => panic!("while waiting for {what}: {error}"),
            }
        }
    }
}

enum Event {
    Frame(Value),
    Closed(Option<u16>),
}

/// Closes as a well-behaved client does, and waits for the end of the stream; what still comes doesn't matter.
async fn close(mut socket: WebSocketStream<MaybeTlsStream<TcpStream>>) {
    within("a close", socket.close(None)).await.expect("closed");
    within("the end", async { while let Some(Ok(_)) = socket.next().await {} }).await;
}

/// Waits, but not for ever.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}
