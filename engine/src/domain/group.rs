//! A group: the one place where the order of its messages and its roster are decided.
//!
//! [`Group::handle`] takes a command and the time and returns effects, which the caller carries out in order
//! before the next command. The group never waits: an append is an effect, and the next message is taken
//! while the last is still being stored.

use std::collections::HashMap;
use std::sync::Arc;

use super::Now;
use super::ids::{Seq, SessionId, UserLife};
use super::message::{Draft, Message};
use super::roster::{Attendee, Roster, RosterPace, RosterView};

/// What may be asked of a group.
#[derive(Debug, Clone)]
pub enum Command {
    /// A session wants in.
    Join {
        /// The session, which no other has been.
        session: SessionId,
        /// Whose it is.
        user: UserLife,
    },
    /// A session has ended, or wants out.
    Leave {
        /// The session; unknown ones are ignored, since leaving twice is no mistake.
        session: SessionId,
    },
    /// A session says something.
    Post {
        /// The session, whose user is the author.
        session: SessionId,
        /// What it says.
        draft: Draft,
    },
    /// The tenant added an attendee, or changed how one is shown. An older life of the user ends with it.
    PutAttendee(Attendee),
    /// The tenant removed an attendee. Another life of the user isn't meant.
    RemoveAttendee(UserLife),
    /// The tenant deleted the group.
    Delete,
    /// The time [`Group::due_ms`] told has come.
    Tick,
}

/// What the caller has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Store this, then show it to everyone who is in.
    Append(Message),
    /// Let these in: each gets the whole roster, then history, then what is said from here on.
    Admit(Vec<SessionId>),
    /// Tell everyone who is in.
    Tell(RosterView),
    /// Close these; they are no longer in.
    Close(Vec<SessionId>, Departure),
}

/// Why the group closes a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// Its user no longer attends.
    Removed,
    /// The group is no more.
    Deleted,
}

/// Why a command isn't carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The user doesn't attend the group.
    #[error("the user doesn't attend the group")]
    NotAttending,
    /// The session isn't in the group.
    #[error("the session isn't in the group")]
    NotJoined,
    /// The user has as many sessions in the group as one may have.
    #[error("the user has too many sessions in the group")]
    TooManySessions,
}

/// The newest place in a group's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The last event's place; 0 when there is none.
    pub seq: Seq,
    /// When that was, Unix milliseconds.
    pub time_ms: u64,
}

/// The state of a group that is awake.
#[derive(Debug)]
pub struct Group {
    head: Head,
    roster: Roster,
    sessions: HashMap<SessionId, UserLife>,
    /// Sessions of a large group that come in with the next telling, all with the same roster frame.
    waiting: Vec<SessionId>,
    admitted_ms: Option<u64>,
    sessions_per_user_max: usize,
}

impl Group {
    /// A group as its store knows it, with nobody in.
    pub fn new(
        head: Head,
        attendees: impl IntoIterator<Item = Attendee>,
        pace: RosterPace,
        sessions_per_user_max: usize,
    ) -> Self {
        Self {
            head,
            roster: Roster::new(pace, attendees),
            sessions: HashMap::new(),
            waiting: Vec::new(),
            admitted_ms: None,
            sessions_per_user_max,
        }
    }

    /// Takes back the sessions that were in when a group's actor crashed, to whom these users were shown as online.
    /// They stay admitted; who may no longer be in is closed.
    pub fn restore(
        &mut self,
        seated: impl IntoIterator<Item = (SessionId, UserLife)>,
        shown: impl IntoIterator<Item = Arc<Attendee>>,
    ) -> Vec<Effect> {
        let mut strangers = Vec::new();
        self.roster.tell_all(shown);
        for (session, user) in seated {
            if self.roster.attends(&user) {
                self.roster.enter(&user);
                self.sessions.insert(session, user);
            } else {
                strangers.push(session);
            }
        }
        if strangers.is_empty() { Vec::new() } else { vec![Effect::Close(strangers, Departure::Removed)] }
    }

    /// The newest place in the log, stored or under way.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Everyone on the roster.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The whole roster, for sessions that come in or have missed something.
    pub fn hand_out_roster(&mut self) -> RosterView {
        self.roster.hand_out()
    }

