//! The servers: how each is started, on a core of its own, and in what language one speaks to it.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cores::Cores;
use crate::dialect::{Dialect, Nats, Raw, SocketIo};
use crate::kijimuna::Kijimuna;
use crate::process::Process;

const START_PATIENCE: Duration = Duration::from_secs(20);

/// A server that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Floor,
    Kijimuna,
    Nats,
    Ws,
    SocketIo,
}

/// Where things are.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The folder of our own binaries.
    pub(crate) binaries: PathBuf,
    /// Data, logs and the peers' packages.
    pub(crate) scratch: PathBuf,
    pub(crate) cores: Cores,
}

/// A server that runs. It ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    _data: TempDir,
}

impl Peer {
    pub(crate) const ALL: [Self; 5] = [Self::Floor, Self::Kijimuna, Self::Nats, Self::Ws, Self::SocketIo];

    /// As it is called on the command line and in the names of logs.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Kijimuna => "kijimuna",
            Self::Nats => "nats",
            Self::Ws => "ws",
            Self::SocketIo => "socketio",
        }
    }

    /// As the table has it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Kijimuna => "**Kijimuna**, everything stored",
            Self::Nats => "NATS over WebSocket",
            Self::Ws => "Node `ws` relay",
            Self::SocketIo => "Socket.IO",
        }
    }

    pub(crate) fn dialect(self, address: SocketAddr) -> Box<dyn Dialect> {
        match self {
            Self::Floor | Self::Ws => Box::new(Raw),
            Self::Kijimuna => Box::new(Kijimuna::new(address)),
            Self::Nats => Box::new(Nats),
            Self::SocketIo => Box::new(SocketIo),
        }
    }

    /// Which version it is, or why it can't be run.
    pub(crate) fn version(self, place: &Place) -> Result<String, String> {
        let node = |package: &str| {
            let manifest = place.scratch.join(format!("node_modules/{package}/package.json"));
            let manifest = fs::read(&manifest).map_err(|_| format!("npm's {package} isn't installed"))?;
            let manifest: serde_json::Value =
                serde_json::from_slice(&manifest).map_err(|error| error.to_string())?;
            let node = said("node", &["--version"]).ok_or("there is no node")?;
            Ok(format!("{package} {} on Node {node}", manifest["version"].as_str().unwrap_or("?")))
        };
        match self {
            Self::Floor => Ok("kijimuna-floor".to_owned()),
            Self::Kijimuna => Ok(format!("kijimuna {}", env!("CARGO_PKG_VERSION"))),
            Self::Nats => said("nats-server", &["--version"]).ok_or("there is no nats-server".to_owned()),
            Self::Ws => node("ws"),
            Self::SocketIo => node("socket.io"),
        }
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(self, place: &Place) -> io::Result<Server> {
        let port = free_port()?;
        let data = tempfile::tempdir_in(&place.scratch)?;
        let log = File::create(place.scratch.join(format!("{}.log", self.key())))?;
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", &place.cores.server.to_string()]).args(self.command(place, port, &data)?);
        pinned.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = pinned.spawn()?;
        let process = Process::of(child.id());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Server { child, process, address, _data: data };
        server.wait(self)?;
        Ok(server)
    }

    fn command(self, place: &Place, port: u16, data: &TempDir) -> io::Result<Vec<String>> {
        let binary = |name: &str| place.binaries.join(name).display().to_string();
        let script = |name: &str| place.scratch.join(name).display().to_string();
        Ok(match self {
            Self::Floor => vec![binary("kijimuna-floor"), port.to_string()],
            Self::Kijimuna => {
                let listen = format!("127.0.0.1:{port}");
                let folder = data.path().display().to_string();
                let flags =
                    ["--listen", &listen, "--data-dir", &folder, "--send-rate", "0", "--rest-rate", "0"];
                [binary("kijimuna")].into_iter().chain(flags.map(str::to_owned)).collect()
            }
            Self::Nats => {
                let file = data.path().join("nats.conf");
                let websocket = format!("websocket {{ host: \"127.0.0.1\", port: {port}, no_tls: true }}");
                fs::write(&file, format!("host: \"127.0.0.1\"\nport: -1\n{websocket}\n"))?;
                vec!["nats-server".to_owned(), "-c".to_owned(), file.display().to_string()]
            }
            Self::Ws => vec!["node".to_owned(), script("ws.js"), port.to_string()],
            Self::SocketIo => vec!["node".to_owned(), script("socketio.js"), port.to_string()],
        })
    }
}

impl Server {
    fn wait(&mut self, peer: Peer) -> io::Result<()> {
        let began = Instant::now();
        let (_sender, pause) = mpsc::channel::<()>();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                let what = format!("{} ended with {status}; its log says why", peer.key());
                return Err(io::Error::other(what));
            }
            if began.elapsed() > START_PATIENCE {
                return Err(io::Error::other(format!("{} doesn't answer", peer.key())));
            }
            // Nobody sends: this is the wait between two tries.
            let _ = pause.recv_timeout(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command says, on one line.
pub(crate) fn said(command: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(command).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
