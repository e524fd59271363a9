//! The engine: what a front end talks to. [`Engine::start`], [`Engine::open_session`] and [`Engine::drain`] are
//! here; what tenants do is in the files below, a resource each.

mod groups;
mod services;
mod tokens;
mod users;

pub use groups::GroupDetail;
pub use services::Credentials;
pub use tokens::IssuedToken;
pub use users::UserDetail;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use ractor::{Actor, ActorRef};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::actors::Shared;
use crate::actors::delivery::Mutation;
use crate::actors::directory::Unavailable;
use crate::actors::group::GroupMessage;
use crate::actors::root::RootActor;
use crate::actors::session::{Session, SessionArguments};
use crate::config::Limits;
use crate::domain::ids::ServiceId;
use crate::domain::profile::{GroupRecord, Profile};
use crate::domain::service::{SecretHasher, Service};
use crate::error::EngineError;
use crate::metrics::Metrics;
use crate::protocol::code::CloseCode;
use crate::socket::Socket;
use crate::store::{Directory, History, StoreError};
use crate::tokens::{Token, Tokens};

/// What the engine stands on. The composition root chooses the adapters.
#[derive(Clone)]
pub struct Ports {
    /// Services, groups, users and attendance.
    pub directory: Arc<dyn Directory>,
    /// Messages.
    pub history: Arc<dyn History>,
    /// Connection tokens.
    pub tokens: Arc<dyn Tokens>,
}

/// A running engine.
pub struct Engine {
    shared: Arc<Shared>,
    tokens: Arc<dyn Tokens>,
    hasher: SecretHasher,
    /// Services that have authenticated. They are few, and asked for at every request.
    services: DashMap<ServiceId, Service>,
    draining: AtomicBool,
    root: ActorRef<()>,
    root_task: parking_lot::Mutex<Option<JoinHandle<()>>>,
}

/// A group or user to be made.
#[derive(Debug, Clone)]
pub struct Draft<Id> {
    /// The tenant's id for it; one is made when there is none.
    pub id: Option<Id>,
    /// What is shown of it.
    pub profile: Profile,
}

/// The actors can't be started.
#[derive(Debug, thiserror::Error)]
#[error("the actors can't be started: {0}")]
pub struct StartError(String);

impl Engine {
    /// Starts the actors.
    pub async fn start(
        limits: Limits,
        ports: Ports,
        hasher: SecretHasher,
        metrics: Metrics,
    ) -> Result<Self, StartError> {
        let shared = Arc::new(Shared::new(limits, metrics, ports.directory, ports.history));
        let (root, root_task) = Actor::spawn(None, RootActor, Arc::clone(&shared))
            .await
            .map_err(|error| StartError(error.to_string()))?;
        Ok(Self {
            shared,
            tokens: ports.tokens,
            hasher,
            services: DashMap::new(),
            draining: AtomicBool::new(false),
            root,
            root_task: parking_lot::Mutex::new(Some(root_task)),
        })
    }

    /// The bounds that the engine keeps.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// What the engine counts.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Whether the engine takes traffic: it isn't draining and its store serves.
    pub async fn readiness(&self) -> Result<(), EngineError> {
        self.check_open()?;
        Ok(self.shared.directory.health().await?)
    }

    /// Waits for a turn, so that a storm of requests doesn't hold up those who chat. For a front end, before each.
    pub async fn turn(&self) {
        self.shared.turnstile.pass().await;
    }

    /// Serves a WebSocket whose client came with a token. Answers when the session has begun or was refused;
    /// `on_end` is dropped when it has ended.
    pub async fn open_session(&self, socket: Socket, token: &str, on_end: Box<dyn Send + Sync>) {
        match self.admit(token).await {
            Ok((grant, record)) => {
                let shared = Arc::clone(&self.shared);
                let session = Session::new(SessionArguments { shared, grant, record, on_end });
                // A drain that began meanwhile may have closed the others before this one was there.
                if self.check_open().is_err() {
                    session.outbound().close(Some(CloseCode::DRAIN));
                }
                tokio::spawn(session.run(socket));
            }
            Err(code) => {
                self.shared.metrics.closed(code);
                socket.refuse(code, &self.shared.limits).await;
            }
        }
    }

