//! A client of version 2, in either encoding: tokio-tungstenite below, and nothing of the engine's codec.

use std::collections::VecDeque;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::{Person, World, close, within};

/// How frames are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Text frames.
    Json,
    /// Binary frames.
    Msgpack,
}

impl Encoding {
    /// Its WebSocket subprotocol.
    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "kijimuna.v2.json",
            Self::Msgpack => "kijimuna.v2.msgpack",
        }
    }
}

/// One WebSocket that speaks version 2.
#[derive(Debug)]
pub struct Peer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    encoding: Encoding,
    /// Frames that came while others were waited for.
    waiting: VecDeque<Value>,
    last_r: u32,
    /// The newest ticket.
    pub ticket: String,
}

impl World {
    /// Asks for a token that is for no group.
    pub async fn user_token(&self, user: &str) -> String {
        let issued = self.post("/api/token", json!({"user": user})).await.expect_success();
        issued["token"].as_str().expect("a token").to_owned()
    }

    /// Opens a WebSocket of version 2 with a token or a ticket.
    pub async fn connect_v2(&self, token: &str, encoding: Encoding) -> Peer {
        let url = format!("{}/ws/connects/{token}", self.base().replacen("http", "ws", 1));
        let mut request = url.into_client_request().expect("a request");
        let subprotocol = encoding.subprotocol().parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", subprotocol);
        let connecting = tokio_tungstenite::connect_async(request);
        let (socket, response) = within("the handshake", connecting).await.expect("the handshake succeeds");
        let chosen = response.headers().get("sec-websocket-protocol").and_then(|name| name.to_str().ok());
        assert_eq!(chosen, Some(encoding.subprotocol()), "the server takes the subprotocol that is offered");
        Peer { socket, encoding, waiting: VecDeque::new(), last_r: 0, ticket: String::new() }
    }
}

impl Person {
    /// Opens a WebSocket of version 2 in a group that the user attends. Answers its welcome, too.
    pub async fn enters(&self, group: &str, encoding: Encoding) -> (Peer, Value) {
        let mut peer = self.world.connect_v2(&self.world.token(group, &self.id).await, encoding).await;
        let welcome = peer.is_welcomed().await;
        (peer, welcome)
    }

    /// Opens a WebSocket of version 2 that is in no group yet.
    pub async fn arrives(&self, encoding: Encoding) -> Peer {
        let mut peer = self.world.connect_v2(&self.world.user_token(&self.id).await, encoding).await;
        peer.is_welcomed().await;
        peer
    }
}

impl Peer {
    /// The welcome that comes first, whose ticket is kept.
    pub async fn is_welcomed(&mut self) -> Value {
        let welcome = self.next(0).await;
        if let Some(ticket) = welcome["tk"].as_str() {
            ticket.clone_into(&mut self.ticket);
        }
        welcome
    }

    /// Sends a request that asks for no answer.
    pub async fn sends(&mut self, action: u64, data: Value) {
        self.sends_frame(&json!({"a": action, "d": data})).await;
    }

    /// Sends a frame as it is.
    pub async fn sends_frame(&mut self, frame: &Value) {
        self.sends_message(self.encoded(frame)).await;
    }

    /// Sends a frame to a server that may have closed by then.
    pub async fn throws(&mut self, frame: &Value) {
        self.throws_message(self.encoded(frame)).await;
    }

    /// Sends any WebSocket message to a server that may have closed by then.
    pub async fn throws_message(&mut self, message: Message) {
        // Whether it has is what the caller looks at.
        let _ = within("a send", self.socket.send(message)).await;
    }

    fn encoded(&self, frame: &Value) -> Message {
        match self.encoding {
            Encoding::Json => Message::text(frame.to_string()),
            Encoding::Msgpack => Message::binary(rmp_serde::to_vec_named(frame).expect("plain data")),
        }
    }

    /// Sends any WebSocket message.
    pub async fn sends_message(&mut self, message: Message) {
        within("a send", self.socket.send(message)).await.expect("sent");
    }

    /// Sends a request and waits for what answers it: its action and data.
    pub async fn asks(&mut self, action: u64, data: Value) -> (u64, Value) {
        self.last_r += 1;
        let r = self.last_r;
        self.sends_frame(&json!({"a": action, "r": r, "d": data})).await;
        let mut frame = self.next_where(|frame| frame["r"] == r, "an answer").await;
        (frame["a"].as_u64().expect("an action"), frame["d"].take())
    }

