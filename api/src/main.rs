//! The composition root: reads the settings, chooses the adapters, starts, serves and stops in order.

mod hash_secret;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use engine::config::Limits;
use engine::engine::{Engine, Ports};
use engine::metrics::Metrics;
use engine::store::embedded::{EmbeddedStore, OpenReport};
use engine::tokens::memory::MemoryTokens;
use kijimuna_api::config::{Hidden, Settings, SettingsError};
use kijimuna_api::{App, AppOptions, logs, router, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

fn main() -> ExitCode {
    let settings = match Settings::read(std::env::args_os()) {
        Ok(settings) => settings,
        Err(SettingsError::CommandLine(error)) => error.exit(),
        Err(error) => return fail(&error.to_string()),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime can't be started: {error}")),
    };
    match runtime.block_on(run(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &str) -> ExitCode {
    // Without standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "kijimuna: {error}");
    ExitCode::FAILURE
}

async fn run(settings: Settings) -> Result<(), String> {
    logs::start(settings.log, settings.log_format);
    let stop = StopSignals::new().map_err(|error| format!("signals can't be heard: {error}"))?;
    // Before the store is opened: a start that fails here leaves it as it was.
    let listener = serve::listen(settings.listen).map_err(|error| {
        format!("{} can't be served: {error}; choose another with KIJIMUNA_LISTEN", settings.listen)
    })?;
    let metrics = Metrics::new();
    let (store, report) = open_store(&settings.data_dir, &metrics).await?;
    tell(&report);
    let connection_idle_ms = settings.limits.connection_idle_ms;
    let engine = match start(
        settings.limits,
        settings.hash_secret.as_ref(),
        &settings.data_dir,
        &store,
        metrics,
    )
    .await
    {
        Ok(engine) => Arc::new(engine),
        Err(error) => {
            // Else the next start would check what nothing has happened to.
            store.close().await;
            return Err(error);
        }
    };
    // Without standard output there is nobody to greet; it serves all the same.
    let _ = greet(&listener, &settings.data_dir, settings.playground);
    tracing::info!(node = settings.node_id, listen = %settings.listen, "serving");

    let options = AppOptions {
        admin_key: settings.admin_key.map(|key| key.reveal().to_owned()),
        rest_rate_per_s: settings.rest_rate_per_s,
        playground: settings.playground,
    };
    let app = App::new(Arc::clone(&engine), options);
    let bounds = serve::Bounds {
        connections_max: serve::connections_max(settings.max_connections),
        idle: Duration::from_millis(connection_idle_ms),
    };
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    // An error is a server that stopped by itself, which is as good a reason to drain.
    let serving = tokio::spawn(serve::serve(listener, router(app), bounds, async move { _ = stopped.await }));
    let ended = tokio::select! {
        () = stop.wait() => Ok(()),
        () = engine.ended() => Err("the actors ended by themselves; the log says why".to_owned()),
        reason = store.failed() => Err(format!("the store can't be written: {reason}; mend that and start again")),
    };
    tracing::info!("stopping: no new connections, sessions are closed, what waits is written");
    let _ = stopping.send(());
    engine.drain().await;
    // A panic in the accept loop has been printed; the store is closed all the same.
    let _ = serving.await;
    store.close().await;
    tracing::info!("stopped");
    ended
}

async fn start(
    limits: Limits,
    hash_secret: Option<&Hidden>,
    data_dir: &Path,
    store: &EmbeddedStore,
    metrics: Metrics,
) -> Result<Engine, String> {
    let keys = hash_secret::keys(hash_secret, data_dir, store).await?;
    let ports = Ports {
        directory: Arc::new(store.clone()),
        history: Arc::new(store.clone()),
        tokens: Arc::new(MemoryTokens::new(limits.tokens_outstanding_max)),
        used: Arc::new(store.clone()),
    };
    Engine::start(limits, ports, keys, metrics).await.map_err(|error| error.to_string())
}

async fn open_store(path: &Path, metrics: &Metrics) -> Result<(EmbeddedStore, OpenReport), String> {
    let (path, metrics) = (path.to_owned(), metrics.store.clone());
    tokio::task::spawn_blocking(move || EmbeddedStore::open(&path, metrics))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())
}

/// Says what the store found when it opened.
fn tell(report: &OpenReport) {
    if report.clean {
        return;
    }
    for journal in &report.damaged {
        tracing::error!(
            journal,
            "a journal isn't as it was when the store was closed: the newest messages and changes may be missing; restore a backup if there is one"
        );
    }
    let took_ms = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX);
    tracing::warn!(
        groups = report.groups,
        messages = report.messages,
        holes = report.holes.len(),
        took_ms,
        "the store isn't as a clean stop leaves it; every group's log was checked"
    );
    for hole in &report.holes {
        tracing::error!(
            group = format!("{:016x}", hole.group.0),
            from = hole.from.0,
            upto = hole.to.0 - 1,
            "messages are missing from the store: restore a backup if there is one"
        );
    }
}

/// The first lines that a newcomer sees.
fn greet(listener: &TcpListener, data_dir: &Path, playground: bool) -> io::Result<()> {
    let address = listener.local_addr()?;
    let mut out = io::stdout();
    writeln!(out, "kijimuna {} serves on http://{address}", env!("CARGO_PKG_VERSION"))?;
    let begin =
        if playground { "a chat to try, and a walk-through to paste" } else { "a walk-through to paste" };
    writeln!(out, "  begin here   http://{address}/      {begin}")?;
    writeln!(out, "  reference    http://{address}/docs  every request, from /openapi.json")?;
    writeln!(out, "  data         {} (embedded store)", data_dir.display())?;
    writeln!(out, "  settings     kijimuna --help; stop with Ctrl-C")?;
    out.flush()
}

/// SIGTERM and Ctrl-C. The first stops in order, the second at once.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    async fn wait(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            tracing::warn!("stopped at once; the store will be checked at the next start");
            std::process::exit(1);
        });
    }
}
