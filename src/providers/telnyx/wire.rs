//! Their shapes, as they document them. No meaning is given to anything here: see `map.rs`.
//!
//! <https://developers.telnyx.com/api/call-control/dial-call>. A body is `{"data": …}` or
//! `{"errors": […]}`. Members that we do not use are not read; one of an unexpected kind is as good
//! as absent, for no answer may become unreadable by a member that we could do without.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use crate::domain::Timestamp;

/// `{"data": …}`.
#[derive(Debug, Deserialize)]
pub(super) struct Data<T> {
    pub(super) data: T,
}

/// A call, from dialling, reading or as one of the active ones (which lack the last three).
#[derive(Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are theirs")]
pub(super) struct Call {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) call_control_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) client_state: Option<String>,
    /// Whole seconds.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) call_duration: Option<i64>,
    /// False before the end too: always in the answer to a dial.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) is_alive: Option<bool>,
    /// ISO 8601.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) start_time: Option<String>,
    /// ISO 8601; present only when the call is over.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) end_time: Option<String>,
}

/// A page of active calls.
#[derive(Debug, Deserialize)]
pub(super) struct CallList {
    pub(super) data: Vec<Call>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) meta: Option<Meta>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Meta {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) cursors: Option<Cursors>,
    /// The next page's path; absent on the last.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Cursors {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) after: Option<String>,
}

/// `{"errors":[{"code":"90018","title":"…","detail":"…","source":{"pointer":"/to"}}]}`. The code
/// is a string.
#[derive(Debug, Deserialize)]
pub(super) struct Errors {
    pub(super) errors: Vec<Error>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Error {
    pub(super) code: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) title: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) detail: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) source: Option<ErrorSource>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ErrorSource {
    /// A JSON pointer to the member of the request that is wrong.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) pointer: Option<String>,
}

/// "Call has already ended".
pub(super) const CALL_HAS_ENDED: &str = "90018";

/// "Invalid call control id": one that never was.
pub(super) const INVALID_CALL_CONTROL_ID: &str = "90015";

/// "Call not answered yet": a command that only an answered call can carry out.
pub(super) const NOT_ANSWERED_YET: &str = "90034";

/// "Phone number must be in +E164 format".
pub(super) const NOT_E164: &str = "10016";

/// An event: `{"data":{"event_type","id","occurred_at","payload":{…}}}`.
#[derive(Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are theirs")]
pub(super) struct Event {
    pub(super) event_type: String,
    /// The same when the event is sent again.
    pub(super) id: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) occurred_at: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) payload: Option<Payload>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Payload {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) call_control_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) connection_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) client_state: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) hangup_cause: Option<String>,
    /// `caller`, `callee`, `unknown`.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) hangup_source: Option<String>,
    /// `incoming` or `outgoing`; told of the first event only.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) direction: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) from: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) to: Option<String>,
    /// The SIP status, as text.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) sip_hangup_cause: Option<String>,
}

/// A body as one of the shapes above; `None` when it is something else, such as a proxy's page.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// The first error of a body; `None` when it tells none.
pub(super) fn error(body: &[u8]) -> Option<Error> {
    parse::<Errors>(body)?.errors.into_iter().next()
}

/// A time as they write it: ISO 8601.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}
