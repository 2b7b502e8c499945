//! JSON bodies: what is wrong is named by its place.

use std::{fmt, marker::PhantomData};

use axum::http::{HeaderMap, header};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, value::MapAccessDeserializer},
};
use serde_json::Value;

use crate::domain::{Error, ErrorCode, Result, error::FieldProblem};

/// The members that a request may have, to name the nearest one when another is sent.
pub(in crate::http) trait Members: DeserializeOwned {
    const MEMBERS: &'static [&'static str];
}

/// Reads a canonical request; an empty body is an empty object.
///
/// # Errors
/// `UNSUPPORTED_MEDIA_TYPE`, `INVALID_REQUEST` (not JSON), `VALIDATION_FAILED` (wrong or unknown
/// members).
pub(in crate::http) fn parse<T: Members>(headers: &HeaderMap, body: &[u8]) -> Result<T> {
    let value = value(headers, body)?;
    if let Value::Object(members) = &value {
        let unknown: Vec<FieldProblem> = members
            .keys()
            .filter(|name| !T::MEMBERS.contains(&name.as_str()))
            .map(|name| FieldProblem {
                pointer: format!("/{}", escaped(name)),
                code: "unknown",
                message: unknown_message(name, T::MEMBERS),
            })
            .collect();
        if !unknown.is_empty() {
            return Err(Error::validation(unknown));
        }
    }
    typed(value)
}

/// Reads a drop-in request, which may have members that we do not know.
///
/// # Errors
/// As [`parse`], but never for an unknown member.
pub(in crate::http) fn parse_lenient<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: &[u8],
) -> Result<T> {
    typed(value(headers, body)?)
}

/// Reads a member that is an object, null or left out (`deserialize_with`, beside `default`). A
/// sequence, which would be read as the object's members in order, is refused.
pub(in crate::http) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_option(Object(PhantomData))
}

/// A member that may be null, which means something else than leaving it out.
pub(in crate::http) struct Nullable<T>(pub(in crate::http) Option<T>);

/// Reads a [`Nullable`] member, which may be left out (`deserialize_with`, beside `default`).
pub(in crate::http) fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Nullable<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(|value| Some(Nullable(value)))
}

struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Object<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_map(self)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Some)
    }
}

fn value(headers: &HeaderMap, body: &[u8]) -> Result<Value> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if !body.is_empty() && content_type.is_some_and(|value| !is_json(value)) {
        return Err(Error::new(
            ErrorCode::UnsupportedMediaType,
            "Send the body as JSON, with Content-Type: application/json",
        ));
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        Error::new(
            ErrorCode::InvalidRequest,
            format!("The body is not valid JSON: {error}"),
        )
    })?;
    // A sequence would be read as the members in order.
    if !value.is_object() {
        return Err(Error::field("", "type", "The body must be a JSON object"));
    }
    if let Some(pointer) = find_nul(&value, String::new()) {
        return Err(Error::field(
            pointer,
            "nul",
            "must not contain a NUL character",
        ));
    }
    Ok(value)
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence == "application/json"
        || essence.starts_with("application/") && essence.ends_with("+json")
        // What curl sends with -d when no type is given, and some clients with an empty body.
        || essence == "application/x-www-form-urlencoded"
        || essence == "text/plain"
}

/// PostgreSQL's text cannot hold a NUL.
fn find_nul(value: &Value, pointer: String) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then_some(pointer),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| find_nul(item, format!("{pointer}/{index}"))),
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            let here = format!("{pointer}/{}", escaped(name).replace('\0', "\u{fffd}"));
            if name.contains('\0') {
                Some(here)
            } else {
                find_nul(member, here)
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer = pointer(&error.path().to_string());
        let message = error.into_inner().to_string();
        let missing = message
            .strip_prefix("missing field `")
            .and_then(|rest| rest.strip_suffix('`'));
        match missing {
            Some(name) => Error::field(format!("{pointer}/{name}"), "required", "is required"),
            None => Error::field(pointer, "invalid", message),
        }
    })
}

/// A member's name within a pointer (RFC 6901 section 3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// `a.b[0]` as `/a/b/0`.
fn pointer(path: &str) -> String {
    if path == "." {
        return String::new();
    }
    format!("/{}", path.replace(['.', '['], "/").replace(']', ""))
}

fn unknown_message(name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, candidate)) if distance <= 3 => {
            format!("is not a member of this request; did you mean {candidate}?")
        }
        _ if known.is_empty() => "is not a member of this request, which has none".to_owned(),
        _ => format!(
            "is not a member of this request, which has: {}",
            known.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Example {
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[serde(rename = "count")]
        _count: i32,
    }

    impl Members for Example {
        const MEMBERS: &'static [&'static str] = &["name", "inner"];
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let parse = |body: &str| parse::<Example>(&HeaderMap::new(), body.as_bytes());
        assert_eq!(parse(r#"{"name":"x"}"#).unwrap().name.as_deref(), Some("x"));
        assert!(parse("").unwrap().inner.is_none());
        let table = [
            (
                "{",
                "INVALID_REQUEST: The body is not valid JSON: EOF while parsing an object at line 1 column 1",
            ),
            (
                r#"{"nmae":"x"}"#,
                "VALIDATION_FAILED: /nmae is not a member of this request; did you mean name?",
            ),
            (
                r#"{"name":7}"#,
                "VALIDATION_FAILED: /name invalid type: integer `7`, expected a string",
            ),
            (
                r#"{"inner":{"count":"x"}}"#,
                "VALIDATION_FAILED: /inner/count invalid type: string \"x\", expected i32",
            ),
            (
                r#"{"name":"a\u0000b"}"#,
                "VALIDATION_FAILED: /name must not contain a NUL character",
            ),
            (
                r#"{"inner":{}}"#,
                "VALIDATION_FAILED: /inner/count is required",
            ),
            (
                r#"{"a/b~":"x"}"#,
                "VALIDATION_FAILED: /a~1b~0 is not a member of this request, which has: name, inner",
            ),
            (
                "[null]",
                "VALIDATION_FAILED: The body must be a JSON object",
            ),
        ];
        for (body, expected) in table {
            assert_eq!(parse(body).unwrap_err().to_string(), expected);
        }
    }
}
