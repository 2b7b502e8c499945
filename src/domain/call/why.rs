//! Why a call ended: the evidence put in order, and the story that it tells.
//!
//! Pure: the call and what was recorded of it go in. Everything said here is read from a record;
//! nothing is guessed, and what is not known is not said. Its words are in `why_words.rs`, the document
//! for people in `why_markdown.rs`.

use serde::Serialize;
use serde_json::Value;
use time::Duration;

use super::{
    Call, CallStatus, EndReason, EndSide, FactType,
    why_words::{evidence, rule, summary},
};
use crate::domain::{CallId, Timestamp, provider::Source};

/// What was recorded of a call, in any order.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub facts: Vec<RecordedFact>,
    pub attempts: Vec<RecordedAttempt>,
    pub acts: Vec<RecordedAct>,
}

/// A fact, without its data.
#[derive(Clone, Debug)]
pub struct RecordedFact {
    pub sequence: i64,
    pub kind: FactType,
    pub from_status: CallStatus,
    pub to_status: CallStatus,
    /// When it happened.
    pub at: Timestamp,
    /// When we knew.
    pub recorded_at: Timestamp,
    /// What an error event says.
    pub error: Option<String>,
}

/// A request to hang up and its answer.
#[derive(Clone, Debug)]
pub struct RecordedAttempt {
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub outcome: String,
    pub provider_status: Option<i32>,
    pub provider_code: Option<String>,
    pub provider_message: Option<String>,
}

/// An entry of the audit log about the call.
#[derive(Clone, Debug)]
pub struct RecordedAct {
    pub at: Timestamp,
    pub actor: String,
    pub action: String,
    pub request_id: Option<String>,
}

/// Why a call ended, or how far its end has come.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CallWhy)]
pub struct Why<'a> {
    pub call_id: CallId,
    /// `live`: nobody asked for its end; `ending`: somebody did; `ended`.
    #[schema(example = "ended")]
    pub state: &'static str,
    pub status: CallStatus,
    /// The story in one or two sentences, for people.
    pub summary: String,
    pub ended_at: Option<Timestamp>,
    pub ended_reason: Option<EndReason>,
    /// What the reason stands for.
    pub rule: Option<&'static str>,
    pub side: Option<EndSide>,
    /// Who asked: `token:<id>`, `admin`, `local`, `system:<rule>`. Null: nobody of ours.
    pub initiator: Option<&'a str>,
    pub note: Option<&'a str>,
    pub requested_at: Option<Timestamp>,
    /// What showed that the call was over. Null for an end that nobody of ours asked for: there the
    /// step `ended` is the provider's report.
    pub confirmed_by: Option<Source>,
    pub confirmed_at: Option<Timestamp>,
    /// From the wish to the evidence.
    pub latency_milliseconds: Option<i64>,
    pub duration_seconds: Option<i64>,
    /// What the provider said of the end, verbatim.
    #[schema(value_type = Option<Object>)]
    pub provider_cause: Option<&'a Value>,
    /// What happened, in the order in which it was recorded.
    pub steps: Vec<Step>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CallWhyStep)]
pub struct Step {
    /// `started`, `dialled`, `ringing`, `connected`, `end_requested`, `asked_again`, `hang_up`,
    /// `error`, `ended`, `did_not_connect`, `billed`, `act`.
    #[schema(value_type = String, example = "hang_up")]
    pub step: &'static str,
    /// When we knew.
    pub at: Timestamp,
    /// When it happened, where the provider told another instant.
    pub happened_at: Option<Timestamp>,
    /// In words.
    pub what: String,
    /// Who did it.
    pub by: Option<String>,
    /// The request that did it, as its `X-Request-Id` said.
    pub request_id: Option<String>,
    /// The number of the event that told it.
    pub sequence: Option<i64>,
    /// What the provider answered.
    pub answer: Option<ProviderSaid>,
    /// How long the step itself took.
    pub took_milliseconds: Option<i64>,
    /// Since the step before.
    pub after_milliseconds: i64,
}

