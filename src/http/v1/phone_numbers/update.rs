//! `PATCH /api/v1/phone-numbers/{id}`: whose a number is, and for which direction.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use super::{not_found, view::NumberView};
use crate::{
    app::phone_numbers::{self, NumberChange},
    domain::{AgentId, PhoneNumberId, Result, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, MOST_BYTES, Members, Nullable, nullable, parse_json},
        idempotent,
        v1::finish,
    },
};

/// What is to become of the number; what is left out stays.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct UpdatePhoneNumber {
    /// Whose it is; null: nobody's.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<AgentId>)]
    agent_id: Option<Nullable<AgentId>>,
    /// Whether its agent takes calls to it.
    inbound: Option<bool>,
    /// Whether calls are placed from it.
    outbound: Option<bool>,
}

impl Members for UpdatePhoneNumber {
    const MEMBERS: &'static [&'static str] = &["agent_id", "inbound", "outbound"];
}

/// Change a phone number
///
/// For calls that begin from now on.
#[utoipa::path(
    patch, path = "/api/v1/phone-numbers/{id}", tag = "Provider accounts", operation_id = "update_phone_number",
    security(("bearer" = ["accounts:write"])),
    params(("id" = String, Path, description = "The number's id")),
    request_body(content = UpdatePhoneNumber, example = json!({"agent_id": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "outbound": false})),
    responses(
        (status = 200, description = "The number afterwards", body = NumberView<'static>),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`PHONE_NUMBER_NOT_FOUND`, `AGENT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn update(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::AccountsWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: UpdatePhoneNumber = parse_json(&incoming.headers, &body)?;
    let change = NumberChange {
        agent_id: request.agent_id.map(|given| given.0),
        inbound: request.inbound,
        outbound: request.outbound,
    };
    let id: PhoneNumberId = incoming.param("id").parse().map_err(|_| not_found())?;
    let (app, by_whom) = (state.app.clone(), identity.clone());
    let operation = async move {
        let by = by_whom.by();
        let row = phone_numbers::update(&app, by, &by_whom.caller, id, change).await?;
        let row = row.ok_or_else(not_found)?;
        Ok(Answer::json(StatusCode::OK, &NumberView::from(&row)))
    };
    idempotent::carried_out(state, &identity, None, "change a phone number", operation).await
}
