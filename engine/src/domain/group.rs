//! A group: the one place where the order of its events, its roster and its signals are decided.
//!
//! [`Group::handle`] takes a command and the time and returns effects, which the caller carries out in order
//! before the next command. The group never waits: an append is an effect, and the next event is taken
//! while the last is still being stored. What deciding takes from the store comes with the command.
//!
//! In reading order: this file is who comes, goes and is told of; [`log`] decides about events, [`signals`] about markers
//! and typing, [`lingering`] remembers who may come back at once, [`bars`] when mutes and bans end.

mod bars;
mod lingering;
mod log;
mod signals;

use std::collections::HashMap;
use std::sync::Arc;

use super::Now;
use super::event::{Actor, Event, EventKind, Facts, Head, Marker, Message, Moderation};
use super::ids::{Seq, SessionId, UserId, UserLife};
use super::roster::{Attendee, Roster, RosterPace, RosterView, Telling};
use bars::Bars;
use lingering::Lingering;
use log::InFlight;
use signals::{Markers, Typing};

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaker {
    /// A session, for its user.
    Session(SessionId),
    /// The tenant's backend, for a user or for itself.
    Backend(Actor),
}

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
        /// Its user counts as online for a while.
        lingers: bool,
    },
    /// Something is to be said.
    Say {
        /// Who says it.
        speaker: Speaker,
        /// What.
        message: Message,
        /// Where the store has a message of that user with that client id.
        sent: Option<Head>,
        /// Whether the store has the message that it replies to.
        answers_known: bool,
        /// Whether its author has read everything before it. Version 1 knows no markers.
        marks: bool,
    },
    /// A message is to be changed: an edit, a deletion or a reaction.
    Change {
        /// Who wants that.
        speaker: Speaker,
        /// How.
        kind: EventKind,
        /// What the store knows of the message.
        facts: Option<Facts>,
    },
    /// What a moderator did is stored in how the attendee stands: now it takes its place in the log, and shows.
    Moderated {
        /// Who did it.
        by: Actor,
        /// What.
        moderation: Moderation,
        /// The attendee as it stands now; none after a kick.
        attendee: Option<Attendee>,
    },
    /// A user has come further.
    Mark {
        /// In which session.
        session: SessionId,
        /// How far.
        marker: Marker,
    },
    /// Markers are stored.
    Marked(Vec<Marked>),
    /// A user types, or has stopped.
    Type {
        /// In which session.
        session: SessionId,
        /// Whether it types.
        on: bool,
    },
    /// The tenant added an attendee, or changed how one is shown or stands. An older life of the user ends with it.
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
    Append(Event),
    /// It was said before, there.
    Duplicate(Head),
    /// It is so already.
    Unchanged,
    /// Let this one in: it gets the roster, then history, then what is said from here on.
    Admit(SessionId),
    /// Tell everyone who is in.
    Tell(Telling),
    /// Close these; they are no longer in.
    Close(Vec<SessionId>, Departure),
    /// Store these, then tell them and answer [`Command::Marked`].
    Mark(Vec<Marked>),
    /// Tell the others that a user types, or has stopped.
    Typing(UserId, bool),
    /// Tell everyone how many type.
    TypingCount(usize),
}

/// A marker that has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// Whose.
    pub user: UserLife,
    /// Where it stands.
    pub marker: Marker,
    /// To be told; else it follows from what the user said.
    pub told: bool,
}

/// Why the group closes a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// Its user no longer attends.
    Removed,
    /// Its user is banned.
    Banned,
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
    /// The user is banned.
    #[error("the user is banned from the group")]
    Banned,
    /// The user is muted.
    #[error("the user is muted in this group")]
    Muted,
    /// It takes the author or a moderator.
    #[error("only its author or a moderator may do that")]
    NotAuthor,
    /// It takes a moderator.
    #[error("only a moderator may do that")]
    NotModerator,
    /// The other one is a moderator.
    #[error("a moderator can't be moderated: only the tenant's backend may do that")]
    AgainstModerator,
    /// There is no such message.
    #[error("this group has no such message")]
    NoMessage,
    /// The message is a tombstone.
    #[error("the message was deleted")]
    MessageDeleted,
    /// The message has as many different reactions as one may have.
    #[error("the message has as many different reactions as one may have")]
    TooManyReactions,
    /// The time is over already.
    #[error("until must be in the future")]
    Past,
    /// The place isn't there yet.
    #[error("the marker is beyond the group's newest sequence")]
    BeyondHead,
}

/// What a group's rules need beside its roster's pace.
#[derive(Debug, Clone, Copy)]
pub struct GroupRules {
    /// How rosters are told.
    pub pace: RosterPace,
    /// Sessions of one user at most.
    pub sessions_per_user_max: usize,
    /// How long somebody who lost the connection counts as online, in milliseconds.
    pub leave_grace_ms: u64,
    /// How long typing lasts, in milliseconds.
    pub typing_ms: u64,
    /// The shortest time between two tellings of markers and of how many type, in milliseconds.
    pub signal_interval_ms: u64,
}

