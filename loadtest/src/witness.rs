//! What a message of this run must look like when it comes back: said by one of ours, and not altered.

use crate::chronicle::{Chronicle, Entry};
use crate::message::{self, MARK, SIZE_MIN, Stamp};
use crate::plan::{Plan, group_id, user_id};
use crate::told::Item;

/// What is known beforehand, and what was heard.
pub(crate) struct Witness {
    run: u32,
    size: usize,
    /// What fills a text after its stamp.
    padding: Vec<u8>,
    /// What every user's id begins with.
    author: String,
    /// What every group's id begins with.
    group: String,
    /// The number of each group's first member, who is its first speaker.
    firsts: Vec<u32>,
    chronicle: Chronicle,
}

/// A message as it was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Testimony {
    pub(crate) stamp: Stamp,
    /// Its place in the group, if its id has one.
    pub(crate) place: Option<u64>,
    /// Its text, its id, its time or its author isn't what it must be.
    pub(crate) altered: bool,
}

/// Why it can't be said which message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// None of this run's speakers can have said it.
    Stray,
    /// One of them may have, but not that.
    Garbled,
}

impl Witness {
    pub(crate) fn new(plan: &Plan, run: u32) -> Self {
        let mut next = 0;
        let firsts = plan.groups.iter().map(|group| {
            let first = next;
            next += group.members;
            first
        });
        let mut author = user_id(run, 0);
        author.pop();
        let mut group = group_id(run, 0);
        group.pop();
        let padding = vec![message::PADDING; plan.size.saturating_sub(SIZE_MIN)];
        Self {
            run,
            size: plan.size.max(SIZE_MIN),
            padding,
            author,
            group,
            firsts: firsts.collect(),
            chronicle: Chronicle::new(plan.groups.len()),
        }
    }

    /// A message that a member of a group was told.
    #[inline]
    pub(crate) fn hear(&mut self, in_group: u32, item: &Item<'_>) -> Result<Testimony, Doubt> {
        let text = item.text.as_bytes();
        let unreadable = if text.starts_with(MARK) { Doubt::Garbled } else { Doubt::Stray };
        let stamp = message::read(text).ok_or(unreadable)?;
        if stamp.run != self.run || stamp.group != in_group {
            return Err(Doubt::Stray);
        }
        let whole = text.len() == self.size && text[SIZE_MIN..] == self.padding[..];
        let place = place(&item.id);
        // In version 2 the place is told beside the id, and the group is named.
        let is_placed = place.is_some() && item.seq.is_none_or(|seq| place == Some(seq));
        let is_here = item.group.as_ref().is_none_or(|group| self.is_group(stamp, group));
        let is_said = whole && is_placed && is_here && self.is_author(stamp, &item.author);
        let altered = !is_said || !self.agrees(stamp.group, item, place);
        Ok(Testimony { stamp, place: item.seq.or(place), altered })
    }

    /// Whether its id and time are what was heard of it before.
    fn agrees(&mut self, group: u32, item: &Item<'_>, place: Option<u64>) -> bool {
        let (Some(id), Some(place)) = (half(&item.id), place) else { return false };
        self.chronicle.agrees(group, Entry { place, id, time_ms: item.time_ms })
    }

    fn is_group(&self, stamp: Stamp, group: &str) -> bool {
        group.strip_prefix(&self.group).and_then(|number| number.parse().ok()) == Some(stamp.group)
    }

    fn is_author(&self, stamp: Stamp, author: &str) -> bool {
        let number = author.strip_prefix(&self.author).and_then(|number| number.parse().ok());
        let first = self.firsts.get(stamp.group as usize);
        first.and_then(|first| first.checked_add(stamp.slot)).is_some_and(|said_by| number == Some(said_by))
    }
}

/// A message's place in its group: the second half of its id. The protocol calls ids opaque; what is read here is
/// how this engine makes them, so that its order can be checked between speakers, too.
fn place(id: &str) -> Option<u64> {
    let (_, place) = id.split_at_checked(16).filter(|(_, place)| place.len() == 16)?;
    u64::from_str_radix(place, 16).ok().filter(|&place| place > 0)
}

