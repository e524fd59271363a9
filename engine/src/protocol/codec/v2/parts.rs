//! What stands in several frames of the server, and lists that are written without being built.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::custom::WireCustom;
use crate::domain::event::{Actor, Event, Message, Shown};
use crate::domain::ids::{ClientId, GroupUid, ReactionKey, Seq};
use crate::domain::profile::Icon;
use crate::domain::roster::Attendee;
use crate::protocol::codec::WireId;
use crate::protocol::frame::{InboxEntry, RosterFrame, Scope};

/// Whether a flag is left out: there is none that says no.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes it so.
pub(super) fn is_not(flag: &bool) -> bool {
    !*flag
}

/// A message, live, replayed or in a page.
#[derive(Serialize)]
pub(super) struct MessageData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    g: Option<&'a str>,
    i: WireId,
    s: u64,
    t: u64,
    p: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    m: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ci: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rp: Option<WireId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<WireCustom<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<&'a BTreeMap<ReactionKey, u64>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    mk: &'a [ReactionKey],
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<u64>,
    #[serde(skip_serializing_if = "is_not")]
    del: bool,
    #[serde(skip_serializing_if = "is_not")]
    er: bool,
}

impl<'a> MessageData<'a> {
    /// A message that is told of.
    pub(super) fn of_event(scope: Scope<'a>, event: &'a Event, message: &'a Message) -> Self {
        let said = Self::new(scope.uid, event.seq, event.time_ms, &event.by, message);
        Self { g: Some(scope.id.as_str()), ..said }
    }

    /// A message of a page, as it stands now.
    fn of_page(group: GroupUid, shown: &'a Shown) -> Self {
        Self {
            ed: shown.edited_ms,
            k: (!shown.reactions.is_empty()).then_some(&shown.reactions),
            mk: &shown.mine,
            v: (shown.version != shown.seq).then_some(shown.version.0),
            ..Self::new(group, shown.seq, shown.time_ms, &shown.author, &shown.message)
        }
    }

    /// What was said. A tombstone has neither a text nor custom data.
    fn new(group: GroupUid, seq: Seq, time_ms: u64, author: &'a Actor, message: &'a Message) -> Self {
        let del = message.deleted;
        Self {
            g: None,
            i: WireId::new(group, seq),
            s: seq.0,
            t: time_ms,
            p: author.id(),
            m: (!del).then_some(&message.text),
            ci: message.client_id().map(ClientId::as_str),
            rp: message.reply_to().map(|seq| WireId::new(group, seq)),
            x: message.custom().filter(|_| !del).map(WireCustom),
            ed: None,
            k: None,
            mk: &[],
            v: None,
            del,
            er: *author == Actor::Erased,
        }
    }
}

/// The messages of a page, oldest first.
pub(super) struct Page<'a>(pub(super) GroupUid, pub(super) &'a [Shown]);

impl Serialize for Page<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.1.iter().map(|shown| MessageData::of_page(self.0, shown)))
    }
}

/// Some of a roster's attendees, with how they stand and how far they have come.
pub(super) struct People<'a> {
    /// The roster.
    pub(super) roster: &'a RosterFrame<'a>,
    /// Who of it.
    pub(super) list: &'a [Arc<Attendee>],
}

impl Serialize for People<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.list.iter().map(|attendee| Person::new(self.roster, attendee)))
    }
}

/// An attendee. Nothing is said of a plain member's role.
#[derive(Serialize)]
struct Person<'a> {
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ro: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rd: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rc: Option<u64>,
}

impl<'a> Person<'a> {
    /// The role of everyone of whom nothing is said.
    const PLAIN: &'static str = "member";

    fn new(roster: &RosterFrame<'_>, attendee: &'a Attendee) -> Self {
        let role = attendee.standing.word(roster.unix_ms);
        let marker = roster.markers.get(&attendee.id);
        Self {
            id: attendee.id.as_str(),
            name: attendee.name.as_str(),
            icon: attendee.icon.as_ref().map(Icon::as_str),
            ro: (role != Self::PLAIN).then_some(role),
            rd: marker.map(|marker| marker.read.0),
            rc: marker.map(|marker| marker.received.0),
        }
    }
}

/// The ids of attendees.
pub(super) struct Ids<'a>(pub(super) &'a [Arc<Attendee>]);

impl Serialize for Ids<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|attendee| attendee.id.as_str()))
    }
}

/// The entries of an inbox.
pub(super) struct Entries<'a>(pub(super) &'a [InboxEntry]);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Entry::new))
    }
}

/// How far the user has come in one group.
#[derive(Serialize)]
struct Entry<'a> {
    g: &'a str,
    s: u64,
    rd: u64,
    n: u64,
}

impl<'a> Entry<'a> {
    fn new(entry: &'a InboxEntry) -> Self {
        Self { g: entry.group.as_str(), s: entry.head.0, rd: entry.read.0, n: entry.unread }
    }
}
