//! What a provider told us about a call.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{
    Timestamp,
    call::{CallStatus, EndReason},
};

/// A report about a call's progress, from a callback, a read or an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The provider's name for the call; learnt from the report when we do not know it yet.
    pub provider_call_id: String,
    pub progress: Progress,
    /// When it happened by the provider's clock (often whole seconds); `None`: not said.
    pub at: Option<Timestamp>,
    pub source: Source,
    /// Where at the provider the call is kept, for one that keeps calls in regions: the host of its
    /// API there. `None`: not said.
    pub host: Option<String>,
}

/// How far a call has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// The provider has taken the call and has nothing further to say.
    Placed,
    Ringing,
    Answered,
    Ended {
        /// One of the terminal statuses.
        status: CallStatus,
        /// Connected seconds as the provider counts them; `None`: not said.
        connected_seconds: Option<i64>,
        /// A better reason for a natural end than the status gives.
        reason: Option<EndReason>,
        /// The provider's own words for why, verbatim.
        cause: Value,
    },
}

/// How we came to know.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    sqlx::Type,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Source {
    /// A signed callback of the provider.
    Callback,
    /// We read the call at the provider.
    Fetch,
    /// We read the list of all that lives at the provider.
    Listing,
    /// The provider told us over a websocket that we hold.
    Socket,
    /// The provider's answer to our request to hang up.
    HangUpAnswer,
    /// The provider's answer to our request to dial.
    DialAnswer,
    /// We never asked the provider to dial, so nothing rings.
    NeverDialed,
}
