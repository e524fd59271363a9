//! The actors, on ractor.
//!
//! ```text
//! root                  starts the shards, and starts one again that died
//! └─ shard 0..N         supervises the groups that hash to it; starts again, counts, quarantines
//!     └─ group          the one writer of a group; its delivery task follows the disk
//! session ⇄ socket      a task each, on no supervisor: the client starts the next one
//! ```
//!
//! How one may die, and what then:
//!
//! | dies | then |
//! |---|---|
//! | group | its shard starts it again; sequence and members come from the store, who listens from its [`audience`], what it was told from its [`inbox`]; sockets stay |
//! | session | its socket with it; the seat is given back; the client connects again |
//! | shard | its groups die with it; the root starts it again and it starts every group that has listeners |
//! | root | the process has no engine any more: `main` stops in order and says so |
//!
//! Messages go round the mailboxes: sessions put them into the group's [`inbox`], and its delivery puts frames
//! straight into the queues of its [`audience`]. Both outlive the actor, so a crash loses only the message in
//! hand, and its sender is told. What enters is bounded at the edge: a session has at most `inflight_bytes_max`
//! under way.
//!
//! In reading order: [`directory`] finds a group's actor, [`inbox`] is what it was told ([`told`] is what it can be told) and [`audience`] who
//! listens, [`frames`] what they share, [`group`] decides ([`loading`] is how it begins), [`delivery`] follows the disk, [`receipt`] is the
//! promise to a sender, [`shard`] and [`crashes`] supervise, [`session`] serves a client, [`greetings`] is what
//! many newcomers share, [`turnstile`] where those who come and go stand in line, [`sessions`] counts them, [`inboxes`] tells of groups that one isn't in,
//! [`root`] holds it together.

pub(crate) mod audience;
mod crashes;
pub(crate) mod delivery;
pub(crate) mod directory;
mod frames;
mod greetings;
pub(crate) mod group;
mod inbox;
pub(crate) mod inboxes;
mod loading;
pub(crate) mod receipt;
pub(crate) mod root;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod shard;
pub(crate) mod told;
mod turnstile;

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Limits;
use crate::metrics::Metrics;
use crate::store::{Directory, History};
use crate::tokens::ticket::TicketKey;
use directory::LiveGroups;
use greetings::Greetings;
use inboxes::Inboxes;
use sessions::Sessions;
use turnstile::Turnstile;

/// What every actor may use.
pub(crate) struct Shared {
    pub(crate) limits: Arc<Limits>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) history: Arc<dyn History>,
    pub(crate) groups: LiveGroups,
    pub(crate) greetings: Greetings,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) inboxes: Arc<Inboxes>,
    pub(crate) tickets: TicketKey,
    pub(crate) turnstile: Turnstile,
}

impl Shared {
    pub(crate) fn new(
        limits: Limits,
        metrics: Metrics,
        directory: Arc<dyn Directory>,
        history: Arc<dyn History>,
        tickets: TicketKey,
    ) -> Self {
        Self {
            greetings: Greetings::new(limits.greetings_bytes_max),
            limits: Arc::new(limits),
            clock: Clock::start(),
            metrics,
            directory,
            history,
            groups: LiveGroups::default(),
            sessions: Arc::default(),
            inboxes: Arc::default(),
            tickets,
            turnstile: Turnstile::default(),
        }
    }
}
