//! How one speaks to each server: a path to upgrade at, a few frames until one is in, and how a message is said.

use std::io;

use crate::kijimuna::Rest;

/// Groups of one size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) groups: u32,
    /// In each group.
    pub(crate) members: u32,
}

impl Layout {
    /// Members of all groups.
    pub(crate) fn total(self) -> u32 {
        self.groups * self.members
    }

    /// The seat of the member with a number. Groups fill one after the other.
    pub(crate) fn seat(self, number: u32) -> Seat {
        Seat { group: number / self.members, place: number % self.members, number }
    }
}

/// One member's place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    pub(crate) group: u32,
    /// In the group.
    pub(crate) place: u32,
    /// Among all members.
    pub(crate) number: u32,
}

/// What a newcomer does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Waits for the next frame.
    Wait,
    /// Sends this and waits.
    Send(String),
    /// Is in: whatever is said from here on, it hears.
    Joined,
}

/// A server's language.
pub(crate) trait Dialect: Sync {
    /// Makes what has to be there before anyone can join.
    fn provision(&mut self, _layout: Layout) -> io::Result<()> {
        Ok(())
    }

    /// The path to upgrade at. The REST connection is the lane's own and is kept.
    fn path(&self, seat: Seat, rest: &mut Rest) -> io::Result<String>;

    /// Asked after the upgrade, with `None`, and then with each payload until the newcomer is in.
    fn greet(&self, seat: Seat, payload: Option<&[u8]>) -> Step;

    /// Appends the payload that says a text.
    fn say(&self, group: u32, text: &[u8], payload: &mut Vec<u8>);

    /// What the server wants to hear back at once, to know that its client is alive.
    fn pong(&self, _payload: &[u8]) -> Option<&'static [u8]> {
        None
    }
}

/// What is said is what all hear: the floor and the relay over `ws`.
pub(crate) struct Raw;

impl Dialect for Raw {
    fn path(&self, seat: Seat, _: &mut Rest) -> io::Result<String> {
        Ok(format!("/g{}", seat.group))
    }

    fn greet(&self, _: Seat, _: Option<&[u8]>) -> Step {
        Step::Joined
    }

    fn say(&self, _: u32, text: &[u8], payload: &mut Vec<u8>) {
        payload.extend_from_slice(text);
    }
}

/// Engine.IO 4 without long polling, and Socket.IO 5 on top of it.
pub(crate) struct SocketIo;

impl Dialect for SocketIo {
    fn path(&self, seat: Seat, _: &mut Rest) -> io::Result<String> {
        Ok(format!("/socket.io/?EIO=4&transport=websocket&room=g{}", seat.group))
    }

    fn greet(&self, _: Seat, payload: Option<&[u8]>) -> Step {
        match payload {
            Some(open) if open.starts_with(b"0{") => Step::Send("40".to_owned()),
            Some(event) if event.starts_with(br#"42["joined""#) => Step::Joined,
            _ => Step::Wait,
        }
    }

    fn say(&self, _: u32, text: &[u8], payload: &mut Vec<u8>) {
        payload.extend_from_slice(br#"42["message",""#);
        payload.extend_from_slice(text);
        payload.extend_from_slice(br#""]"#);
    }

    fn pong(&self, payload: &[u8]) -> Option<&'static [u8]> {
        (payload == b"2").then_some(b"3")
    }
}

/// The protocol of NATS' clients, over a WebSocket. A group is a subject.
pub(crate) struct Nats;

impl Dialect for Nats {
    fn path(&self, _: Seat, _: &mut Rest) -> io::Result<String> {
        Ok("/".to_owned())
    }

    fn greet(&self, seat: Seat, payload: Option<&[u8]>) -> Step {
        match payload {
            Some(info) if info.starts_with(b"INFO ") => {
                // The pong says that the subscription before it stands.
                let connect = r#"CONNECT {"verbose":false,"pedantic":false,"lang":"rust","version":"1"}"#;
                Step::Send(format!("{connect}\r\nSUB g{} 1\r\nPING\r\n", seat.group))
            }
            Some(pong) if pong.starts_with(b"PONG") => Step::Joined,
            _ => Step::Wait,
        }
    }

    fn say(&self, group: u32, text: &[u8], payload: &mut Vec<u8>) {
        payload.extend_from_slice(format!("PUB g{group} {}\r\n", text.len()).as_bytes());
        payload.extend_from_slice(text);
        payload.extend_from_slice(b"\r\n");
    }

    fn pong(&self, payload: &[u8]) -> Option<&'static [u8]> {
        payload.starts_with(b"PING").then_some(b"PONG\r\n")
    }
}
