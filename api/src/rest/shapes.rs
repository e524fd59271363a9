//! What is sent and answered, as the documentation shows it.

use engine::domain::attendance::{AttendeeRecord, Bar};
use engine::domain::profile::{GroupRecord, Profile, UserRecord};
use engine::engine::{GroupDetail, UserDetail};
use engine::store::Listing;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::retention::Retention;

/// What `{}` answers with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Nothing {}

/// A group as its attendees' entries and listings show it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Group {
    /// The tenant's id for it.
    #[schema(example = "lobby")]
    id: String,
    /// Shown name.
    #[schema(example = "The lobby")]
    name: String,
    /// Shown picture, an https:// address.
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
    /// The tenant's own data: any JSON value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    custom: Option<Box<RawValue>>,
    /// How long what is said is kept; for ever when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    retention: Option<Retention>,
    /// It is the one group of two users.
    #[serde(skip_serializing_if = "is_false")]
    direct: bool,
}

/// A group with who attends it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupWithAttendees {
    #[serde(flatten)]
    group: Group,
    /// Who attends it, by id.
    attendees: Vec<Attendee>,
}

/// An attendee as its group shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Attendee {
    #[serde(flatten)]
    user: UserProfile,
    /// `member` or `moderator`; `muted` as long as the attendee is.
    #[schema(value_type = String, pattern = "^(member|moderator|muted)$", example = "member")]
    role: &'static str,
    /// Until when the attendee is muted, Unix milliseconds; until that is lifted when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    muted_until: Option<u64>,
    /// The attendee can't come in.
    #[serde(skip_serializing_if = "is_false")]
    banned: bool,
    /// Until when, Unix milliseconds; until that is lifted when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    banned_until: Option<u64>,
}

/// What is shown of a user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserProfile {
    /// The tenant's id for the user.
    #[schema(example = "alice")]
    id: String,
    /// Shown name.
    #[schema(example = "Alice")]
    name: String,
    /// Shown picture, an https:// address.
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
    /// The tenant's own data: any JSON value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    custom: Option<Box<RawValue>>,
}

/// A user with the groups that it attends.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct User {
    #[serde(flatten)]
    user: UserProfile,
    /// The groups that the user attends, by id.
    groups: Vec<Group>,
}

/// Part of the groups, in the order of their making.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Groups {
    /// How many there are in all.
    total: usize,
    /// How many were passed over.
    offset: usize,
    /// How many were asked for.
    limit: usize,
    /// This part of them.
    items: Vec<Group>,
}

/// Part of the users, in the order of their making.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Users {
    /// How many there are in all.
    total: usize,
    /// How many were passed over.
    offset: usize,
    /// How many were asked for.
    limit: usize,
    /// This part of them.
    items: Vec<User>,
}

/// A group to be made. One of `name` and `id` is needed.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "read field by field, so that an error can name the field; this documents them")]
pub(crate) struct GroupDraft {
    #[serde(flatten)]
    draft: Draft,
    /// How long what is said is kept; for ever when absent.
    retention: Option<Retention>,
}

/// A change of a group: what is absent stays, what is null is taken away.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "read field by field, so that an error can name the field; this documents them")]
pub(crate) struct GroupPatch {
    #[serde(flatten)]
    patch: Patch,
    /// How long what is said is kept; null for ever.
    retention: Option<Retention>,
}

/// A group or user to be made. One of `name` and `id` is needed.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "read field by field, so that an error can name the field; this documents them")]
pub(crate) struct Draft {
    /// Shown name, 1 to 128 characters without control characters. The id when absent.
    #[schema(min_length = 1, max_length = 128, example = "The lobby")]
    name: Option<String>,
    /// The tenant's own id, 1 to 128 characters without control characters. Made when absent.
    #[schema(min_length = 1, max_length = 128, example = "lobby")]
    id: Option<String>,
    /// Shown picture: begins with https://.
    #[schema(max_length = 2048, pattern = "^https://.+", example = "https://example.com/lobby.png")]
    icon: Option<String>,
    /// The tenant's own data: any JSON value up to 4 KiB.
    #[schema(value_type = Option<serde_json::Value>)]
    custom: Option<Box<RawValue>>,
}

/// A change: what is absent stays, what is null is taken away.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "read field by field, so that an error can name the field; this documents them")]
pub(crate) struct Patch {
    /// Shown name, 1 to 128 characters without control characters. It can't be taken away.
    #[schema(min_length = 1, max_length = 128, nullable = false)]
    name: Option<String>,
    /// Shown picture: begins with https://.
    #[schema(max_length = 2048, pattern = "^https://.+")]
    icon: Option<String>,
    /// The tenant's own data: any JSON value up to 4 KiB.
    #[schema(value_type = Option<serde_json::Value>)]
    custom: Option<Box<RawValue>>,
}

impl From<GroupRecord> for Group {
    fn from(group: GroupRecord) -> Self {
        let (name, icon, custom) = shown(group.profile);
        let (id, retention) = (group.id.as_str().to_owned(), group.retention.map(Retention::from));
        Self { id, name, icon, custom, retention, direct: group.direct }
    }
}

impl From<UserRecord> for UserProfile {
    fn from(user: UserRecord) -> Self {
        let (name, icon, custom) = shown(user.profile);
        Self { id: user.id.as_str().to_owned(), name, icon, custom }
    }
}

impl Attendee {
    /// How an attendee stands at a moment.
    fn at(unix_ms: u64, AttendeeRecord { user, standing }: AttendeeRecord) -> Self {
        let holding = |bar: Option<Bar>| bar.filter(|bar| bar.holds(unix_ms));
        let banned = holding(standing.banned);
        Self {
            user: user.into(),
            role: standing.word(unix_ms),
            muted_until: holding(standing.muted).and_then(|bar| bar.until_ms),
            banned: banned.is_some(),
            banned_until: banned.and_then(|bar| bar.until_ms),
        }
    }
}

impl GroupWithAttendees {
    /// A group as it stands at a moment.
    pub(crate) fn at(unix_ms: u64, detail: GroupDetail) -> Self {
        let attendees = detail.attendees.into_iter().map(|attendee| Attendee::at(unix_ms, attendee));
        Self { group: detail.group.into(), attendees: attendees.collect() }
    }
}

impl From<UserDetail> for User {
    fn from(detail: UserDetail) -> Self {
        let groups = detail.groups.into_iter().map(Group::from).collect();
        Self { user: detail.user.into(), groups }
    }
}

impl Groups {
    pub(crate) fn new(page: engine::store::Page, listing: Listing<GroupRecord>) -> Self {
        let items = listing.items.into_iter().map(Group::from).collect();
        Self { total: listing.total, offset: page.offset, limit: page.limit, items }
    }
}

impl Users {
    pub(crate) fn new(page: engine::store::Page, listing: Listing<UserDetail>) -> Self {
        let items = listing.items.into_iter().map(User::from).collect();
        Self { total: listing.total, offset: page.offset, limit: page.limit, items }
    }
}

fn shown(profile: Profile) -> (String, Option<String>, Option<Box<RawValue>>) {
    let icon = profile.icon.map(|icon| icon.as_str().to_owned());
    (profile.name.as_str().to_owned(), icon, profile.custom.map(|custom| custom.to_raw()))
}

/// Whether a field that is true or absent is absent.
// By reference, because that is how serde asks.
#[allow(clippy::trivially_copy_pass_by_ref)]
pub(crate) fn is_false(value: &bool) -> bool {
    !value
}
