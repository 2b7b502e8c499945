//! Providers in our words: which there are, what they tell us, how they answer.

mod observation;
mod outcome;
mod told;

use serde::{Deserialize, Serialize};

pub use observation::{Observation, Progress, Source};
pub use outcome::{
    Answered, Description, DialOutcome, FetchOutcome, HangUpOutcome, InstructOutcome, LiveCall,
    LiveOutcome, LookupOutcome, Parties, ProviderAnswer,
};
pub use told::{IncomingCall, Told};

/// Who carries a call.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
    sqlx::Type,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ProviderKind {
    Twilio,
    Telnyx,
    Vonage,
    Sip,
    Openai,
}

impl ProviderKind {
    /// The name in answers, paths, metrics and the database.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether a call is told what to do by requests of ours, and not by our answers to what the
    /// provider asks.
    pub fn is_commanded(self) -> bool {
        match self {
            Self::Twilio | Self::Vonage => false,
            Self::Telnyx | Self::Sip | Self::Openai => true,
        }
    }

    /// Whether a call that is read shows that it was answered.
    pub fn shows_answers(self) -> bool {
        self != Self::Telnyx
    }

    /// Whether calls can be placed through it, and not only come in.
    pub fn places_calls(self) -> bool {
        self != Self::Openai
    }

    /// The name as the provider itself writes it, for sentences.
    pub fn title(self) -> &'static str {
        match self {
            Self::Twilio => "Twilio",
            Self::Telnyx => "Telnyx",
            Self::Vonage => "Vonage",
            Self::Sip => "the SIP bridge",
            Self::Openai => "OpenAI",
        }
    }
}
