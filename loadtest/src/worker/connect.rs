//! Opens sockets that don't block, from as many source addresses as their number needs.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use mio::net::TcpStream as Stream;
use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};

/// The source addresses of this machine, in turn: 127.0.0.2, .3, …
pub(super) struct Sources {
    addresses: u32,
    next: u32,
}

impl Sources {
    /// So many addresses; with none the system chooses. Workers begin at different ones.
    pub(super) fn new(addresses: u32, worker: u32) -> Self {
        Self { addresses, next: worker }
    }

    /// The next address, if sources are to be chosen at all. The port is the system's to choose.
    pub(super) fn take(&mut self) -> Option<SocketAddr> {
        let place = self.next.checked_rem(self.addresses)?;
        self.next = place + 1;
        let first = u32::from(Ipv4Addr::new(127, 0, 0, 2));
        Some(SocketAddr::from((Ipv4Addr::from(first + place), 0)))
    }
}

/// How to open one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    pub(super) to: SocketAddr,
    /// Where from, if the system isn't to choose.
    pub(super) source: Option<SocketAddr>,
    /// With the smallest receive buffer there is: who never reads shall not hide behind the kernel's.
    pub(super) narrow: bool,
}

/// Begins to connect.
pub(super) fn open(opening: Opening) -> io::Result<Stream> {
    let Opening { to, source, narrow } = opening;
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    if narrow {
        sockopt::set_socket_recv_buffer_size(&socket, 4096)?;
    }
    if let Some(source) = source {
        // The port is chosen when it is known where to, so it is taken for that one pair of addresses alone. A port
        // that is bound before is taken for all, and those of this tool would be missing to the whole machine.
        setsockopt(&socket, IpBindAddressNoPort, &true)?;
        bind(&socket, &source)?;
    }
    match connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(Stream::from_std(TcpStream::from(socket))),
        Err(errno) => Err(errno.into()),
    }
}

/// The socket's end will be a reset. Nothing of it stays behind then, where an ordinary end keeps its port for a
/// minute; but what is under way in either direction is lost, so this is for when a run is over.
pub(crate) fn end_by_reset(socket: &impl AsFd) {
    // A socket that is broken already leaves nothing behind either.
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::getsockopt;
    use std::net::TcpListener;

    #[test]
    fn addresses_are_taken_in_turn() {
        let mut sources = Sources::new(2, 1);
        let taken: Vec<_> = (0..3).map(|_| sources.take().unwrap().to_string()).collect();
        assert_eq!(taken, ["127.0.0.3:0", "127.0.0.2:0", "127.0.0.3:0"]);
    }

    #[test]
    fn without_addresses_the_system_chooses() {
        assert_eq!(Sources::new(0, 5).take(), None);
    }

    #[test]
    fn a_source_takes_its_port_for_one_pair_of_addresses_alone() {
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let source = Sources::new(1, 0).take();
        let opening = Opening { to: listening.local_addr().unwrap(), source, narrow: false };
        let stream = open(opening).unwrap();
        let (_accepted, peer) = listening.accept().unwrap();
        assert_eq!(peer.ip().to_string(), "127.0.0.2");
        assert!(getsockopt(&stream, IpBindAddressNoPort).unwrap(), "the port wasn't bound beforehand");
    }

    #[test]
    fn a_reset_is_what_the_peer_sees() {
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = TcpStream::connect(listening.local_addr().unwrap()).unwrap();
        let (mut accepted, _) = listening.accept().unwrap();
        end_by_reset(&connection);
        drop(connection);
        let error = io::Read::read(&mut accepted, &mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
