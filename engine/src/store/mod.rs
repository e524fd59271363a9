//! Where things are kept: [`Directory`] holds services, groups, users and attendance; [`History`] holds messages.
//!
//! Adapters stand beside this file and pass the suite in `contract.rs`. A store never calls back: it answers.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::domain::attendance::{Attendance, AttendeeRecord, Standing};
use crate::domain::event::{Event, Facts, Head, Marker, Shown};
use crate::domain::ids::{ClientId, GroupId, GroupUid, Seq, ServiceId, UserId, UserLife};
use crate::domain::message::Before;
use crate::domain::profile::{GroupPatch, GroupRecord, ProfilePatch, Retention, UserRecord};
use crate::domain::service::Service;

#[cfg(any(test, feature = "testkit"))]
pub mod contract;
pub mod embedded;

/// Why a store didn't do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The service has no such group.
    #[error("no such group")]
    NoGroup,
    /// The service has no such user.
    #[error("no such user")]
    NoUser,
    /// The group's id is taken.
    #[error("the group exists")]
    GroupExists,
    /// The user's id is taken.
    #[error("the user exists")]
    UserExists,
    /// The user doesn't attend the group.
    #[error("the user doesn't attend the group")]
    NotAttending,
    /// An append that doesn't follow the group's last event: somebody else has written.
    #[error("event {given} doesn't follow {head}")]
    NotNext {
        /// The append's place.
        given: u64,
        /// The newest place in the store.
        head: u64,
    },
    /// The store can't be written or read. What it was asked isn't done, or not known to be.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A row isn't what this version writes.
    #[error("a stored row can't be read: {0}")]
    Corrupt(String),
}

/// Which part of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Items to pass over.
    pub offset: usize,
    /// Items at most.
    pub limit: usize,
}

/// A part of a listing, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// How many there are in all.
    pub total: usize,
    /// This part of them.
    pub items: Vec<T>,
}

/// A user that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedUser {
    /// The user as it was: the life that has ended.
    pub user: UserRecord,
    /// What it attended.
    pub groups: Vec<GroupRecord>,
}

