//! Pure: what a plain bridge's answers mean, by its owner's word for each status. A status that was
//! not named says nothing about a call.

use super::keys::{Dial, HangUp};
use crate::{
    domain::{
        CallId,
        call::EndReason,
        provider::{DialOutcome, HangUpOutcome, Observation, Progress, Source},
    },
    outbound::Failure,
    providers::sip::asking::Heard,
};

/// The outcome of the request to end a call.
pub(super) fn hang_up(keys: &HangUp, heard: &Heard) -> HangUpOutcome {
    let Ok(answer) = heard else {
        return HangUpOutcome::Retry { after: None };
    };
    let status = answer.status;
    if keys.accepted.contains(&status) {
        HangUpOutcome::Accepted
    } else if keys.already_over.contains(&status) {
        HangUpOutcome::AlreadyOver
    } else if keys.unknown.contains(&status) {
        HangUpOutcome::NotFound
    } else if matches!(status, 408 | 429 | 500..=599) {
        HangUpOutcome::Retry {
            after: answer.retry_after(),
        }
    } else {
        HangUpOutcome::Refused
    }
}

/// The outcome of a dial. What was not named as acceptance and is no refusal may have been carried
/// out, and cannot be looked for.
pub(super) fn dial(dial: &Dial, id: CallId, heard: &Heard) -> DialOutcome {
    let answer = match heard {
        Ok(answer) => answer,
        Err(Failure::Forbidden(_) | Failure::NotSent(_)) => {
            return DialOutcome::NotSent { after: None };
        }
        Err(Failure::Unknown(_)) => return DialOutcome::Unknown,
    };
    match answer.status {
        status if dial.accepted.contains(&status) => DialOutcome::Placed(Observation {
            provider_call_id: id.to_string(),
            progress: Progress::Placed,
            at: None,
            source: Source::DialAnswer,
            host: None,
        }),
        429 => DialOutcome::NotSent {
            after: answer.retry_after(),
        },
        400..=407 | 409..=499 => DialOutcome::Refused {
            reason: EndReason::ProviderRejected,
        },
        _ => DialOutcome::Unknown,
    }
}
