//! The body of an event as customers receive it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::event::EventType;
use crate::domain::{AgentId, CallId, OrganizationId, Timestamp};

/// The envelope of every event (Standard Webhooks: `type`, `timestamp`, `data`, and our names).
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: EventType,
    pub timestamp: Timestamp,
    pub organization_id: OrganizationId,
    /// `None`: the event is about no call.
    pub agent_id: Option<AgentId>,
    pub call_id: Option<CallId>,
    /// Dense from 1 within a call; 0 for an event about no call.
    pub sequence: i64,
    pub data: Box<RawValue>,
}

/// The id of an event: a function of (call, sequence), so that no retry, crash or second node can
/// give it two. An event about no call has an id of its own, and the sequence 0.
pub fn event_id(call_id: CallId, sequence: i64) -> String {
    format!("evt_{}_{sequence}", call_id.0.simple())
}

/// The call and the sequence of an event's id; `None`: it is none of ours.
pub fn read_event_id(text: &str) -> Option<(CallId, i64)> {
    let (call_id, sequence) = text.strip_prefix("evt_")?.split_once('_')?;
    let key = (
        CallId(Uuid::try_parse(call_id).ok()?),
        sequence.parse().ok()?,
    );
    // Another spelling of the same id is none.
    (event_id(key.0, key.1) == text).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_id_names_its_call_and_sequence() {
        let call_id = CallId(Uuid::from_u128(0xABC));
        let id = event_id(call_id, 12);
        assert_eq!(read_event_id(&id), Some((call_id, 12)));
        let dashed = format!("evt_{call_id}_12");
        for other in [
            "",
            "evt_",
            "evt_x_1",
            &dashed,
            &format!("{id}x"),
            &id.to_uppercase(),
        ] {
            assert_eq!(read_event_id(other), None, "{other}");
        }
    }
}
