//! Their shapes, as they document them. No meaning is given to anything here: see `map.rs`.
//!
//! <https://developer.vonage.com/en/api/voice> and
//! <https://developer.vonage.com/en/voice/voice-api/webhook-reference>. Members that we do not use
//! are not read; one of an unexpected kind is as good as absent, for no answer may become unreadable
//! by a member that we could do without.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;
use time::{PrimitiveDateTime, macros::format_description};

use crate::domain::Timestamp;

/// A call, from creating it, reading it or out of a list.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Call {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) uuid: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) direction: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) from: Option<Endpoint>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) to: Option<Endpoint>,
    /// Only of calls that are completed, as is the next.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) start_time: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) end_time: Option<String>,
    /// Seconds, as text.
    #[serde(default, deserialize_with = "text")]
    pub(super) duration: Option<String>,
}

/// One end of a call. A phone's has a number, without a plus sign.
#[derive(Debug, Deserialize)]
pub(super) struct Endpoint {
    #[serde(default, deserialize_with = "text")]
    pub(super) number: Option<String>,
}

/// A page of calls.
#[derive(Debug, Deserialize)]
pub(super) struct CallList {
    /// How many calls the whole list has.
    pub(super) count: usize,
    #[serde(rename = "_embedded")]
    pub(super) embedded: Embedded,
}

#[derive(Debug, Deserialize)]
pub(super) struct Embedded {
    pub(super) calls: Vec<Call>,
}

/// `{"type","title","detail","instance"}`; of a wrong request also
/// `{"type","error_title","invalid_parameters":{"to":"…"}}`. There is no code of theirs: the end of
/// `type` comes nearest to one.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Error {
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    pub(super) kind: Option<String>,
    #[serde(default, alias = "error_title", deserialize_with = "lenient")]
    pub(super) title: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) detail: Option<String>,
    /// An object by parameter, or a list of objects with a `name`.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) invalid_parameters: Option<Value>,
}

/// What an event webhook and the answer webhook carry.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Event {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) status: Option<String>,
    /// `human` and `machine` have it as `call_uuid`.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) uuid: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) call_uuid: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) from: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) to: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) timestamp: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) end_time: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) duration: Option<String>,
    /// Why a call failed, was rejected or stayed unanswered.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) detail: Option<String>,
    /// `user` or `platform`.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) disconnected_by: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) sip_code: Option<String>,
    /// Only in the answer webhook: the API of the region that keeps the call.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) region_url: Option<String>,
}

/// What a signed webhook's token claims.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    /// Unix seconds.
    pub(super) iat: i64,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) exp: Option<i64>,
    /// The SHA-256 of the body, in hexadecimal.
    pub(super) payload_hash: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) api_key: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) application_id: Option<String>,
}

/// A body as one of the shapes above; `None` when it is something else, such as a proxy's page.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// A body as an error of theirs, which has a `type` or a title; `None`: it is something else.
pub(super) fn error(body: &[u8]) -> Option<Error> {
    parse::<Error>(body).filter(|error| error.kind.is_some() || error.title.is_some())
}

/// A time as they write it: RFC 3339 in webhooks, `2020-01-01 12:00:00` in UTC elsewhere.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let spaced = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let of_spaced = || PrimitiveDateTime::parse(text, spaced).ok();
    text.parse()
        .ok()
        .or_else(|| Some(of_spaced()?.assume_utc().into()))
}

fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// What they write now as text, now as a number.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}
