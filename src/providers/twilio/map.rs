//! Pure: what their answers mean. The one place that knows their statuses and error codes.
//!
//! Nothing counts as evidence that a call is over except a call resource that names the call and
//! shows a terminal status, or their own error code for it in a body that is theirs. A status word
//! that we do not know teaches nothing.

use serde_json::{Value, json};

use super::{
    Keys,
    request::{CLOCK_TOLERANCE, Place, is_sid},
    wire::{self, CALL_NOT_IN_PROGRESS, INVALID_TO},
};
use crate::{
    domain::{
        Timestamp,
        call::{CallStatus, Direction, EndReason},
        provider::{
            Description, DialOutcome, FetchOutcome, HangUpOutcome, LiveCall, LiveOutcome,
            LookupOutcome, Observation, Parties, Progress, ProviderAnswer, Source,
        },
    },
    outbound::{Answer, Failure},
    providers::{Account, DialLookup, answer::plain},
};

/// What came back: an answer, or why there is none.
pub(super) type Heard = Result<Answer, Failure>;

/// The outcome of `Status=completed` for the call `sid`. Repeating it is safe, so everything that
/// may pass is asked again.
pub(super) fn hang_up(sid: &str, heard: &Heard) -> HangUpOutcome {
    let Ok(answer) = heard else {
        return HangUpOutcome::Retry { after: None };
    };
    match (answer.status, error_code(answer)) {
        (200..=299, _) => match call_named(sid, answer, Source::HangUpAnswer) {
            Some(observation) if matches!(observation.progress, Progress::Ended { .. }) => {
                HangUpOutcome::Ended(observation)
            }
            // Also when the body is not understood: the status says that it was taken.
            _ => HangUpOutcome::Accepted,
        },
        (400, Some(CALL_NOT_IN_PROGRESS)) => HangUpOutcome::AlreadyOver,
        // With their code 20404 or as a proxy's bare page: either way evidence of nothing. Another
        // region, another account and a deleted record look the same.
        (404, _) => HangUpOutcome::NotFound,
        (408 | 429 | 500..=599, _) => HangUpOutcome::Retry {
            after: answer.retry_after(),
        },
        _ => HangUpOutcome::Refused,
    }
}

/// The outcome of a create. There is no idempotency key: what may have been carried out is
/// [`DialOutcome::Unknown`].
pub(super) fn dial(heard: &Heard) -> DialOutcome {
    let answer = match heard {
        Ok(answer) => answer,
        Err(Failure::Forbidden(_) | Failure::NotSent(_)) => {
            return DialOutcome::NotSent { after: None };
        }
        Err(Failure::Unknown(_)) => return DialOutcome::Unknown,
    };
    match (answer.status, error_code(answer)) {
        (200..=299, _) => wire::parse(&answer.body)
            .and_then(|call| placed(&call, Source::DialAnswer))
            .map_or(DialOutcome::Unknown, DialOutcome::Placed),
        // "Never processed" (their 20429).
        (429, _) => DialOutcome::NotSent {
            after: answer.retry_after(),
        },
        (400, Some(code)) if INVALID_TO.contains(&code) => DialOutcome::Refused {
            reason: EndReason::InvalidDestination,
        },
        // 408 is a proxy's, about a server that may have been slow rather than deaf.
        (400..=407 | 409..=499, _) => DialOutcome::Refused {
            reason: EndReason::ProviderRejected,
        },
        _ => DialOutcome::Unknown,
    }
}

