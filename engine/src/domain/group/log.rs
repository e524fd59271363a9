//! What goes into the log, and what is under way to it.
//!
//! The store tells of a message what is stored; what has been decided since and isn't stored yet stands in
//! [`InFlight`]. Both together are the present.

use std::collections::{HashMap, VecDeque};

use super::{Denied, Departure, Effect, Group, Speaker};
use crate::config::{CLIENT_ID_MS, REACTION_KEYS_MAX};
use crate::domain::Now;
use crate::domain::access;
use crate::domain::event::{Actor, Event, EventKind, Facts, Head, Message, Moderation, ModerationOp};
use crate::domain::ids::{ClientId, ReactionKey, Seq, UserId, UserLife};
use crate::domain::roster::Attendee;

/// Among how many of the newest events it is remembered whenever they were said.
const CLIENT_ID_EVENTS: u64 = 1_000;

/// Events that were decided and may not be stored yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    events: VecDeque<Decided>,
    /// The client ids among them.
    client_ids: HashMap<(UserLife, ClientId), Head>,
}

/// As much of an event as later decisions need.
#[derive(Debug)]
struct Decided {
    seq: Seq,
    by: Actor,
    what: What,
}

#[derive(Debug)]
enum What {
    Message(Option<ClientId>),
    Delete { of: Seq },
    Reaction { of: Seq, key: ReactionKey, set: bool },
    Other,
}

impl InFlight {
    pub(super) fn settle(&mut self, stored: Seq) {
        while self.events.front().is_some_and(|decided| decided.seq <= stored) {
            let Some(decided) = self.events.pop_front() else { return };
            if let (What::Message(Some(client_id)), Actor::User(user)) = (decided.what, decided.by) {
                let key = (user, client_id);
                if self.client_ids.get(&key).is_some_and(|head| head.seq == decided.seq) {
                    self.client_ids.remove(&key);
                }
            }
        }
    }

    fn push(&mut self, event: &Event) {
        let what = match &event.kind {
            EventKind::Message(message) => What::Message(message.client_id().cloned()),
            EventKind::Delete { of } => What::Delete { of: *of },
            EventKind::Reaction(reaction) => {
                What::Reaction { of: reaction.of, key: reaction.key.clone(), set: reaction.set }
            }
            EventKind::Edit(_) | EventKind::Moderation(_) => What::Other,
        };
        if let (What::Message(Some(client_id)), Actor::User(user)) = (&what, &event.by) {
            let head = Head { seq: event.seq, time_ms: event.time_ms };
            self.client_ids.insert((user.clone(), client_id.clone()), head);
        }
        self.events.push_back(Decided { seq: event.seq, by: event.by.clone(), what });
    }

    fn sent(&self, user: &UserLife, client_id: &ClientId) -> Option<Head> {
        if self.client_ids.is_empty() {
            return None;
        }
        self.client_ids.get(&(user.clone(), client_id.clone())).copied()
    }

    fn has_message(&self, seq: Seq) -> bool {
        self.events.iter().any(|decided| decided.seq == seq && matches!(decided.what, What::Message(_)))
    }

    /// What is known of a message, after what the store knows.
    fn facts(&self, of: Seq, stored: Option<Facts>, asker: Option<&UserLife>) -> Option<Facts> {
        let mut facts = stored;
        for decided in &self.events {
            match &decided.what {
                What::Message(_) if decided.seq == of && facts.is_none() => {
                    let author = decided.by.clone();
                    facts = Some(Facts {
                        author,
                        deleted: false,
                        reactions: Default::default(),
                        mine: Vec::new(),
                    });
                }
                What::Delete { of: deleted } if *deleted == of => {
                    facts.iter_mut().for_each(|facts| facts.deleted = true);
                }
                What::Reaction { of: reacted, key, set } if *reacted == of => {
                    let Some(facts) = &mut facts else { continue };
                    // What the store knows may have this in it already: a count may be too high for a moment, which
                    // only matters where there are as many different ones as may be.
                    let count = facts.reactions.entry(key.clone()).or_default();
                    *count = if *set { *count + 1 } else { count.saturating_sub(1) };
                    facts.reactions.retain(|_, count| *count > 0);
                    if decided.by.user() == asker {
                        facts.mine.retain(|mine| mine != key);
                        if *set {
                            facts.mine.push(key.clone());
                        }
                    }
                }
                _ => {}
            }
        }
        facts
    }
}

impl Group {
    /// Who speaks, once it may.
    fn speaking(&self, speaker: &Speaker, now: Now) -> Result<Actor, Denied> {
        let by = self.speaker(speaker)?;
        self.check_mute(speaker, &by, now)?;
        Ok(by)
    }

    fn speaker(&self, speaker: &Speaker) -> Result<Actor, Denied> {
        let user = match speaker {
            Speaker::Session(session) => self.sessions.get(session).ok_or(Denied::NotJoined)?,
            Speaker::Backend(Actor::User(user)) => user,
            Speaker::Backend(backend) => return Ok(backend.clone()),
        };
        if !self.roster.attends(user) {
            return Err(Denied::NotAttending);
        }
        Ok(Actor::User(user.clone()))
    }

