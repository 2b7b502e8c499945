//! OpenAI's Realtime API as seen on the wire where calls over SIP are concerned: the webhook of an
//! incoming call, accept, reject, hang up, and the websocket beside a call.
//!
//! Routes and members follow OpenAI's published API description; errors, for which it has none,
//! what others have met. Where both are silent and this imitation had to choose, the place says so.
//! Its host is `{base_url}/openai`; a project is an account here.
//!
//! Not imitated: the model, everything that is said over the websocket but its first event, calls
//! from browsers, referring a call.

mod event;
mod session;

use std::sync::Arc;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use hyper::{Method, body::Bytes};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(super) use event::callback;

use super::{
    call::{Line, State},
    exchange::HangUp,
    fault::Operation,
    listener::{Asked, Handled, Reply},
    script::OverAnswer,
    switchboard::Switchboard,
};
use crate::domain::{Timestamp, provider::ProviderKind};

const OPENAI: ProviderKind = ProviderKind::Openai;

/// What a session is accepted with. The rest of its many members are let pass.
#[derive(Deserialize)]
struct Wanted {
    #[serde(rename = "type")]
    kind: String,
    model: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rejection {
    status_code: Option<u16>,
}

/// The credentials of a project. The key that signs and the key that lets in come from the secret,
/// each by a hash of its own.
pub(super) fn credentials(secret: &str) -> Value {
    let signing = BASE64_STANDARD.encode(signing_key(secret));
    json!({ "api_key": api_key(secret), "webhook_secret": format!("whsec_{signing}") })
}

fn signing_key(secret: &str) -> [u8; 32] {
    Sha256::digest(format!("sign {secret}")).into()
}

fn api_key(secret: &str) -> String {
    let digest = Sha256::digest(format!("enter {secret}"));
    format!("sk-{}", BASE64_URL_SAFE_NO_PAD.encode(digest))
}

/// As theirs look: `rtc_` and 32 hexadecimal digits.
pub(super) fn call_id(random: [u8; 16]) -> String {
    format!("rtc_{}", uuid::Uuid::from_bytes(random).simple())
}

/// Answers a request whose path, relative to this face, is `path`.
///
/// It runs as a task of its own: a customer that hangs up the connection while a slow provider
/// thinks does not stop the provider from acting.
pub(super) async fn answer(board: Arc<Switchboard>, asked: Asked, path: String) -> Handled {
    let tasks = board.ambient.tasks.clone();
    let work = tasks.spawn(async move { respond(&board, &asked, &path).await });
    work.await.unwrap_or(Handled::Abort)
}

async fn respond(board: &Arc<Switchboard>, asked: &Asked, path: &str) -> Handled {
    let Some(account) = account(board, asked) else {
        return Handled::Answer(usual(401));
    };
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (&asked.method, segments.as_slice()) {
        (&Method::POST, ["v1", "realtime", "calls", id, "accept"]) => {
            Handled::Answer(accept(board, &account, id, &asked.body))
        }
        (&Method::POST, ["v1", "realtime", "calls", id, "reject"]) => {
            Handled::Answer(reject(board, &account, id, &asked.body))
        }
        (&Method::POST, ["v1", "realtime", "calls", id, "hangup"]) => {
            hang_up(board, &account, id).await
        }
        (&Method::GET, ["v1", "realtime"]) => session::open(board, &account, &asked.query).await,
        _ => Handled::Answer(usual(404)),
    }
}

/// The account that the request's key belongs to.
fn account(board: &Arc<Switchboard>, asked: &Asked) -> Option<String> {
    let given = asked.header("authorization")?.strip_prefix("Bearer ")?;
    board.with(|exchange| {
        let account = exchange.account_with(OPENAI, |secret| api_key(secret) == given);
        account.map(str::to_owned)
    })
}

/// Success is no promise: what is wrong with a session shows when it is set up, which ends the call.
fn accept(board: &Arc<Switchboard>, account: &str, id: &str, body: &Bytes) -> Reply {
    let wanted = serde_json::from_slice::<Wanted>(body);
    let sound = wanted.is_ok_and(|wanted| wanted.kind == "realtime" && !wanted.model.is_empty());
    let now = board.now();
    let accepted = board.with(|exchange| {
        exchange.command(account, id, |line, effects| {
            if !rings_in(line) {
                return refused_by(line);
            }
            if sound {
                line.answer(now, effects);
            } else {
                line.end(State::Failed, Some(400), now, effects);
            }
            Reply::empty(200)
        })
    });
    accepted.unwrap_or_else(|| no_such_call(404))
}

fn reject(board: &Arc<Switchboard>, account: &str, id: &str, body: &Bytes) -> Reply {
    let wanted = if body.is_empty() {
        Ok(Rejection::default())
    } else {
        serde_json::from_slice::<Rejection>(body)
    };
    let Ok(wanted) = wanted else {
        return usual(400);
    };
    let now: Timestamp = board.now();
    let rejected = board.with(|exchange| {
        exchange.command(account, id, |line, effects| {
            if !rings_in(line) {
                return refused_by(line);
            }
            let status = wanted.status_code.unwrap_or(603);
            line.end(State::Failed, Some(status), now, effects);
            Reply::empty(200)
        })
    });
    rejected.unwrap_or_else(|| no_such_call(404))
}

fn rings_in(line: &Line) -> bool {
    line.record.inbound && line.record.state == State::Ringing
}

/// What a command gets that comes too late: this imitation's choice.
fn refused_by(line: &Line) -> Reply {
    if line.record.state.is_over() {
        no_such_call(404)
    } else {
        problem(
            409,
            "call_already_accepted",
            "The call was accepted before.",
        )
    }
}

/// That a call which nobody accepted is none to hang up is this imitation's choice.
async fn hang_up(board: &Arc<Switchboard>, account: &str, id: &str) -> Handled {
    board.count(Operation::Hangup);
    let under_way = board.hang_up_under_way();
    board.with(|exchange| exchange.hear_hang_up(account, id));
    let act = || {
        let now = board.now();
        board.with(|exchange| {
            let pending = |call: &super::call::Record| call.state == State::Ringing;
            if exchange.find(account, id).is_some_and(pending) {
                return no_such_call(404);
            }
            match exchange.hang_up(account, id, false, now) {
                HangUp::Accepted(_) => Reply::empty(200),
                HangUp::Over(_, OverAnswer::Error) => no_such_call(404),
                HangUp::Over(_, OverAnswer::Record) => {
                    problem(409, "call_not_active", "The call is not active.")
                }
                HangUp::Over(_, OverAnswer::NotFound) | HangUp::NoSuchCall => no_such_call(400),
            }
        })
    };
    let handled = board
        .under_fault(OPENAI, Operation::Hangup, act, with_usual_body)
        .await;
    drop(under_way);
    handled
}

/// Both statuses were met.
fn no_such_call(status: u16) -> Reply {
    problem(status, "call_id_not_found", "No call found with that id.")
}

fn usual(status: u16) -> Reply {
    let (code, message) = match status {
        401 => ("invalid_api_key", "Incorrect API key provided."),
        404 => ("unknown_url", "Invalid URL."),
        429 => ("rate_limit_exceeded", "Rate limit reached."),
        500..=599 => ("server_error", "The server had an error."),
        _ => ("invalid_request", "The request is invalid."),
    };
    problem(status, code, message)
}

fn with_usual_body(reply: Reply) -> Reply {
    let worded = usual(reply.status);
    Reply {
        headers: reply.headers.into_iter().chain(worded.headers).collect(),
        ..worded
    }
}

fn problem(status: u16, code: &str, message: &str) -> Reply {
    let kind = if status >= 500 {
        "server_error"
    } else {
        "invalid_request_error"
    };
    let error = json!({ "message": message, "type": kind, "param": null, "code": code });
    Reply::json(status, &json!({ "error": error }))
}