/// The first half of an id, which says whose log it is.
fn half(id: &str) -> Option<u64> {
    u64::from_str_radix(id.get(..16)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Group;

    const STAMP: Stamp = Stamp { run: 7, group: 1, slot: 2, sequence: 5, intended_ns: 9 };

    fn witness() -> Witness {
        let group = Group { members: 10, speakers: 4, ..Group::default() };
        Witness::new(&Plan { groups: vec![group; 2], size: 80, ..Plan::default() }, 7)
    }

    fn heard(id: &str, text: &str, author: &str) -> Result<Testimony, Doubt> {
        let json = format!(r#"{{"i":"{id}","m":"{text}","t":1,"p":"{author}"}}"#);
        witness().hear(1, &serde_json::from_str(&json).unwrap())
    }

    fn text(stamp: Stamp) -> String {
        let mut text = String::new();
        message::write(stamp, 80, &mut text);
        text
    }

    #[test]
    fn what_was_said_is_believed_and_what_was_altered_is_not() {
        let (id, author) = ("f795385f03d8e042000000000000001f", "lt00000007-u12");
        let other_run = text(Stamp { run: 8, ..STAMP });
        let other_group = text(Stamp { group: 0, ..STAMP });
        let text = text(STAMP);
        let true_one = Testimony { stamp: STAMP, place: Some(31), altered: false };
        let altered = Testimony { altered: true, ..true_one };
        assert_eq!(heard(id, &text, author), Ok(true_one));
        assert_eq!(heard(id, &text.replace("xxxx", "xyxx"), author), Ok(altered));
        assert_eq!(heard(id, &text[..79], author), Ok(altered));
        assert_eq!(heard(id, &(text.clone() + "x"), author), Ok(altered));
        assert_eq!(heard(id, &text, "lt00000007-u11"), Ok(altered));
        assert_eq!(heard(id, &text, "nobody"), Ok(altered));
        assert_eq!(heard("1", &text, author), Ok(Testimony { place: None, ..altered }));
        assert_eq!(heard(id, &text.replace("0009|", "0008|"), author), Err(Doubt::Garbled), "another time");
        assert_eq!(heard(id, &other_run, author), Err(Doubt::Stray));
        assert_eq!(heard(id, &other_group, author), Err(Doubt::Stray));
        assert_eq!(heard(id, "hi", author), Err(Doubt::Stray));
    }

    #[test]
    fn what_is_told_of_a_message_must_be_the_same_each_time() {
        let (mut witness, text) = (witness(), text(STAMP));
        let mut heard = |id: &str, time_ms: u64| {
            let json = format!(r#"{{"i":"{id}","m":"{text}","t":{time_ms},"p":"lt00000007-u12"}}"#);
            witness.hear(1, &serde_json::from_str(&json).unwrap()).map(|heard| heard.altered)
        };
        let id = "f795385f03d8e042000000000000001f";
        assert_eq!((heard(id, 5), heard(id, 5)), (Ok(false), Ok(false)));
        assert_eq!((heard(id, 6), heard(&id.replace("f7", "f8"), 5)), (Ok(true), Ok(true)));
    }

    #[test]
    fn in_version_2_sequence_and_group_must_be_right_as_well() {
        let text = text(STAMP);
        let heard = |seq: u64, group: &str| {
            let id = "f795385f03d8e042000000000000001f";
            let json =
                format!(r#"{{"g":"{group}","i":"{id}","s":{seq},"t":1,"p":"lt00000007-u12","m":"{text}"}}"#);
            witness().hear(1, &serde_json::from_str(&json).unwrap()).map(|heard| (heard.place, heard.altered))
        };
        assert_eq!(heard(31, "lt00000007-g1"), Ok((Some(31), false)));
        assert_eq!(heard(32, "lt00000007-g1"), Ok((Some(32), true)));
        assert_eq!(heard(31, "lt00000007-g2"), Ok((Some(31), true)));
    }
}
