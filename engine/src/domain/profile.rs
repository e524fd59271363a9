//! What a tenant says of a group or a user: a name, an icon, and anything of its own.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ids::{GroupId, GroupUid, ServiceId, TextError, UserId, UserLife, UserUid, check_text};
use crate::config::{CUSTOM_BYTES_MAX, CUSTOM_LEVELS_MAX, ICON_BYTES_MAX};

/// A field of a request that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// An id or name that isn't one.
    #[error("{0}")]
    Text(#[from] TextError),
    /// An icon that a browser couldn't load safely.
    #[error("must begin with https:// and have at most 2048 bytes")]
    Icon,
    /// A `custom` value that is too large.
    #[error("must be at most 4096 bytes of JSON")]
    Custom,
    /// A `custom` value whose maps and lists lie too deep in each other.
    #[error("must have at most {CUSTOM_LEVELS_MAX} levels of maps and lists in each other")]
    Levels,
}

/// A display name: 1 to 128 characters, none a control character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// Takes a name that keeps the rules.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        check_text(text)?;
        Ok(Self(text.to_owned()))
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The `https://` address of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Icon(String);

impl Icon {
    /// Takes an address that begins with `https://` and has something after it.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let rest = text.strip_prefix("https://").ok_or(FieldError::Icon)?;
        if rest.is_empty() || text.len() > ICON_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(FieldError::Icon);
        }
        Ok(Self(text.to_owned()))
    }

    /// The address as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Any JSON value of the tenant's own, kept as compact JSON text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Custom(String);

impl Custom {
    /// Takes a JSON value of at most 4 KiB and 50 levels.
    pub fn from_value(value: &serde_json::Value) -> Result<Self, FieldError> {
        let text = value.to_string();
        if text.len() > CUSTOM_BYTES_MAX {
            return Err(FieldError::Custom);
        }
        if levels(value) > CUSTOM_LEVELS_MAX {
            return Err(FieldError::Levels);
        }
        Ok(Self(text))
    }

    /// Bytes of its JSON.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Its compact JSON.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The value as it is kept, not built up again only to be written out. A row that another version wrote badly
    /// reads as null rather than failing the listing.
    pub fn to_raw(&self) -> Box<RawValue> {
        RawValue::from_string(self.0.clone()).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }
}

/// How deep a value's maps and lists lie in each other. Whoever read it has bounded that.
fn levels(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        serde_json::Value::Object(map) => 1 + map.values().map(levels).max().unwrap_or(0),
        _ => 0,
    }
}

/// What is shown of a group or user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Shown name.
    pub name: Name,
    /// Shown picture.
    pub icon: Option<Icon>,
    /// The tenant's own data.
    pub custom: Option<Custom>,
}

impl Profile {
    /// A profile of a name alone.
    pub fn named(name: Name) -> Self {
        Self { name, icon: None, custom: None }
    }

    /// What it takes in a listing, about.
    pub fn bytes(&self) -> usize {
        let icon = self.icon.as_ref().map_or(0, |icon| icon.as_str().len());
        self.name.as_str().len() + icon + self.custom.as_ref().map_or(0, |custom| custom.0.len())
    }

    /// The profile after a change.
    #[must_use]
    pub fn patched(&self, patch: &ProfilePatch) -> Self {
        Self {
            name: patch.name.clone().unwrap_or_else(|| self.name.clone()),
            icon: patch.icon.apply(self.icon.as_ref()),
            custom: patch.custom.apply(self.custom.as_ref()),
        }
    }
}

/// What to do with an optional field: JSON's absent, `null` and a value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// Leave it as it is.
    #[default]
    Keep,
    /// Take it away.
    Clear,
    /// Put this in its place.
    Set(T),
}

impl<T: Clone> Change<T> {
    /// What there is after the change.
    pub fn apply(&self, old: Option<&T>) -> Option<T> {
        match self {
            Self::Keep => old.cloned(),
            Self::Clear => None,
            Self::Set(value) => Some(value.clone()),
        }
    }
}

