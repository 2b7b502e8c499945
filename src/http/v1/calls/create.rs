//! `POST /api/v1/calls`: places a call.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use time::Duration;

use crate::{
    app::{
        actor::By,
        calls::start::{self, KeepAnswer, NewCall},
        idempotency::{Key, replay},
    },
    db::admission,
    domain::{
        AgentId, Error, ErrorCode, ProviderAccountId, Result,
        call::{Call, CallView, Limits, MAX_METADATA_BYTES},
        phone::Phone,
        token::{Environment, Scope},
    },
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Identity, Incoming, MOST_BYTES, Members, object, parse_json, wrong},
        idempotent,
        v1::finish,
    },
};

pub(in crate::http) const ROUTE: &str = "POST /api/v1/calls";

/// The longest that a dial can be put off, in seconds: seven days.
const LONGEST_DELAY: i64 = 7 * 24 * 3600;

/// A call to place.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct CreateCall {
    agent_id: AgentId,
    /// E.164.
    #[schema(value_type = String, example = "+15550101")]
    to: Phone,
    /// E.164; one of your numbers. Default: the agent's.
    #[schema(value_type = Option<String>, example = "+15550100")]
    from: Option<Phone>,
    /// Default: the account of the number.
    provider_account_id: Option<ProviderAccountId>,
    /// Anything of yours, 64 KiB as JSON at most.
    #[serde(default)]
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<Limits>)]
    limits: Option<NewLimits>,
    /// Dial this many seconds later, at most 604,800.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 604_800)]
    delay_seconds: i64,
    /// Your own name for the call, 1 to 255 characters, unique in the organisation: a second call
    /// with it is refused, so a repeated request never dials twice.
    client_reference: Option<String>,
}

/// [`Limits`] as a request may give them: a misspelt limit is refused, not passed over.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NewLimits {
    max_duration_seconds: i32,
    ring_timeout_seconds: i32,
}

impl Default for NewLimits {
    fn default() -> Self {
        let Limits {
            max_duration_seconds,
            ring_timeout_seconds,
        } = Limits::default();
        Self {
            max_duration_seconds,
            ring_timeout_seconds,
        }
    }
}

impl Members for CreateCall {
    const MEMBERS: &'static [&'static str] = &[
        "agent_id",
        "to",
        "from",
        "provider_account_id",
        "metadata",
        "limits",
        "delay_seconds",
        "client_reference",
    ];
}

/// Place a call
///
/// The call is recorded before the provider is dialled; its progress follows by event. A repeated
/// request with the same `Idempotency-Key` or `client_reference` never dials twice.
#[utoipa::path(
    post, path = "/api/v1/calls", tag = "Calls", operation_id = "create_call",
    security(("bearer" = ["calls:create"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters; the same key and body get the same answer", example = "7d1f0f0e-4b5f-4bb1-9f0e-0f5b5f0b7a11")),
    request_body(content = CreateCall, example = json!({"agent_id": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "to": "+15550101", "metadata": {"order": "1001"}})),
    responses(
        (status = 201, description = "Recorded; the dial follows at once", body = CallView<'static>, headers(("Location" = String, description = "The call"))),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`AGENT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`AGENT_NOT_PUBLISHED`, `DUPLICATE_REFERENCE`, `IDEMPOTENCY_IN_PROGRESS`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`, `IDEMPOTENCY_KEY_REUSED`", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "`PROVIDER_ERROR`: the provider refuses the account's credentials; no call was recorded", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DRAINING`, `DATABASE_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
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
    let identity = incoming.identify(state, Scope::CallsCreate).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: CreateCall = parse_json(&incoming.headers, &body)?;
    let new = request.checked(&identity)?;
    let key = idempotent::key(incoming, &identity, ROUTE, &body)?;
    place(state, identity, new, key, created)
        .await
        .map(|(answer, _)| answer)
}

fn created(call: &Call) -> Answer {
    Answer::json(StatusCode::CREATED, &call.view()).at(format!("/api/v1/calls/{}", call.id))
}

/// Records the call with the answer that `answer` makes of it, or replays the key's answer. The
/// operation goes on when the client is gone.
pub(in crate::http) async fn place(
    state: &HttpState,
    identity: Identity,
    new: NewCall,
    key: Option<Key>,
    answer: impl Fn(&Call) -> Answer + Send + Sync + 'static,
) -> Result<(Answer, Option<Call>)> {
    let app = state.app.clone();
    let task = state
        .app
        .ambient
        .tasks
        .spawn(admission::carried(async move {
            let scope = identity.scope;
            if let Some(key) = &key
                && let Some(stored) = replay(&app, scope, key).await?
            {
                return Ok((Answer::replayed(stored), None));
            }
            let stored = |call: &Call| answer(call).stored();
            let keep = key.as_ref().map(|key| KeepAnswer {
                key,
                answer: &stored,
            });
            let by = By {
                scope,
                actor: &identity.actor,
            };
            match start::start(&app, by, &new, keep).await {
                Ok(Some(call)) => Ok((answer(&call), Some(call))),
                Ok(None) => Err(Error::new(
                    ErrorCode::AgentNotFound,
                    "There is no such agent",
                )),
                // The same key arrived twice at once: the other one's answer is there.
                Err(error) if error.code == ErrorCode::IdempotencyInProgress => match &key {
                    Some(key) => match replay(&app, scope, key).await? {
                        Some(stored) => Ok((Answer::replayed(stored), None)),
                        None => Err(error),
                    },
                    None => Err(error),
                },
                Err(error) => Err(error),
            }
        }));
    task.await
        .map_err(|error| Error::internal("place a call", error))?
}

impl CreateCall {
    fn checked(self, identity: &Identity) -> Result<NewCall> {
        if !(0..=LONGEST_DELAY).contains(&self.delay_seconds) {
            return Err(wrong("/delay_seconds", "range", "must be from 0 to 604800"));
        }
        let limits = self.limits.map(NewLimits::checked).transpose()?;
        if let Some(reference) = &self.client_reference {
            check_reference(reference)?;
        }
        let metadata = Value::Object(self.metadata);
        if metadata.to_string().len() > MAX_METADATA_BYTES {
            return Err(wrong("/metadata", "size", "must be at most 64 KiB as JSON"));
        }
        Ok(NewCall {
            agent_id: Some(self.agent_id),
            to: self.to,
            from: self.from,
            provider_account_id: self.provider_account_id,
            metadata,
            limits,
            delay: Duration::seconds(self.delay_seconds),
            client_reference: self.client_reference,
            test: identity.caller.environment == Environment::Test,
        })
    }
}

impl NewLimits {
    fn checked(self) -> Result<Limits> {
        if !(1..=86_400).contains(&self.max_duration_seconds) {
            return Err(wrong(
                "/limits/max_duration_seconds",
                "range",
                "must be from 1 to 86400",
            ));
        }
        if !(5..=600).contains(&self.ring_timeout_seconds) {
            return Err(wrong(
                "/limits/ring_timeout_seconds",
                "range",
                "must be from 5 to 600",
            ));
        }
        Ok(Limits {
            max_duration_seconds: self.max_duration_seconds,
            ring_timeout_seconds: self.ring_timeout_seconds,
        })
    }
}

fn check_reference(reference: &str) -> Result<()> {
    if (1..=255).contains(&reference.chars().count()) {
        return Ok(());
    }
    Err(wrong(
        "/client_reference",
        "length",
        "must be 1 to 255 characters long",
    ))
}
