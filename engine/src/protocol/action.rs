//! The numbers in a frame's `a`. Version 1 has rosters, messages, history and errors.

/// The first frame of a connection, and the first about a group.
pub const WELCOME: u64 = 0;
/// Who is online and who is not.
pub const ROSTER: u64 = 1;
/// A message, to the server or from it.
pub const MESSAGE: u64 = 2;
/// A page of history, asked for or given.
pub const HISTORY: u64 = 3;
/// A request was carried out.
pub const ACK: u64 = 4;
/// Why a frame wasn't served.
pub const ERROR: u64 = 5;
/// Who came and who went.
pub const ROSTER_DELTA: u64 = 6;
/// A message is changed.
pub const EDIT: u64 = 7;
/// A message is taken back.
pub const DELETE: u64 = 8;
/// A reaction is set or taken back.
pub const REACTION: u64 = 9;
/// A user has come further.
pub const MARKER: u64 = 10;
/// A user types.
pub const TYPING: u64 = 11;
/// Words that aren't stored.
pub const EPHEMERAL: u64 = 12;
/// What was missed.
pub const RESUME: u64 = 13;
/// Coming into a group and leaving it.
pub const JOIN: u64 = 14;
/// How far a user has come in all groups.
pub const INBOX: u64 = 15;
/// Somebody is muted, kicked or banned.
pub const MODERATION: u64 = 16;
/// A new ticket.
pub const TICKET: u64 = 30;
/// The server stops.
pub const DRAIN: u64 = 31;