/// A change to a profile. The default changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfilePatch {
    /// A new name, if any.
    pub name: Option<Name>,
    /// What becomes of the icon.
    pub icon: Change<Icon>,
    /// What becomes of the tenant's own data.
    pub custom: Change<Custom>,
}

/// A change to a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupPatch {
    /// How it is shown.
    pub profile: ProfilePatch,
    /// How long what is said is kept.
    pub retention: Change<Retention>,
}

/// A group as the directory keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// The tenant whose group it is.
    pub service: ServiceId,
    /// The tenant's name for it.
    pub id: GroupId,
    /// This life of it.
    pub uid: GroupUid,
    /// What is shown of it.
    pub profile: Profile,
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
    /// How long what is said is kept; absent for ever. The last fields, because older rows end without them.
    #[serde(default)]
    pub retention: Option<Retention>,
    /// It is the one group of two users.
    #[serde(default)]
    pub direct: bool,
}

/// How long a group's log is kept. What is over either bound goes, the oldest first. Of the newest message the place stays, as a tombstone of nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// At most so old, in milliseconds.
    pub age_ms: Option<u64>,
    /// At most so many messages.
    pub messages: Option<u64>,
}

/// A user as the directory keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// The tenant's name for the user.
    pub id: UserId,
    /// What is shown of the user.
    pub profile: Profile,
    /// When the user was made, Unix milliseconds.
    pub created_ms: u64,
    /// Counts the changes in this life, so that of two notices of a change the older can be told.
    pub revision: u64,
    /// This life of the user. The last field, because rows from before users had lives end without it.
    #[serde(default)]
    pub uid: UserUid,
    /// How often the user was signed out: tokens and tickets that were given before the last time open nothing. It is counted and not
    /// timed, so that it doesn't matter whose clock is ahead.
    #[serde(default)]
    pub sign_outs: u64,
}

impl UserRecord {
    /// Which user this is, in which life.
    pub fn life(&self) -> UserLife {
        UserLife { id: self.id.clone(), uid: self.uid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_icon_begins_with_https() {
        assert!(Icon::parse("https://example.com/a.png").is_ok());
        for bad in ["", "http://example.com/a.png", "https://", "javascript:alert(1)", "https://a\nb"] {
            assert_eq!(Icon::parse(bad), Err(FieldError::Icon), "{bad:?}");
        }
    }

    #[test]
    fn custom_is_any_value_up_to_4_kib() {
        for value in
            [serde_json::json!(null), serde_json::json!({"a": [1, 2.5, "x"]}), serde_json::json!("é")]
        {
            assert_eq!(Custom::from_value(&value).unwrap().to_raw().get(), value.to_string());
        }
        let fits = serde_json::Value::String("x".repeat(4_094));
        assert!(Custom::from_value(&fits).is_ok());
        let too_large = serde_json::Value::String("x".repeat(4_095));
        assert_eq!(Custom::from_value(&too_large), Err(FieldError::Custom));
        let deep = |levels| (0..levels).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
        assert!(Custom::from_value(&deep(50)).is_ok());
        assert_eq!(Custom::from_value(&deep(51)), Err(FieldError::Levels));
    }

    #[test]
    fn a_patch_keeps_clears_and_sets() {
        let old = Profile {
            name: Name::parse("old").unwrap(),
            icon: Some(Icon::parse("https://a").unwrap()),
            custom: None,
        };
        assert_eq!(old.patched(&ProfilePatch::default()), old);
        let new = old.patched(&ProfilePatch {
            name: Some(Name::parse("new").unwrap()),
            icon: Change::Clear,
            custom: Change::Set(Custom::from_value(&serde_json::json!(1)).unwrap()),
        });
        assert_eq!((new.name.as_str(), new.icon, new.custom.unwrap().to_raw().get()), ("new", None, "1"));
    }
}