    /// Sends a request that must be answered with an action. Answers its data.
    pub async fn gets(&mut self, action: u64, data: Value, answer: u64) -> Value {
        let (action, data) = self.asks(action, data).await;
        assert_eq!(action, answer, "{data}");
        data
    }

    /// Sends a request that must be acknowledged.
    pub async fn does(&mut self, action: u64, data: Value) -> Value {
        self.gets(action, data, 4).await
    }

    /// Sends a request that must be refused with this word.
    pub async fn is_refused(&mut self, action: u64, data: Value, code: &str) -> Value {
        let error = self.gets(action, data, 5).await;
        assert_eq!(error["c"], code, "{error}");
        error
    }

    /// Says something and waits for the ack.
    pub async fn says(&mut self, text: &str) -> Value {
        self.does(2, json!({"m": text})).await
    }

    /// A page of history.
    pub async fn reads(&mut self, request: Value) -> Vec<Value> {
        self.gets(3, request, 3).await["h"].as_array().expect("a list").clone()
    }

    /// The data of the next frame of an action that answers nothing.
    pub async fn next(&mut self, action: u64) -> Value {
        let what = format!("a frame with action {action}");
        self.next_where(|frame| frame["a"] == action && frame["r"].is_null(), &what).await["d"].take()
    }

    /// The next event of the log: its action and data.
    pub async fn next_event(&mut self) -> (u64, Value) {
        let mut frame = self
            .next_where(
                |frame| frame["r"].is_null() && frame["d"]["s"].is_u64() && is_event(frame),
                "an event",
            )
            .await;
        (frame["a"].as_u64().expect("an action"), frame["d"].take())
    }

    /// The next frame that is wanted. Others wait until they are asked for.
    pub async fn next_where(&mut self, wanted: impl Fn(&Value) -> bool, what: &str) -> Value {
        if let Some(place) = self.waiting.iter().position(&wanted) {
            return self.waiting.remove(place).expect("it was found");
        }
        loop {
            let frame =
                self.frame(what).await.unwrap_or_else(|code| panic!("closed with {code:?}, not {what}"));
            if wanted(&frame) {
                return frame;
            }
            self.waiting.push_back(frame);
        }
    }

    /// Waits until everything that the server had to say before an answer has come, and takes it.
    pub async fn everything(&mut self) -> Vec<Value> {
        // A page is answered after what was sent before it.
        self.asks(3, json!({"l": 1})).await;
        self.waiting.drain(..).collect()
    }

    /// Whether a frame of an action has come that nobody has looked at.
    pub fn was_sent(&self, action: u64) -> bool {
        self.waiting.iter().any(|frame| frame["a"] == action)
    }

    /// Waits until the server closes, which must be with this code.
    pub async fn is_closed_with(&mut self, code: u16) {
        loop {
            match self.frame(&format!("a close with {code}")).await {
                Ok(frame) => self.waiting.push_back(frame),
                Err(found) => return assert_eq!(found, Some(code)),
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

    /// The next frame, or the code with which the server closed.
    pub async fn frame(&mut self, what: &str) -> Result<Value, Option<u16>> {
        loop {
            let decoded = match within(what, self.socket.next()).await {
                Some(Ok(Message::Text(text))) => serde_json::from_str(&text).expect("frames are JSON"),
                Some(Ok(Message::Binary(bytes))) => {
                    rmp_serde::from_slice(&bytes).expect("frames are MessagePack")
                }
                Some(Ok(Message::Close(close))) => return Err(close.map(|close| u16::from(close.code))),
                Some(Ok(_)) => continue,
                None
                | Some(Err(
                    tungstenite::Error::ConnectionClosed
                    | tungstenite::Error::Protocol(_)
                    | tungstenite::Error::Io(_),
                )) => return Err(None),
                Some(Err(error)) => panic!("while waiting for {what}: {error}"),
            };
            let frame: Value = decoded;
            if let (Some(30 | 31), Some(ticket)) = (frame["a"].as_u64(), frame["d"]["tk"].as_str()) {
                ticket.clone_into(&mut self.ticket);
            }
            return Ok(frame);
        }
    }
}

fn is_event(frame: &Value) -> bool {
    matches!(frame["a"].as_u64(), Some(2 | 7 | 8 | 9 | 16))
}
