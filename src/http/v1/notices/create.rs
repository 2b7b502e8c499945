//! `POST /api/v1/notices`: a chat or a gateway is to be told of calls.

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;

use super::view::NoticeView;
use crate::{
    app::notices::{self, NewNotice, Target},
    domain::{
        AgentId, Result,
        notice::{gateway, telegram},
        token::Scope,
        webhook::endpoint::DEFAULT_TIMEOUT_SECONDS,
    },
    http::{
        HttpState,
        answer::Answer,
        error::Problem,
        extract::{Identity, Incoming, MOST_BYTES, Members, parse_json, wrong},
        idempotent,
        v1::{finish, webhook_endpoints::check},
    },
};

const ROUTE: &str = "POST /api/v1/notices";

/// A notice to create: `telegram` or `gateway`, one of the two.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in crate::http) struct CreateNotice {
    telegram: Option<CreateTelegram>,
    gateway: Option<CreateGateway>,
    /// For people; 500 characters at most.
    #[serde(default)]
    description: String,
    /// Telegram: started, ended, error, connected. Gateway: started, ended, error. Left out or empty:
    /// started, ended and error.
    #[serde(default)]
    #[schema(example = json!(["event_phone_call_ended"]))]
    events: Vec<String>,
    /// Only this agent's calls.
    agent_id: Option<AgentId>,
    /// Seconds, 5 to 120, default 15.
    timeout_seconds: Option<i32>,
}

/// A Telegram chat, and the bot that writes to it.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateTelegram {
    /// As `BotFather` gives it. Kept sealed and shown to nobody.
    bot_token: String,
    /// The number of a chat, or `@name` of a public channel.
    #[schema(example = "-1001234567890")]
    chat_id: String,
    /// The topic of a forum.
    message_thread_id: Option<i64>,
    /// Without a sound.
    #[serde(default)]
    silent: bool,
    #[serde(default)]
    format: telegram::Format,
    /// Of a Bot API server of your own; https.
    api_base_url: Option<String>,
}

/// A gateway that takes JSON-RPC over a websocket.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateGateway {
    /// wss.
    #[schema(example = "wss://gateway.example.com/agents")]
    url: String,
    /// Sent as `Authorization: Bearer …`. Kept sealed and shown to nobody.
    token: Option<String>,
    /// Whether it answers each request, as JSON-RPC asks for: then nothing is lost. Default true.
    #[serde(default = "yes")]
    answers: bool,
}

fn yes() -> bool {
    true
}

impl Members for CreateNotice {
    const MEMBERS: &'static [&'static str] = &[
        "telegram",
        "gateway",
        "description",
        "events",
        "agent_id",
        "timeout_seconds",
    ];
}

/// Create a notice
///
/// A Telegram chat or an agents' gateway is told of calls: of one agent's, or of all. Messages are
/// deliveries like those to webhook endpoints, with a log of their own.
#[utoipa::path(
    post, path = "/api/v1/notices", tag = "Notices", operation_id = "create_notice",
    security(("bearer" = ["webhooks:write"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 visible ASCII characters")),
    request_body(content = CreateNotice, example = json!({"telegram": {"bot_token": "123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "chat_id": "-1001234567890"}})),
    responses(
        (status = 201, description = "Created", body = NoticeView<'static>),
        (status = 400, description = "`INVALID_REQUEST`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`UNAUTHENTICATED`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`SCOPE_MISSING`", body = Problem, content_type = "application/problem+json"),
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
    let identity = incoming.identify(state, Scope::WebhooksWrite).await?;
    let body = incoming.body(MOST_BYTES).await?;
    let request: CreateNotice = parse_json(&incoming.headers, &body)?;
    let new = request.checked()?;
    let key = idempotent::key(incoming, &identity, ROUTE, &body)?;
    let (task_state, by_whom) = (state.clone(), identity.clone());
    let operation = async move { carry_out(&task_state, &by_whom, &new).await };
    idempotent::carried_out(state, &identity, key, "create a notice", operation).await
}

async fn carry_out(state: &HttpState, identity: &Identity, new: &NewNotice) -> Result<Answer> {
    let row = notices::create(&state.app, identity.by(), new).await?;
    Ok(Answer::json(StatusCode::CREATED, &NoticeView::of(&row)))
}

impl CreateNotice {
    fn checked(self) -> Result<NewNotice> {
        check::description(&self.description)?;
        let timeout_seconds = self.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS);
        check::timeout(timeout_seconds)?;
        let target = match (self.telegram, self.gateway) {
            (Some(telegram), None) => telegram.target(),
            (None, Some(gateway)) => gateway.target(),
            _ => {
                return Err(wrong(
                    "",
                    "required",
                    "one of telegram and gateway must be given",
                ));
            }
        };
        Ok(NewNotice {
            target,
            events: self.events,
            agent_id: self.agent_id,
            description: self.description,
            timeout_seconds,
        })
    }
}

impl CreateTelegram {
    fn target(self) -> Target {
        Target::Telegram {
            token: self.bot_token,
            settings: telegram::Settings {
                chat_id: self.chat_id,
                message_thread_id: self.message_thread_id,
                silent: self.silent,
                format: self.format,
            },
            api_base_url: self.api_base_url,
        }
    }
}

impl CreateGateway {
    fn target(self) -> Target {
        Target::Gateway {
            url: self.url,
            token: self.token,
            settings: gateway::Settings {
                answers: self.answers,
            },
        }
    }
}
