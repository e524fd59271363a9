//! The rows of events that are no messages. They point at messages and hold none of what was said, so that deleting
//! a message leaves nothing of it behind.

use serde::{Deserialize, Serialize};

use super::messages::Stored;
use super::rows;
use crate::domain::event::{Actor, Edit, Event, EventKind, Moderation, ModerationOp, Reaction};
use crate::domain::ids::{ReactionKey, Seq, UserId, UserLife, UserUid};
use crate::domain::profile::Change;
use crate::store::StoreError;

/// An event without its place, which is its key.
#[derive(Serialize, Deserialize)]
struct EventRow {
    time_ms: u64,
    by: String,
    life: u64,
    what: What,
}

/// What was done. The names are short, because they stand in each row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum What {
    /// A message was changed: its text, its custom data, or both. What they became is in the message's row.
    #[serde(rename = "e")]
    Edit { of: Seq, text: bool, custom: bool },
    /// A message was taken back.
    #[serde(rename = "d")]
    Delete { of: Seq },
    /// A reaction was set or taken back.
    #[serde(rename = "r")]
    Reaction { of: Seq, key: ReactionKey, set: bool },
    /// Somebody was moderated.
    #[serde(rename = "m")]
    Moderation { op: ModerationOp, user: Option<(UserId, UserUid)>, until_ms: Option<u64> },
}

/// An event that is no message, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) seq: Seq,
    pub(super) time_ms: u64,
    pub(super) by: Actor,
    pub(super) what: What,
}

impl Noted {
    /// What is kept of an event. A message is none that is kept here.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let what = match &event.kind {
            EventKind::Message(_) => return None,
            EventKind::Edit(Edit { of, text, custom }) => {
                What::Edit { of: *of, text: text.is_some(), custom: *custom != Change::Keep }
            }
            EventKind::Delete { of } => What::Delete { of: *of },
            EventKind::Reaction(Reaction { of, key, set }) => {
                What::Reaction { of: *of, key: key.clone(), set: *set }
            }
            EventKind::Moderation(Moderation { op, user, until_ms }) => What::Moderation {
                op: *op,
                user: user.as_ref().map(|user| (user.id.clone(), user.uid)),
                until_ms: *until_ms,
            },
        };
        Some(Self { seq: event.seq, time_ms: event.time_ms, by: event.by.clone(), what })
    }

    /// Writes the row.
    pub(super) fn encode(&self) -> Vec<u8> {
        rows::encode(&EventRow {
            time_ms: self.time_ms,
            by: self.by.id().to_owned(),
            life: rows::life_of(&self.by),
            what: self.what.clone(),
        })
    }

    /// Reads a row.
    pub(super) fn decode(seq: Seq, bytes: &[u8]) -> Result<Self, StoreError> {
        let row: EventRow = rows::decode(bytes)?;
        let by = rows::actor(&row.by, row.life)
            .map_err(|reason| StoreError::Corrupt(format!("event {}: {reason}", seq.0)))?;
        Ok(Self { seq, time_ms: row.time_ms, by, what: row.what })
    }

    /// Whose traces lead to it: who did it, and whom it was done to.
    pub(super) fn users(&self) -> impl Iterator<Item = UserLife> {
        let target = match &self.what {
            What::Moderation { user: Some((id, uid)), .. } => Some(UserLife { id: id.clone(), uid: *uid }),
            _ => None,
        };
        self.by.user().cloned().into_iter().chain(target)
    }

    /// Takes a life of a user out of it. False when the user isn't in it.
    pub(super) fn erase(&mut self, erased: &UserLife) -> bool {
        let mut found = false;
        if self.by.user() == Some(erased) {
            self.by = Actor::Erased;
            found = true;
        }
        if let What::Moderation { user, .. } = &mut self.what
            && user.as_ref().is_some_and(|(id, uid)| *id == erased.id && *uid == erased.uid)
        {
            *user = None;
            found = true;
        }
        found
    }

    /// The message that it changed, if it changed what was said.
    pub(super) fn edited(&self) -> Option<Seq> {
        match self.what {
            What::Edit { of, .. } => Some(of),
            What::Delete { .. } | What::Reaction { .. } | What::Moderation { .. } => None,
        }
    }

    /// It as a replay shows it, with the message that it edited, if that is still kept.
    pub(super) fn into_event(self, edited: Option<&Stored>) -> Event {
        let kind = match self.what {
            What::Edit { of, text, custom } => {
                let (text, custom) =
                    edited.map_or((None, Change::Keep), |message| message.edited(text, custom));
                EventKind::Edit(Edit { of, text, custom })
            }
            What::Delete { of } => EventKind::Delete { of },
            What::Reaction { of, key, set } => EventKind::Reaction(Reaction { of, key, set }),
            What::Moderation { op, user, until_ms } => {
                let user = user.map(|(id, uid)| UserLife { id, uid });
                EventKind::Moderation(Moderation { op, user, until_ms })
            }
        };
        Event { seq: self.seq, time_ms: self.time_ms, by: self.by, kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_back_from_their_rows() {
        let bob = UserLife { id: UserId::parse("bob").unwrap(), uid: UserUid(u64::MAX) };
        let key = ReactionKey::parse("👋").unwrap();
        let mut kinds = vec![
            EventKind::Delete { of: Seq(1) },
            EventKind::Reaction(Reaction { of: Seq(1), key, set: true }),
        ];
        for op in ModerationOp::ALL {
            let user = Some(bob.clone());
            kinds.push(EventKind::Moderation(Moderation { op, user, until_ms: Some(9) }));
        }
        for by in [Actor::User(bob), Actor::System, Actor::Erased] {
            for kind in kinds.clone() {
                let event = Event { seq: Seq(7), time_ms: 17, by: by.clone(), kind };
                let noted = Noted::of(&event).unwrap();
                assert_eq!(Noted::decode(Seq(7), &noted.encode()), Ok(noted.clone()));
                assert_eq!(noted.into_event(None), event);
            }
        }
    }

    #[test]
    fn nothing_that_was_said_is_in_the_row_of_an_edit() {
        let edit = Edit { of: Seq(1), text: Some("secret".into()), custom: Change::Clear };
        let event = Event { seq: Seq(2), time_ms: 1, by: Actor::System, kind: EventKind::Edit(edit) };
        let row = Noted::of(&event).unwrap().encode();
        assert!(!String::from_utf8_lossy(&row).contains("secret"));
        let what = What::Edit { of: Seq(1), text: true, custom: true };
        assert_eq!(Noted::decode(Seq(2), &row).unwrap().what, what);
    }
}
