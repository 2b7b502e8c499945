//! The providers' callbacks: verified with the account's own secret, then applied. Answered only
//! after what they tell is durable.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use serde_json::json;

use super::{HttpState, answer::Answer, error, extract::Incoming};
use crate::{
    app::{
        calls::{
            hear::{self, Hearing, Learnt},
            observe::Observed,
            receive,
        },
        provider_accounts::{self, OpenAccount, heard},
    },
    db::admission,
    domain::{
        CallId, Error, ErrorCode, OrgScope, ProviderAccountId, Result, agent::AgentSettings,
        call::Call,
    },
    providers::{
        Account, Callback, CallbackRefusal, CallbackRequest, Instruction, ProviderCall, Reply,
        Stage, StoredAccount,
    },
};

/// The largest callback that is read, in bytes.
const MOST_BYTES: usize = 64 * 1024;

/// Receive a provider's report on a call
///
/// For providers. The call is named by our reference in the path; the signature is checked with the
/// account's own secret.
#[utoipa::path(
    post, path = "/callbacks/{provider}/{account_id}/calls/{call_id}", tag = "Callbacks", operation_id = "provider_callback",
    params(
        ("provider" = String, Path, description = "The provider's name", example = "twilio"),
        ("account_id" = String, Path, description = "Our id of the provider account"),
        ("call_id" = String, Path, description = "Our id of the call"),
    ),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "In the provider's own form"),
    responses(
        (status = 200, description = "Durable; the body tells what the call is to do, in the provider's own form", body = String, content_type = "text/xml", example = "<Response><Say>Hello.</Say></Response>"),
        (status = 204, description = "Durable, or known already"),
        (status = 400, description = "Malformed", body = Object, example = json!({"error": "CallSid is missing"})),
        (status = 403, description = "The signature is not this account's, or there is no such account", body = Object, example = json!({"error": "The signature does not match"})),
        (status = 404, description = "No such call of this account", body = Object, example = json!({"error": "Not found"})),
        (status = 408, description = "The body did not arrive", body = Object, example = json!({"error": "The request's body did not arrive within 10 seconds; send it again"})),
        (status = 413, description = "Too large", body = Object, example = json!({"error": "The request's body must be at most 65536 bytes long"})),
        (status = 503, description = "Not durable: send it again", body = Object, example = json!({"error": "The database does not answer in time and nothing was changed; try again"})),
    )
)]
pub(super) async fn callback(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    answer(&state, incoming).await
}

/// Receive a provider's incoming call, or a report that names its call itself
///
/// For providers: the URL to configure for a number, application or connection. The agent is found
/// by the number that was called; a number that nobody has is answered as a rejection.
#[utoipa::path(
    post, path = "/callbacks/{provider}/{account_id}", tag = "Callbacks", operation_id = "provider_account_callback",
    params(
        ("provider" = String, Path, description = "The provider's name", example = "twilio"),
        ("account_id" = String, Path, description = "Our id of the provider account"),
    ),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "In the provider's own form"),
    responses(
        (status = 200, description = "Durable; the body tells what the call is to do, or that it is rejected, in the provider's own form", body = String, content_type = "text/xml", example = "<Response><Reject/></Response>"),
        (status = 204, description = "Durable, or known already"),
        (status = 400, description = "Malformed", body = Object, example = json!({"error": "CallSid is missing"})),
        (status = 403, description = "The signature is not this account's, or there is no such account", body = Object, example = json!({"error": "The signature does not match"})),
        (status = 408, description = "The body did not arrive", body = Object, example = json!({"error": "The request's body did not arrive within 10 seconds; send it again"})),
        (status = 413, description = "Too large", body = Object, example = json!({"error": "The request's body must be at most 65536 bytes long"})),
        (status = 503, description = "Not durable: send it again", body = Object, example = json!({"error": "The database does not answer in time and nothing was changed; try again"})),
    )
)]
pub(super) async fn account_callback(State(state): State<HttpState>, incoming: Incoming) -> Answer {
    answer(&state, incoming).await
}