/// What a provider answered to a request to hang up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = CallWhyAnswer)]
pub struct ProviderSaid {
    /// What it means: `ended`, `accepted`, `already_over`, `not_found`, `retry`, `refused`.
    pub outcome: String,
    /// HTTP status; null: no answer arrived.
    pub status: Option<i32>,
    pub code: Option<String>,
    pub message: Option<String>,
}

/// Puts the evidence of how `call` ended in order.
pub fn why(call: &Call, evidence: Evidence) -> Why<'_> {
    let steps = steps(call, evidence);
    let wish = call.wish.as_ref();
    let state = match (call.is_live(), wish) {
        (true, None) => "live",
        (true, Some(_)) => "ending",
        (false, _) => "ended",
    };
    let reason = call.ended_reason.or(wish.map(|wish| wish.reason));
    let confirmed_at = wish.and_then(|wish| wish.confirmed_at);
    Why {
        call_id: call.id,
        state,
        status: call.status,
        summary: summary(call, hang_ups(&steps)),
        ended_at: call.ended_at,
        ended_reason: reason,
        rule: reason.map(rule),
        side: call.ended_side,
        initiator: wish.map(|wish| wish.initiator.as_str()),
        note: wish.and_then(|wish| wish.note.as_deref()),
        requested_at: wish.map(|wish| wish.requested_at),
        confirmed_by: wish.and_then(|wish| wish.confirmed_by),
        confirmed_at,
        latency_milliseconds: call.end_latency().map(|(latency, _)| millis(latency)),
        duration_seconds: call.duration_seconds(),
        provider_cause: call.provider_cause.as_ref(),
        steps,
    }
}

fn steps(call: &Call, evidence: Evidence) -> Vec<Step> {
    let Evidence {
        facts,
        attempts,
        mut acts,
    } = evidence;
    // With the rank that puts what was recorded in the same millisecond in its order: the answer
    // that led to an end comes before the end.
    let mut ranked: Vec<(Timestamp, u8, Step)> = Vec::new();
    let mut wishes = 0;
    for fact in facts {
        let act = take_act(&mut acts, &fact);
        let again = fact.kind == FactType::EndRequested && wishes > 0;
        wishes += i32::from(fact.kind == FactType::EndRequested);
        ranked.push((fact.recorded_at, 2, of_fact(call, fact, act, again)));
    }
    if let Some(at) = call.dial_started_at {
        ranked.push((at, 3, plain("dialled", at, dialled(call))));
    }
    for attempt in attempts {
        ranked.push((attempt.finished_at, 1, of_attempt(call, attempt)));
    }
    for act in acts.into_iter().filter(|act| act.action != "call.create") {
        ranked.push((act.at, 4, of_act(act)));
    }
    ranked.sort_by_key(|(at, rank, step)| (*at, *rank, step.sequence));
    let mut before: Option<Timestamp> = None;
    ranked
        .into_iter()
        .map(|(at, _, step)| {
            let after = before.map_or(Duration::ZERO, |before| at.since(before));
            before = Some(at);
            Step {
                after_milliseconds: millis(after),
                ..step
            }
        })
        .collect()
}

/// The audit entry that was written by the statement that wrote the fact.
fn take_act(acts: &mut Vec<RecordedAct>, fact: &RecordedFact) -> Option<RecordedAct> {
    let action = match fact.kind {
        FactType::Started => "call.create",
        FactType::EndRequested => "call.end",
        FactType::Ringing
        | FactType::Connected
        | FactType::Ended
        | FactType::DidNotConnect
        | FactType::Error
        | FactType::Billed => return None,
    };
    let of_fact = |act: &RecordedAct| act.action == action && act.at == fact.recorded_at;
    let index = acts.iter().position(of_fact)?;
    Some(acts.remove(index))
}

fn plain(step: &'static str, at: Timestamp, what: String) -> Step {
    Step {
        step,
        at,
        happened_at: None,
        what,
        by: None,
        request_id: None,
        sequence: None,
        answer: None,
        took_milliseconds: None,
        after_milliseconds: 0,
    }
}

