//! Where things are kept: [`Directory`] holds services, groups, users and attendance; [`History`] holds messages.
//!
//! Adapters stand beside this file and pass the suite in `contract.rs`. A store never calls back: it answers.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::domain::group::Head;
use crate::domain::ids::{GroupId, GroupUid, Seq, ServiceId, UserId, UserLife};
use crate::domain::message::{Before, Message};
use crate::domain::profile::{GroupRecord, ProfilePatch, UserRecord};
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
/// again under an old id attends nothing, and what is done about an older life leaves the present one alone.
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
    /// Changes how a group is shown.
    async fn update_group(
        &self,
        service: &ServiceId,
        id: &GroupId,
        patch: ProfilePatch,
    ) -> Result<GroupRecord, StoreError>;
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
    /// Deletes the present life of a user with its attendance.
    async fn delete_user(&self, service: &ServiceId, id: &UserId) -> Result<DeletedUser, StoreError>;

    /// Lets the present life of a user attend a group. Attending already is no error. Answers the user.
    async fn add_attendee(&self, group: &GroupRecord, user: &UserId) -> Result<UserRecord, StoreError>;
    /// Ends the attendance of this life of a user. Not attending is no error.
    async fn remove_attendee(&self, group: &GroupRecord, user: &UserLife) -> Result<(), StoreError>;
    /// Which life of a user attends a group, if one does.
    async fn attending(&self, group: &GroupRecord, user: &UserId) -> Result<Option<UserLife>, StoreError>;
    /// Who attends a group, by user id.
    async fn attendees(&self, group: &GroupRecord) -> Result<Vec<UserRecord>, StoreError>;
    /// Which groups this life of a user attends, by group id.
    async fn groups_of(&self, service: &ServiceId, user: &UserLife) -> Result<Vec<GroupRecord>, StoreError>;
}

/// Which messages to read: the newest ones before its end that satisfy all bounds. Nothing is left out between
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Nothing beyond this place: the reader has been shown the log up to here.
    pub upto: Seq,
    /// Where the page ends.
    pub before: Option<Before>,
    /// Messages at most.
    pub limit: usize,
    /// Bytes at most, as [`Message::page_bytes`] counts them; but one message, however large, is always read.
    pub bytes_max: usize,
}

impl Window {
    /// Takes messages from the newest on until the window is full, and reads one too many at most. Oldest first.
    pub fn cut<E>(&self, newest_first: impl Iterator<Item = Result<Message, E>>) -> Result<Vec<Message>, E> {
        let (mut page, mut bytes) = (Vec::new(), 0);
        for message in newest_first.take(self.limit) {
            let message = message?;
            bytes += message.page_bytes();
            if bytes > self.bytes_max && !page.is_empty() {
                break;
            }
            page.push(message);
        }
        page.reverse();
        Ok(page)
    }
}

/// The messages of groups, each a dense log from 1.
///
/// Promises:
/// - [`History::append`] takes messages of a group in the order of the calls. They become durable, and are
///   answered, in that order; a message is answered only when it is durable.
/// - After a failed append all later ones of that group fail, until [`History::head`] is asked. So a log never
///   has a hole.
/// - [`History::head`] answers after every append that was taken before it.
/// - Only what is durable is read.
#[async_trait]
pub trait History: Send + Sync + 'static {
    /// Takes a message to be stored. The future waits only while the store's queue is full; what it gives
    /// waits until the message is durable.
    async fn append(&self, group: GroupUid, message: Message) -> Appending;

    /// The newest place of a group, with the log in order behind it.
    async fn head(&self, group: GroupUid) -> Result<Head, StoreError>;

    /// Reads a page, oldest first. It is empty only when nothing is there. Reads next to nothing beyond its bounds.
    async fn page(&self, group: GroupUid, window: Window) -> Result<Vec<Message>, StoreError>;

    /// Reads forward from a place (exclusive) to another (inclusive), oldest first.
    async fn after(
        &self,
        group: GroupUid,
        after: Seq,
        upto: Seq,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError>;
}

/// A message on its way to the disk.
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
