//! The engine: what a front end talks to. [`Engine::start`], [`Engine::open_session`] and [`Engine::drain`] are
//! here; what tenants do is in the files below, a resource each.

mod admission;
mod groups;
mod messages;
mod moderation;
mod retention;
mod services;
mod tokens;
mod users;

pub use groups::GroupDetail;
pub use messages::{Author, NewMessage, OnlineUsers, Posted};
pub use moderation::ModerationOrder;
pub use services::Credentials;
pub use tokens::IssuedToken;
pub use users::{DeletedUser, UserDetail};

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
use crate::actors::root::RootActor;
use crate::actors::told::GroupMessage;
use crate::chance;
use crate::config::Limits;
use crate::domain::ids::{ServiceId, hex};
use crate::domain::profile::{GroupRecord, Profile};
use crate::domain::service::{SecretHasher, Service};
use crate::error::EngineError;
use crate::metrics::Metrics;
use crate::protocol::code::CloseCode;
use crate::store::{Directory, History, Once, StoreError};
use crate::tokens::Tokens;
use crate::tokens::ticket::TicketKey;

/// What the engine stands on. The composition root chooses the adapters.
#[derive(Clone)]
pub struct Ports {
    /// Services, groups, users and attendance.
    pub directory: Arc<dyn Directory>,
    /// Messages.
    pub history: Arc<dyn History>,
    /// Connection tokens.
    pub tokens: Arc<dyn Tokens>,
    /// Which tickets were used.
    pub used: Arc<dyn Once>,
}

/// What the operator's hash secret keys.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Hashes tenants' secrets.
    pub hasher: SecretHasher,
    /// Signs resume tickets.
    pub tickets: TicketKey,
}

impl Keys {
    /// Keys made of the operator's `KIJIMUNA_HASH_SECRET`.
    pub fn new(hash_secret: &[u8]) -> Self {
        Self { hasher: SecretHasher::new(hash_secret), tickets: TicketKey::new(hash_secret) }
    }
}

/// A running engine.
pub struct Engine {
    shared: Arc<Shared>,
    tokens: Arc<dyn Tokens>,
    used: Arc<dyn Once>,
    hasher: SecretHasher,
    /// Services that have authenticated. They are few, and asked for at every request.
    services: DashMap<ServiceId, Service>,
    draining: AtomicBool,
    root: ActorRef<()>,
    root_task: parking_lot::Mutex<Option<JoinHandle<()>>>,
    retention_task: JoinHandle<()>,
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
        keys: Keys,
        metrics: Metrics,
    ) -> Result<Self, StartError> {
        let shared = Arc::new(Shared::new(limits, metrics, ports.directory, ports.history, keys.tickets));
        let (root, root_task) = Actor::spawn(None, RootActor, Arc::clone(&shared))
            .await
            .map_err(|error| StartError(error.to_string()))?;
        Ok(Self {
            retention_task: tokio::spawn(retention::keep(Arc::clone(&shared))),
            shared,
            tokens: ports.tokens,
            used: ports.used,
            hasher: keys.hasher,
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
        self.retention_task.abort();
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
        mutate(&self.shared, group, mutation).await
    }
}

async fn mutate(shared: &Shared, group: &GroupRecord, mutation: Mutation) -> Result<(), EngineError> {
    let (reply, mutated) = oneshot::channel();
    shared.groups.tell(group, GroupMessage::Mutate(mutation, reply)).await?;
    mutated.await.unwrap_or(Err(EngineError::GroupUnavailable { retry_after_ms: 1_000 }))
}

impl From<Unavailable> for EngineError {
    fn from(unavailable: Unavailable) -> Self {
        Self::GroupUnavailable { retry_after_ms: unavailable.retry_after_ms }
    }
}

impl From<chance::NoChance> for EngineError {
    fn from(error: chance::NoChance) -> Self {
        Self::Store(StoreError::Unavailable(error.to_string()))
    }
}

/// An id for something that its tenant didn't name.
fn random_id() -> Result<String, EngineError> {
    Ok(hex(&chance::bytes::<12>()?))
}
