//! Pure: what their answers mean. The one place that knows their statuses, error codes and causes.
//!
//! Nothing counts as evidence that a call is over except their own error code for it in a body that
//! is theirs, a call that names itself and has an end time, or the event of its end. That a call
//! "is not alive" is none: so is one that was dialled just now.

use serde_json::{Map, Value};
use time::Duration;

use super::{
    Keys,
    request::{Reference, is_call_id},
    wire::{self, CALL_HAS_ENDED, INVALID_CALL_CONTROL_ID, NOT_ANSWERED_YET, NOT_E164, Payload},
};
use crate::{
    domain::{
        CallId, ProviderAccountId,
        call::{CallStatus, EndReason},
        provider::{
            Description, DialOutcome, FetchOutcome, HangUpOutcome, InstructOutcome, LiveCall,
            LiveOutcome, LookupOutcome, Observation, Progress, ProviderAnswer, Source,
        },
    },
    outbound::{Answer, Failure},
    providers::{Account, DialLookup, answer::plain},
};

/// What came back: an answer, or why there is none.
pub(super) type Heard = Result<Answer, Failure>;

/// The outcome of the command to hang up. Repeating it is safe, so everything that may pass is
/// asked again.
pub(super) fn hang_up(heard: &Heard) -> HangUpOutcome {
    let Ok(answer) = heard else {
        return HangUpOutcome::Retry { after: None };
    };
    let error = wire::error(&answer.body);
    match (
        answer.status,
        error.as_ref().map(|error| error.code.as_str()),
    ) {
        // Also when the body is not understood: the status says that it was taken.
        (200..=299, _) => HangUpOutcome::Accepted,
        (422, Some(CALL_HAS_ENDED)) => HangUpOutcome::AlreadyOver,
        // With their codes 10005 and 10007 or as a proxy's bare page: either way evidence of
        // nothing. An id that never was may be another account's.
        (404, _) | (422, Some(INVALID_CALL_CONTROL_ID)) => HangUpOutcome::NotFound,
        (408 | 429 | 500..=599, _) => HangUpOutcome::Retry {
            after: retry_after(answer),
        },
        _ => HangUpOutcome::Refused,
    }
}

/// The outcome of a dial. Repeating it would be safe for 60 s and ring twice after that, so what
/// may have been carried out is [`DialOutcome::Unknown`] as everywhere.
pub(super) fn dial(heard: &Heard) -> DialOutcome {
    let answer = match heard {
        Ok(answer) => answer,
        Err(Failure::Forbidden(_) | Failure::NotSent(_)) => {
            return DialOutcome::NotSent { after: None };
        }
        Err(Failure::Unknown(_)) => return DialOutcome::Unknown,
    };
    match answer.status {
        200..=299 => wire::parse::<wire::Data<wire::Call>>(&answer.body)
            .and_then(|body| placed(&body.data, Source::DialAnswer))
            .map_or(DialOutcome::Unknown, DialOutcome::Placed),
        // Too many requests (10011) or dials (90103) a second: none was carried out.
        429 => DialOutcome::NotSent {
            after: retry_after(answer),
        },
        // 408 is a proxy's, about a server that may have been slow rather than deaf.
        400..=407 | 409..=499 => DialOutcome::Refused {
            reason: refusal(answer),
        },
        _ => DialOutcome::Unknown,
    }
}

fn refusal(answer: &Answer) -> EndReason {
    let error = wire::error(&answer.body).filter(|error| error.code == NOT_E164);
    let pointer = error.and_then(|error| error.source?.pointer);
    match pointer.as_deref() {
        Some("/to") => EndReason::InvalidDestination,
        _ => EndReason::ProviderRejected,
    }
}

/// The outcome of reading the call `id`, which they can show for ten minutes after its end.
pub(super) fn fetch(id: &str, heard: &Heard) -> FetchOutcome {
    let Ok(answer) = heard else {
        return FetchOutcome::Unavailable { after: None };
    };
    let error = wire::error(&answer.body);
    match (
        answer.status,
        error.as_ref().map(|error| error.code.as_str()),
    ) {
        (200..=299, _) => wire::parse::<wire::Data<wire::Call>>(&answer.body)
            .filter(|body| body.data.call_control_id.as_deref() == Some(id))
            .and_then(|body| observation(&body.data))
            .map_or(
                FetchOutcome::Unavailable { after: None },
                FetchOutcome::Found,
            ),
        (404, _) | (422, Some(INVALID_CALL_CONTROL_ID)) => FetchOutcome::NotFound,
        (401 | 403, _) => FetchOutcome::Refused,
        _ => FetchOutcome::Unavailable {
            after: retry_after(answer),
        },
    }
}