/// Services, groups, users and who attends what.
///
/// Promises: each call is atomic and, when it answers, durable. Reads see every write that has been answered.
/// One service never sees what is another's. Listings are in the order of making.
///
/// Groups and users have lives, and attendance is of one life of a group and one of a user: whatever is made
/// again under an old id attends nothing, and what is done about an older life leaves the present one alone. The
/// uid of a life is nobody else's, in any service: what is kept by it is told apart by it.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Whether reads and writes are served now.
    async fn health(&self) -> Result<(), StoreError>;

    /// Adds a service.
    async fn create_service(&self, service: Service) -> Result<(), StoreError>;
    /// Finds a service.
    async fn service(&self, id: &ServiceId) -> Result<Option<Service>, StoreError>;

    /// Adds a group, unless its id is taken.
    async fn create_group(&self, group: GroupRecord) -> Result<(), StoreError>;
    /// Finds a group.
    async fn group(&self, service: &ServiceId, id: &GroupId) -> Result<Option<GroupRecord>, StoreError>;
    /// Lists groups.
    async fn groups(&self, service: &ServiceId, page: Page) -> Result<Listing<GroupRecord>, StoreError>;
    /// Changes a group.
    async fn update_group(
        &self,
        service: &ServiceId,
        id: &GroupId,
        patch: GroupPatch,
    ) -> Result<GroupRecord, StoreError>;
    /// The one group of these two users of a service, in their present lives, whichever is named first: the one that is there, or this one, made
    /// with both attending it. `true` when it was made. A group that was deleted since is made anew.
    async fn direct(
        &self,
        users: [UserId; 2],
        draft: GroupRecord,
        stints: [u64; 2],
    ) -> Result<(GroupRecord, bool), StoreError>;
    /// Every group, of any service, whose log isn't kept for ever.
    async fn retained(&self) -> Result<Vec<GroupRecord>, StoreError>;
    /// Deletes this life of a group with its attendance and history.
    async fn delete_group(&self, group: &GroupRecord) -> Result<(), StoreError>;

    /// Adds a user, unless its id is taken.
    async fn create_user(&self, service: &ServiceId, user: UserRecord) -> Result<(), StoreError>;
    /// Finds a user.
    async fn user(&self, service: &ServiceId, id: &UserId) -> Result<Option<UserRecord>, StoreError>;
    /// Lists users.
    async fn users(&self, service: &ServiceId, page: Page) -> Result<Listing<UserRecord>, StoreError>;
    /// Changes how a user is shown; the revision grows by one.
    async fn update_user(
        &self,
        service: &ServiceId,
        id: &UserId,
        patch: ProfilePatch,
    ) -> Result<UserRecord, StoreError>;
    /// Ends what was given to a user until now: [`UserRecord::sign_outs`] grows by one. Answers the user.
    async fn sign_out(&self, service: &ServiceId, id: &UserId) -> Result<UserRecord, StoreError>;
    /// Deletes the present life of a user with its attendance and markers, and notes that it is to be [erased](History::erase): after a crash the store does so by
    /// itself.
    async fn delete_user(&self, service: &ServiceId, id: &UserId) -> Result<DeletedUser, StoreError>;

    /// Lets the present life of a user attend a group, as a member in this stint. Attending already is no error and changes nothing,
    /// how the attendee stands neither. Answers the attendee.
    async fn add_attendee(
        &self,
        group: &GroupRecord,
        user: &UserId,
        stint: u64,
    ) -> Result<AttendeeRecord, StoreError>;
    /// Changes how this life of a user stands in a group. [`StoreError::NotAttending`] when it doesn't attend. Answers the attendee.
    async fn set_standing(
        &self,
        group: &GroupRecord,
        user: &UserLife,
        standing: Standing,
    ) -> Result<AttendeeRecord, StoreError>;
    /// Ends the attendance of this life of a user. Not attending is no error.
    async fn remove_attendee(&self, group: &GroupRecord, user: &UserLife) -> Result<(), StoreError>;
    /// Which life of a user attends a group, and how it stands, if one does.
    async fn attendance(&self, group: &GroupRecord, user: &UserId) -> Result<Option<Attendance>, StoreError>;
    /// Who attends a group, by user id.
    async fn attendees(&self, group: &GroupRecord) -> Result<Vec<AttendeeRecord>, StoreError>;
    /// Which groups this life of a user attends, by group id.
    async fn groups_of(&self, service: &ServiceId, user: &UserLife) -> Result<Vec<GroupRecord>, StoreError>;
}

/// What may happen once.
#[async_trait]
pub trait Once: Send + Sync + 'static {
    /// Whether this happens for the first time. Kept, durably, until it can't happen again anyway. Of many who ask at the same
    /// moment one is told so.
    async fn first(&self, nonce: [u8; 16], unix_ms: u64, expires_ms: u64) -> Result<bool, StoreError>;
}

/// Which messages to read: those next to its end that satisfy all bounds. Nothing is left out between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Nothing beyond this place: the reader has been shown the log up to here.
    pub upto: Seq,
    /// Where the page lies.
    pub edge: Edge,
    /// Messages at most.
    pub limit: usize,
    /// Bytes at most, as [`Shown::page_bytes`] counts them; but one message, however large, is always read.
    pub bytes_max: usize,
    /// Whose own reactions are told apart.
    pub reader: Option<UserLife>,
}

/// Where a page lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The newest messages.
    Newest,
    /// The newest ones before this.
    Before(Before),
    /// The oldest ones after this place.
    After(Seq),
}

impl Edge {
    /// Whether the page is read from older to newer messages.
    pub fn is_forward(self) -> bool {
        matches!(self, Self::After(_))
    }
}

/// A page of history, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryPage {
    /// The messages, each in its newest version.
    pub messages: Vec<Shown>,
    /// Whether there are more beyond, in the direction in which it was read.
    pub more: bool,
}

/// A part of a log, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// Every event that was asked for.
    Whole(Vec<Event>),
    /// They are more than the bounds, or some of them are no longer kept.
    TooFar,
}

/// What a replay may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayBounds {
    /// Events at most.
    pub events_max: usize,
    /// Bytes of texts and custom data at most.
    pub bytes_max: usize,
}

/// How far a user has come in a group, for its inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unread {
    /// The newest place of the log.
    pub head: Head,
    /// The user's marker.
    pub marker: Marker,
    /// Messages after what the user has read.
    pub messages: u64,
}

