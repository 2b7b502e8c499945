//! jambonz's shapes, as its API and hooks document them. No meaning is given to anything here: see
//! `map.rs`. <https://docs.jambonz.org/reference>

use serde::Deserialize;
use serde_json::Value;

use super::super::asking::{lenient, parse};
use crate::domain::CallId;

/// The answer to a dial.
#[derive(Debug, Deserialize)]
pub(super) struct Placed {
    pub(super) sid: String,
}

/// A call, when it is read or listed and in a hook.
#[derive(Debug, Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are theirs")]
pub(super) struct Call {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) call_sid: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) account_sid: Option<String>,
    /// `inbound` or `outbound`.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) direction: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) from: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) to: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) call_status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) sip_status: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) sip_reason: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) call_termination_by: Option<String>,
    /// Whole seconds.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) duration: Option<i64>,
    /// The `tag` of the dial.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) customer_data: Option<Value>,
}

/// The member of a dial's `tag` that holds our reference.
pub(super) const REFERENCE: &str = "onhook_call_id";

impl Call {
    /// Our reference to the call, handed back.
    pub(super) fn reference(&self) -> Option<CallId> {
        let text = self.customer_data.as_ref()?.get(REFERENCE)?.as_str()?;
        text.parse().ok()
    }
}

#[derive(Debug, Deserialize)]
struct Refusal {
    msg: String,
}

/// jambonz's own words in a refusal: JSON, or plain text, which is taken as it stands elsewhere.
pub(super) fn words(body: &[u8]) -> Option<String> {
    Some(parse::<Refusal>(body)?.msg)
}