/// What reading a call tells of one that other software placed.
pub(super) fn described(read: FetchOutcome) -> FetchOutcome<Description> {
    match read {
        FetchOutcome::Found(observation) => FetchOutcome::Found(Description {
            observation,
            tells_progress: false,
            parties: None,
        }),
        FetchOutcome::NotFound => FetchOutcome::NotFound,
        FetchOutcome::Unavailable { after } => FetchOutcome::Unavailable { after },
        FetchOutcome::Unsupported => FetchOutcome::Unsupported,
        FetchOutcome::Refused => FetchOutcome::Refused,
    }
}

/// What a page of active calls tells of a lost dial.
#[derive(Debug, PartialEq)]
pub(super) enum Page {
    Tells(LookupOutcome),
    /// It is not on this page; the cursor of the next.
    GoesOn(String),
}

/// Reads a page of active calls. Exact: the call that carries our id is ours, whatever its numbers
/// and time; "nothing" is said of the last page only.
pub(super) fn lookup(
    account_id: ProviderAccountId,
    lookup: &DialLookup<'_>,
    heard: &Heard,
) -> Page {
    const UNCLEAR: Page = Page::Tells(LookupOutcome::Unavailable { after: None });
    let Ok(answer) = heard else {
        return UNCLEAR;
    };
    if !(200..=299).contains(&answer.status) {
        let after = retry_after(answer);
        return Page::Tells(LookupOutcome::Unavailable { after });
    }
    let Some(list) = wire::parse::<wire::CallList>(&answer.body) else {
        return UNCLEAR;
    };
    let ours = |call: &&wire::Call| referenced(call, account_id).0 == Some(lookup.call_id);
    let mut fitting: Vec<Observation> = list
        .data
        .iter()
        .filter(ours)
        .filter_map(|call| placed(call, Source::Fetch))
        .collect();
    let (has_next, cursor) = list.meta.map_or((false, None), |meta| {
        let cursor = meta.cursors.and_then(|cursors| cursors.after);
        (meta.next.is_some(), cursor)
    });
    match (fitting.len(), fitting.pop(), has_next, cursor) {
        (several @ 2.., ..) => Page::Tells(LookupOutcome::Ambiguous(several)),
        (_, Some(observation), ..) => Page::Tells(LookupOutcome::Found(observation)),
        (_, None, true, Some(cursor)) => Page::GoesOn(cursor),
        (_, None, true, None) => UNCLEAR,
        (_, None, false, _) => Page::Tells(LookupOutcome::Nothing),
    }
}

/// The call of ours that a call names, unless it names another account of ours; and whether it
/// names this one.
fn referenced(call: &wire::Call, account_id: ProviderAccountId) -> (Option<CallId>, bool) {
    let reference = call.client_state.as_deref().and_then(Reference::read);
    reference.map_or((None, false), |reference| {
        (reference.within(account_id), reference.names(account_id))
    })
}

/// A page of the calls that live on the connection: all of them, for a connection is in one place.
pub(super) fn live(account_id: ProviderAccountId, heard: &Heard) -> LiveOutcome {
    const UNCLEAR: LiveOutcome = LiveOutcome::Unavailable { after: None };
    let Ok(answer) = heard else { return UNCLEAR };
    match answer.status {
        200..=299 => {}
        401 | 403 => return LiveOutcome::Refused,
        _ => {
            let after = retry_after(answer);
            return LiveOutcome::Unavailable { after };
        }
    }
    let Some(list) = wire::parse::<wire::CallList>(&answer.body) else {
        return UNCLEAR;
    };
    let calls = list.data.iter().filter_map(|call| {
        let (call_id, account_named) = referenced(call, account_id);
        Some(LiveCall {
            provider_call_id: call.call_control_id.clone().filter(|id| is_call_id(id))?,
            call_id,
            account_named,
            host: None,
            since: call.start_time.as_deref().and_then(wire::instant),
        })
    });
    let calls = calls.collect();
    match list.meta {
        Some(meta) if meta.next.is_some() => match meta.cursors.and_then(|it| it.after) {
            Some(next) => LiveOutcome::Page {
                calls,
                next: Some(next),
                whole: true,
            },
            None => UNCLEAR,
        },
        _ => LiveOutcome::Page {
            calls,
            next: None,
            whole: true,
        },
    }
}

/// The outcome of a command other than to hang up. The same command again is ignored by them, or
/// refused as out of place: either way it does no harm.
pub(super) fn command(heard: &Heard) -> InstructOutcome {
    let Ok(answer) = heard else {
        return InstructOutcome::Retry { after: None };
    };
    let error = wire::error(&answer.body);
    match (
        answer.status,
        error.as_ref().map(|error| error.code.as_str()),
    ) {
        (200..=299, _) => InstructOutcome::Done,
        (404, _) | (422, Some(CALL_HAS_ENDED | INVALID_CALL_CONTROL_ID)) => InstructOutcome::Gone,
        (408 | 429 | 500..=599, _) | (422, Some(NOT_ANSWERED_YET)) => InstructOutcome::Retry {
            after: retry_after(answer),
        },
        _ => InstructOutcome::Refused,
    }
}

