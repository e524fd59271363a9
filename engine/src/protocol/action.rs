//! The numbers in a frame's `a`.

/// Who is online and who is not.
pub const ROSTER: u64 = 1;
/// A message, to the server or from it.
pub const MESSAGE: u64 = 2;
/// A page of history, asked for or given.
pub const HISTORY: u64 = 3;
/// Why a frame wasn't served.
pub const ERROR: u64 = 5;
