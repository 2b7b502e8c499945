//! `POST /api/v1/phone-numbers`: adds a number of an account.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use super::view::NumberView;
use crate::{
    app::phone_numbers::{self, NewNumber},
    domain::{AgentId, ProviderAccountId, Result, phone::Phone, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, MOST_BYTES, Members, parse_json},
        idempotent,
        v1::finish,
    },
};

const ROUTE: &str = "POST /api/v1/phone-numbers";

/// A number to add.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct CreatePhoneNumber {
    /// E.164.
    #[schema(value_type = String, example = "+15550100")]
    number: Phone,
    /// The account that has it at its provider.
    provider_account_id: ProviderAccountId,
    /// Whose it is. Left out: nobody's yet.
    agent_id: Option<AgentId>,
    /// Whether its agent takes calls to it; default true.
    inbound: Option<bool>,
    /// Whether calls are placed from it; default true.
    outbound: Option<bool>,
}

impl Members for CreatePhoneNumber {
    const MEMBERS: &'static [&'static str] = &[
        "number",
        "provider_account_id",
        "agent_id",
        "inbound",
        "outbound",
    ];
}

/// Add a phone number
///
/// One that the account has at its provider; nothing is bought there.
#[utoipa::path(
    post, path = "/api/v1/phone-numbers", tag = "Provider accounts", operation_id = "create_phone_number",
    security(("bearer" = ["accounts:write"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters")),
    request_body(content = CreatePhoneNumber, example = json!({"number": "+15550100", "provider_account_id": "1f0e0d0c-0b0a-4908-8706-050403020100", "agent_id": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"})),
    responses(
        (status = 201, description = "Added", body = NumberView<'static>, headers(("Location" = String, description = "The number"))),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`AGENT_NOT_FOUND`, `PROVIDER_ACCOUNT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`PHONE_NUMBER_EXISTS`, `IDEMPOTENCY_IN_PROGRESS`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`, `IDEMPOTENCY_KEY_REUSED`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn create(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::AccountsWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: CreatePhoneNumber = parse_json(&incoming.headers, &body)?;
    let new = NewNumber {
        number: request.number,
        provider_account_id: request.provider_account_id,
        agent_id: request.agent_id,
        inbound: request.inbound.unwrap_or(true),
        outbound: request.outbound.unwrap_or(true),
    };
    let key = idempotent::key(incoming, &identity, ROUTE, &body)?;
    let (app, by_whom) = (state.app.clone(), identity.clone());
    let operation = async move {
        let by = by_whom.by();
        let row = phone_numbers::create(&app, by, &by_whom.caller, new).await?;
        let answer = Answer::json(StatusCode::CREATED, &NumberView::from(&row));
        Ok(answer.at(format!("/api/v1/phone-numbers/{}", row.id)))
    };
    idempotent::carried_out(state, &identity, key, "add a phone number", operation).await
}
