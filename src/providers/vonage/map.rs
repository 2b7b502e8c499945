//! Pure: what their answers mean. The one place that knows their statuses and words.
//!
//! Nothing counts as evidence that a call is over except a call that names itself and shows a
//! terminal status, in an answer or in an event. Their refusals have no codes, and a call that is
//! over, one that never was and one of another region are refused alike, with 404.

use serde_json::{Map, Value, json};

use super::{
    Keys,
    keys::is_uuid,
    request::{CLOCK_TOLERANCE, Place, digits},
    wire,
};
use crate::{
    domain::{
        call::{CallStatus, EndReason},
        provider::{
            DialOutcome, FetchOutcome, HangUpOutcome, LiveCall, LiveOutcome, LookupOutcome,
            Observation, Progress, ProviderAnswer, Source,
        },
    },
    outbound::{Answer, Failure},
    providers::{Account, DialLookup, answer::plain},
};

/// What came back: an answer, or why there is none.
pub(super) type Heard = Result<Answer, Failure>;

/// The outcome of the action `hangup`. Repeating it is safe, so everything that may pass is asked
/// again.
pub(super) fn hang_up(heard: &Heard) -> HangUpOutcome {
    let Ok(answer) = heard else {
        return HangUpOutcome::Retry { after: None };
    };
    match answer.status {
        // 204; a body would not be understood, but the status says that it was taken.
        200..=299 => HangUpOutcome::Accepted,
        // Over, unknown, in another region, or a proxy's page: whoever asked reads the call.
        404 => HangUpOutcome::NotFound,
        408 | 429 | 500..=599 => HangUpOutcome::Retry {
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
    match answer.status {
        200..=299 => wire::parse(&answer.body)
            .and_then(|call| placed(&call, Source::DialAnswer))
            .map_or(DialOutcome::Unknown, DialOutcome::Placed),
        // More than the calls a second that the account may create.
        429 => DialOutcome::NotSent {
            after: answer.retry_after(),
        },
        // 408 is a proxy's, about a server that may have been slow rather than deaf.
        400..=407 | 409..=499 => DialOutcome::Refused {
            reason: refusal(answer),
        },
        _ => DialOutcome::Unknown,
    }
}

/// Whether it is the number to call that they do not like.
fn refusal(answer: &Answer) -> EndReason {
    let named = match wire::error(&answer.body).and_then(|error| error.invalid_parameters) {
        Some(Value::Object(parameters)) => parameters.keys().any(|name| is_destination(name)),
        Some(Value::Array(parameters)) => parameters
            .iter()
            .filter_map(|parameter| parameter.get("name")?.as_str())
            .any(is_destination),
        _ => false,
    };
    if answer.status == 400 && named {
        EndReason::InvalidDestination
    } else {
        EndReason::ProviderRejected
    }
}

/// `to`, or what is inside of it, as in `to[0].number`.
fn is_destination(parameter: &str) -> bool {
    parameter
        .strip_prefix("to")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
}

/// The outcome of reading the call `id`.
pub(super) fn fetch(id: &str, heard: &Heard) -> FetchOutcome {
    const UNCLEAR: FetchOutcome = FetchOutcome::Unavailable { after: None };
    let Ok(answer) = heard else { return UNCLEAR };
    match answer.status {
        200..=299 => wire::parse::<wire::Call>(&answer.body)
            .filter(|call| call.uuid.as_deref() == Some(id))
            .and_then(|call| observation(&call, Source::Fetch))
            .map_or(UNCLEAR, FetchOutcome::Found),
        404 => FetchOutcome::NotFound,
        401 | 403 => FetchOutcome::Refused,
        _ => FetchOutcome::Unavailable {
            after: answer.retry_after(),
        },
    }
}

/// What a page of calls tells of a lost dial.
#[derive(Debug, PartialEq)]
pub(super) enum Page {
    /// Those that fit, and from which record on the list continues; `None`: it ends here.
    Read(Vec<Observation>, Option<usize>),
    Unclear(LookupOutcome),
}

/// Reads the page from record `index` on. They hand nothing of ours back, so the numbers decide; the
/// time was asked for, and calls that are not over show none.
pub(super) fn lookup(lookup: &DialLookup<'_>, index: usize, heard: &Heard) -> Page {
    const UNCLEAR: Page = Page::Unclear(LookupOutcome::Unavailable { after: None });
    let Ok(answer) = heard else { return UNCLEAR };
    if !(200..=299).contains(&answer.status) {
        let after = answer.retry_after();
        return Page::Unclear(LookupOutcome::Unavailable { after });
    }
    let Some(list) = wire::parse::<wire::CallList>(&answer.body) else {
        return UNCLEAR;
    };
    let earliest = lookup.since.plus(-CLOCK_TOLERANCE);
    let mut fitting = Vec::new();
    for call in &list.embedded.calls {
        let Some(observation) = placed(call, Source::Fetch) else {
            return UNCLEAR;
        };
        let started = call.start_time.as_deref().and_then(wire::instant);
        let ours = call.direction.as_deref() == Some("outbound")
            && number(call.to.as_ref()) == Some(digits(lookup.to))
            && number(call.from.as_ref()).is_none_or(|from| from == digits(lookup.from))
            && started.is_none_or(|started| started >= earliest)
            && !lookup.known.contains(&observation.provider_call_id);
        if ours {
            fitting.push(observation);
        }
    }
    match next(&list, index) {
        Ok(next) => Page::Read(fitting, next),
        Err(Cut) => UNCLEAR,
    }
}

/// The outcome of a list that was read to its end.
pub(super) fn found(mut fitting: Vec<Observation>) -> LookupOutcome {
    // A call that was pushed to the next page meanwhile stands on both.
    fitting.sort_by(|one, other| one.provider_call_id.cmp(&other.provider_call_id));
    fitting.dedup_by(|one, other| one.provider_call_id == other.provider_call_id);
    match (fitting.len(), fitting.pop()) {
        (several @ 2.., _) => LookupOutcome::Ambiguous(several),
        (_, Some(observation)) => LookupOutcome::Found(observation),
        (_, None) => LookupOutcome::Nothing,
    }
}

/// A page of the calls that live. They hand no reference of ours back, and no time.
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
    let calls = list.embedded.calls.iter().filter_map(|call| {
        Some(LiveCall {
            provider_call_id: call.uuid.clone().filter(|id| is_uuid(id))?,
            call_id: None,
            host: None,
            since: call.start_time.as_deref().and_then(wire::instant),
        })
    });
    match next(&list, place.index) {
        Ok(next) => LiveOutcome::Page {
            calls: calls.collect(),
            next: place.next(next),
        },
        Err(Cut) => UNCLEAR,
    }
}

/// A page that shows nothing although the list goes on.
struct Cut;

/// Where the list continues after a page that began at `index`.
fn next(list: &wire::CallList, index: usize) -> Result<Option<usize>, Cut> {
    let read = index.saturating_add(list.embedded.calls.len());
    match list.count > read {
        true if read == index => Err(Cut),
        goes_on => Ok(goes_on.then_some(read)),
    }
}

/// What they literally said, for the receipt.
pub(super) fn answer(account: &Account, heard: &Heard) -> ProviderAnswer {
    let secrets = Keys::of(account).map_or_else(Vec::new, Keys::secrets);
    let answer = match heard {
        Ok(answer) => answer,
        Err(failure) => {
            return ProviderAnswer {
                message: plain(&failure.to_string(), &secrets),
                ..ProviderAnswer::default()
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
    let kind = error.as_ref().and_then(|error| error.kind.as_deref());
    let code = kind.and_then(|kind| Some(kind.rsplit_once('#')?.1));
    let words = match &error {
        Some(error) => error.detail.clone().or_else(|| error.title.clone()),
        None => Some(String::from_utf8_lossy(&answer.body).into_owned()),
    };
    ProviderAnswer {
        status,
        code: code.and_then(|code| plain(code, &secrets)),
        message: plain(&words.unwrap_or_default(), &secrets),
    }
}

/// What a report says about a call's end, beside its status.
#[derive(Default)]
pub(super) struct Ending<'a> {
    pub(super) duration: Option<&'a str>,
    pub(super) detail: Option<&'a str>,
    pub(super) disconnected_by: Option<&'a str>,
    pub(super) sip_code: Option<&'a str>,
}

/// Their status word as progress; `None` for a word that we do not know, or that is about something
/// else than the call, as `disconnected` is about our websocket.
pub(super) fn progress(word: &str, ending: &Ending<'_>) -> Option<Progress> {
    let status = match word {
        "started" => return Some(Progress::Placed),
        "ringing" => return Some(Progress::Ringing),
        "answered" | "human" | "machine" => return Some(Progress::Answered),
        "completed" => CallStatus::Completed,
        "busy" => CallStatus::Busy,
        "cancelled" => CallStatus::Canceled,
        "failed" | "rejected" => CallStatus::Failed,
        "timeout" | "unanswered" => CallStatus::NoAnswer,
        _ => return None,
    };
    let seconds = ending
        .duration
        .filter(|_| status == CallStatus::Completed)
        .and_then(|text| text.parse().ok())
        .filter(|seconds| *seconds >= 0);
    Some(Progress::Ended {
        status,
        connected_seconds: seconds,
        reason: reason(word, ending).filter(|it| *it != EndReason::of_natural_end(status)),
        cause: cause(word, ending),
    })
}

/// A better reason than the status gives: their `detail`, or else the far end's SIP response
/// (RFC 3261 section 21).
fn reason(word: &str, ending: &Ending<'_>) -> Option<EndReason> {
    let sip = ending.sip_code.unwrap_or_default();
    match (word, ending.detail.unwrap_or_default()) {
        // Nobody hung up: what the call was told to do was done, or its time was up.
        ("completed", _) => {
            (ending.disconnected_by == Some("platform")).then_some(EndReason::AgentHangup)
        }
        (_, "invalid_number" | "cannot_route" | "number_out_of_service") => {
            Some(EndReason::InvalidDestination)
        }
        (_, "declined") => Some(EndReason::Declined),
        (_, "restricted") => Some(EndReason::ProviderRejected),
        ("failed", _) => by_sip(sip),
        ("rejected", _) => by_sip(sip).or(Some(EndReason::ProviderRejected)),
        _ => None,
    }
}

fn by_sip(code: &str) -> Option<EndReason> {
    match code {
        "404" | "484" | "604" => Some(EndReason::InvalidDestination),
        "486" | "600" => Some(EndReason::Busy),
        "603" => Some(EndReason::Declined),
        _ => None,
    }
}

fn cause(word: &str, ending: &Ending<'_>) -> Value {
    [
        ("status", Some(word)),
        ("detail", ending.detail),
        ("disconnected_by", ending.disconnected_by),
        ("sip_code", ending.sip_code),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some((name.to_owned(), json!(text?.replace('\0', "")))))
    .collect::<Map<_, _>>()
    .into()
}

/// A call that certainly exists: a status word that we do not know takes nothing from that.
fn placed(call: &wire::Call, source: Source) -> Option<Observation> {
    let existing = || {
        Some(Observation {
            provider_call_id: call.uuid.clone().filter(|id| is_uuid(id))?,
            progress: Progress::Placed,
            at: None,
            source,
            host: None,
        })
    };
    observation(call, source).or_else(existing)
}

fn observation(call: &wire::Call, source: Source) -> Option<Observation> {
    let ending = Ending {
        duration: call.duration.as_deref(),
        ..Ending::default()
    };
    let progress = progress(call.status.as_deref()?, &ending)?;
    let at = match &progress {
        Progress::Ended { .. } => call.end_time.as_deref().and_then(wire::instant),
        // They show no time of a call that is not over.
        Progress::Placed | Progress::Ringing | Progress::Answered => None,
    };
    Some(Observation {
        provider_call_id: call.uuid.clone().filter(|id| is_uuid(id))?,
        progress,
        at,
        source,
        host: None,
    })
}

fn number(endpoint: Option<&wire::Endpoint>) -> Option<&str> {
    endpoint?.number.as_deref()
}
