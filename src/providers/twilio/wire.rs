//! Their shapes, as they document them. No meaning is given to anything here: see `map.rs`.
//!
//! <https://www.twilio.com/docs/voice/api/call-resource>: every member of a call may be null, and
//! numbers come as strings. Members that we do not use are not read.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use crate::domain::Timestamp;

/// A call, from create, update, read or as one of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Call {
    #[serde(default, deserialize_with = "text")]
    pub(super) sid: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) status: Option<String>,
    /// `inbound`, `outbound-api`, `outbound-dial`, `trunking-…`.
    #[serde(default, deserialize_with = "text")]
    pub(super) direction: Option<String>,
    /// RFC 2822, UTC, whole seconds.
    #[serde(default, deserialize_with = "text")]
    pub(super) date_created: Option<String>,
    /// RFC 2822; null when the call did not complete.
    #[serde(default, deserialize_with = "text")]
    pub(super) end_time: Option<String>,
    /// Connected seconds; null unless the call completed.
    #[serde(default, deserialize_with = "text")]
    pub(super) duration: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) from: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) to: Option<String>,
    /// What they charge, negative; null until some time after the end.
    #[serde(default, deserialize_with = "text")]
    pub(super) price: Option<String>,
    /// ISO 4217.
    #[serde(default, deserialize_with = "text")]
    pub(super) price_unit: Option<String>,
}

/// A page of calls.
#[derive(Debug, Deserialize)]
pub(super) struct CallList {
    pub(super) calls: Vec<Call>,
    /// Relative; null on the last page.
    #[serde(default, deserialize_with = "text")]
    pub(super) next_page_uri: Option<String>,
}

/// An error: `{"code":20404,"message":"…","more_info":"…","status":404}`.
/// The codes: <https://www.twilio.com/docs/api/errors>.
#[derive(Debug, Deserialize)]
pub(super) struct Error {
    pub(super) code: u32,
    #[serde(default, deserialize_with = "text")]
    pub(super) message: Option<String>,
}

/// "Call is not in-progress": a change was asked of a call that is over.
pub(super) const CALL_NOT_IN_PROGRESS: u32 = 21220;

/// The called number is invalid, cannot be reached, or does not appear to be valid.
pub(super) const INVALID_TO: [u32; 3] = [21211, 21214, 21217];

/// A body as one of the shapes above; `None` when it is something else, such as a proxy's page.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// A time as they write it: RFC 2822.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    OffsetDateTime::parse(text.trim(), &Rfc2822)
        .ok()
        .map(Timestamp::from)
}

/// A text that might as well be a number; anything else is as good as absent.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}
