//! An agent's settings as requests give them: what is misspelt is refused, not passed over.

use serde::Deserialize;

use crate::domain::agent::Answer;

/// What the callee hears.
#[derive(Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum NewAnswer {
    Say { text: String },
    Stream { url: String },
}

impl From<NewAnswer> for Answer {
    fn from(answer: NewAnswer) -> Self {
        match answer {
            NewAnswer::Say { text } => Self::Say { text },
            NewAnswer::Stream { url } => Self::Stream { url },
        }
    }
}

/// The limits that are given.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NewLimits {
    pub(super) max_duration_seconds: Option<i32>,
    pub(super) ring_timeout_seconds: Option<i32>,
}
