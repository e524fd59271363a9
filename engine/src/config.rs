//! Every limit of the engine, once.
//!
//! A number that bounds a queue, a size, a rate or a wait stands here and nowhere else. The unit is the last
//! word of each name. [`Limits::default`] is the table that the documentation prints.

use crate::domain::group::GroupRules;
use crate::domain::rate::Rate;
use crate::domain::roster::RosterPace;

/// The bounds within which an engine serves. All are per process unless the name says otherwise.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A WebSocket frame or reassembled message from a client, in bytes. More closes with 4502.
    pub frame_bytes_max: usize,
    /// A message's text, in UTF-8 bytes. More is answered with `message_too_large`.
    pub message_bytes_max: usize,
    /// Items of a REST listing when `limit` is absent.
    pub page_items_default: usize,
    /// Items of a REST listing at most.
    pub page_items_max: usize,
    /// Bytes of the groups in one listing of users, about. Users whose groups have more come on the next page.
    pub listing_bytes_max: usize,
    /// Messages of a history page when `l` is absent, and of the page that greets a version 1 session.
    pub history_items_default: usize,
    /// Messages of a history page at most.
    pub history_items_max: usize,
    /// Bytes of a history page at most, unless a single message has more. Larger pages hold fewer messages.
    pub history_bytes_max: usize,
    /// Bytes of greeting pages that are kept for who joins next, of all groups together.
    pub greetings_bytes_max: usize,
    /// How long a connection token can be redeemed, in milliseconds.
    pub token_ttl_ms: u64,
    /// Tokens that wait to be redeemed. More is answered with `too_many_tokens`.
    pub tokens_outstanding_max: usize,
    /// Messages a second that one session may send; 0 for no bound.
    pub send_rate_per_s: u32,
    /// Messages that one session may send at once before [`Limits::send_rate_per_s`] holds it back.
    pub send_burst: u32,
    /// Pages of history a second that one session may ask for; 0 for no bound.
    pub request_rate_per_s: u32,
    /// Pages of history that one session may ask for at once.
    pub request_burst: u32,
    /// Bytes that wait for one slow socket, beside one answer: a page of history, for who joins with the roster.
    /// Above half of it roster frames are shed, above all of it the session closes with 4001.
    pub outbound_bytes_max: usize,
    /// Bytes that one session may have under way (received, not yet durable). More waits in the kernel.
    pub inflight_bytes_max: usize,
    /// Attendees up to which a roster frame always holds everyone; larger groups send who changed.
    pub roster_full_max: usize,
    /// The shortest time between two roster frames of a group, in milliseconds.
    pub roster_interval_ms: u64,
    /// Sessions that one user may hold, and in one group, those among them whose connection is lost and not found to be yet. More closes with 4507.
    pub sessions_per_user_max: usize,
    /// How long a request may take, its body included, in milliseconds. More is answered with `timeout`.
    pub request_timeout_ms: u64,
    /// How long an HTTP connection without a request under way stays open, in milliseconds; twice as long when an
    /// answer isn't taken. No bound of WebSockets.
    pub connection_idle_ms: u64,
    /// How long a group without sessions and work stays in memory, in milliseconds.
    pub group_idle_ms: u64,
    /// Silence of a client after which it is pinged, in milliseconds.
    pub ping_interval_ms: u64,
    /// Silence after a ping that closes with 4002, in milliseconds.
    pub pong_timeout_ms: u64,
    /// How long a write may make no progress before the session ends as 4001, in milliseconds. The client gets the
    /// code only if it reads again while the goodbye may take.
    pub write_stall_ms: u64,
    /// How long a closing socket may make no progress with what waits and the goodbye, in milliseconds.
    pub close_linger_ms: u64,
    /// How long a drain waits for sessions and groups, in milliseconds.
    pub drain_ms: u64,
    /// Typing, markers and ephemeral words a second that one session may send; 0 for no bound.
    pub signal_rate_per_s: u32,
    /// Typing, markers and ephemeral words that one session may send at once.
    pub signal_burst: u32,
    /// Events that a resume replays at most. Who has missed more pages history.
    pub replay_events_max: usize,
    /// Bytes that a resume replays at most.
    pub replay_bytes_max: usize,
    /// How long live events wait for the first frame of a client that came with a token, in milliseconds.
    pub resume_wait_ms: u64,
    /// How long live events wait for the first frame of a client that came with a ticket, in milliseconds.
    pub ticket_resume_wait_ms: u64,
    /// How long a ticket can be redeemed, in milliseconds.
    pub ticket_ttl_ms: u64,
    /// How long a version 2 session that ended still counts as online, in milliseconds.
    pub leave_grace_ms: u64,
    /// Online users that a large group's roster shows.
    pub roster_shown_max: usize,
    /// Attendees up to which a roster delta says who changed; larger groups are told counts.
    pub roster_delta_max: usize,
    /// How long typing lasts unless it is said again, in milliseconds.
    pub typing_ms: u64,
    /// The shortest time between two tellings of markers, inboxes and counts of who types, in milliseconds.
    pub signal_interval_ms: u64,
    /// Groups that one user-scoped connection may be in.
    pub groups_per_session_max: usize,
    /// Groups that an inbox looks at; of a user who attends more, those that come first by their ids.
    pub inbox_groups_max: usize,
    /// Over how long clients are spread that come back after a drain, in milliseconds.
    pub drain_spread_ms: u64,
    /// How often it is looked for what groups keep no longer, in milliseconds.
    pub retention_interval_ms: u64,
    /// Supervisors that share the groups of one process.
    pub shards: usize,
    /// Crashes of one group within [`Limits::restart_window_ms`] before it is quarantined.
    pub restarts_max: usize,
    /// The window in which a group's crashes are counted, in milliseconds.
    pub restart_window_ms: u64,
    /// The first quarantine of a crashing group, in milliseconds; it doubles up to a minute.
    pub quarantine_ms: u64,
}

