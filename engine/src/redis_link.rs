//! Connections to a Redis server, each with its time limits. What comes of them is the adapters' business.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind, RedisError,
    RedisResult, Value,
};
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long a connection may take to be made.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(1);
/// How long an answer may take. A server that is stopped keeps its connections, so this is what tells.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(2);

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
    /// Told once, when the connection ends.
    pub(crate) ended: Arc<Notify>,
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
        let ended = Arc::new(Notify::new());
        let tell = ended.clone();
        let on_push = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                tell.notify_one();
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

fn no_connection(error: impl Display) -> String {
    format!("no connection to Redis: {error}")
}
