//! What stands in a frame, in whichever encoding it came, before anybody knows what it means.
//!
//! Texts are borrowed where the encoding has them as they are. Nothing is made larger than what was really there, so
//! that a length that lies costs nothing.

use std::borrow::Cow;
use std::fmt;

use rmp_serde::decode::Error as MsgpackError;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::config::FRAME_LEVELS_MAX;
use crate::protocol::code::ErrorCode;
use crate::protocol::frame::Refusal;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number that isn't negative.
    Whole(u64),
    /// A whole number that is negative.
    Negative(i64),
    /// Any other number; in MessagePack also NaN and the infinities.
    Float(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// Values, one after the other.
    List(Vec<Tree<'a>>),
    /// Values with their names, in the order in which they came.
    Map(Vec<(Cow<'a, str>, Tree<'a>)>),
    /// What MessagePack has and JSON hasn't.
    Foreign(Foreign),
}

/// What MessagePack has and JSON hasn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    /// Bytes, or a text that isn't UTF-8.
    Binary,
    /// An extension.
    Extension,
    /// A map with a key that is no text.
    Keys,
}

/// Reads a frame in JSON.
pub(super) fn from_json(payload: &[u8]) -> Result<Tree<'_>, Refusal> {
    let text = std::str::from_utf8(payload).map_err(|_| malformed("the frame is not UTF-8"))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let tree = Level::OUTERMOST.deserialize(&mut json).and_then(|tree| json.end().map(|()| tree));
    tree.map_err(|error| malformed(format!("the frame is not JSON: {error}")))
}

/// Reads a frame in MessagePack.
pub(super) fn from_msgpack(payload: &[u8]) -> Result<Tree<'_>, Refusal> {
    let mut msgpack = rmp_serde::Deserializer::from_read_ref(payload);
    let tree = Level::OUTERMOST
        .deserialize(&mut msgpack)
        .map_err(|error| malformed(format!("the frame is not MessagePack: {error}")))?;
    // Only where nothing is left there is no marker to be read.
    match bool::deserialize(&mut msgpack) {
        Err(MsgpackError::InvalidMarkerRead(_)) => Ok(tree),
        _ => Err(malformed("the frame is not MessagePack: something stands behind its map")),
    }
}

/// A frame that isn't what it should be.
pub(super) fn malformed(text: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::MALFORMED, text.into())
}

/// How many levels there may still be.
#[derive(Clone, Copy)]
struct Level(usize);

impl Level {
    const OUTERMOST: Self = Self(FRAME_LEVELS_MAX);

    /// That of what lies in this one. It is asked for before anything in there is looked at.
    fn inner<E: Error>(self) -> Result<Self, E> {
        let levels = self.0.checked_sub(1);
        levels.map(Self).ok_or_else(|| E::custom(format_args!("more than {FRAME_LEVELS_MAX} levels")))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Tree<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Tree<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree<'de>, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree<'de>, E> {
        Ok(Tree::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree<'de>, E> {
        Ok(u64::try_from(value).map_or(Tree::Negative(value), Tree::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree<'de>, E> {
        Ok(Tree::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Tree<'de>, E> {
        Ok(Tree::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree<'de>, E> {
        Ok(Tree::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Tree<'de>, E> {
        Ok(Tree::Foreign(Foreign::Binary))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, extension: D) -> Result<Tree<'de>, D::Error> {
        IgnoredAny::deserialize(extension)?;
        Ok(Tree::Foreign(Foreign::Extension))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree<'de>, A::Error> {
        let inner = self.inner()?;
        let mut trees = Vec::new();
        while let Some(tree) = list.next_element_seed(inner)? {
            trees.push(tree);
        }
        Ok(Tree::List(trees))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree<'de>, A::Error> {
        let inner = self.inner()?;
        let (mut entries, mut has_text_keys) = (Vec::new(), true);
        while let Some((key, value)) = map.next_entry_seed(inner, inner)? {
            match key {
                Tree::Text(key) => entries.push((key, value)),
                _ => has_text_keys = false,
            }
        }
        Ok(if has_text_keys { Tree::Map(entries) } else { Tree::Foreign(Foreign::Keys) })
    }
}
