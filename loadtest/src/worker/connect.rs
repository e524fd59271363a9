//! Opens sockets that don't block, from as many source addresses as their number needs.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use mio::net::TcpStream as Stream;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};

/// The source addresses of this machine, each with its ports. They are chosen here, because letting the system choose
/// a port of a bound address means a long search once some thousands are taken: a few hundred sockets a second.
pub(super) struct Sources {
    ports: PortRange,
    addresses: u64,
    next: u64,
    step: u64,
}

impl Sources {
    /// The share of one worker. The start differs from run to run, so that ports rest between two.
    pub(super) fn new(ports: PortRange, addresses: u32, start: u64, worker: u32, workers: u32) -> Self {
        let (worker, step) = (u64::from(worker), u64::from(workers));
        Self { ports, addresses: u64::from(addresses), next: start / step * step + worker, step }
    }

    /// The next address with a port, if sources are to be chosen at all.
    pub(super) fn take(&mut self) -> Option<SocketAddr> {
        let pairs = self.addresses * u64::from(self.ports.count);
        let place = self.next.checked_rem(pairs)?;
        self.next += self.step;
        let count = u64::from(self.ports.count);
        let (address, port) = (u32::try_from(place / count).ok()?, u16::try_from(place % count).ok()?);
        let first = u32::from(Ipv4Addr::new(127, 0, 0, 2));
        Some(SocketAddr::from((Ipv4Addr::from(first + address), self.ports.first + port)))
    }
}

/// The ports that connections may start from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PortRange {
    first: u16,
    pub(crate) count: u16,
}

impl PortRange {
    /// What this machine has set; as Linux has it by default where that can't be read.
    pub(crate) fn read() -> Self {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
        let mut ends = range.split_whitespace().map_while(|end| end.parse::<u16>().ok());
        match (ends.next(), ends.next()) {
            (Some(first), Some(last)) if first < last => Self { first, count: last - first },
            _ => Self { first: 32_768, count: 28_231 },
        }
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
        // Ports of connections that ended within the last minute may serve again.
        sockopt::set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &source)?;
    }
    match connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(Stream::from_std(TcpStream::from(socket))),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn two_workers_share_all_pairs() {
        let ports = PortRange { first: 100, count: 3 };
        let mut taken = BTreeSet::new();
        for worker in 0..2 {
            let mut sources = Sources::new(ports, 2, 77, worker, 2);
            taken.extend((0..3).map(|_| sources.take().unwrap().to_string()));
        }
        let all = ["2:100", "2:101", "2:102", "3:100", "3:101", "3:102"].map(|end| format!("127.0.0.{end}"));
        assert_eq!(taken.into_iter().collect::<Vec<_>>(), all);
    }

    #[test]
    fn without_addresses_the_system_chooses() {
        assert_eq!(Sources::new(PortRange::read(), 0, 5, 0, 1).take(), None);
    }
}
