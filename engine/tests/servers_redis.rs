//! What stands on Redis, on real servers that these tests start, stop, freeze and start again: `cargo test -p kijimuna-engine --features servers`. The program redis-server
//! must be installed; without it they fail.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "servers_redis/bus.rs"]
mod bus;
#[path = "servers_redis/server.rs"]
mod server;
#[path = "servers_redis/tokens.rs"]
mod tokens;
