//! An agent's settings: what the callee hears and the limits of its calls.

use serde::{Deserialize, Serialize};

use super::call::Limits;

/// What a call of this agent does once it is answered, and its default limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentSettings {
    pub answer: Answer,
    pub limits: Limits,
}

/// What the callee hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Answer {
    /// A sentence, spoken by the provider; then the call is over. Where the provider has the
    /// conversation itself, its model's instructions.
    Say { text: String },
    /// Both directions of audio go to a websocket of the customer's.
    Stream { url: String },
}

impl Default for Answer {
    fn default() -> Self {
        Self::Say {
            text: "Hello. This call is carried by Onhook.".to_owned(),
        }
    }
}
