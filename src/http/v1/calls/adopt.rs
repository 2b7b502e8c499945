//! `POST /api/v1/calls/adopt`: takes over a call that other software placed.
//!
//! The one handler that waits for a provider: only the provider knows whether there is such a call.
//! It waits within a bound and holds no connection to the database meanwhile.

use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use crate::{
    app::{
        calls::adopt::{self, Adoption, Planned, no_call},
        provider_accounts,
    },
    domain::{
        AgentId, Error, ErrorCode, ProviderAccountId, Result,
        call::{CallView, Direction},
        phone::Phone,
        provider::{Description, FetchOutcome},
        token::{Environment, Scope},
    },
    http::{
        HttpState,
        answer::Answer,
        callbacks::opened,
        error::Problem,
        extract::{Identity, Incoming, MOST_BYTES, Members, parse_json, wrong},
        idempotent,
        v1::finish,
    },
    providers::ProviderCall,
};

const ROUTE: &str = "POST /api/v1/calls/adopt";

/// How long the provider is waited for.
const READ_WITHIN: Duration = Duration::from_secs(4);

/// A call to take over.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct AdoptCall {
    /// The account that the call lives on.
    provider_account_id: ProviderAccountId,
    /// The provider's name for the call.
    #[schema(example = "CA3f1c9f3b5b2e4f6aa1d0c2b4e6f80a12")]
    provider_call_id: String,
    /// The agent whose call it becomes.
    agent_id: AgentId,
    /// E.164. Needed when the provider does not tell it of a live call, as Telnyx.
    #[schema(value_type = Option<String>, example = "+15550100")]
    from: Option<Phone>,
    /// As `from`.
    #[schema(value_type = Option<String>, example = "+15550101")]
    to: Option<Phone>,
    /// As `from`.
    direction: Option<Direction>,
}

impl Members for AdoptCall {
    const MEMBERS: &'static [&'static str] = &[
        "provider_account_id",
        "provider_call_id",
        "agent_id",
        "from",
        "to",
        "direction",
    ];
}

/// Adopt a call
///
/// Brings a call that other software placed under control: it is read at the provider with the
/// account's own credentials, recorded as it is, and from then on listed, watched, limited, billed
/// (from the adoption) and ended as any other. What it says to the other party stays the business
/// of whoever placed it. A call that is known already is answered as it is.
#[utoipa::path(
    post, path = "/api/v1/calls/adopt", tag = "Calls", operation_id = "adopt_call",
    security(("bearer" = ["calls:create"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters; the same key and body get the same answer")),
    request_body(content = AdoptCall, example = json!({"provider_account_id": "1f0e0d0c-0b0a-4908-8706-050403020100", "provider_call_id": "CA3f1c9f3b5b2e4f6aa1d0c2b4e6f80a12", "agent_id": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"})),
    responses(
        (status = 200, description = "Known already", body = CallView<'static>),
        (status = 201, description = "Adopted", body = CallView<'static>, headers(("Location" = String, description = "The call"))),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`CALL_NOT_FOUND` (the provider has no such call on this account), `AGENT_NOT_FOUND`, `PROVIDER_ACCOUNT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`CALL_STATUS_MISMATCH` (it is over), `IDEMPOTENCY_IN_PROGRESS`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`, `IDEMPOTENCY_KEY_REUSED`", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "`PROVIDER_ERROR`: the provider refuses the account's credentials", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`PROVIDER_UNAVAILABLE`, `DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn adopt(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::CallsCreate).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: AdoptCall = parse_json(&incoming.headers, &body)?;
    let wanted = request.checked(&identity)?;
    let key = idempotent::key(incoming, &identity, ROUTE, &body)?;
    let state = state.clone();
    let tasks = state.app.ambient.tasks.clone();
    let task = tasks.spawn(async move {
        let operation = carry_out(&state, &identity, &wanted);
        Box::pin(idempotent::once(&state, &identity, key, operation)).await
    });
    task.await
        .map_err(|error| Error::internal("adopt a call", error))?
}

async fn carry_out(state: &HttpState, identity: &Identity, wanted: &Adoption) -> Result<Answer> {
    let by = identity.by();
    let plan = match adopt::plan(&state.app, by, wanted).await? {
        Planned::Known(call) => return Ok(Answer::json(StatusCode::OK, &call.view())),
        Planned::Unknown(plan) => plan,
    };
    let described = read(state, wanted).await?;
    let (call, adopted) = adopt::record(&state.app, by, wanted, plan, &described).await?;
    if !adopted {
        return Ok(Answer::json(StatusCode::OK, &call.view()));
    }
    let answer = Answer::json(StatusCode::CREATED, &call.view());
    Ok(answer.at(format!("/api/v1/calls/{}", call.id)))
}

/// Reads the call at its provider.
async fn read(state: &HttpState, wanted: &Adoption) -> Result<Description> {
    let open = provider_accounts::open(&state.app, wanted.provider_account_id).await?;
    let Some(open) = open else {
        return Err(no_call());
    };
    let account = opened(state, &open).await?;
    let started_at = state.app.ambient.now();
    let provider = state.providers.calls(account.kind);
    let call = ProviderCall::named(&wanted.provider_call_id);
    let read = tokio::time::timeout(READ_WITHIN, provider.describe(&account, call)).await;
    let outcome = read.map_or(FetchOutcome::Unavailable { after: None }, |read| {
        read.outcome
    });
    let elapsed = state.app.ambient.now().since(started_at).unsigned_abs();
    let name = match outcome {
        FetchOutcome::Found(_) => "found",
        FetchOutcome::NotFound => "not_found",
        FetchOutcome::Unavailable { .. } => "unavailable",
        FetchOutcome::Unsupported => "unsupported",
        FetchOutcome::Refused => "refused",
    };
    let kind = account.kind;
    state
        .metrics
        .provider_request(kind.as_str(), "describe", name, elapsed);
    match outcome {
        FetchOutcome::Found(described) => Ok(described),
        FetchOutcome::NotFound => Err(no_call()),
        FetchOutcome::Unsupported => Err(wrong(
            "/provider_account_id",
            "not_readable",
            "must be an account of a provider that shows its calls; this one's can only be ended",
        )),
        FetchOutcome::Refused => Err(Error::new(
            ErrorCode::ProviderError,
            format!(
                "{} refuses the account's credentials; mend the account and ask again",
                kind.title()
            ),
        )),
        FetchOutcome::Unavailable { after } => Err(Error::new(
            ErrorCode::ProviderUnavailable,
            format!(
                "{} does not answer in time; nothing was changed; try again",
                kind.title()
            ),
        )
        .retry_after(after.unwrap_or(time::Duration::seconds(1)))),
    }
}

impl AdoptCall {
    fn checked(self, identity: &Identity) -> Result<Adoption> {
        let id = &self.provider_call_id;
        let plausible = (1..=200).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        if !plausible {
            return Err(wrong(
                "/provider_call_id",
                "invalid",
                "must be 1 to 200 visible ASCII characters",
            ));
        }
        Ok(Adoption {
            agent_id: self.agent_id,
            provider_account_id: self.provider_account_id,
            provider_call_id: self.provider_call_id,
            from: self.from,
            to: self.to,
            direction: self.direction,
            test: identity.caller.environment == Environment::Test,
        })
    }
}
