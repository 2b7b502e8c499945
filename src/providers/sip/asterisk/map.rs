//! Pure: what Asterisk's answers mean. The one place that knows its statuses and refusals.
//!
//! Asterisk keeps nothing of a channel that ended: its "Channel not found" is the same for one that
//! is over and one that never was. It counts as evidence of an end, in exactly Asterisk's JSON and
//! of a channel that Asterisk has placed or told of; whoever asks sees to the latter, because a
//! call has no provider's name before.

use serde_json::json;

use super::{
    super::asking::{Heard, parse},
    event,
    request::is_channel_id,
    wire::{self, is_channel_not_found},
};
use crate::{
    domain::{
        CallId,
        call::{CallStatus, EndReason},
        provider::{
            DialOutcome, FetchOutcome, HangUpOutcome, InstructOutcome, LiveCall, LiveOutcome,
            LookupOutcome, Observation, Progress, Source,
        },
    },
    outbound::{Answer, Failure},
};

/// What reading the application before a dial says.
#[derive(Debug, PartialEq)]
pub(super) enum Ready {
    /// Somebody listens.
    Yes,
    /// A channel would be placed, and its events told to nobody.
    No(DialOutcome),
}

/// Whether the application `app` is there to be told of a call.
pub(super) fn ready(app: &str, heard: &Heard) -> Ready {
    const LATER: Ready = Ready::No(DialOutcome::NotSent { after: None });
    let Ok(answer) = heard else { return LATER };
    match answer.status {
        200..=299 => match parse::<wire::Application>(&answer.body) {
            Some(application) if application.name == app => Ready::Yes,
            _ => LATER,
        },
        401 | 403 => Ready::No(DialOutcome::Refused {
            reason: EndReason::ProviderRejected,
        }),
        _ => Ready::No(DialOutcome::NotSent {
            after: answer.retry_after(),
        }),
    }
}

/// The outcome of a dial of the call `id`.
pub(super) fn dial(id: CallId, heard: &Heard) -> DialOutcome {
    const REFUSED: DialOutcome = DialOutcome::Refused {
        reason: EndReason::ProviderRejected,
    };
    let answer = match heard {
        Ok(answer) => answer,
        Err(Failure::Forbidden(_) | Failure::NotSent(_)) => {
            return DialOutcome::NotSent { after: None };
        }
        Err(Failure::Unknown(_)) => return DialOutcome::Unknown,
    };
    match answer.status {
        200..=299 => channel(&id.to_string(), &answer.body).map_or(DialOutcome::Unknown, |_| {
            DialOutcome::Placed(Observation {
                provider_call_id: id.to_string(),
                progress: Progress::Placed,
                at: None,
                source: Source::DialAnswer,
                host: None,
            })
        }),
        // The name is taken while the channel lives, so this one was placed before; 408 is a
        // proxy's, about a server that may have been slow rather than deaf.
        408 | 409 => DialOutcome::Unknown,
        429 => DialOutcome::NotSent {
            after: answer.retry_after(),
        },
        400..=499 => REFUSED,
        // An endpoint that is not configured. Nothing is placed, and nothing would be next time.
        500 if is_allocation_failed(answer) => REFUSED,
        _ => DialOutcome::Unknown,
    }
}

fn is_allocation_failed(answer: &Answer) -> bool {
    wire::words(&answer.body).is_some_and(|words| words == "Allocation failed")
}

/// The outcome of the request to hang up. Repeating it is safe, so everything that may pass is
/// asked again.
pub(super) fn hang_up(heard: &Heard) -> HangUpOutcome {
    let Ok(answer) = heard else {
        return HangUpOutcome::Retry { after: None };
    };
    match answer.status {
        200..=299 => HangUpOutcome::Accepted,
        404 if is_channel_not_found(&answer.body) => HangUpOutcome::AlreadyOver,
        // A proxy's, or Asterisk's own before its REST interface is loaded.
        404 => HangUpOutcome::NotFound,
        408 | 429 | 500..=599 => HangUpOutcome::Retry {
            after: answer.retry_after(),
        },
        _ => HangUpOutcome::Refused,
    }
}