async fn answer(state: &HttpState, mut incoming: Incoming) -> Answer {
    let (outcome, answer) = match run(state, &mut incoming).await {
        Ok(handled) => handled,
        Err(failed) => {
            error::log(&failed, &incoming.context.request_id);
            let status = error::status(failed.code);
            let outcome = match failed.code {
                ErrorCode::PayloadTooLarge => "oversized",
                _ => "failed",
            };
            (outcome, refusal(status, &failed.detail).retry_like(&failed))
        }
    };
    state.metrics.callback(incoming.param("provider"), outcome);
    answer
}

type Handled = (&'static str, Answer);

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<Handled> {
    let body = incoming.body(MOST_BYTES).await?;
    let account_id = incoming.param("account_id").parse::<ProviderAccountId>();
    let call_id = match incoming.param("call_id") {
        "" => Ok(None),
        text => text.parse::<CallId>().map(Some),
    };
    let (Ok(account_id), Ok(call_id)) = (account_id, call_id) else {
        return Ok(not_found());
    };
    let open = provider_accounts::open(&state.app, account_id).await?;
    let of_provider =
        |open: &Arc<OpenAccount>| open.provider.as_str() == incoming.param("provider");
    let Some(open) = open.filter(of_provider) else {
        // Who cannot sign for an account is not told whether there is one.
        let (_, answer) = refused_answer(&CallbackRefusal::Signature);
        return Ok(("unknown", answer));
    };
    let account = opened(state, &open).await?;
    let path = incoming
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let url = format!("{}{path}", state.public_url);
    let request = CallbackRequest {
        method: incoming.method.as_str(),
        url: &url,
        headers: &incoming.headers,
        body: &body,
        call_id,
        now: state.app.ambient.now(),
    };
    let read = state
        .providers
        .callbacks(account.kind)
        .read(&account, &request);
    let callback = match read {
        Ok(callback) => callback,
        Err(refused) => return Ok(refused_answer(&refused)),
    };
    heard::note(&state.app, account.organization_id, account.id);
    // To its end, also when the provider hangs up on us.
    let tasks = &state.app.ambient.tasks;
    let state = state.clone();
    let task = tasks.spawn(admission::carried(async move {
        act(&state, &account, call_id, callback).await
    }));
    task.await
        .map_err(|error| Error::internal("apply a callback", error))?
}

/// The account as its adapter takes it.
pub(super) async fn opened(state: &HttpState, open: &OpenAccount) -> Result<Arc<Account>> {
    let stored = StoredAccount {
        id: open.id,
        organization_id: open.organization_id,
        kind: open.provider,
        external_id: &open.external_id,
        api_base_url: open.api_base_url.as_deref(),
        credentials: &open.credentials,
    };
    let account = state.providers.account(stored).await;
    account.map_err(|error| Error::internal("read a provider account's credentials", error))
}

async fn act(
    state: &HttpState,
    account: &Arc<Account>,
    call_id: Option<CallId>,
    callback: Callback,
) -> Result<Handled> {
    let scope = OrgScope::assume(account.organization_id);
    let asks = callback.asks;
    let hearing = Hearing {
        provider_account_id: account.id,
        receipt_key: callback.receipt_key,
        told: callback.told,
        body: callback.raw,
    };
    let observed = match hear::hear(&state.app, scope, call_id, hearing).await? {
        Learnt::Incoming { call, settings } => {
            return Ok(("incoming", instructed(state, account, &call, &settings)));
        }
        Learnt::NotTaken {
            provider_call_id,
            host,
        } => {
            turn_away(state, account, provider_call_id, host);
            let rejection = state.providers.callbacks(account.kind).rejection();
            return Ok(("rejected", replied(rejection)));
        }
        Learnt::Observed(observed) => observed,
    };
    let (outcome, call) = match observed {
        Observed::Applied(call) => {
            if let Some((latency, confirmed_by)) = call.end_latency() {
                state
                    .metrics
                    .end(call.provider.as_str(), confirmed_by, latency);
            }
            ("applied", Some(call))
        }
        Observed::Stale(call) => ("stale", call),
        Observed::Parked => ("parked", None),
        Observed::UnknownCall => return Ok(not_found()),
    };
    let Some(call) = call.filter(|call| asks && call.is_live() && call.wish.is_none()) else {
        // A call that is over, or is to be, is told to do nothing.
        let answer = if asks {
            replied(state.providers.callbacks(account.kind).rejection())
        } else {
            Answer::empty(StatusCode::NO_CONTENT)
        };
        return Ok((outcome, answer));
    };
    let settings = receive::settings(&state.app, scope, &call).await?;
    Ok((outcome, instructed(state, account, &call, &settings)))
}

/// Has a provider that is commanded turn the call away, while the answer goes out.
fn turn_away(state: &HttpState, account: &Arc<Account>, id: String, host: Option<String>) {
    let (providers, account) = (Arc::clone(&state.providers), Arc::clone(account));
    drop(state.app.ambient.tasks.spawn(async move {
        let call = ProviderCall {
            host: host.as_deref(),
            ..ProviderCall::named(&id)
        };
        providers.turn_away(&account, call).await;
    }));
}

/// What the provider is to do with the call; a call whose agent cannot be understood is rejected.
fn instructed(
    state: &HttpState,
    account: &Account,
    call: &Call,
    settings: &AgentSettings,
) -> Answer {
    let instruction = Instruction {
        call_id: call.id,
        stage: if call.answered_at.is_some() {
            Stage::Answered
        } else {
            Stage::Incoming
        },
        answer: &settings.answer,
        limits: call.limits,
        callback_url: format!(
            "{}/callbacks/{}/{}/calls/{}",
            state.public_url,
            account.kind.as_str(),
            account.id,
            call.id
        ),
    };
    let callbacks = state.providers.callbacks(account.kind);
    match callbacks.instructions(account, &instruction) {
        Ok(reply) => replied(reply),
        Err(problem) => {
            tracing::warn!(org.id = %call.organization_id, call.id = %call.id, problem, "an agent's settings cannot be carried out");
            replied(callbacks.rejection())
        }
    }
}

fn replied(reply: Reply) -> Answer {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    match reply.content_type {
        Some(content_type) => Answer::text(status, content_type, reply.body),
        None => Answer::empty(status),
    }
}

fn not_found() -> Handled {
    ("unknown", refusal(StatusCode::NOT_FOUND, "Not found"))
}

fn refused_answer(refused: &CallbackRefusal) -> (&'static str, Answer) {
    match refused {
        CallbackRefusal::Signature => (
            "forged",
            refusal(StatusCode::FORBIDDEN, "The signature does not match"),
        ),
        CallbackRefusal::WrongAccount => (
            "forged",
            refusal(StatusCode::FORBIDDEN, "The report is about another account"),
        ),
        CallbackRefusal::Malformed(what) => ("malformed", refusal(StatusCode::BAD_REQUEST, what)),
    }
}

fn refusal(status: StatusCode, what: &str) -> Answer {
    Answer::json(status, &json!({"error": what}))
}

/// Nothing is here: the canonical answer, which tells where to look.
pub(super) async fn nowhere(incoming: Incoming) -> Answer {
    let detail = format!(
        "There is no {} here; see /docs for what there is",
        incoming.method
    );
    let error = Error::new(ErrorCode::RouteNotFound, detail);
    error::problem(&error, &incoming.context.request_id, incoming.uri.path())
}

/// The path is here, the method is not.
pub(super) async fn wrong_method(incoming: Incoming) -> Answer {
    let detail = format!(
        "{} is not possible here; see /docs for what is",
        incoming.method
    );
    let error = Error::new(ErrorCode::MethodNotAllowed, detail);
    error::problem(&error, &incoming.context.request_id, incoming.uri.path())
}