/// The state of a group that is awake.
#[derive(Debug)]
pub struct Group {
    rules: GroupRules,
    head: Head,
    in_flight: InFlight,
    roster: Roster,
    /// Attendees that can't come in. They are on no roster.
    banned: HashMap<UserId, Attendee>,
    sessions: HashMap<SessionId, UserLife>,
    lingering: Lingering,
    markers: Markers,
    typing: Typing,
    /// When mutes and bans end.
    bars: Bars,
}

impl Group {
    /// A group as its store knows it, with nobody in.
    pub fn new(
        head: Head,
        attendees: impl IntoIterator<Item = Attendee>,
        markers: impl IntoIterator<Item = (UserLife, Marker)>,
        rules: GroupRules,
        now: Now,
    ) -> Self {
        let (banned, present): (Vec<_>, Vec<_>) =
            attendees.into_iter().partition(|attendee| attendee.standing.is_banned(now.unix_ms));
        let mut bars = Bars::default();
        present.iter().chain(&banned).for_each(|attendee| bars.watch(&attendee.id, &attendee.standing, now));
        let roster = Roster::new(rules.pace, present);
        let markers = Markers::new(markers, |user| roster.attends(user));
        Self {
            rules,
            head,
            in_flight: InFlight::default(),
            roster,
            banned: banned.into_iter().map(|attendee| (attendee.id.clone(), attendee)).collect(),
            sessions: HashMap::new(),
            lingering: Lingering::default(),
            markers,
            typing: Typing::new(rules.typing_ms),
            bars,
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

    /// An attendee, on the roster or banned, in that life.
    pub fn known(&self, user: &UserLife) -> Option<&Attendee> {
        let attendee = self.roster.attendee(&user.id).or_else(|| self.banned.get(&user.id));
        attendee.filter(|attendee| attendee.uid == user.uid)
    }

    /// How far everyone has come: what is stored, and what follows from what they have said up to a place.
    pub fn markers(&self, upto: Seq) -> HashMap<UserId, Marker> {
        self.markers.shown(upto)
    }

    /// The whole roster, for sessions that come in or have missed something.
    pub fn hand_out_roster(&mut self) -> RosterView {
        self.roster.hand_out()
    }

    /// The first so many that are online, likewise.
    pub fn hand_out_online(&mut self, limit: usize) -> RosterView {
        self.roster.hand_out_online(limit)
    }

    /// Whether no session is in, and nobody is expected back.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.lingering.is_empty()
    }

    /// Whose session it is, if it is in.
    pub fn user_of(&self, session: SessionId) -> Option<&UserLife> {
        self.sessions.get(&session)
    }

    /// When a [`Command::Tick`] is due, on the monotonic clock.
    pub fn due_ms(&self) -> Option<u64> {
        let interval_ms = self.rules.signal_interval_ms;
        let typing = self.typing.due_ms(self.roster.is_large(), interval_ms);
        let signals = [self.markers.due_ms(interval_ms), typing];
        let dues = [self.roster.due_ms(), self.lingering.due_ms(), self.bars.due_ms()];
        dues.into_iter().chain(signals).flatten().min()
    }

    /// Everything up to this place is stored: what the store says from now on includes it.
    pub fn settle(&mut self, stored: Seq) {
        self.in_flight.settle(stored);
    }

    /// Carries a command out in the state, and says what to do about it.
    pub fn handle(&mut self, command: Command, now: Now) -> Result<Vec<Effect>, Denied> {
        // Whatever comes, and though no tick came yet.
        self.lift_bars(now);
        let mut effects = match command {
            Command::Say { speaker, message, sent, answers_known, marks } => {
                return self.say(&speaker, message, sent, answers_known, marks, now);
            }
            Command::Change { speaker, kind, facts } => {
                return Ok(vec![self.change(&speaker, kind, facts, now)?]);
            }
            Command::Mark { session, marker } => {
                self.mark(session, marker)?;
                self.poll_markers(now)
            }
            Command::Marked(marked) => {
                self.markers.moved(marked.into_iter().filter(|marked| self.roster.attends(&marked.user)));
                return Ok(Vec::new());
            }
            Command::Type { session, on } => {
                self.set_typing(session, on, now)?;
                return Ok(self.poll_typing(now));
            }
            Command::Moderated { by, moderation, attendee } => self.moderated(by, moderation, attendee, now),
            Command::Join { session, user } => self.join(session, user, now)?,
            Command::Leave { session, lingers } => {
                self.leave(session, lingers, now);
                Vec::new()
            }
            Command::PutAttendee(attendee) => self.put_attendee(attendee, now),
            Command::RemoveAttendee(user) => self.remove_attendee(&user, Departure::Removed),
            Command::Delete => return Ok(self.close_all()),
            Command::Tick => self.tick(now),
        };
        effects.extend(self.poll_typing(now));
        if let Some(telling) = self.roster.poll(now.mono_ms) {
            // Before any admission, so that who comes in isn't told twice.
            effects.insert(0, Effect::Tell(telling));
        }
        Ok(effects)
    }

    fn join(&mut self, session: SessionId, user: UserLife, now: Now) -> Result<Vec<Effect>, Denied> {
        self.check_ban(&user, now)?;
        if !self.roster.attends(&user) {
            return Err(Denied::NotAttending);
        }
        let ghosts = usize::from(self.lingering.contains(&user));
        if self.roster.sessions_of(&user) - ghosts >= self.rules.sessions_per_user_max {
            return Err(Denied::TooManySessions);
        }
        self.roster.enter(&user);
        if self.lingering.remove(&user) {
            self.roster.exit(&user);
        }
        self.sessions.insert(session, user);
        Ok(vec![Effect::Admit(session)])
    }

    /// Mutes and bans that are over: who was muted is shown as before, and who was banned is on the roster again.
    fn lift_bars(&mut self, now: Now) {
        for user in self.bars.ended(now.mono_ms) {
            if let Some(attendee) = self.banned.get(&user) {
                if attendee.standing.is_banned(now.unix_ms) {
                    // The calendar was set back.
                    self.bars.watch(&user, &attendee.standing, now);
                } else if let Some(attendee) = self.banned.remove(&user) {
                    self.bars.watch(&user, &attendee.standing, now);
                    self.markers.come_back(&attendee.life());
                    self.roster.put(attendee);
                }
            } else if let Some(attendee) = self.roster.attendee(&user) {
                self.bars.watch(&user, &attendee.standing, now);
                self.roster.tell_again(&user);
            }
        }
    }

    fn check_ban(&self, user: &UserLife, now: Now) -> Result<(), Denied> {
        let banned = self.banned.get(&user.id).filter(|attendee| attendee.uid == user.uid);
        if banned.is_some_and(|attendee| attendee.standing.is_banned(now.unix_ms)) {
            return Err(Denied::Banned);
        }
        Ok(())
    }

    fn leave(&mut self, session: SessionId, lingers: bool, now: Now) {
        let Some(user) = self.sessions.remove(&session) else { return };
        let is_last = self.roster.sessions_of(&user) == 1;
        if lingers && is_last && self.rules.leave_grace_ms > 0 {
            self.lingering.insert(user, now.mono_ms + self.rules.leave_grace_ms);
        } else {
            self.goes(&user);
        }
    }

    fn goes(&mut self, user: &UserLife) {
        self.roster.exit(user);
        if self.roster.sessions_of(user) == 0 {
            self.typing.stop(&user.id);
        }
    }

    fn put_attendee(&mut self, attendee: Attendee, now: Now) -> Vec<Effect> {
        self.bars.watch(&attendee.id, &attendee.standing, now);
        let attending = self.roster.attending(&attendee.id);
        let ended = attending.filter(|attending| attending.uid != attendee.uid);
        let mut effects =
            ended.map_or_else(Vec::new, |ended| self.remove_attendee(&ended, Departure::Removed));
        if attendee.standing.is_banned(now.unix_ms) {
            effects.extend(self.remove_attendee(&attendee.life(), Departure::Banned));
            self.banned.insert(attendee.id.clone(), attendee);
        } else {
            self.banned.remove(&attendee.id);
            self.markers.come_back(&attendee.life());
            if attendee.standing.is_muted(now.unix_ms) {
                self.typing.stop(&attendee.id);
            }
            self.roster.put(attendee);
        }
        effects
    }

    fn remove_attendee(&mut self, user: &UserLife, departure: Departure) -> Vec<Effect> {
        if self.banned.get(&user.id).is_some_and(|attendee| attendee.uid == user.uid) {
            self.banned.remove(&user.id);
        }
        if !self.roster.attends(user) {
            return Vec::new();
        }
        self.roster.remove(user);
        self.lingering.remove(user);
        self.markers.leave(user);
        self.typing.stop(&user.id);
        let mut effects = Vec::new();
        let closed: Vec<SessionId> =
            self.sessions.iter().filter(|(_, owner)| *owner == user).map(|(session, _)| *session).collect();
        if !closed.is_empty() {
            self.sessions.retain(|_, owner| owner != user);
            effects.push(Effect::Close(closed, departure));
        }
        effects
    }

    fn close_all(&mut self) -> Vec<Effect> {
        let closed: Vec<SessionId> = self.sessions.drain().map(|(session, _)| session).collect();
        if closed.is_empty() { Vec::new() } else { vec![Effect::Close(closed, Departure::Deleted)] }
    }

    fn tick(&mut self, now: Now) -> Vec<Effect> {
        for user in self.lingering.ended(now.mono_ms) {
            self.goes(&user);
        }
        self.poll_markers(now)
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
