//! The schema of an Avro container, as far as it is needed to find bodies and to skip what is between them.

use std::io;

use serde_json::Value as Json;

use super::{damage, input};
use crate::avro::read_long;

/// How values lie in the bytes.
#[derive(Debug)]
pub(super) enum Type {
    Null,
    /// So many bytes: booleans, numbers with a point, fixed.
    Fixed(usize),
    /// Whole numbers, and places in an enum.
    Number,
    /// Bytes and strings.
    Bytes,
    List(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    Record(Vec<(String, Type)>),
}

/// A value, where it is one that events are made of.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Number(i64),
    Bytes(&'a [u8]),
    Other,
}

impl Type {
    /// Of a schema. Its depth is bounded by the parser of JSON.
    pub(super) fn of(schema: &Json) -> io::Result<Self> {
        let wrong = || damage(format!("the schema has a type that is not read here: {schema}"));
        let name = match schema {
            Json::String(name) => name,
            Json::Array(options) => return Ok(Self::Union(options.iter().map(Self::of).collect::<io::Result<_>>()?)),
            // A type in an object of its own, perhaps with a logical type, which does not change the bytes.
            Json::Object(parts) => match parts.get("type").ok_or_else(wrong)? {
                Json::String(name) => name,
                inner => return Self::of(inner),
            },
            _ => return Err(wrong()),
        };
        let inner = |key: &str| schema.get(key).ok_or_else(wrong).and_then(Self::of).map(Box::new);
        Ok(match name.as_str() {
            "null" => Self::Null,
            "boolean" => Self::Fixed(1),
            "float" => Self::Fixed(4),
            "double" => Self::Fixed(8),
            "fixed" => Self::Fixed(schema["size"].as_u64().and_then(|size| size.try_into().ok()).ok_or_else(wrong)?),
            "int" | "long" | "enum" => Self::Number,
            "bytes" | "string" => Self::Bytes,
            "array" => Self::List(inner("items")?),
            "map" => Self::Map(inner("values")?),
            "record" => Self::Record(fields(schema).ok_or_else(wrong)??),
            _ => return Err(wrong()),
        })
    }

    /// Takes a value off the front of `bytes`.
    pub(super) fn take<'a>(&self, bytes: &mut &'a [u8]) -> io::Result<Value<'a>> {
        match self {
            Self::Null => {}
            Self::Fixed(length) => drop(input::split(bytes, *length)?),
            Self::Number => return Ok(Value::Number(long(bytes)?)),
            Self::Bytes => return Ok(Value::Bytes(sized(bytes)?)),
            Self::List(item) => items(bytes, &mut |bytes| item.take(bytes).map(drop))?,
            Self::Map(value) => items(bytes, &mut |bytes| {
                sized(bytes)?;
                value.take(bytes).map(drop)
            })?,
            Self::Union(options) => {
                let index = long(bytes)?;
                let option = usize::try_from(index).ok().and_then(|index| options.get(index));
                return option.ok_or_else(|| damage(format!("option {index} of a union is none")))?.take(bytes);
            }
            Self::Record(fields) => {
                for (_, field) in fields {
                    field.take(bytes)?;
                }
            }
        }
        Ok(Value::Other)
    }
}

fn fields(schema: &Json) -> Option<io::Result<Vec<(String, Type)>>> {
    let field = |field: &Json| Some((field.get("name")?.as_str()?.to_owned(), field.get("type")?.clone()));
    let named: Vec<(String, Json)> = schema.get("fields")?.as_array()?.iter().map(field).collect::<Option<_>>()?;
    Some(named.into_iter().map(|(name, schema)| Ok((name, Type::of(&schema)?))).collect())
}

/// Takes what an array or a map has, `each` item off the front of the bytes.
pub(super) fn items<'a>(bytes: &mut &'a [u8], each: &mut dyn FnMut(&mut &'a [u8]) -> io::Result<()>) -> io::Result<()> {
    loop {
        let mut count = long(bytes)?;
        if count == 0 {
            return Ok(());
        }
        if count < 0 {
            // Readers that skip the items are told how long they are.
            long(bytes)?;
            count = count.saturating_neg();
        }
        // An item has a byte at least; nulls have none, and nobody lists them.
        if count as u64 > bytes.len() as u64 {
            return Err(damage(format!("{count} items are claimed in {} bytes", bytes.len())));
        }
        for _ in 0..count {
            each(bytes)?;
        }
    }
}

pub(super) fn long(bytes: &mut &[u8]) -> io::Result<i64> {
    read_long(bytes).ok_or_else(input::cut_off)
}

/// Bytes behind their length.
pub(super) fn sized<'a>(bytes: &mut &'a [u8]) -> io::Result<&'a [u8]> {
    let length = long(bytes)?;
    let length = input::checked(length, bytes.len(), "a value")?;
    input::split(bytes, length)
}
