//! `PATCH /api/v1/calls/{id}`: metadata, and the limits of a live call.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{not_found, visible};
use crate::{
    app::calls::update,
    db,
    domain::{
        Error, Result,
        call::{CallView, MAX_METADATA_BYTES},
        token::Scope,
    },
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, MOST_BYTES, Members, object, parse_json},
        v1::finish,
    },
};

/// What to change.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct UpdateCall {
    /// Merged at the top level; a null member removes its key; 64 KiB at most afterwards.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "object")]
    limits: Option<LimitsUpdate>,
}

/// The limits that can still be changed.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct LimitsUpdate {
    /// Seconds of connected time, 1 to 86,400.
    max_duration_seconds: i32,
}

impl Members for UpdateCall {
    const MEMBERS: &'static [&'static str] = &["metadata", "limits"];
}

/// Change a call's metadata or limits
#[utoipa::path(
    patch, path = "/api/v1/calls/{id}", tag = "Calls", operation_id = "update_call",
    security(("bearer" = ["calls:create"])),
    params(("id" = String, Path, description = "Our id or the provider's")),
    request_body(content = UpdateCall, example = json!({"metadata": {"order": "1002", "note": null}})),
    responses(
        (status = 200, description = "The call afterwards", body = CallView<'static>),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`CALL_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn change(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::CallsCreate).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: UpdateCall = parse_json(&incoming.headers, &body)?;
    let most = request.limits.map(|limits| limits.max_duration_seconds);
    if most.is_some_and(|seconds| !(1..=86_400).contains(&seconds)) {
        let at = "/limits/max_duration_seconds";
        return Err(Error::field(at, "range", "must be from 1 to 86400"));
    }
    let call = visible(state, &identity, incoming.param("id")).await?;
    if most.is_some() && !call.is_live() {
        return Err(Error::field(
            "/limits",
            "over",
            "must be left out: the call is over",
        ));
    }
    let metadata = request.metadata.unwrap_or_default();
    let too_large = || Error::field("/metadata", "size", "must be at most 64 KiB as JSON");
    if merged(&call.metadata.value(), &metadata).to_string().len() > MAX_METADATA_BYTES {
        return Err(too_large());
    }
    let by = identity.by();
    if !update::update(&state.app, by, &call, metadata, most).await? {
        return Err(too_large());
    }
    let changed = db::calls::find(&state.app.db, identity.scope, &call.id.into())
        .await?
        .ok_or_else(not_found)?;
    Ok(Answer::json(StatusCode::OK, &changed.view()))
}

/// What the metadata will be if nobody else changes it meanwhile.
fn merged(before: &Value, change: &Map<String, Value>) -> Value {
    let mut after = before.as_object().cloned().unwrap_or_default();
    for (name, member) in change {
        if member.is_null() {
            after.remove(name);
        } else {
            after.insert(name.clone(), member.clone());
        }
    }
    Value::Object(after)
}
