//! The chat engine: groups, sessions, history. It knows no HTTP framework, no tenant's UI and no login.
//!
//! Read it in this order:
//!
//! 1. [`domain`]: the rules, pure. [`domain::group::Group`] is the heart: a command and a time in, effects out.
//! 2. [`protocol`]: what goes over the wire, pure. [`protocol::code`] is every way to fail.
//! 3. [`store`], [`tokens`]: what the engine stands on, as traits with their promises, and their adapters.
//! 4. [`cluster`]: what several nodes keep in common, and [`bus`]: what goes between them, likewise.
//! 5. [`socket`]: one WebSocket: a reader, a writer and the bounded queue between.
//! 6. `actors`: the tree that is alive. It carries out what the domain decides.
//! 7. [`engine`]: the door. [`engine::Engine`] starts, serves and drains.
//!
//! [`config`] has every limit, [`error`] every failure, [`metrics`] everything that is counted.
//!
//! Dependencies point one way: `engine → actors → socket, protocol, traits of store and tokens → domain`. An
//! adapter knows its own trait and the domain. `tests/layers.rs` holds the code to that.

mod actors;
pub mod bus;
mod chance;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod domain;
pub mod engine;
pub mod error;
pub mod metrics;
pub mod protocol;
mod redis_link;
pub mod socket;
pub mod store;
pub mod tokens;

#[cfg(feature = "testkit")]
pub mod testkit;