/// The outcome of reading the channel `id`. Of one that is gone nothing is known but that; whether
/// it was `answered`, we know.
pub(super) fn fetch(id: &str, answered: bool, heard: &Heard) -> FetchOutcome {
    let Ok(answer) = heard else {
        return FetchOutcome::Unavailable { after: None };
    };
    match answer.status {
        200..=299 => channel(id, &answer.body).map_or(
            FetchOutcome::Unavailable { after: None },
            FetchOutcome::Found,
        ),
        404 if is_channel_not_found(&answer.body) => FetchOutcome::Found(gone(id, answered)),
        404 => FetchOutcome::NotFound,
        401 | 403 => FetchOutcome::Refused,
        _ => FetchOutcome::Unavailable {
            after: answer.retry_after(),
        },
    }
}

fn gone(id: &str, answered: bool) -> Observation {
    Observation {
        provider_call_id: id.to_owned(),
        progress: Progress::Ended {
            status: if answered {
                CallStatus::Completed
            } else {
                CallStatus::Canceled
            },
            connected_seconds: None,
            reason: Some(EndReason::ReconciledGone),
            cause: json!({ "message": "Channel not found" }),
        },
        at: None,
        source: Source::Fetch,
        host: None,
    }
}

/// What reading the channel that a lost dial would have made says. Exact: it has our name.
pub(super) fn lookup(id: CallId, heard: &Heard) -> LookupOutcome {
    let Ok(answer) = heard else {
        return LookupOutcome::Unavailable { after: None };
    };
    match answer.status {
        200..=299 => channel(&id.to_string(), &answer.body).map_or(
            LookupOutcome::Unavailable { after: None },
            LookupOutcome::Found,
        ),
        404 if is_channel_not_found(&answer.body) => LookupOutcome::Nothing,
        _ => LookupOutcome::Unavailable {
            after: answer.retry_after(),
        },
    }
}

/// The ids of the channels that the application is told of.
///
/// # Errors
/// What to answer instead.
pub(super) fn channels_of(app: &str, heard: &Heard) -> Result<Vec<String>, LiveOutcome> {
    let answer = readable(heard)?;
    parse::<wire::Application>(&answer.body)
        .filter(|application| application.name == app)
        .and_then(|application| application.channel_ids)
        .ok_or(LiveOutcome::Unavailable { after: None })
}

/// Those of all channels that are the application's.
pub(super) fn live(ours: &[String], heard: &Heard) -> LiveOutcome {
    let answer = match readable(heard) {
        Ok(answer) => answer,
        Err(outcome) => return outcome,
    };
    let Some(channels) = parse::<Vec<wire::Channel>>(&answer.body) else {
        return LiveOutcome::Unavailable { after: None };
    };
    let calls = channels.into_iter().filter_map(|channel| {
        let id = channel.id.filter(|id| ours.contains(id))?;
        is_channel_id(&id).then(|| LiveCall {
            call_id: id.parse().ok(),
            // The name is ours, but says nothing of which installation gave it.
            account_named: false,
            provider_call_id: id,
            host: None,
            since: channel.creationtime.as_deref().and_then(wire::instant),
        })
    });
    LiveOutcome::Page {
        calls: calls.collect(),
        next: None,
        // A channel that left the application lives on.
        whole: false,
    }
}

fn readable(heard: &Heard) -> Result<&Answer, LiveOutcome> {
    let answer = heard
        .as_ref()
        .map_err(|_no_answer| LiveOutcome::Unavailable { after: None })?;
    match answer.status {
        200..=299 => Ok(answer),
        401 | 403 => Err(LiveOutcome::Refused),
        _ => Err(LiveOutcome::Unavailable {
            after: answer.retry_after(),
        }),
    }
}

/// The outcome of a command other than to hang up.
pub(super) fn command(heard: &Heard) -> InstructOutcome {
    let Ok(answer) = heard else {
        return InstructOutcome::Retry { after: None };
    };
    match answer.status {
        200..=299 => InstructOutcome::Done,
        404 if is_channel_not_found(&answer.body) => InstructOutcome::Gone,
        // It left the application (409), or is past ringing (412): nothing is left to be done.
        409 | 412 => InstructOutcome::Gone,
        404 | 408 | 429 | 500..=599 => InstructOutcome::Retry {
            after: answer.retry_after(),
        },
        _ => InstructOutcome::Refused,
    }
}

/// The channel `id` as it stands, when a body shows it.
fn channel(id: &str, body: &[u8]) -> Option<Observation> {
    let channel = parse::<wire::Channel>(body)?;
    let its = channel.id.as_deref().filter(|its| *its == id)?;
    Some(Observation {
        provider_call_id: its.to_owned(),
        progress: event::progress(channel.state.as_deref()).unwrap_or(Progress::Placed),
        at: None,
        source: Source::Fetch,
        host: None,
    })
}