    /// Whether no session is in or waits to come in.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// When a [`Command::Tick`] is due, on the monotonic clock.
    pub fn due_ms(&self) -> Option<u64> {
        let admission = (!self.waiting.is_empty()).then(|| self.next_admission_ms());
        match (admission, self.roster.due_ms()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Carries a command out in the state, and says what to do about it.
    pub fn handle(&mut self, command: Command, now: Now) -> Result<Vec<Effect>, Denied> {
        let mut effects = match command {
            Command::Post { session, draft } => return Ok(vec![self.post(session, draft, now)?]),
            Command::Join { session, user } => self.join(session, user, now)?,
            Command::Leave { session } => self.leave(session),
            Command::PutAttendee(attendee) => self.put_attendee(attendee),
            Command::RemoveAttendee(user) => self.remove_attendee(&user),
            Command::Delete => return Ok(self.close_all()),
            Command::Tick => self.admit_waiting(now),
        };
        if let Some(view) = self.roster.poll(now.mono_ms) {
            // Before any admission, so that who comes in isn't told twice.
            effects.insert(0, Effect::Tell(view));
        }
        Ok(effects)
    }

    fn post(&mut self, session: SessionId, draft: Draft, now: Now) -> Result<Effect, Denied> {
        let author = self.sessions.get(&session).ok_or(Denied::NotJoined)?.id.clone();
        // Times never go back within a group, whatever the clock does: history is paged by them.
        let time_ms = now.unix_ms.max(self.head.time_ms);
        self.head = Head { seq: self.head.seq.next(), time_ms };
        Ok(Effect::Append(Message { seq: self.head.seq, time_ms, author, text: draft.into_text() }))
    }

    fn join(&mut self, session: SessionId, user: UserLife, now: Now) -> Result<Vec<Effect>, Denied> {
        if !self.roster.attends(&user) {
            return Err(Denied::NotAttending);
        }
        if self.roster.sessions_of(&user) >= self.sessions_per_user_max {
            return Err(Denied::TooManySessions);
        }
        self.roster.enter(&user);
        self.sessions.insert(session, user);
        if self.roster.is_large() && self.next_admission_ms() > now.mono_ms {
            self.waiting.push(session);
            return Ok(Vec::new());
        }
        self.admitted_ms = Some(now.mono_ms);
        Ok(vec![Effect::Admit(vec![session])])
    }

    fn leave(&mut self, session: SessionId) -> Vec<Effect> {
        if let Some(user) = self.sessions.remove(&session) {
            self.roster.exit(&user);
            self.waiting.retain(|waiting| *waiting != session);
        }
        Vec::new()
    }

    fn put_attendee(&mut self, attendee: Attendee) -> Vec<Effect> {
        let attending = self.roster.attending(&attendee.id);
        let ended = attending.filter(|attending| attending.uid != attendee.uid);
        let effects = ended.map_or_else(Vec::new, |ended| self.remove_attendee(&ended));
        self.roster.put(attendee);
        effects
    }

    fn remove_attendee(&mut self, user: &UserLife) -> Vec<Effect> {
        self.roster.remove(user);
        let closed: Vec<SessionId> =
            self.sessions.iter().filter(|(_, owner)| *owner == user).map(|(session, _)| *session).collect();
        if closed.is_empty() {
            return Vec::new();
        }
        self.sessions.retain(|_, owner| owner != user);
        self.waiting.retain(|session| !closed.contains(session));
        vec![Effect::Close(closed, Departure::Removed)]
    }

    fn close_all(&mut self) -> Vec<Effect> {
        self.waiting.clear();
        let closed: Vec<SessionId> = self.sessions.drain().map(|(session, _)| session).collect();
        if closed.is_empty() { Vec::new() } else { vec![Effect::Close(closed, Departure::Deleted)] }
    }

    fn admit_waiting(&mut self, now: Now) -> Vec<Effect> {
        if self.waiting.is_empty() || self.next_admission_ms() > now.mono_ms {
            return Vec::new();
        }
        self.admitted_ms = Some(now.mono_ms);
        vec![Effect::Admit(std::mem::take(&mut self.waiting))]
    }

    fn next_admission_ms(&self) -> u64 {
        self.admitted_ms.map_or(0, |admitted| admitted + self.roster.interval_ms())
    }
}

#[cfg(test)]
mod tests;