    async fn admit(&self, token: &str) -> Result<(crate::domain::access::Grant, GroupRecord), CloseCode> {
        if self.check_open().is_err() {
            return Err(CloseCode::DRAIN);
        }
        let token = Token::parse(token).ok_or(CloseCode::TOKEN_INVALID)?;
        let redeemed = self.tokens.redeem(&token, self.shared.clock.mono_ms()).await;
        let grant = redeemed.map_err(|_| CloseCode::INTERNAL)?.ok_or(CloseCode::TOKEN_INVALID)?;
        let record = self.shared.directory.group(&grant.service, &grant.group).await.map_err(|error| {
            tracing::error!(%error, "a group can't be read");
            CloseCode::INTERNAL
        })?;
        let record = record.filter(|record| record.uid == grant.uid).ok_or(CloseCode::GROUP_DELETED)?;
        // The group looks, too; but it may not have been told yet that the user is deleted.
        let attending = self.shared.directory.attending(&record, &grant.user.id).await.map_err(|error| {
            tracing::error!(%error, "a user's attendance can't be read");
            CloseCode::INTERNAL
        })?;
        if attending.as_ref() == Some(&grant.user) { Ok((grant, record)) } else { Err(CloseCode::REMOVED) }
    }

    /// Waits until the root of the actors is gone, which it is only after a drain or when it can't go on.
    pub async fn ended(&self) {
        // Without a bound there is no time-out, the only error.
        let _ = self.root.get_cell().wait(None).await;
    }

    /// Stops in order: no new work, everything taken is stored and shown, sessions are closed with 4000. Takes
    /// at most the limit of a drain.
    pub async fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        let bound = Duration::from_millis(self.shared.limits.drain_ms);
        if tokio::time::timeout(bound, self.drain_in_order()).await.is_err() {
            tracing::warn!("the drain took too long; what was stored is safe, some sessions were cut");
            self.shared.sessions.abort_all();
        }
        self.root.stop(None);
        let root_task = self.root_task.lock().take();
        if let Some(root_task) = root_task {
            // Its children are killed with it; a second is ample for that.
            let _ = tokio::time::timeout(Duration::from_secs(1), root_task).await;
        }
    }

    async fn drain_in_order(&self) {
        // In each group in order with what is said there, so that everyone has seen what is stored.
        self.each_group(|done| GroupMessage::Drain(CloseCode::DRAIN, done)).await;
        // Who wasn't in a group yet, or in one that is quarantined.
        self.shared.sessions.close_all(CloseCode::DRAIN);
        self.shared.sessions.none_left().await;
        // What tenants still changed meanwhile.
        self.each_group(GroupMessage::Flush).await;
    }

    /// Tells every group that is awake something, and waits until each has answered.
    async fn each_group(&self, message: impl Fn(oneshot::Sender<()>) -> GroupMessage) {
        let mut telling = Vec::new();
        for slot in self.shared.groups.all() {
            let (done, told) = oneshot::channel();
            if slot.tell(message(done)).is_ok() {
                telling.push(told);
            }
        }
        for told in telling {
            // A group that fell asleep or crashed has nothing to say.
            let _ = told.await;
        }
    }

    fn check_open(&self) -> Result<(), EngineError> {
        if self.draining.load(Ordering::SeqCst) { Err(EngineError::Draining) } else { Ok(()) }
    }

    /// Has a group's actor make a change, in order with everything else there.
    async fn mutate(&self, group: &GroupRecord, mutation: Mutation) -> Result<(), EngineError> {
        let (reply, mutated) = oneshot::channel();
        self.shared.groups.tell(group, GroupMessage::Mutate(mutation, reply)).await?;
        mutated.await.unwrap_or(Err(EngineError::GroupUnavailable { retry_after_ms: 1_000 }))
    }
}

impl From<Unavailable> for EngineError {
    fn from(unavailable: Unavailable) -> Self {
        Self::GroupUnavailable { retry_after_ms: unavailable.retry_after_ms }
    }
}

/// Random bytes from the system.
fn random<const N: usize>() -> Result<[u8; N], EngineError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        EngineError::Store(StoreError::Unavailable(format!("the system gives no random bytes: {error}")))
    })?;
    Ok(bytes)
}

/// An id for something that its tenant didn't name.
fn random_id() -> Result<String, EngineError> {
    Ok(random::<12>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}
