//! Connections to a Redis server, each with its time limits. What comes of them is the adapters' business.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo, ProtocolVersion, PushInfo,
    PushKind, RedisError, RedisResult, Value,
};
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

/// How long a connection may take to be made.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(1);
/// How long an answer may take. A server that is stopped keeps its connections, so this is what tells.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(2);
/// How soon after a connection couldn't be made it is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Where the server is, which must be Redis 6.2 or later.
#[derive(Clone)]
pub(crate) struct RedisLink {
    commands: Client,
    subscriptions: Client,
}

/// A connection for commands, on which many may wait for their answers.
#[derive(Clone)]
pub(crate) struct Commands {
    pub(crate) connection: MultiplexedConnection,
    /// Told when the connection ends.
    ended: Arc<Ended>,
}

#[derive(Default)]
struct Ended {
    has: AtomicBool,
    told: Notify,
}

impl Commands {
    /// Waits for the end of the connection. For one who waits at a time.
    pub(crate) async fn ended(&self) {
        if !self.has_ended() {
            self.ended.told.notified().await;
        }
    }

    fn has_ended(&self) -> bool {
        self.ended.has.load(Ordering::Acquire)
    }
}

impl RedisLink {
    /// Reads an address such as `redis://:password@host:6379/0`. Connects nowhere yet.
    pub(crate) fn open(uri: &str) -> Result<Self, String> {
        let clients = || -> RedisResult<Self> {
            let info = uri.into_connection_info()?;
            // Only the newer protocol has a message for the end of a connection.
            let newer = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
            let commands = Client::open(info.clone().set_redis_settings(newer))?;
            Ok(Self { commands, subscriptions: Client::open(info)? })
        };
        clients().map_err(|error| format!("the address of Redis can't be read: {error}"))
    }

    pub(crate) async fn commands(&self) -> Result<Commands, String> {
        let ended = Arc::new(Ended::default());
        let tell = ended.clone();
        let on_push = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                tell.has.store(true, Ordering::Release);
                tell.told.notify_one();
            }
            Ok::<(), ()>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(ANSWER_MAX))
            .set_push_sender(on_push);
        let connecting = self.commands.get_multiplexed_async_connection_with_config(&config);
        Ok(Commands { connection: connecting.await.map_err(no_connection)?, ended })
    }

    /// A connection for subscriptions alone.
    pub(crate) async fn subscriptions(&self) -> Result<PubSub, String> {
        let connecting = async {
            let mut connection = self.subscriptions.get_async_pubsub().await?;
            // Whether the server wants a password is only told by the first command.
            match connection.ping::<Value>().await? {
                Value::ServerError(error) => Err(RedisError::from(error)),
                _ => Ok(connection),
            }
        };
        let connected = timeout(CONNECT_MAX, connecting).await;
        connected.map_err(|_| no_connection("it doesn't answer"))?.map_err(no_connection)
    }
}

/// One connection for commands that many use. It is made when it is needed, and again after it ended.
pub(crate) struct SharedCommands {
    link: RedisLink,
    slot: Mutex<Slot>,
}

enum Slot {
    Empty,
    Connected(Commands),
    /// There was none then, for that reason: whoever asks at once is told so, and doesn't wait.
    Failed(Instant, String),
}

impl SharedCommands {
    /// Connects to a server, which must be there.
    pub(crate) async fn connect(uri: &str) -> Result<Self, String> {
        let shared = Self { link: RedisLink::open(uri)?, slot: Mutex::new(Slot::Empty) };
        shared.commands().await?;
        Ok(shared)
    }

    /// Runs a command, once. After an error nobody knows whether it was carried out.
    pub(crate) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, String> {
        let mut commands = self.commands().await?;
        match command.query_async(&mut commands.connection).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                if error.is_unrecoverable_error() || error.is_timeout() {
                    self.forget(&commands).await;
                }
                Err(error.to_string())
            }
        }
    }

    async fn commands(&self) -> Result<Commands, String> {
        // Those who come while it is being made wait for the same one.
        let mut slot = self.slot.lock().await;
        match &*slot {
            Slot::Connected(commands) if !commands.has_ended() => return Ok(commands.clone()),
            Slot::Failed(then, why) if then.elapsed() < AGAIN_AFTER => return Err(why.clone()),
            _ => {}
        }
        let commands = self.link.commands().await;
        *slot = match &commands {
            Ok(commands) => Slot::Connected(commands.clone()),
            Err(why) => Slot::Failed(Instant::now(), why.clone()),
        };
        commands
    }

    async fn forget(&self, broken: &Commands) {
        let mut slot = self.slot.lock().await;
        if matches!(&*slot, Slot::Connected(commands) if Arc::ptr_eq(&commands.ended, &broken.ended)) {
            *slot = Slot::Empty;
        }
    }
}

fn no_connection(error: impl Display) -> String {
    format!("no connection to Redis: {error}")
}
