//! The providers' callbacks: verified with the account's own secret, then applied. Answered only
//! after what they tell is durable.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use serde_json::json;

use super::{HttpState, answer::Answer, error, extract::Incoming};
use crate::{
    app::{
        calls::observe::{self, Observed, Report},
        provider_accounts::{self, OpenAccount},
    },
    domain::{CallId, Error, ErrorCode, OrgScope, ProviderAccountId, Result},
    providers::{Account, CallbackRefusal, CallbackRequest, Credentials},
};

/// The largest callback that is read, in bytes.
const MOST_BYTES: usize = 64 * 1024;

/// Receive a provider's report on a call
///
/// For providers. The call is named by our reference in the path; the signature is checked with the
/// account's own secret over the whole URL.
#[utoipa::path(
    post, path = "/callbacks/{provider}/{account_id}/calls/{call_id}", tag = "Callbacks", operation_id = "provider_callback",
    params(
        ("provider" = String, Path, description = "The provider's name", example = "twilio"),
        ("account_id" = String, Path, description = "Our id of the provider account"),
        ("call_id" = String, Path, description = "Our id of the call"),
    ),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "In the provider's own form"),
    responses(
        (status = 204, description = "Durable, or known already"),
        (status = 400, description = "Malformed", body = Object, example = json!({"error": "CallSid is missing"})),
        (status = 403, description = "The signature is not this account's, or there is no such account", body = Object, example = json!({"error": "The signature does not match"})),
        (status = 404, description = "No such call of this account", body = Object, example = json!({"error": "Not found"})),
        (status = 408, description = "The body did not arrive", body = Object, example = json!({"error": "The request's body did not arrive within 10 seconds; send it again"})),
        (status = 413, description = "Too large", body = Object, example = json!({"error": "The request's body must be at most 65536 bytes long"})),
        (status = 503, description = "Not durable: send it again", body = Object, example = json!({"error": "The database does not answer in time and nothing was changed; try again"})),
    )
)]
pub(super) async fn callback(State(state): State<HttpState>, mut incoming: Incoming) -> Answer {
    let (outcome, answer) = match run(&state, &mut incoming).await {
        Ok(handled) => handled,
        Err(failed) => {
            error::log(&failed, &incoming.context.request_id);
            let status = error::status(failed.code);
            (
                "failed",
                refusal(status, &failed.detail).retry_like(&failed),
            )
        }
    };
    state.metrics.callback(incoming.param("provider"), outcome);
    answer
}

async fn run(state: &HttpState, incoming: &mut Incoming) -> Result<(&'static str, Answer)> {
    let not_found = || ("unknown", refusal(StatusCode::NOT_FOUND, "Not found"));
    let body = incoming.body(MOST_BYTES).await?;
    let account_id = incoming.param("account_id").parse::<ProviderAccountId>();
    let call_id = incoming.param("call_id").parse::<CallId>();
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
    let credentials = Credentials::parse(open.provider, &open.credentials)
        .map_err(|error| Error::internal("read a provider account's credentials", error))?;
    let account = Account {
        id: open.id,
        organization_id: open.organization_id,
        kind: open.provider,
        external_id: open.external_id.clone(),
        api_base_url: open.api_base_url.clone(),
        credentials,
    };
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
    let callback = match state
        .providers
        .callbacks(open.provider)
        .read(&account, &request)
    {
        Ok(callback) => callback,
        Err(refused) => return Ok(refused_answer(&refused)),
    };
    let report = Report {
        provider_account_id: account_id,
        receipt_key: callback.receipt_key,
        observation: callback.observation,
        body: callback.raw,
    };
    let scope = OrgScope::assume(open.organization_id);
    let app = state.app.clone();
    let task = state
        .app
        .ambient
        .tasks
        .spawn(async move { observe::report(&app, scope, call_id, &report).await });
    let observed = task
        .await
        .map_err(|error| Error::internal("apply a callback", error))??;
    Ok(match observed {
        Observed::Applied(call) => {
            if let Some((latency, confirmed_by)) = call.end_latency() {
                state
                    .metrics
                    .end(call.provider.as_str(), confirmed_by, latency);
            }
            ("applied", Answer::empty(StatusCode::NO_CONTENT))
        }
        Observed::Stale => ("stale", Answer::empty(StatusCode::NO_CONTENT)),
        Observed::UnknownCall => not_found(),
    })
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
