//! Their shapes, as they document them. No meaning is given to anything here: see `map.rs`.
//!
//! <https://platform.openai.com/docs/api-reference/realtime-calls> and the webhook and server events
//! beside it. Members that we do not use are not read; one of an unexpected kind is as good as
//! absent.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// `{"error":{"message","type","param","code"}}`.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) error: Error,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Error {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) message: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) code: Option<String>,
}

/// No such call now: it is over, or never was, or nobody accepted it.
pub(super) const CALL_ID_NOT_FOUND: &str = "call_id_not_found";

/// A session has lasted as long as they let it.
pub(super) const SESSION_EXPIRED: &str = "session_expired";

/// A webhook: `{"id":"evt_…","object":"event","type","created_at","data":{…}}`.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) data: Option<Data>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Data {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) call_id: Option<String>,
    /// The headers of the INVITE.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) sip_headers: Option<Vec<SipHeader>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SipHeader {
    pub(super) name: String,
    pub(super) value: String,
}

/// What their side says over the websocket: `{"type","event_id",…}`.
#[derive(Debug, Deserialize)]
pub(super) struct ServerEvent {
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// In an `error` only.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) error: Option<Error>,
}

/// A body as one of the shapes above; `None` when it is something else, such as a proxy's page.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// The error that a body tells.
pub(super) fn error(body: &[u8]) -> Option<Error> {
    parse::<Refusal>(body).map(|refusal| refusal.error)
}

fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}
