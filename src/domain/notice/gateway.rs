//! Messages to an agents' gateway: JSON-RPC 2.0 over a websocket that we open, one method.
//!
//! Every message is a request with an id. A gateway that answers it has it; one that never answers
//! is believed when the message was written, if its settings say so.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::EventTold;
use crate::domain::{Timestamp, call::FactType};

/// What a gateway's notices need beside its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = GatewaySettings)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Whether the gateway answers each request. Without answers a message counts as delivered when
    /// it was written, and what was under way when the connection broke may be lost.
    #[serde(default = "answers")]
    pub answers: bool,
}

fn answers() -> bool {
    true
}

/// The address of a websocket's handshake: `ws` and `wss` as what carries them.
pub fn http_url(url: &str) -> String {
    match url.split_once("://") {
        Some(("ws", rest)) => format!("http://{rest}"),
        Some(("wss", rest)) => format!("https://{rest}"),
        _ => url.to_owned(),
    }
}

/// Why a text cannot be what a gateway is shown in `Authorization`.
pub fn token_problem(token: &str) -> Option<&'static str> {
    let visible = token.bytes().all(|byte| byte.is_ascii_graphic());
    (!visible || token.is_empty() || token.len() > 1000)
        .then_some("must be 1 to 1000 visible ASCII characters")
}

/// Who spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    User,
    Assistant,
}

/// What `params.message` holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "message_type", rename_all = "snake_case")]
pub enum Message {
    CallStarted {
        call_id: String,
        to_number: String,
        prompt: String,
        metadata: Value,
        timestamp: Timestamp,
    },
    /// Nothing transcribes calls yet: the shape is here, and no event is one.
    Transcript {
        call_id: String,
        speaker: Speaker,
        text: String,
        is_final: bool,
        timestamp: Timestamp,
    },
    CallEnded {
        call_id: String,
        /// Connected seconds.
        duration: f64,
        outcome: String,
        /// Empty while nothing transcribes calls.
        full_transcript: String,
        summary: String,
        timestamp: Timestamp,
    },
    Heartbeat {
        timestamp: Timestamp,
    },
    Error {
        call_id: String,
        error_code: String,
        error_message: String,
        timestamp: Timestamp,
    },
}

impl Message {
    /// What tells of an event of a call that happened `at`; `None`: nothing does.
    pub fn of(kind: FactType, told: EventTold, at: Timestamp) -> Option<Self> {
        let call = told.call;
        match kind {
            FactType::Started => Some(Self::CallStarted {
                to_number: call.other_party().to_owned(),
                prompt: call.prompt().to_owned(),
                call_id: call.id,
                metadata: Value::Object(call.metadata),
                timestamp: at,
            }),
            FactType::Ended => Some(Self::CallEnded {
                duration: call.duration().as_seconds_f64(),
                summary: call.summary(),
                call_id: call.id,
                outcome: call.status,
                full_transcript: String::new(),
                timestamp: at,
            }),
            FactType::Error => {
                let error = told.error?;
                Some(Self::Error {
                    call_id: call.id,
                    error_code: error.code,
                    error_message: error.message,
                    timestamp: at,
                })
            }
            FactType::Ringing
            | FactType::Connected
            | FactType::EndRequested
            | FactType::DidNotConnect
            | FactType::Billed => None,
        }
    }

    /// What somebody said in a call.
    pub fn transcript(
        call_id: String,
        speaker: Speaker,
        text: String,
        is_final: bool,
        at: Timestamp,
    ) -> Self {
        Self::Transcript {
            call_id,
            speaker,
            text,
            is_final,
            timestamp: at,
        }
    }

    /// The frame, as request number `id`.
    pub fn frame(&self, id: u64) -> String {
        json!({
            "jsonrpc": "2.0", "id": id, "method": "sessions_send", "params": {"message": self},
        })
        .to_string()
    }
}

/// What a gateway answered to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub id: u64,
    /// Why it did not take the message.
    pub refusal: Option<String>,
}

impl Answered {
    /// Reads a text; `None`: it answers no request of ours.
    pub fn read(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Response {
            id: u64,
            error: Option<Value>,
            method: Option<Value>,
        }
        let response: Response = serde_json::from_str(text).ok()?;
        if response.method.is_some() {
            return None;
        }
        Some(Self {
            id: response.id,
            refusal: response.error.map(|error| error.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::notice::samples::ended;

    fn at() -> Timestamp {
        "2026-11-21T09:30:15.000Z".parse().expect("a time")
    }

    fn frame(message: &Message) -> Value {
        serde_json::from_str(&message.frame(1)).expect("JSON")
    }

    fn of(kind: FactType, data: &Value) -> Option<Message> {
        Message::of(kind, EventTold::read(data).expect("of a call"), at())
    }

    #[test]
    fn each_frame_is_a_request_with_the_documented_members() {
        let id = "a1b2c3d4-e5f6-4890-abcd-ef1234567890";
        let mut failed = ended();
        failed["error"] = json!({"code": "HANGUP_FAILED", "message": "refused"});
        let transcript =
            Message::transcript(id.to_owned(), Speaker::User, "hello".to_owned(), true, at());
        for (message, expected) in [
            (
                of(FactType::Started, &ended()).expect("told"),
                json!({"message_type": "call_started", "call_id": id, "to_number": "+15550101",
                    "prompt": "Say <b>hi</b> & *bye*_",
                    "metadata": {"prompt": "Say <b>hi</b> & *bye*_", "order": 1001},
                    "timestamp": "2026-11-21T09:30:15.000Z"}),
            ),
            (
                of(FactType::Ended, &ended()).expect("told"),
                json!({"message_type": "call_ended", "call_id": id, "duration": 12.3,
                    "outcome": "completed", "full_transcript": "",
                    "summary": "ended_by_api by token:1: [asked](http://x) <for>",
                    "timestamp": "2026-11-21T09:30:15.000Z"}),
            ),
            (
                of(FactType::Error, &failed).expect("told"),
                json!({"message_type": "error", "call_id": id, "error_code": "HANGUP_FAILED",
                    "error_message": "refused", "timestamp": "2026-11-21T09:30:15.000Z"}),
            ),
            (
                transcript,
                json!({"message_type": "transcript", "call_id": id, "speaker": "user",
                    "text": "hello", "is_final": true, "timestamp": "2026-11-21T09:30:15.000Z"}),
            ),
            (
                Message::Heartbeat { timestamp: at() },
                json!({"message_type": "heartbeat", "timestamp": "2026-11-21T09:30:15.000Z"}),
            ),
        ] {
            assert_eq!(
                frame(&message),
                json!({"jsonrpc": "2.0", "id": 1, "method": "sessions_send",
                    "params": {"message": expected}})
            );
        }
        assert_eq!(of(FactType::Ringing, &ended()), None);
    }

    #[test]
    fn answers_are_told_from_everything_else() {
        let answered = |id, refusal: Option<&str>| {
            Some(Answered {
                id,
                refusal: refusal.map(str::to_owned),
            })
        };
        for (text, expected) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{}}"#, answered(7, None)),
            (
                r#"{"jsonrpc":"2.0","id":7,"result":null}"#,
                answered(7, None),
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32000}}"#,
                answered(7, Some(r#"{"code":-32000}"#)),
            ),
            (r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#, None),
            (r#"{"jsonrpc":"2.0","id":null,"error":{}}"#, None),
            (r#"{"jsonrpc":"2.0","id":"x","result":1}"#, None),
            ("hello", None),
        ] {
            assert_eq!(Answered::read(text), expected, "{text}");
        }
    }
}
