//! A server for a test: in this process with any limits, or as the real binary.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod raw;
pub mod rest;
pub mod spied;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use engine::config::Limits;
use engine::engine::{Engine, Keys, Ports};
use engine::metrics::Metrics;
use engine::store::embedded::EmbeddedStore;
use engine::store::{Directory, History};
use engine::testkit::World;
use engine::tokens::Tokens;
use engine::tokens::memory::MemoryTokens;
use kijimuna_api::{App, AppOptions, router, serve};
use spied::{Spied, Spy};
use tempfile::TempDir;

/// Limits under which tests don't wait: no rates.
pub fn limits() -> Limits {
    Limits { send_rate_per_s: 0, request_rate_per_s: 0, signal_rate_per_s: 0, ..Limits::default() }
}

/// A server in this process, on a port of its own, with a data folder of its own.
pub struct Server {
    pub base: String,
    pub engine: Arc<Engine>,
    pub store: EmbeddedStore,
    /// The same server without a socket, for requests that no HTTP client would send.
    pub router: Router,
    _dir: TempDir,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(limits(), AppOptions::default()).await
    }

    pub async fn with(limits: Limits, options: AppOptions) -> Self {
        let tokens = Arc::new(MemoryTokens::new(limits.tokens_outstanding_max));
        Self::with_ports(limits, options, tokens, |store| (Arc::new(store.clone()), Arc::new(store))).await
    }

    /// A server whose tokens are kept elsewhere.
    pub async fn with_tokens(tokens: Arc<dyn Tokens>) -> Self {
        let stores = |store: EmbeddedStore| -> (Arc<dyn Directory>, Arc<dyn History>) {
            (Arc::new(store.clone()), Arc::new(store))
        };
        Self::with_ports(limits(), AppOptions::default(), tokens, stores).await
    }

    /// A server with a spy at its store.
    pub async fn spied<S: Spy>(limits: Limits, options: AppOptions, spy: Arc<S>) -> Self {
        let tokens = Arc::new(MemoryTokens::new(limits.tokens_outstanding_max));
        Self::with_ports(limits, options, tokens, |store| {
            let spied = Arc::new(Spied { store, spy });
            (spied.clone(), spied)
        })
        .await
    }

    async fn with_ports(
        limits: Limits,
        options: AppOptions,
        tokens: Arc<dyn Tokens>,
        wrap: impl FnOnce(EmbeddedStore) -> (Arc<dyn Directory>, Arc<dyn History>),
    ) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let metrics = Metrics::new();
        let (store, _) = EmbeddedStore::open(dir.path(), metrics.store.clone()).expect("a store");
        let (directory, history) = wrap(store.clone());
        let ports = Ports { directory, history, tokens, used: Arc::new(store.clone()) };
        let bounds =
            serve::Bounds { connections_max: 10_000, idle: Duration::from_millis(limits.connection_idle_ms) };
        let engine = Engine::start(limits, ports, Keys::new(b"a key for tests"), metrics).await;
        let engine = Arc::new(engine.expect("an engine"));
        let listener = serve::listen("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let router = router(App::new(Arc::clone(&engine), options));
        tokio::spawn(serve::serve(listener, router.clone(), bounds, async move { _ = stopped.await }));
        Self { base, engine, store, router, _dir: dir, _stop: stop }
    }

    /// A new tenant.
    pub async fn world(&self) -> World {
        World::at(&self.base).await
    }

    /// A new tenant with a group that these attend.
    pub async fn lobby(&self, people: &[&str]) -> World {
        let world = self.world().await;
        world.has_group("lobby").await;
        for id in people {
            world.person(id).await.attends("lobby").await;
        }
        world
    }
}

/// The real binary, on a port of its own. It is killed when dropped.
pub struct Process {
    pub base: String,
    child: Child,
    /// Kept open, so that the rest of the greeting has somewhere to go.
    _stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it on a data folder and waits until it says where it serves.
    pub fn start(data_dir: &Path, flags: &[&str]) -> Self {
        Self::start_logging(data_dir, flags, Stdio::null())
    }

    /// The same, with its logs going somewhere.
    pub fn start_logging(data_dir: &Path, flags: &[&str], logs: impl Into<Stdio>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kijimuna"))
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(logs)
            .spawn()
            .expect("the binary starts");
        let mut first_line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        stdout.read_line(&mut first_line).expect("a line");
        let base = first_line
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .unwrap_or_else(|| panic!("no address in {first_line:?}"))
            .to_owned();
        Self { base, child, _stdout: stdout }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
    }

    /// Sends SIGTERM, as an operator's tool does.
    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.id()).expect("a pid")).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("sent");
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("reaped")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
