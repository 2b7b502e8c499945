//! Who or what ended a call, and why.

use serde::{Deserialize, Serialize};

use super::CallStatus;

/// Why a call ended. The list only grows: clients must accept values they do not know.
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
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum EndReason {
    RemoteHangup,
    AgentHangup,
    EndedByApi,
    AdminCancel,
    EndedByOperator,
    EndedByLink,
    EndedByBulk,
    /// Ended by the API before the provider was asked to dial: nothing rang.
    CanceledByApi,
    MaxDuration,
    RingTimeout,
    SilenceTimeout,
    ScheduledEnd,
    BudgetExceeded,
    Fenced,
    NoAnswer,
    Busy,
    Declined,
    InvalidDestination,
    ProviderRejected,
    ProviderError,
    MediaError,
    AiError,
    PlatformError,
    ReconciledGone,
    Unknown,
}

impl EndReason {
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The reason of an end that nobody of ours wished for, when the provider gives no better one.
    pub fn of_natural_end(status: CallStatus) -> Self {
        match status {
            CallStatus::Completed => Self::RemoteHangup,
            CallStatus::Busy => Self::Busy,
            CallStatus::NoAnswer => Self::NoAnswer,
            CallStatus::Failed => Self::ProviderError,
            CallStatus::Canceled
            | CallStatus::Initiating
            | CallStatus::Ringing
            | CallStatus::InProgress => Self::Unknown,
        }
    }
}

/// Which side the end came from.
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
    sqlx::Type,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum EndSide {
    /// Ours: somebody wished for it.
    Local,
    /// The far end's.
    Remote,
    /// The provider's.
    Provider,
}

impl EndSide {
    /// The side of an end that nobody of ours wished for.
    pub fn of_natural_end(reason: EndReason) -> Self {
        match reason {
            EndReason::RemoteHangup
            | EndReason::NoAnswer
            | EndReason::Busy
            | EndReason::Declined => Self::Remote,
            EndReason::AgentHangup
            | EndReason::EndedByApi
            | EndReason::AdminCancel
            | EndReason::EndedByOperator
            | EndReason::EndedByLink
            | EndReason::EndedByBulk
            | EndReason::CanceledByApi
            | EndReason::MaxDuration
            | EndReason::RingTimeout
            | EndReason::SilenceTimeout
            | EndReason::ScheduledEnd
            | EndReason::BudgetExceeded
            | EndReason::Fenced
            | EndReason::PlatformError => Self::Local,
            EndReason::InvalidDestination
            | EndReason::ProviderRejected
            | EndReason::ProviderError
            | EndReason::MediaError
            | EndReason::AiError
            | EndReason::ReconciledGone
            | EndReason::Unknown => Self::Provider,
        }
    }
}

/// How far a wish to end has come.
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
    sqlx::Type,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum EndState {
    /// Durable; the provider has not accepted it yet.
    Requested,
    /// The provider accepted it; evidence that the call is over is awaited.
    Accepted,
    /// There is evidence that the call is over.
    Confirmed,
    /// No evidence within five minutes; an alert was raised and the hang-up goes on.
    Unconfirmed,
    /// The provider refuses for good; an alert was raised. The next wish tries again.
    Failed,
}