    /// The backend may put words into anyone's mouth, a muted one's, too.
    fn check_mute(&self, speaker: &Speaker, by: &Actor, now: Now) -> Result<(), Denied> {
        let standing = by.user().and_then(|user| self.roster.standing(user));
        let is_muted = standing.is_some_and(|standing| standing.is_muted(now.unix_ms));
        if is_muted && matches!(speaker, Speaker::Session(_)) { Err(Denied::Muted) } else { Ok(()) }
    }

    pub(super) fn say(
        &mut self,
        speaker: &Speaker,
        message: Message,
        sent: Option<Head>,
        answers_known: bool,
        marks: bool,
        now: Now,
    ) -> Result<Vec<Effect>, Denied> {
        let by = self.speaker(speaker)?;
        // Before a mute is looked at: what was said before it was said.
        if let (Some(user), Some(client_id)) = (by.user(), message.client_id()) {
            let stored = sent.filter(|head| self.is_remembered(*head, now));
            if let Some(head) = self.in_flight.sent(user, client_id).or(stored) {
                return Ok(vec![Effect::Duplicate(head)]);
            }
        }
        self.check_mute(speaker, &by, now)?;
        if message.reply_to().is_some_and(|of| !answers_known && !self.in_flight.has_message(of)) {
            return Err(Denied::NoMessage);
        }
        let mut effects = vec![self.append(by.clone(), EventKind::Message(message), now)];
        if let Some(user) = by.user() {
            if marks {
                self.mark_own_words(user);
                effects.extend(self.poll_markers(now));
            }
            self.typing.stop(&user.id);
            effects.extend(self.poll_typing(now));
        }
        Ok(effects)
    }

    fn is_remembered(&self, said: Head, now: Now) -> bool {
        let recent = said.time_ms.saturating_add(CLIENT_ID_MS) > now.unix_ms;
        recent || said.seq.0 + CLIENT_ID_EVENTS > self.head.seq.0
    }

    /// Who is muted may still take its own words back.
    pub(super) fn change(
        &mut self,
        speaker: &Speaker,
        kind: EventKind,
        facts: Option<Facts>,
        now: Now,
    ) -> Result<Effect, Denied> {
        let by = self.speaker(speaker)?;
        let of = kind.of().expect("the caller asks for changes of messages only");
        let facts = self.in_flight.facts(of, facts, by.user()).ok_or(Denied::NoMessage)?;
        let is_author = by.user().is_some() && by.user() == facts.author.user();
        let takes_back = is_author && matches!(kind, EventKind::Delete { .. });
        self.check_mute(speaker, &by, now).or_else(|denied| if takes_back { Ok(()) } else { Err(denied) })?;
        let role = by.user().and_then(|user| self.roster.standing(user)).map(|standing| standing.role);
        match &kind {
            EventKind::Edit(_) | EventKind::Delete { .. } if !access::may_change(role, is_author) => {
                return Err(Denied::NotAuthor);
            }
            EventKind::Delete { .. } if facts.deleted => return Ok(Effect::Unchanged),
            _ if facts.deleted => return Err(Denied::MessageDeleted),
            EventKind::Reaction(reaction) if facts.mine.contains(&reaction.key) == reaction.set => {
                return Ok(Effect::Unchanged);
            }
            EventKind::Reaction(reaction)
                if reaction.set
                    && facts.reactions.len() >= REACTION_KEYS_MAX
                    && !facts.reactions.contains_key(&reaction.key) =>
            {
                return Err(Denied::TooManyReactions);
            }
            _ => {}
        }
        Ok(self.append(by, kind, now))
    }

    /// Whether somebody may do this to an attendee. Answers who it is, and the attendee as it stands, if it attends.
    pub fn may_moderate(
        &self,
        speaker: &Speaker,
        op: ModerationOp,
        user: &UserId,
        now: Now,
    ) -> Result<(Actor, Attendee), Denied> {
        let by = self.speaking(speaker, now)?;
        let banned = self.banned.get(user);
        let target = self.roster.attendee(user).or(banned).ok_or(Denied::NotAttending)?;
        if let Some(user) = by.user() {
            let role = self.roster.standing(user).map(|standing| standing.role);
            if !access::may_moderate(role) {
                return Err(Denied::NotModerator);
            }
            if access::is_above(target.standing.role)
                && !matches!(op, ModerationOp::Unmute | ModerationOp::Unban)
            {
                return Err(Denied::AgainstModerator);
            }
        }
        Ok((by, target.clone()))
    }

    pub(super) fn moderated(
        &mut self,
        by: Actor,
        moderation: Moderation,
        attendee: Option<Attendee>,
        now: Now,
    ) -> Vec<Effect> {
        let user = moderation.user.clone();
        let event = self.append(by, EventKind::Moderation(moderation), now);
        let mut effects = vec![event];
        match (attendee, user) {
            (Some(attendee), _) => effects.extend(self.put_attendee(attendee, now)),
            (None, Some(user)) => effects.extend(self.remove_attendee(&user, Departure::Removed)),
            (None, None) => {}
        }
        effects
    }

    fn append(&mut self, by: Actor, kind: EventKind, now: Now) -> Effect {
        // Times never go back within a group, whatever the clock does: history is paged by them.
        let time_ms = now.unix_ms.max(self.head.time_ms);
        self.head = Head { seq: self.head.seq.next(), time_ms };
        let event = Event { seq: self.head.seq, time_ms, by, kind };
        self.in_flight.push(&event);
        Effect::Append(event)
    }
}