impl Limits {
    /// What of them a group's rules are made of.
    pub fn group_rules(&self) -> GroupRules {
        GroupRules {
            pace: RosterPace {
                full_max: self.roster_full_max,
                delta_max: self.roster_delta_max,
                interval_ms: self.roster_interval_ms,
            },
            sessions_per_user_max: self.sessions_per_user_max,
            leave_grace_ms: self.leave_grace_ms,
            typing_ms: self.typing_ms,
            signal_interval_ms: self.signal_interval_ms,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 64 * 1024,
            message_bytes_max: 16 * 1024,
            page_items_default: 20,
            page_items_max: 1_000,
            listing_bytes_max: 4 * 1024 * 1024,
            history_items_default: 50,
            history_items_max: 100,
            history_bytes_max: 256 * 1024,
            greetings_bytes_max: 16 * 1024 * 1024,
            token_ttl_ms: 60_000,
            tokens_outstanding_max: 1_000_000,
            send_rate_per_s: 20,
            send_burst: 60,
            request_rate_per_s: 20,
            request_burst: 60,
            outbound_bytes_max: 1024 * 1024,
            inflight_bytes_max: 128 * 1024,
            roster_full_max: 250,
            roster_interval_ms: 250,
            sessions_per_user_max: 500,
            request_timeout_ms: 30_000,
            connection_idle_ms: 60_000,
            group_idle_ms: 60_000,
            ping_interval_ms: 25_000,
            pong_timeout_ms: 10_000,
            write_stall_ms: 30_000,
            close_linger_ms: 2_000,
            drain_ms: 10_000,
            signal_rate_per_s: 20,
            signal_burst: 60,
            replay_events_max: 1_000,
            replay_bytes_max: 1024 * 1024,
            resume_wait_ms: 250,
            ticket_resume_wait_ms: 2_000,
            ticket_ttl_ms: 24 * 60 * 60 * 1_000,
            leave_grace_ms: 5_000,
            roster_shown_max: 100,
            roster_delta_max: 5_000,
            typing_ms: 6_000,
            signal_interval_ms: 250,
            groups_per_session_max: 1_000,
            inbox_groups_max: 10_000,
            drain_spread_ms: 5_000,
            retention_interval_ms: 60_000,
            shards: 16,
            restarts_max: 5,
            restart_window_ms: 60_000,
            quarantine_ms: 1_000,
        }
    }
}

/// Pings and pongs of one session before they are slowed down: the next isn't looked at before its time.
pub const CONTROLS: Rate = Rate { per_s: 10, burst: 100 };
/// Refusals of one session before they are slowed down.
pub const REFUSALS: Rate = Rate { per_s: 100, burst: 500 };
/// The longest id or name, in characters. Part of the protocol, so not adjustable.
pub const NAME_CHARS_MAX: usize = 128;
/// The longest icon URL, in bytes.
pub const ICON_BYTES_MAX: usize = 2_048;
/// The largest `custom` value, in bytes of its compact JSON.
pub const CUSTOM_BYTES_MAX: usize = 4_096;
/// How deep maps and lists of a `custom` value may lie in each other: wherever it is carried, readers with usual bounds can read what it is in.
pub const CUSTOM_LEVELS_MAX: usize = 50;
/// The longest client's own id of a message, in characters.
pub const CLIENT_ID_CHARS_MAX: usize = 64;
/// How long a client's own id of a message is remembered at least, in milliseconds.
pub const CLIENT_ID_MS: u64 = 24 * 60 * 60 * 1_000;
/// The longest key of a reaction, in bytes.
pub const REACTION_KEY_BYTES_MAX: usize = 32;
/// How deep maps and lists of a version 2 frame may lie in each other, the frame itself counted. It keeps a frame from using up the stack.
pub const FRAME_LEVELS_MAX: usize = 64;
/// Different reactions that one message may have.
pub const REACTION_KEYS_MAX: usize = 50;
