//! What happened to a call, as it is published to webhooks and streams.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::CallStatus;
use crate::domain::Timestamp;

/// The kinds of facts, named as customers receive them.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
    sqlx::Type,
    utoipa::ToSchema,
)]
#[sqlx(type_name = "text")]
pub enum FactType {
    /// Created and being dialled, or seen coming in.
    #[serde(rename = "event_phone_call_started")]
    #[strum(serialize = "event_phone_call_started")]
    #[sqlx(rename = "event_phone_call_started")]
    Started,
    #[serde(rename = "event_phone_call_ringing")]
    #[strum(serialize = "event_phone_call_ringing")]
    #[sqlx(rename = "event_phone_call_ringing")]
    Ringing,
    /// Answered.
    #[serde(rename = "event_phone_call_connected")]
    #[strum(serialize = "event_phone_call_connected")]
    #[sqlx(rename = "event_phone_call_connected")]
    Connected,
    /// A wish to end was accepted.
    #[serde(rename = "event_phone_call_end_requested")]
    #[strum(serialize = "event_phone_call_end_requested")]
    #[sqlx(rename = "event_phone_call_end_requested")]
    EndRequested,
    /// Exactly one per call, connected or not.
    #[serde(rename = "event_phone_call_ended")]
    #[strum(serialize = "event_phone_call_ended")]
    #[sqlx(rename = "event_phone_call_ended")]
    Ended,
    /// Beside ended, for busy, no-answer, failed and canceled.
    #[serde(rename = "event_phone_call_did_not_connect")]
    #[strum(serialize = "event_phone_call_did_not_connect")]
    #[sqlx(rename = "event_phone_call_did_not_connect")]
    DidNotConnect,
    /// A hang-up failed for good or stays unconfirmed, or the provider refused the call.
    #[serde(rename = "event_phone_call_error")]
    #[strum(serialize = "event_phone_call_error")]
    #[sqlx(rename = "event_phone_call_error")]
    Error,
    /// A ledger entry with an amount was written.
    #[serde(rename = "event_phone_call_billed")]
    #[strum(serialize = "event_phone_call_billed")]
    #[sqlx(rename = "event_phone_call_billed")]
    Billed,
}

impl FactType {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One thing that happened. Facts of a call are numbered from 1 without a gap.
#[derive(Clone, Debug, Serialize)]
pub struct Fact {
    pub sequence: i64,
    #[serde(rename = "type")]
    pub kind: FactType,
    pub from_status: CallStatus,
    pub to_status: CallStatus,
    pub at: Timestamp,
    /// The event's `data`: the call as it was at this moment, and what else the kind tells.
    pub data: Box<RawValue>,
}
