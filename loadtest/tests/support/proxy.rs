//! A server that lies: it stands between the tool and a real one, and changes what that says.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

/// A frame: opcode and payload.
pub(crate) type Frame = (u8, Vec<u8>);
pub(crate) const TEXT: u8 = 1;

/// How it lies.
pub(crate) trait Lies: Send + Sync + 'static {
    /// The first request of a connection, which is the `number`th to begin with these words. What is answered here
    /// the real server never sees.
    fn answer(&self, _head: &str, _number: usize, _connection: &mut TcpStream) -> Answered {
        Answered::ByTheServer
    }

    /// A text frame for the `socket`th socket, with what this socket was told so far; `messages` of them, this one
    /// included, were messages.
    fn tell(&self, _socket: usize, _messages: usize, payload: Vec<u8>, _held: &mut Vec<Frame>) -> Vec<Frame> {
        vec![(TEXT, payload)]
    }
}

#[derive(PartialEq, Eq)]
pub(crate) enum Answered {
    ByTheServer,
    /// It is done with this connection, which is closed.
    Here,
    /// Nothing more will ever come, but the connection stays.
    Hanging,
}

/// One that runs until the test process ends.
pub(crate) struct Proxy {
    pub(crate) url: String,
    /// A word for each connection that the server doesn't get to see.
    pub(crate) caught: Receiver<()>,
}

struct Shared<L> {
    server: String,
    lies: L,
    upgrades: AtomicUsize,
    others: AtomicUsize,
    caught: Sender<()>,
}

impl Proxy {
    pub(crate) fn before(server_url: &str, lies: impl Lies) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, caught) = mpsc::channel();
        let shared = Arc::new(Shared {
            server: server_url.strip_prefix("http://").unwrap().to_owned(),
            lies,
            upgrades: AtomicUsize::new(0),
            others: AtomicUsize::new(0),
            caught: sender,
        });
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                // A connection that ends in the middle is none of ours.
                thread::spawn(move || shared.serve(connection));
            }
        });
        Self { url, caught }
    }
}

impl<L: Lies> Shared<L> {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let head = read_head(&mut client)?;
        let upgrades = head.starts_with(b"GET /ws/");
        let counter = if upgrades { &self.upgrades } else { &self.others };
        let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
        match self.lies.answer(&String::from_utf8_lossy(&head), number, &mut client) {
            Answered::ByTheServer => {}
            caught => {
                let _ = self.caught.send(());
                // Until the client goes.
                while caught == Answered::Hanging && client.read(&mut [0; 1024])? > 0 {}
                return Ok(());
            }
        }
        let mut server = TcpStream::connect(&self.server)?;
        server.set_nodelay(true)?;
        server.write_all(&head)?;
        let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
        if upgrades {
            client.write_all(&read_head(&mut server)?)?;
            self.tell(number, &mut server, &mut client)?;
        } else {
            io::copy(&mut server, &mut client)?;
        }
        client.shutdown(std::net::Shutdown::Both)
    }

    fn tell(&self, socket: usize, server: &mut TcpStream, client: &mut TcpStream) -> io::Result<()> {
        let (mut messages, mut held) = (0, Vec::new());
        loop {
            let (opcode, payload) = read_frame(server)?;
            messages += usize::from(payload.starts_with(br#"{"a":2"#));
            let frames = if opcode == TEXT {
                self.lies.tell(socket, messages, payload, &mut held)
            } else {
                vec![(opcode, payload)]
            };
            let bytes: Vec<u8> = frames.iter().flat_map(written).collect();
            client.write_all(&bytes)?;
        }
    }
}

/// Reads until the blank line, and no further.
fn read_head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(head)
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Frame> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let length = match head[1] & 0x7f {
        126 => {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            usize::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            stream.read_exact(&mut length)?;
            usize::try_from(u64::from_be_bytes(length)).unwrap()
        }
        short => usize::from(short),
    };
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload)?;
    Ok((head[0] & 0x0f, payload))
}

fn written((opcode, payload): &Frame) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode, 127];
    frame.extend((payload.len() as u64).to_be_bytes());
    frame.extend(payload);
    frame
}
