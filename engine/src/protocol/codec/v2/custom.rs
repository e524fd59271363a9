//! Custom data between the wire and how it is kept: as compact JSON text.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use super::tree::{Foreign, Tree};
use crate::domain::profile::Custom;

/// Takes a value that came in either encoding, or says which rule it breaks.
pub(super) fn read(tree: Tree<'_>) -> Result<Custom, String> {
    Custom::from_value(&value(tree)?).map_err(|error| error.to_string())
}

fn value(tree: Tree<'_>) -> Result<Value, &'static str> {
    Ok(match tree {
        Tree::Null => Value::Null,
        Tree::Bool(value) => Value::Bool(value),
        Tree::Whole(number) => Value::Number(number.into()),
        Tree::Negative(number) => Value::Number(number.into()),
        Tree::Float(number) => {
            Value::Number(Number::from_f64(number).ok_or("must hold no NaN and no infinity")?)
        }
        Tree::Text(text) => Value::String(text.into_owned()),
        Tree::List(trees) => Value::Array(trees.into_iter().map(value).collect::<Result<_, _>>()?),
        Tree::Map(entries) => {
            let mut map = Map::new();
            for (key, tree) in entries {
                if map.insert(key.into_owned(), value(tree)?).is_some() {
                    return Err("must hold no key twice in a map");
                }
            }
            Value::Object(map)
        }
        Tree::Foreign(Foreign::Binary) => return Err("must hold no binary data"),
        Tree::Foreign(Foreign::Extension) => return Err("must hold no extension of MessagePack"),
        Tree::Foreign(Foreign::Keys) => return Err("must hold only maps whose keys are texts"),
    })
}

/// Custom data as it goes over the wire: its text as it is in JSON, the value that it stands for in MessagePack. What
/// another version kept badly goes as null rather than spoiling the frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct WireCustom<'a>(pub(super) &'a Custom);

impl Serialize for WireCustom<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.as_json();
        if serializer.is_human_readable() {
            serde_json::from_str::<&RawValue>(text).unwrap_or(RawValue::NULL).serialize(serializer)
        } else {
            serde_json::from_str::<Value>(text).unwrap_or(Value::Null).serialize(serializer)
        }
    }
}
