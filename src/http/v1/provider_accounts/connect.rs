//! `POST /api/v1/provider-accounts`: connects an account, whose credentials are tried first.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{probe, view::AccountView};
use crate::{
    app::provider_accounts::manage::{self, NewAccount},
    domain::{Error, Result, provider::ProviderKind, token::Scope},
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, MOST_BYTES, Members, parse_json, wrong},
        idempotent,
        v1::{checked_name, finish},
    },
};

const ROUTE: &str = "POST /api/v1/provider-accounts";

/// An account to connect.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct ConnectAccount {
    provider: ProviderKind,
    /// The provider's name for the account, 1 to 200 visible ASCII characters: `AC…` at Twilio, the
    /// connection's id at Telnyx, the application's at Vonage, the project's at OpenAI; of a SIP
    /// bridge, jambonz' account, else any name.
    #[schema(example = "AC0f0e0d0c0b0a09080706050403020100")]
    external_id: String,
    /// For people, 1 to 200 characters. Left out: `external_id`.
    name: Option<String>,
    /// In the provider's own form. Sealed before it is stored, and never shown.
    #[schema(value_type = Object, example = json!({"auth_token": "…"}))]
    credentials: Map<String, Value>,
    /// Another host than the provider's own: a region's, a SIP bridge's.
    api_base_url: Option<String>,
    /// The account is a simulator's: test tokens may use it. Only on a server that runs with one.
    #[serde(default)]
    simulated: bool,
}

impl Members for ConnectAccount {
    const MEMBERS: &'static [&'static str] = &[
        "provider",
        "external_id",
        "name",
        "credentials",
        "api_base_url",
        "simulated",
    ];
}

/// Connect a provider account
///
/// The credentials are tried at the provider, with a request that changes nothing, before they are
/// stored. An account that was disconnected is taken up again.
#[utoipa::path(
    post, path = "/api/v1/provider-accounts", tag = "Provider accounts", operation_id = "connect_provider_account",
    security(("bearer" = ["accounts:write"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters")),
    request_body(content = ConnectAccount, example = json!({"provider": "twilio", "external_id": "AC0f0e0d0c0b0a09080706050403020100", "credentials": {"auth_token": "…"}})),
    responses(
        (status = 201, description = "Connected", body = AccountView<'static>, headers(("Location" = String, description = "The account"))),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`, `ACCOUNT_NOT_VERIFIED`, `TOKEN_RESTRICTED`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`PROVIDER_ACCOUNT_EXISTS`, `IDEMPOTENCY_IN_PROGRESS`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`VALIDATION_FAILED`, `IDEMPOTENCY_KEY_REUSED`", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "`PROVIDER_ERROR`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`DATABASE_UNAVAILABLE`, `PROVIDER_UNAVAILABLE`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn connect(
    State(state): State<HttpState>,
    mut incoming: Incoming,
) -> Answer {
    let result = run(&state, &mut incoming).await;
    finish(&incoming, result)
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Answer> {
    let identity = incoming.identify(state, Scope::AccountsWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: ConnectAccount = parse_json(&incoming.headers, &body)?;
    let new = request.checked()?;
    probe::read(new.provider, &new.credentials)?;
    let key = idempotent::key(incoming, &identity, ROUTE, &body)?;
    let (task_state, by_whom) = (state.clone(), identity.clone());
    let operation = async move {
        let by = by_whom.by();
        let (app, state) = (&task_state.app, &task_state);
        let planned = manage::plan(app, by, &by_whom.caller, &new).await?;
        let account = probe::account(&planned)?;
        probe::must_be_accepted(state, &account).await?;
        let connected = manage::connect(app, by, &new, &planned).await?;
        let view = AccountView::of(&connected, &state.public_url);
        let answer = Answer::json(StatusCode::CREATED, &view);
        Ok(answer.at(format!("/api/v1/provider-accounts/{}", connected.id)))
    };
    let doing = "connect a provider account";
    idempotent::carried_out(state, &identity, key, doing, operation).await
}

impl ConnectAccount {
    fn checked(self) -> Result<NewAccount> {
        let id = &self.external_id;
        let visible = id.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || !(1..=200).contains(&id.len()) {
            return Err(wrong(
                "/external_id",
                "invalid",
                "must be 1 to 200 visible ASCII characters",
            ));
        }
        let name = match self.name {
            Some(name) => checked_name(name)?,
            None => id.clone(),
        };
        Ok(NewAccount {
            provider: self.provider,
            name,
            external_id: self.external_id,
            api_base_url: self.api_base_url,
            simulated: self.simulated,
            credentials: written(&self.credentials)?,
        })
    }
}

/// Credentials as they are sealed.
pub(super) fn written(credentials: &Map<String, Value>) -> Result<Vec<u8>> {
    serde_json::to_vec(credentials).map_err(|error| Error::internal("write credentials", error))
}
