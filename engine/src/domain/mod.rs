//! The rules of chat, as values and state machines. PURE: no clock, no randomness, no socket, no task.
//!
//! In reading order: [`ids`] names things, [`profile`] is what a tenant says of a group or user, [`event`] what happens
//! in a group, [`message`] what a client may ask to be said, [`service`] the tenant itself, [`attendance`] how somebody stands in a group, [`access`]
//! who may do what, [`rate`] how often, [`roster`] who is there, and [`group`] puts them together: a command and a
//! time go in, effects come out.

pub mod access;
pub mod attendance;
pub mod event;
pub mod group;
pub mod ids;
pub mod membership;
pub mod message;
pub mod profile;
pub mod rate;
pub mod roster;
pub mod service;

/// The present, as the shell read it. Passed in, so that a test decides what time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Unix time in milliseconds. May jump either way; only ever shown to people.
    pub unix_ms: u64,
    /// Milliseconds since the process started. Never goes back; every wait and rate is counted with it.
    pub mono_ms: u64,
}
