//! A call's status and its legal moves.

use serde::{Deserialize, Serialize};

/// Where a call stands, as the API shows it. Ongoing statuses are ordered and only move forward;
/// terminal ones absorb. A wish to end is not a status: see [`super::EndState`].
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
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[sqlx(type_name = "text", rename_all = "kebab-case")]
pub enum CallStatus {
    /// Recorded; the provider may not have heard of it yet.
    Initiating,
    /// The far end's phone rings.
    Ringing,
    /// Answered; both sides can be heard, and time is billed.
    InProgress,
    /// Answered and over.
    Completed,
    /// Never got through: refused by the provider, unreachable, or a fault.
    Failed,
    /// The far end was busy.
    Busy,
    /// Nobody answered in time.
    NoAnswer,
    /// Ended before it was answered.
    Canceled,
}

impl CallStatus {
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    pub fn is_terminal(self) -> bool {
        match self {
            Self::Initiating | Self::Ringing | Self::InProgress => false,
            Self::Completed | Self::Failed | Self::Busy | Self::NoAnswer | Self::Canceled => true,
        }
    }

    /// Whether a call may move from `self` to `to`. A call never stays where it is by a move.
    pub fn may_become(self, to: Self) -> bool {
        match (self, to) {
            (Self::Initiating, to) => to != Self::Initiating,
            (Self::Ringing, to) => to != Self::Initiating && to != Self::Ringing,
            (Self::InProgress, to) => to.is_terminal(),
            (Self::Completed | Self::Failed | Self::Busy | Self::NoAnswer | Self::Canceled, _) => {
                false
            }
        }
    }
}

/// Who called whom.
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
    sqlx::Type,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Direction {
    Outbound,
    Inbound,
}

/// What is known of the request that makes the provider dial.
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
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum DialState {
    /// Not sent; a wish to end takes it back.
    Queued,
    /// Being sent; the answer has not been recorded.
    InFlight,
    /// The answer was lost; the call is being looked for at the provider.
    Unknown,
    /// The provider has the call, and we have its name for it.
    Placed,
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::*;

    #[test]
    fn the_table_of_legal_moves() {
        let table: Vec<String> = CallStatus::VARIANTS
            .iter()
            .map(|from| {
                let to: Vec<&str> = CallStatus::VARIANTS
                    .iter()
                    .filter(|to| from.may_become(**to))
                    .map(|to| to.as_str())
                    .collect();
                format!("{} -> {}", from.as_str(), to.join(" "))
            })
            .collect();
        assert_eq!(
            table,
            [
                "initiating -> ringing in-progress completed failed busy no-answer canceled",
                "ringing -> in-progress completed failed busy no-answer canceled",
                "in-progress -> completed failed busy no-answer canceled",
                "completed -> ",
                "failed -> ",
                "busy -> ",
                "no-answer -> ",
                "canceled -> ",
            ]
        );
    }
}
