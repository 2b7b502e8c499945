//! The words in which a call's end is told: what a reason stands for, what showed the end, the story in
//! a sentence. What happened in which order is in `why.rs`.

use super::{Call, EndReason, why::millis};
use crate::domain::provider::Source;

/// What showed that the call is over.
pub(super) fn evidence(call: &Call) -> &'static str {
    let confirmed_by = call.wish.as_ref().and_then(|wish| wish.confirmed_by);
    match (confirmed_by, call.ended_reason) {
        (Some(Source::Callback), _) => "shown by a signed callback of the provider",
        (Some(Source::Fetch), _) => "shown by a read at the provider",
        (Some(Source::Listing), _) | (None, Some(EndReason::ReconciledGone)) => {
            "shown by the provider's list of live calls, which lacks it"
        }
        (Some(Source::Socket), _) => "told by the provider over its websocket",
        (Some(Source::HangUpAnswer), _) => "shown by the provider's answer to the hang-up",
        (Some(Source::DialAnswer), _) => "shown by the provider's answer to the dial",
        (Some(Source::NeverDialed), _) => "the provider was never asked to dial",
        (None, _) => "reported by the provider",
    }
}

/// The story in one or two sentences.
pub(super) fn summary(call: &Call, hang_ups: usize) -> String {
    let asked = match hang_ups {
        0 => "the provider was not asked to hang up".to_owned(),
        1 => format!("{} was asked once to hang up", call.provider.as_str()),
        n => format!("{} was asked {n} times to hang up", call.provider.as_str()),
    };
    match (&call.wish, call.ended_at) {
        (None, None) => format!(
            "The call is {} and nobody has asked for its end.",
            call.status.as_str()
        ),
        (Some(wish), None) => format!(
            "{} asked for the end at {} ({}); {asked}, and there is no evidence yet that the call is over.",
            wish.initiator,
            wish.requested_at,
            wish.reason.as_str()
        ),
        (Some(wish), Some(ended_at)) => {
            let latency = call.end_latency().map_or_else(String::new, |(latency, _)| {
                format!(", {} ms after the wish", millis(latency))
            });
            format!(
                "{} ended the call at {ended_at} ({}); {asked}. It is over, {}{latency}.",
                wish.initiator,
                wish.reason.as_str(),
                evidence(call)
            )
        }
        (None, Some(ended_at)) => format!(
            "The call ended by itself at {ended_at} as {} ({}), {}.",
            call.status.as_str(),
            call.ended_reason.map_or("unknown", EndReason::as_str),
            evidence(call)
        ),
    }
}

/// What a reason stands for, in words.
pub(super) fn rule(reason: EndReason) -> &'static str {
    match reason {
        EndReason::RemoteHangup => "The other party hung up.",
        EndReason::AgentHangup => "The agent hung up.",
        EndReason::EndedByApi => "A program ended it by the API.",
        EndReason::AdminCancel => "The operator of the deployment canceled it.",
        EndReason::EndedByOperator => "A person of the organisation ended it.",
        EndReason::EndedByLink => "Somebody used a link that ends it.",
        EndReason::EndedByBulk => "It was one of many that were ended at once.",
        EndReason::CanceledByApi => {
            "A program ended it before the provider was asked to dial: nothing rang."
        }
        EndReason::MaxDuration => "It had lasted as long as its limit allows.",
        EndReason::RingTimeout => "It had rung for as long as its limit allows.",
        EndReason::SilenceTimeout => "Nobody had spoken for as long as is allowed.",
        EndReason::ScheduledEnd => "Its end was scheduled.",
        EndReason::BudgetExceeded => "The budget was spent.",
        EndReason::Fenced => "Calls of its kind were fenced off.",
        EndReason::NoAnswer => "Nobody answered.",
        EndReason::Busy => "The other party was busy.",
        EndReason::Declined => "The other party declined it.",
        EndReason::InvalidDestination => "The number cannot be called.",
        EndReason::ProviderRejected => "The provider refused to place it.",
        EndReason::ProviderError => "The provider failed.",
        EndReason::MediaError => "The media failed.",
        EndReason::AiError => "The agent's model failed.",
        EndReason::PlatformError => "Something failed on our side.",
        EndReason::ReconciledGone => {
            "The provider had it no more, and cannot say since when: it counts as over since the last evidence that it lived."
        }
        EndReason::Unknown => "The provider did not say why.",
    }
}
