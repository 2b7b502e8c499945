//! Pure: what jambonz's answers mean. The one place that knows its statuses and words.
//!
//! A refusal to change a call is status 422 with a sentence in plain text that names the call: only
//! that sentence counts.

use serde_json::{Map, Value};

use super::{
    super::asking::{Heard, parse},
    request::is_call_sid,
    wire::{self, Call},
};
use crate::{
    domain::{
        call::{CallStatus, EndReason},
        provider::{
            DialOutcome, FetchOutcome, HangUpOutcome, LiveCall, LiveOutcome, LookupOutcome,
            Observation, Progress, Source,
        },
    },
    outbound::{Answer, Failure},
    providers::DialLookup,
};

/// What the answer to a request to end a call says.
#[derive(Debug, PartialEq)]
pub(super) enum HungUp {
    Tells(HangUpOutcome),
    /// The word was for another state of the call.
    WrongState,
}

/// The outcome of a request to end the call `id`.
pub(super) fn hang_up(id: &str, heard: &Heard) -> HungUp {
    let Ok(answer) = heard else {
        return HungUp::Tells(HangUpOutcome::Retry { after: None });
    };
    HungUp::Tells(match answer.status {
        200..=299 => HangUpOutcome::Accepted,
        422 if says(answer, "call session is gone", id) => HangUpOutcome::AlreadyOver,
        422 if says(answer, "current call state is incompatible", id) => return HungUp::WrongState,
        // Its record ran out, or it never was here.
        404 => HangUpOutcome::NotFound,
        408 | 429 | 500..=599 => HangUpOutcome::Retry {
            after: answer.retry_after(),
        },
        _ => HangUpOutcome::Refused,
    })
}

fn says(answer: &Answer, sentence: &str, id: &str) -> bool {
    let text = String::from_utf8_lossy(&answer.body);
    text.trim_start().starts_with(sentence) && text.contains(id)
}

/// The outcome of a dial, which has no name of ours: what may have been carried out is unknown.
pub(super) fn dial(heard: &Heard) -> DialOutcome {
    let answer = match heard {
        Ok(answer) => answer,
        Err(Failure::Forbidden(_) | Failure::NotSent(_)) => {
            return DialOutcome::NotSent { after: None };
        }
        Err(Failure::Unknown(_)) => return DialOutcome::Unknown,
    };
    match answer.status {
        200..=299 => parse::<wire::Placed>(&answer.body)
            .filter(|placed| is_call_sid(&placed.sid))
            .map_or(DialOutcome::Unknown, |placed| {
                DialOutcome::Placed(Observation {
                    provider_call_id: placed.sid,
                    progress: Progress::Placed,
                    at: None,
                    source: Source::DialAnswer,
                    host: None,
                })
            }),
        // Too many requests, or nobody there to place it (480): it was not.
        429 | 480 => DialOutcome::NotSent {
            after: answer.retry_after(),
        },
        // A proxy's, about a server that may have been slow rather than deaf.
        408 => DialOutcome::Unknown,
        400..=499 => DialOutcome::Refused {
            reason: EndReason::ProviderRejected,
        },
        _ => DialOutcome::Unknown,
    }
}

/// The outcome of reading the call `id`, whose record is kept for a while after its end.
pub(super) fn fetch(id: &str, heard: &Heard) -> FetchOutcome {
    let Ok(answer) = heard else {
        return FetchOutcome::Unavailable { after: None };
    };
    match answer.status {
        200..=299 => parse::<Call>(&answer.body)
            .filter(|call| call.call_sid.as_deref() == Some(id))
            .and_then(|call| observation(&call, Source::Fetch))
            .map_or(
                FetchOutcome::Unavailable { after: None },
                FetchOutcome::Found,
            ),
        404 => FetchOutcome::NotFound,
        401 | 403 => FetchOutcome::Refused,
        _ => FetchOutcome::Unavailable {
            after: answer.retry_after(),
        },
    }
}

