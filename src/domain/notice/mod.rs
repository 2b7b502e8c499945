//! What people and agents' gateways are told of calls, over channels that are not webhooks.
//!
//! Pure: an event's data goes in, the message comes out. Who is told, when it is tried again and what
//! was answered is the queue of deliveries' business. The invariant: a message says what the event
//! says, and nothing of it can be read as markup or as another message.

pub mod gateway;
pub mod telegram;

use serde::Deserialize;
use serde_json::{Map, Value};
use time::Duration;

use super::Timestamp;

/// What the messages tell of a call, read back from an event's data.
#[derive(Clone, Debug, Deserialize)]
pub struct CallTold {
    pub id: String,
    pub status: String,
    pub direction: String,
    pub from: String,
    pub to: String,
    #[serde(default)]
    pub metadata: Map<String, Value>,
    pub answered_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub ended_reason: Option<String>,
    pub end: Option<EndTold>,
}

/// Who asked for the end, read back from an event's data.
#[derive(Clone, Debug, Deserialize)]
pub struct EndTold {
    pub initiator: Option<String>,
    pub note: Option<String>,
}

/// The data of an event about a call.
#[derive(Clone, Debug, Deserialize)]
pub struct EventTold {
    pub call: CallTold,
    pub error: Option<ErrorTold>,
}

/// What an error event says.
#[derive(Clone, Debug, Deserialize)]
pub struct ErrorTold {
    pub code: String,
    pub message: String,
}

impl EventTold {
    /// Reads an event's data. `None`: it is about no call.
    pub fn read(data: &Value) -> Option<Self> {
        Self::deserialize(data).ok()
    }
}

impl CallTold {
    /// Connected time; zero for a call that was not answered or is live.
    pub fn duration(&self) -> Duration {
        match (self.answered_at, self.ended_at) {
            (Some(answered_at), Some(ended_at)) => ended_at.since(answered_at),
            _ => Duration::ZERO,
        }
    }

    /// The other party's number.
    pub fn other_party(&self) -> &str {
        if self.direction == "inbound" {
            &self.from
        } else {
            &self.to
        }
    }

    /// What the agent was told to say, where the call carries it.
    pub fn prompt(&self) -> &str {
        let prompt = self.metadata.get("prompt");
        prompt.and_then(Value::as_str).unwrap_or_default()
    }

    /// How the call came out, in a sentence. There are no transcripts to summarise: what is told is
    /// why it ended and who asked.
    pub fn summary(&self) -> String {
        let reason = self.ended_reason.as_deref().unwrap_or("unknown");
        let end = self.end.as_ref();
        let by = end.and_then(|end| end.initiator.as_deref());
        let by = by.map_or_else(String::new, |by| format!(" by {by}"));
        let note = end.and_then(|end| end.note.as_deref());
        let note = note.map_or_else(String::new, |note| format!(": {note}"));
        format!("{reason}{by}{note}")
    }
}

#[cfg(test)]
pub(super) mod samples {
    use serde_json::{Value, json};

    /// The data of the end of a call whose texts are all markup.
    pub(in crate::domain::notice) fn ended() -> Value {
        json!({"call": {
            "id": "a1b2c3d4-e5f6-4890-abcd-ef1234567890", "status": "completed",
            "direction": "outbound", "from": "+15550100", "to": "+15550101",
            "metadata": {"prompt": "Say <b>hi</b> & *bye*_", "order": 1001},
            "created_at": "2026-11-21T09:30:00.000Z", "answered_at": "2026-11-21T09:30:02.700Z",
            "ended_at": "2026-11-21T09:30:15.000Z", "ended_reason": "ended_by_api",
            "end": {"initiator": "token:1", "note": "[asked](http://x) <for>"},
        }})
    }
}