/// What they literally said, for the receipt.
pub(super) fn answer(account: &Account, heard: &Heard) -> ProviderAnswer {
    let secrets = Keys::of(account).map_or_else(Vec::new, Keys::secrets);
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
            ..ProviderAnswer::default()
        };
    }
    let error = wire::error(&answer.body);
    let code = error
        .as_ref()
        .and_then(|error| plain(&error.code, &secrets));
    let words = match error {
        Some(error) => error.detail.or(error.title).unwrap_or_default(),
        None => String::from_utf8_lossy(&answer.body).into_owned(),
    };
    ProviderAnswer {
        status,
        code,
        message: plain(&words, &secrets),
    }
}

/// How a call ended, by the event of its end.
///
/// Their word for the cause decides; where they have none, or a new one, the SIP status does. They
/// do not say there for how long it was answered: `start_time` is when the call began, not when it
/// was taken.
pub(super) fn ended(payload: &Payload) -> Progress {
    let sip = payload.sip_hangup_cause.as_deref();
    let (status, reason) = match payload.hangup_cause.as_deref() {
        Some("normal_clearing") => (CallStatus::Completed, None),
        Some("time_limit") => (CallStatus::Completed, Some(EndReason::MaxDuration)),
        Some("originator_cancel") => (CallStatus::Canceled, None),
        Some("user_busy") => (CallStatus::Busy, None),
        Some("no_answer" | "timeout") => (CallStatus::NoAnswer, None),
        Some("call_rejected") => (CallStatus::Failed, Some(EndReason::Declined)),
        Some("not_found") => (CallStatus::Failed, Some(EndReason::InvalidDestination)),
        _ => by_sip(sip),
    };
    let cause: Map<String, Value> = [
        ("hangup_cause", payload.hangup_cause.as_deref()),
        ("hangup_source", payload.hangup_source.as_deref()),
        ("sip_hangup_cause", sip),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?.replace('\0', "")))))
    .collect();
    Progress::Ended {
        status,
        connected_seconds: None,
        reason,
        cause: cause.into(),
    }
}

/// The final SIP status of a call as its end (RFC 3261 section 21).
fn by_sip(status: Option<&str>) -> (CallStatus, Option<EndReason>) {
    match status {
        Some("200") => (CallStatus::Completed, None),
        Some("486" | "600") => (CallStatus::Busy, None),
        Some("408" | "480") => (CallStatus::NoAnswer, None),
        Some("487") => (CallStatus::Canceled, None),
        Some("603") => (CallStatus::Failed, Some(EndReason::Declined)),
        Some("404" | "484" | "604") => (CallStatus::Failed, Some(EndReason::InvalidDestination)),
        _ => (CallStatus::Failed, None),
    }
}

/// A call that certainly exists. How far it has come they do not say, here or when it is read.
fn placed(call: &wire::Call, source: Source) -> Option<Observation> {
    let id = call.call_control_id.clone().filter(|id| is_call_id(id))?;
    Some(Observation {
        provider_call_id: id,
        progress: Progress::Placed,
        at: call.start_time.as_deref().and_then(wire::instant),
        source,
        host: None,
    })
}

/// What reading a call shows. Over are only calls with an end time that are not alive; whether one
/// that is alive was answered cannot be told. Of one that lasted no whole second neither: it counts
/// as canceled.
fn observation(call: &wire::Call) -> Option<Observation> {
    let ended_at = call.end_time.as_deref().and_then(wire::instant);
    let Some(ended_at) = ended_at.filter(|_| call.is_alive == Some(false)) else {
        return placed(call, Source::Fetch);
    };
    let seconds = call.call_duration.filter(|seconds| *seconds >= 0);
    Some(Observation {
        provider_call_id: call.call_control_id.clone()?,
        progress: Progress::Ended {
            status: if seconds.is_some_and(|seconds| seconds > 0) {
                CallStatus::Completed
            } else {
                CallStatus::Canceled
            },
            connected_seconds: seconds,
            reason: None,
            cause: Value::Object(Map::new()),
        },
        at: Some(ended_at),
        source: Source::Fetch,
        host: None,
    })
}

/// When to ask again: `Retry-After`, or else, when there was too much, the seconds until their rate
/// limit is reset.
fn retry_after(answer: &Answer) -> Option<Duration> {
    let reset = || {
        let seconds = answer.header("x-ratelimit-reset")?.trim();
        Some(Duration::seconds(seconds.parse::<u32>().ok()?.into()))
    };
    let throttled = answer.status == 429;
    answer
        .retry_after()
        .or_else(|| throttled.then(reset).flatten())
}
