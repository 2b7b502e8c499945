//! The body of an event as customers receive it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::{AgentId, CallId, OrganizationId, Timestamp, call::FactType};

/// The envelope of every event (Standard Webhooks: `type`, `timestamp`, `data`, and our names).
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: FactType,
    pub timestamp: Timestamp,
    pub organization_id: OrganizationId,
    pub agent_id: AgentId,
    pub call_id: CallId,
    /// Dense from 1 within a call.
    pub sequence: i64,
    pub data: Box<RawValue>,
}

/// The id of an event: a function of (call, sequence), so that no retry, crash or second node can
/// give it two.
pub fn event_id(call_id: CallId, sequence: i64) -> String {
    format!("evt_{}_{sequence}", call_id.0.simple())
}