/// What became of a person that was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    /// Messages that have no author any more.
    pub messages: u64,
    /// Edits, deletions, reactions and moderation that nobody did any more, or that were done to nobody.
    pub events: u64,
    /// Reactions that still count, but are nobody's.
    pub reactions: u64,
    /// Markers that are gone.
    pub markers: u64,
}

/// The logs of groups, each dense from 1, and the view of them that history shows.
///
/// Promises:
/// - [`History::append`] takes events of a group in the order of the calls. They become durable, and are
///   answered, in that order; an event is answered only when it is durable, and with it what it changes: the message it edits,
///   deletes or reacts to, and the ids that it can be found by.
/// - After a failed append all later ones of that group fail, until [`History::head`] is asked. So a log never
///   has a hole.
/// - [`History::head`] answers after every append that was taken before it.
/// - Only what is durable is read. A view may show a change that is durable and comes after the reader's `upto`; [`Shown::version`] tells.
/// - An edit, deletion or reaction of what isn't a message, or is deleted, takes its place and changes nothing.
#[async_trait]
pub trait History: Send + Sync + 'static {
    /// Takes an event to be stored. The future waits only while the store's queue is full; what it gives
    /// waits until the event is durable.
    async fn append(&self, group: GroupUid, event: Event) -> Appending;

    /// The newest place of a group, with the log in order behind it.
    async fn head(&self, group: GroupUid) -> Result<Head, StoreError>;

    /// Reads a page of messages. Reads next to nothing beyond its bounds.
    async fn page(&self, group: GroupUid, window: Window) -> Result<HistoryPage, StoreError>;

    /// Reads events forward from a place (exclusive) to another (inclusive), all of them or none. Messages are in their newest version, and so are the texts of edits.
    async fn replay(
        &self,
        group: GroupUid,
        after: Seq,
        upto: Seq,
        bounds: ReplayBounds,
    ) -> Result<Replay, StoreError>;

    /// What deciding about a change of a message takes. `None` when that place is no message.
    async fn facts(
        &self,
        group: GroupUid,
        of: Seq,
        user: Option<&UserLife>,
    ) -> Result<Option<Facts>, StoreError>;

    /// Where a user's message with this client id stands, and when it was said: the newest such one.
    async fn sent(
        &self,
        group: GroupUid,
        user: &UserLife,
        client_id: &ClientId,
    ) -> Result<Option<Head>, StoreError>;

    /// Every marker of a group.
    async fn markers(&self, group: GroupUid) -> Result<Vec<(UserLife, Marker)>, StoreError>;

    /// Moves markers forward; one that is behind the stored one changes nothing.
    async fn mark(&self, group: GroupUid, markers: Vec<(UserLife, Marker)>) -> Result<(), StoreError>;

    /// Those of these groups in which something happened last, the latest first, at most so many.
    async fn latest(&self, groups: Vec<GroupUid>, limit: usize) -> Result<Vec<(GroupUid, Head)>, StoreError>;

    /// How far a user has come. Whoever said something has read what was said before it.
    async fn unread(&self, group: GroupUid, user: &UserLife) -> Result<Unread, StoreError>;

    /// Takes a user's life out of every group's log and view: messages and events stay, with nobody as their author. Can be asked again after a crash, and goes on.
    async fn erase(&self, user: &UserLife) -> Result<Erased, StoreError>;

    /// Removes what a group keeps no longer, a bounded part at a time. Answers how many events went; fewer than asked for is the end.
    async fn retain(
        &self,
        group: GroupUid,
        retention: Retention,
        unix_ms: u64,
        limit: usize,
    ) -> Result<usize, StoreError>;
}

/// An event on its way to the disk.
#[derive(Debug)]
pub struct Appending(oneshot::Receiver<Result<(), StoreError>>);

impl Appending {
    /// A pair: who stores answers the sender, who waits holds the other.
    pub fn pair() -> (oneshot::Sender<Result<(), StoreError>>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }
}

impl Future for Appending {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| {
            answer.unwrap_or_else(|_| Err(StoreError::Unavailable("the store has stopped".to_owned())))
        })
    }
}
