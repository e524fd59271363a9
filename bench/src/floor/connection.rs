//! One member: a socket that doesn't block, and what is cut off at either end of it.

use std::io::{self, Read, Write};

use mio::net::TcpStream;

use crate::wire;

/// What a read gave.
pub(crate) enum Input {
    /// Bytes; `more` when the kernel may hold more of them.
    Bytes { more: bool },
    /// Nothing for now.
    Nothing,
    /// Nothing ever again.
    End,
}

/// One member.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Known once hands are shaken.
    pub(crate) group: Option<String>,
    received: Vec<u8>,
    /// What the kernel had no room for.
    unsent: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, group: None, received: Vec::new(), unsent: Vec::new() }
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Input> {
        match self.stream.read(buffer) {
            Ok(0) => Ok(Input::End),
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                // A read that isn't filled has emptied the socket; the next bytes are a new event.
                Ok(Input::Bytes { more: count == buffer.len() })
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Input::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Answers the handshake once its head is whole, and says which group it asks for.
    pub(crate) fn shake_hands(&mut self) -> io::Result<Option<String>> {
        let Some((answer, group, length)) = wire::handshake(&self.received)? else { return Ok(None) };
        self.received.drain(..length);
        self.send(answer.as_bytes())?;
        self.group = Some(group.clone());
        Ok(Some(group))
    }

    /// The next message, as the frame that everyone gets.
    pub(crate) fn next_message(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some((frame, length)) = wire::relay(&self.received)? else { return Ok(None) };
        self.received.drain(..length);
        Ok(Some(frame))
    }

    /// One write. What doesn't go waits for room.
    pub(crate) fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let sent = if self.unsent.is_empty() { write(&mut self.stream, frame)? } else { 0 };
        self.unsent.extend_from_slice(&frame[sent..]);
        Ok(())
    }

    /// Writes what waited for room.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.unsent.is_empty() {
            let sent = write(&mut self.stream, &self.unsent)?;
            self.unsent.drain(..sent);
        }
        Ok(())
    }
}

fn write(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        written => written,
    }
}
