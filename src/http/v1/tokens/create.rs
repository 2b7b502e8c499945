//! `POST /api/v1/tokens`: makes a token, which is shown once.

use std::str::FromStr;

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use super::view::TokenView;
use crate::{
    app::tokens::{self, Wanted},
    domain::{
        AgentId, Result, Timestamp,
        grant::{MOST_SOURCES, Sources},
        token::{Environment, Scope},
    },
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Incoming, MOST_BYTES, Members, parse_json, wrong},
        idempotent,
        v1::{checked_name, finish},
    },
};

const ROUTE: &str = "POST /api/v1/tokens";

/// The most agents that a token may be restricted to.
const MOST_AGENTS: usize = 100;

/// A token to make.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct CreateToken {
    /// 1 to 200 characters.
    #[schema(example = "dialer")]
    name: String,
    /// What it may do, one at least.
    #[schema(example = json!(["calls:read", "calls:create", "calls:end"]))]
    scopes: Vec<String>,
    /// Left out: that of the token that makes it.
    environment: Option<Environment>,
    /// The only agents it may act for, 1 to 100. Left out: as the token that makes it.
    agent_ids: Option<Vec<AgentId>>,
    /// The only networks it may be used from, in CIDR notation, IPv4 or IPv6, 1 to 100; an address
    /// alone is a network of one. It is the address that connects: behind a proxy, the proxy's. Left
    /// out: as the token that makes it.
    #[schema(example = json!(["203.0.113.0/24", "2001:db8::/32"]))]
    source_addresses: Option<Vec<String>>,
    /// RFC 3339, later than now. Left out: when the token that makes it expires, if it does.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

impl Members for CreateToken {
    const MEMBERS: &'static [&'static str] = &[
        "name",
        "scopes",
        "environment",
        "agent_ids",
        "source_addresses",
        "expires_at",
    ];
}

/// Make a token
///
/// It is shown once, here, and cannot be given more than whoever makes it has: environment, scopes,
/// agents, networks, time.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "Tokens", operation_id = "create_token",
    security(("bearer" = ["tokens:write"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters")),
    request_body(content = CreateToken, example = json!({"name": "dialer", "scopes": ["calls:read", "calls:create", "calls:end"]})),
    responses(
        (status = 201, description = "Made; `token` is not shown again", body = TokenView<'static>, headers(("Location" = String, description = "The token"), ("Cache-Control" = String, description = "`no-store`"))),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`, `ACCOUNT_NOT_VERIFIED`, `GRANT_EXCEEDED`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`AGENT_NOT_FOUND`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`IDEMPOTENCY_IN_PROGRESS`", body = Problem, content_type = "application/problem+json"),
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
    let identity = incoming.identify(state, Scope::TokensWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: CreateToken = parse_json(&incoming.headers, &body)?;
    let wanted = request.checked(state.app.ambient.now())?;
    let key = idempotent::secret_key(incoming, &identity, ROUTE, &body)?;
    let (app, by_whom) = (state.app.clone(), identity.clone());
    let operation = async move {
        let by = by_whom.by();
        let (row, text) = tokens::create(&app, by, &by_whom.caller, wanted).await?;
        let answer = Answer::json(StatusCode::CREATED, &TokenView::of(&row, Some(&text)));
        Ok(answer.at(format!("/api/v1/tokens/{}", row.id)))
    };
    idempotent::carried_out(state, &identity, key, "make a token", operation).await
}

impl CreateToken {
    fn checked(self, now: Timestamp) -> Result<Wanted> {
        let mut scopes = Vec::new();
        for (at, name) in self.scopes.iter().enumerate() {
            let scope = Scope::from_str(name).map_err(|_| {
                let message = "is not a scope of ours; see the list of scopes in the documentation";
                wrong(&format!("/scopes/{at}"), "unknown", message)
            })?;
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        if scopes.is_empty() {
            return Err(wrong("/scopes", "length", "must name one scope at least"));
        }
        let agents = self.agent_ids.as_ref().map_or(1, Vec::len);
        if !(1..=MOST_AGENTS).contains(&agents) {
            return Err(wrong("/agent_ids", "length", "must name 1 to 100 agents"));
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(wrong("/expires_at", "past", "must be later than now"));
        }
        Ok(Wanted {
            name: checked_name(self.name)?,
            environment: self.environment,
            scopes,
            agent_ids: self.agent_ids,
            sources: self.source_addresses.as_deref().map(sources).transpose()?,
            expires_at: self.expires_at,
        })
    }
}

fn sources(texts: &[String]) -> Result<Sources> {
    if !(1..=MOST_SOURCES).contains(&texts.len()) {
        return Err(wrong(
            "/source_addresses",
            "length",
            "must name 1 to 100 networks",
        ));
    }
    Sources::parse(texts).map_err(|at| {
        let message = "must be a network in CIDR notation, for example 203.0.113.0/24";
        wrong(&format!("/source_addresses/{at}"), "invalid", message)
    })
}
