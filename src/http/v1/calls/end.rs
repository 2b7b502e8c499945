//! `POST /api/v1/calls/{id}/end`: ends a call.

use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use super::not_found;
use crate::{
    app::calls::{
        end::{self, EndRequest},
        wait,
    },
    db::{admission, calls::CallRef},
    domain::{
        Error, ErrorCode, Result,
        call::{CallEndView, CallStatus, EndProgress, EndReason},
        token::Scope,
    },
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Identity, Incoming, MOST_BYTES, Members, parse_json, wrong},
        idempotent,
        v1::finish,
    },
};

const ROUTE: &str = "POST /api/v1/calls/{id}/end";
const LONGEST_WAIT: u64 = 30;
const LONGEST_NOTE: usize = 1000;

/// How and when to end the call; everything may be left out.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct EndCall {
    /// Default `ended_by_api`. Also: `ended_by_operator`, `agent_hangup`, `silence_timeout`,
    /// `scheduled_end`, `budget_exceeded`.
    reason: Option<EndReason>,
    /// For the receipt, at most 1,000 characters.
    note: Option<String>,
    /// End the call only when it has one of these statuses; else 409 `CALL_STATUS_MISMATCH`.
    #[serde(default)]
    if_status: OneOrMany,
}

/// One status or several.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(untagged, expecting = "must be a status or a list of statuses")]
pub(in crate::http) enum OneOrMany {
    #[default]
    None,
    One(CallStatus),
    Many(Vec<CallStatus>),
}

impl Members for EndCall {
    const MEMBERS: &'static [&'static str] = &["reason", "note", "if_status"];
}

/// End a call
///
/// The wish is durable before the provider is contacted, and is carried out until there is evidence
/// that the call is over. Idempotent: a call that is over answers 200 with
/// `"outcome":"already_ended"`. Waits at most `Prefer: wait` seconds (default 5) for the evidence.
#[utoipa::path(
    post, path = "/api/v1/calls/{id}/end", tag = "Calls", operation_id = "end_call",
    security(("bearer" = ["calls:end"])),
    params(
        ("id" = String, Path, description = "Our id or the provider's"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`, 0–30 seconds", example = "wait=10"),
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters"),
    ),
    request_body(content = Option<EndCall>, example = json!({"note": "asked for by the customer"})),
    responses(
        (status = 200, description = "Over, with evidence", body = CallEndView<'static>),
        (status = 202, description = "Durable and under way", body = CallEndView<'static>, headers(("Location" = String, description = "The receipt"))),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`CALL_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`CALL_STATUS_MISMATCH`, `IDEMPOTENCY_IN_PROGRESS`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`, `IDEMPOTENCY_KEY_REUSED`", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "`PROVIDER_ERROR`: the provider refuses for good; the call stays live and visible", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn end(State(state): State<HttpState>, mut incoming: Incoming) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::CallsEnd).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: EndCall = parse_json(&incoming.headers, &body)?;
    let mut request = request.checked(incoming)?;
    let bound = preferred_wait(incoming.header("prefer"))?.unwrap_or(state.waits.end);
    let key = idempotent::end_key(incoming, &identity, ROUTE, &body)?;
    let reference = CallRef::parse(incoming.param("id")).ok_or_else(not_found)?;
    let task_state = state.clone();
    let task = state
        .app
        .ambient
        .tasks
        .spawn(admission::carried(async move {
            idempotent::once_since(&task_state, &identity, key, |held_since| {
                request.received_at =
                    held_since.map_or(request.received_at, |since| since.min(request.received_at));
                carry_out(&task_state, &identity, &reference, &request, bound)
            })
            .await
        }));
    task.await
        .map_err(|error| Error::internal("end a call", error))?
}

async fn carry_out(
    state: &HttpState,
    identity: &Identity,
    reference: &CallRef,
    request: &EndRequest,
    bound: Duration,
) -> Result<Answer> {
    let by = identity.by();
    let ending = end::end(&state.app, by, reference, None, request).await?;
    let ending = ending.ok_or_else(not_found)?;
    let already = ending.was_over;
    let (call, progress) = wait::for_end(&state.app, identity.scope, ending, bound, |progress| {
        matches!(progress, EndProgress::Final | EndProgress::Refused)
    })
    .await;
    match progress {
        EndProgress::Final => Ok(Answer::json(StatusCode::OK, &call.end_receipt(already))),
        EndProgress::Refused => Err(Error::new(
            ErrorCode::ProviderError,
            format!(
                "{} refuses to end the call, which stays live; see its end receipt, mend the account and ask again",
                call.provider.as_str()
            ),
        )),
        EndProgress::Pending | EndProgress::Accepted | EndProgress::Retrying { .. } => {
            Ok(Answer::json(StatusCode::ACCEPTED, &call.end_receipt(false))
                .at(format!("/api/v1/calls/{}/end", call.id)))
        }
    }
}

impl EndCall {
    fn checked(self, incoming: &Incoming) -> Result<EndRequest> {
        let reason = self.reason.unwrap_or(EndReason::EndedByApi);
        let open = matches!(
            reason,
            EndReason::EndedByApi
                | EndReason::EndedByOperator
                | EndReason::AgentHangup
                | EndReason::SilenceTimeout
                | EndReason::ScheduledEnd
                | EndReason::BudgetExceeded
        );
        if !open {
            return Err(wrong(
                "/reason",
                "invalid",
                "must be ended_by_api, ended_by_operator, agent_hangup, silence_timeout, scheduled_end or budget_exceeded",
            ));
        }
        if self
            .note
            .as_ref()
            .is_some_and(|note| note.chars().count() > LONGEST_NOTE)
        {
            return Err(wrong(
                "/note",
                "length",
                "must be at most 1000 characters long",
            ));
        }
        Ok(EndRequest {
            reason,
            note: self.note,
            if_status: match self.if_status {
                OneOrMany::None => Vec::new(),
                OneOrMany::One(status) => vec![status],
                OneOrMany::Many(statuses) => statuses,
            },
            received_at: incoming.context.received_at,
        })
    }
}

/// `wait=N` of a `Prefer` header (RFC 7240 section 4.3); other preferences are passed over.
fn preferred_wait(header: Option<&str>) -> Result<Option<Duration>> {
    let Some(header) = header else {
        return Ok(None);
    };
    let wait = header
        .split([',', ';'])
        .filter_map(|preference| preference.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"));
    let Some((_, seconds)) = wait else {
        return Ok(None);
    };
    match seconds.trim().parse::<u64>() {
        Ok(seconds) if seconds <= LONGEST_WAIT => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(wrong(
            "Prefer",
            "range",
            "wait must be a whole number of seconds from 0 to 30",
        )),
    }
}