/// Looks for a lost dial among all calls: by our reference. One without any reference counts when
/// it alone has the numbers, for not every version of jambonz lists them.
pub(super) fn lookup(lookup: &DialLookup<'_>, heard: &Heard) -> LookupOutcome {
    let Ok(answer) = heard else {
        return LookupOutcome::Unavailable { after: None };
    };
    if !(200..=299).contains(&answer.status) {
        return LookupOutcome::Unavailable {
            after: answer.retry_after(),
        };
    }
    let Some(calls) = parse::<Vec<Call>>(&answer.body) else {
        return LookupOutcome::Unavailable { after: None };
    };
    let is_ours = |call: &&Call| call.reference() == Some(lookup.call_id);
    let may_be_ours = |call: &&Call| {
        call.customer_data.is_none()
            && call.direction.as_deref() == Some("outbound")
            && is_number(call.from.as_deref(), lookup.from.reveal())
            && is_number(call.to.as_deref(), lookup.to.reveal())
            && call
                .call_sid
                .as_ref()
                .is_some_and(|sid| !lookup.known.contains(sid))
    };
    let mut fitting: Vec<&Call> = calls.iter().filter(is_ours).collect();
    if fitting.is_empty() {
        fitting = calls.iter().filter(may_be_ours).collect();
    }
    match fitting.as_slice() {
        [] => LookupOutcome::Nothing,
        [only] => observation(only, Source::Fetch).map_or(
            LookupOutcome::Unavailable { after: None },
            LookupOutcome::Found,
        ),
        several => LookupOutcome::Ambiguous(several.len()),
    }
}

/// Trunks differ in whether they keep the plus.
fn is_number(text: Option<&str>, number: &str) -> bool {
    text.is_some_and(|text| text.trim_start_matches('+') == number.trim_start_matches('+'))
}

/// The calls that live.
pub(super) fn live(heard: &Heard) -> LiveOutcome {
    let Ok(answer) = heard else {
        return LiveOutcome::Unavailable { after: None };
    };
    match answer.status {
        200..=299 => {}
        401 | 403 => return LiveOutcome::Refused,
        _ => {
            let after = answer.retry_after();
            return LiveOutcome::Unavailable { after };
        }
    }
    let Some(calls) = parse::<Vec<Call>>(&answer.body) else {
        return LiveOutcome::Unavailable { after: None };
    };
    let calls = calls.into_iter().filter_map(|call| {
        let lives = !matches!(progress(&call)?, Progress::Ended { .. });
        let call_id = call.reference();
        let id = call.call_sid.filter(|sid| lives && is_call_sid(sid))?;
        Some(LiveCall {
            provider_call_id: id,
            call_id,
            account_named: false,
            host: None,
            since: None,
        })
    });
    LiveOutcome::Page {
        calls: calls.collect(),
        next: None,
        whole: true,
    }
}

/// What a call shows; `None` when it does not say which it is or how it is.
pub(super) fn observation(call: &Call, source: Source) -> Option<Observation> {
    Some(Observation {
        provider_call_id: call.call_sid.clone().filter(|sid| is_call_sid(sid))?,
        progress: progress(call)?,
        // They tell no times.
        at: None,
        source,
        host: None,
    })
}

fn progress(call: &Call) -> Option<Progress> {
    let (status, reason) = match call.call_status.as_deref()? {
        "trying" | "queued" => return Some(Progress::Placed),
        "ringing" | "alerting" | "early-media" => return Some(Progress::Ringing),
        "in-progress" => return Some(Progress::Answered),
        "completed" => (CallStatus::Completed, None),
        "busy" => (CallStatus::Busy, None),
        "no-answer" => (CallStatus::NoAnswer, None),
        "failed" => by_sip_status(call.sip_status),
        _ => return None,
    };
    let answered = status == CallStatus::Completed;
    Some(Progress::Ended {
        status,
        connected_seconds: call.duration.filter(|seconds| answered && *seconds >= 0),
        reason,
        cause: cause(call),
    })
}

/// RFC 3261 section 21.
fn by_sip_status(status: Option<i64>) -> (CallStatus, Option<EndReason>) {
    match status {
        Some(486 | 600) => (CallStatus::Busy, None),
        Some(408 | 480) => (CallStatus::NoAnswer, None),
        Some(487) => (CallStatus::Canceled, None),
        Some(603 | 607) => (CallStatus::Failed, Some(EndReason::Declined)),
        Some(404 | 410 | 484 | 604) => (CallStatus::Failed, Some(EndReason::InvalidDestination)),
        _ => (CallStatus::Failed, None),
    }
}

fn cause(call: &Call) -> Value {
    let text = |text: &Option<String>| text.as_deref().map(|text| text.replace('\0', "").into());
    let members: Map<String, Value> = [
        ("call_status", text(&call.call_status)),
        ("sip_status", call.sip_status.map(Value::from)),
        ("sip_reason", text(&call.sip_reason)),
        ("call_termination_by", text(&call.call_termination_by)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect();
    members.into()
}