/// The outcome of reading the call `sid`.
pub(super) fn fetch(sid: &str, heard: &Heard) -> FetchOutcome {
    let Ok(answer) = heard else {
        return FetchOutcome::Unavailable { after: None };
    };
    match answer.status {
        200..=299 => call_named(sid, answer, Source::Fetch).map_or(
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

/// What reading the call `sid` tells of one that other software placed.
pub(super) fn describe(sid: &str, heard: &Heard) -> FetchOutcome<Description> {
    match fetch(sid, heard) {
        FetchOutcome::Found(observation) => FetchOutcome::Found(Description {
            observation,
            tells_progress: true,
            parties: heard.as_ref().ok().and_then(parties),
        }),
        FetchOutcome::NotFound => FetchOutcome::NotFound,
        FetchOutcome::Unavailable { after } => FetchOutcome::Unavailable { after },
        FetchOutcome::Unsupported => FetchOutcome::Unsupported,
        FetchOutcome::Refused => FetchOutcome::Refused,
    }
}

fn parties(answer: &Answer) -> Option<Parties> {
    let call = wire::parse::<wire::Call>(&answer.body)?;
    let direction = match call.direction.as_deref()? {
        "inbound" | "trunking-originating" => Direction::Inbound,
        "outbound-api" | "outbound-dial" | "trunking-terminating" => Direction::Outbound,
        _ => return None,
    };
    Some(Parties {
        direction,
        from: call.from?,
        to: call.to?,
    })
}

/// The outcome of listing calls to find a lost dial.
///
/// "Nothing" and "one" are said only of a list that is known to cover the whole time in question:
/// its last page, or one that reaches back beyond it (they list the newest first).
pub(super) fn lookup(lookup: &DialLookup<'_>, heard: &Heard) -> LookupOutcome {
    const UNCLEAR: LookupOutcome = LookupOutcome::Unavailable { after: None };
    let Ok(answer) = heard else {
        return UNCLEAR;
    };
    if !(200..=299).contains(&answer.status) {
        let after = answer.retry_after();
        return LookupOutcome::Unavailable { after };
    }
    let Some(list) = wire::parse::<wire::CallList>(&answer.body) else {
        return UNCLEAR;
    };
    let earliest = lookup.since.plus(-CLOCK_TOLERANCE);
    let latest = lookup.until.plus(CLOCK_TOLERANCE);
    let mut covered = list.next_page_uri.is_none();
    let mut fitting = Vec::new();
    for call in &list.calls {
        let created = call.date_created.as_deref().and_then(wire::instant);
        let (Some(created), Some(observation)) = (created, placed(call, Source::Fetch)) else {
            return UNCLEAR;
        };
        covered |= created < earliest;
        let ours = call.direction.as_deref() == Some("outbound-api")
            && !lookup.known.contains(&observation.provider_call_id);
        if ours && (earliest..=latest).contains(&created) {
            fitting.push(observation);
        }
    }
    match (fitting.len(), fitting.pop()) {
        (several @ 2.., _) => LookupOutcome::Ambiguous(several),
        _ if !covered => UNCLEAR,
        (_, Some(observation)) => LookupOutcome::Found(observation),
        (_, None) => LookupOutcome::Nothing,
    }
}

/// A page of the calls that live. They hand no reference of ours back.
pub(super) fn live(cursor: Option<&str>, heard: &Heard) -> LiveOutcome {
    const UNCLEAR: LiveOutcome = LiveOutcome::Unavailable { after: None };
    let Ok(answer) = heard else { return UNCLEAR };
    match answer.status {
        200..=299 => {}
        401 | 403 => return LiveOutcome::Refused,
        _ => {
            let after = answer.retry_after();
            return LiveOutcome::Unavailable { after };
        }
    }
    let list = wire::parse::<wire::CallList>(&answer.body);
    let (Some(list), Some(place)) = (list, Place::of(cursor)) else {
        return UNCLEAR;
    };
    let calls = list.calls.iter().filter_map(|call| {
        Some(LiveCall {
            provider_call_id: call.sid.clone().filter(|sid| is_sid(sid))?,
            call_id: None,
            account_named: false,
            host: None,
            since: created(call),
        })
    });
    LiveOutcome::Page {
        calls: calls.collect(),
        next: place.next(list.next_page_uri.as_deref()),
        // Other regions keep theirs.
        whole: false,
    }
}

/// What they literally said, for the receipt.
pub(super) fn answer(account: &Account, heard: &Heard) -> ProviderAnswer {
    let keys = Keys::of(account);
    let secrets = keys.map_or_else(Vec::new, |keys| keys.secrets(&account.external_id));
    let answer = match heard {
        Ok(answer) => answer,
        Err(failure) => {
            return ProviderAnswer {
                status: None,
                code: None,
                message: plain(&failure.to_string(), &secrets),
            };
        }
    };
    let status = Some(answer.status);
    if (200..=299).contains(&answer.status) {
        return ProviderAnswer {
            status,
            code: None,
            message: None,
        };
    }
    let error = wire::parse::<wire::Error>(&answer.body);
    let code = error.as_ref().map(|error| error.code.to_string());
    let words = match error {
        Some(error) => error.message.unwrap_or_default(),
        None => String::from_utf8_lossy(&answer.body).into_owned(),
    };
    ProviderAnswer {
        status,
        code,
        message: plain(&words, &secrets),
    }
}

/// What a report says about a call's end, beside its status.
pub(super) struct Ending<'a> {
    pub(super) connected_seconds: Option<&'a str>,
    pub(super) sip_response_code: Option<&'a str>,
    pub(super) cause: Value,
}

/// Their status word as progress; `None` for a word that we do not know.
pub(super) fn progress(status: &str, ending: Ending<'_>) -> Option<Progress> {
    let status = match status {
        "queued" | "initiated" => return Some(Progress::Placed),
        "ringing" => return Some(Progress::Ringing),
        "in-progress" => return Some(Progress::Answered),
        "completed" => CallStatus::Completed,
        "busy" => CallStatus::Busy,
        "failed" => CallStatus::Failed,
        "no-answer" => CallStatus::NoAnswer,
        "canceled" => CallStatus::Canceled,
        _ => return None,
    };
    let completed = status == CallStatus::Completed;
    let seconds = ending.connected_seconds.filter(|_| completed);
    let sip = ending.sip_response_code.filter(|_| !completed);
    Some(Progress::Ended {
        status,
        connected_seconds: seconds
            .and_then(|text| text.parse().ok())
            .filter(|seconds| *seconds >= 0),
        reason: sip
            .and_then(sip_reason)
            .filter(|reason| *reason != EndReason::of_natural_end(status)),
        cause: ending.cause,
    })
}

/// The far end's SIP response as a reason (RFC 3261 section 21).
fn sip_reason(code: &str) -> Option<EndReason> {
    match code {
        "486" | "600" => Some(EndReason::Busy),
        "603" => Some(EndReason::Declined),
        "404" | "484" | "604" => Some(EndReason::InvalidDestination),
        _ => None,
    }
}

fn error_code(answer: &Answer) -> Option<u32> {
    wire::parse::<wire::Error>(&answer.body).map(|error| error.code)
}

/// What an answer says about the call `sid`; `None` when it is about no call, another one, or in
/// a word that we do not know.
fn call_named(sid: &str, answer: &Answer, source: Source) -> Option<Observation> {
    let call = wire::parse::<wire::Call>(&answer.body)?;
    let about_it = call.sid.as_deref() == Some(sid);
    observation(&call, source).filter(|_| about_it)
}

/// A call that certainly exists: a status word that we do not know takes nothing from that.
fn placed(call: &wire::Call, source: Source) -> Option<Observation> {
    let existing = || {
        Some(Observation {
            provider_call_id: call.sid.clone()?,
            progress: Progress::Placed,
            at: created(call),
            source,
            host: None,
        })
    };
    observation(call, source).or_else(existing)
}

fn observation(call: &wire::Call, source: Source) -> Option<Observation> {
    let (sid, status) = (call.sid.as_ref()?, call.status.as_ref()?);
    let ending = Ending {
        connected_seconds: call.duration.as_deref(),
        sip_response_code: None,
        cause: cause(call, status),
    };
    let progress = progress(status, ending)?;
    let at = match &progress {
        Progress::Placed => created(call),
        // Their `start_time` is not documented to be either moment.
        Progress::Ringing | Progress::Answered => None,
        Progress::Ended { .. } => call.end_time.as_deref().and_then(wire::instant),
    };
    Some(Observation {
        provider_call_id: sid.clone(),
        progress,
        at,
        source,
        host: None,
    })
}

/// Their word for the end, and what they charge where they say it already.
fn cause(call: &wire::Call, status: &str) -> Value {
    match &call.price {
        Some(price) => {
            json!({ "status": status, "price": price, "price_unit": call.price_unit })
        }
        None => json!({ "status": status }),
    }
}

fn created(call: &wire::Call) -> Option<Timestamp> {
    call.date_created.as_deref().and_then(wire::instant)
}