fn of_fact(call: &Call, fact: RecordedFact, act: Option<RecordedAct>, again: bool) -> Step {
    let (step, what) = match fact.kind {
        FactType::Started => ("started", "The call was recorded".to_owned()),
        FactType::Ringing => ("ringing", "The provider reported that it rings".to_owned()),
        FactType::Connected => (
            "connected",
            "The provider reported that it was answered".to_owned(),
        ),
        FactType::EndRequested if again => (
            "asked_again",
            "The end was asked for again after the provider had refused it".to_owned(),
        ),
        FactType::EndRequested => ("end_requested", requested(call)),
        FactType::Ended => ("ended", ended(call, fact.to_status)),
        FactType::DidNotConnect => (
            "did_not_connect",
            format!("It never connected: {}", fact.to_status.as_str()),
        ),
        FactType::Error => (
            "error",
            fact.error.unwrap_or_else(|| "Something failed".to_owned()),
        ),
        FactType::Billed => ("billed", "The connected time was billed".to_owned()),
    };
    let wish = call.wish.as_ref();
    let of_wish = |initiator: &&String| step == "end_requested" && !initiator.is_empty();
    let initiator = wish.map(|wish| &wish.initiator).filter(of_wish).cloned();
    let (actor, request_id) = act.map_or((None, None), |act| (Some(act.actor), act.request_id));
    Step {
        happened_at: (fact.at != fact.recorded_at).then_some(fact.at),
        by: actor.or(initiator),
        request_id,
        sequence: Some(fact.sequence),
        ..plain(step, fact.recorded_at, what)
    }
}

fn of_attempt(call: &Call, attempt: RecordedAttempt) -> Step {
    let provider = call.provider.as_str();
    let meaning = match attempt.outcome.as_str() {
        "ended" => "its answer showed that the call was over",
        "accepted" => "it accepted, which is no evidence yet",
        "already_over" => "it answered that the call was over already",
        "not_found" => "it did not know the call, which is no evidence",
        "retry" if attempt.provider_status.is_none() => "no answer arrived",
        "retry" => "it could not do so now",
        "refused" => "it refused",
        _ => "its answer was recorded",
    };
    let took = attempt.finished_at.since(attempt.started_at);
    Step {
        answer: Some(ProviderSaid {
            outcome: attempt.outcome,
            status: attempt.provider_status,
            code: attempt.provider_code,
            message: attempt.provider_message,
        }),
        took_milliseconds: Some(millis(took)),
        ..plain(
            "hang_up",
            attempt.finished_at,
            format!("{provider} was asked to hang up; {meaning}"),
        )
    }
}

fn of_act(act: RecordedAct) -> Step {
    let (step, what) = match act.action.as_str() {
        "call.end" => ("act", "The end was asked for".to_owned()),
        "call.cancel" => ("act", "The operator asked for the end".to_owned()),
        "call.end_orphan" => (
            "act",
            "It still lived at the provider and was ended there".to_owned(),
        ),
        other => ("act", other.to_owned()),
    };
    Step {
        by: Some(act.actor),
        request_id: act.request_id,
        ..plain(step, act.at, what)
    }
}

fn dialled(call: &Call) -> String {
    format!("{} was asked to dial", call.provider.as_str())
}

fn requested(call: &Call) -> String {
    let reason = call.wish.as_ref().map(|wish| wish.reason);
    reason.map_or_else(
        || "The end was asked for".to_owned(),
        |reason| format!("The end was asked for: {}", reason.as_str()),
    )
}

fn ended(call: &Call, status: CallStatus) -> String {
    let reason = call.ended_reason.map_or("", EndReason::as_str);
    let shown = evidence(call);
    format!("The call is over: {}, {reason}; {shown}", status.as_str())
}

/// How often the provider was asked to hang up.
fn hang_ups(steps: &[Step]) -> usize {
    steps.iter().filter(|step| step.step == "hang_up").count()
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.whole_milliseconds()).unwrap_or(i64::MAX)
}
