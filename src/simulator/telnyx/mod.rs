//! Telnyx's Call Control as seen on the wire, version 2: dial, hang up, read, active calls, and the
//! events of a call.
//!
//! Routes, members and error bodies follow Telnyx's published API description and documentation.
//! Where those are silent and this imitation had to choose, the place says so. Its host is
//! `{base_url}/telnyx`; a connection is an account here, with a key of its own.
//!
//! Not imitated: commands other than to answer, reject, speak and hang up; streams; several connections below one key; the addresses
//! that events go to otherwise.

mod command;
mod dial;
mod event;
mod problem;
mod record;

use std::sync::Arc;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use ed25519_dalek::SigningKey;
use hyper::{Method, body::Bytes};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::Duration;

pub(super) use dial::call_id;
pub(super) use event::callback;

use super::{
    call::Record,
    exchange::HangUp,
    fault::Operation,
    listener::{Asked, Handled, Reply},
    script::OverAnswer,
    switchboard::Switchboard,
};
use crate::domain::provider::ProviderKind;

const TELNYX: ProviderKind = ProviderKind::Telnyx;

/// A command is ignored when one with its id came within this time before.
const SAME_COMMAND: Duration = Duration::seconds(60);

/// A call can be read for this long after its end.
const READABLE: Duration = Duration::minutes(10);

/// What a request is about.
enum Resource {
    Calls,
    Call(String),
    HangUp(String),
    Command(String, command::Command),
    ActiveCalls(String),
}

/// The credentials of the account `connection`. The key that signs and the key that lets in come
/// from the secret, each by a hash of its own: whoever knows the one does not know the other.
pub(super) fn credentials(connection: &str, secret: &str) -> Value {
    let public_key = signing_key(secret).verifying_key();
    json!({
        "api_key": api_key(secret),
        "connection_id": connection,
        "public_key": BASE64_STANDARD.encode(public_key.as_bytes()),
    })
}

fn signing_key(secret: &str) -> SigningKey {
    SigningKey::from_bytes(&Sha256::digest(format!("sign {secret}")).into())
}

fn api_key(secret: &str) -> String {
    let digest = Sha256::digest(format!("enter {secret}"));
    format!("KEY{}", BASE64_URL_SAFE_NO_PAD.encode(digest))
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
        return Handled::Answer(problem::usual(401));
    };
    let Some(resource) = route(path) else {
        return Handled::Answer(problem::usual(404));
    };
    match (&asked.method, resource) {
        (&Method::POST, Resource::Calls) => dial(board, &account, &asked.body).await,
        (&Method::GET, Resource::Call(id)) => fetch(board, &account, &id).await,
        (&Method::POST, Resource::HangUp(id)) => hang_up(board, &account, &id, &asked.body).await,
        (&Method::POST, Resource::Command(id, command)) => Handled::Answer(command::carry_out(
            board,
            &account,
            &id,
            command,
            &asked.body,
        )),
        (&Method::GET, Resource::ActiveCalls(connection)) if connection == account => {
            active_calls(board, &account, &asked.query).await
        }
        (&Method::GET, Resource::ActiveCalls(_)) => Handled::Answer(problem::usual(404)),
        _ => Handled::Answer(problem::usual(405)),
    }
}

/// The account that the request's key belongs to.
fn account(board: &Arc<Switchboard>, asked: &Asked) -> Option<String> {
    let given = asked.header("authorization")?.strip_prefix("Bearer ")?;
    board.with(|exchange| {
        let account = exchange.account_with(TELNYX, |secret| api_key(secret) == given);
        account.map(str::to_owned)
    })
}

fn route(path: &str) -> Option<Resource> {
    let segments: Vec<String> = path
        .strip_prefix("/v2/")?
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["calls"] => Some(Resource::Calls),
        ["calls", id] => Some(Resource::Call((*id).to_owned())),
        ["calls", id, "actions", "hangup"] => Some(Resource::HangUp((*id).to_owned())),
        ["calls", id, "actions", name] => {
            Some(Resource::Command((*id).to_owned(), name.parse().ok()?))
        }
        ["connections", connection, "active_calls"] => {
            Some(Resource::ActiveCalls((*connection).to_owned()))
        }
        _ => None,
    }
}

async fn dial(board: &Arc<Switchboard>, account: &str, body: &Bytes) -> Handled {
    board.count(Operation::Create);
    let wanted = dial::read(body);
    if let Ok(wanted) = &wanted {
        let callback_url = wanted.webhook_url.as_deref();
        board.with(|exchange| exchange.hear_create(callback_url));
    }
    let act = || {
        let bytes: [u8; 16] = board.ambient.entropy.bytes();
        let order = match wanted.and_then(|wanted| wanted.into_order(account, bytes)) {
            Ok(order) => order,
            Err(problem) => return problem.into_reply(422),
        };
        let now = board.now();
        board.with(|exchange| {
            let earlier = order
                .command_id
                .as_deref()
                .and_then(|command| exchange.placed_by(account, command, now.plus(-SAME_COMMAND)));
            let call = match earlier {
                // The API description says only that it is ignored; the answer is this
                // imitation's choice.
                Some(earlier) => earlier.clone(),
                None => exchange.place(order, now),
            };
            Reply::json(200, &json!({ "data": record::dialled(&call) }))
        })
    };
    guarded(board, Operation::Create, act).await
}

async fn hang_up(board: &Arc<Switchboard>, account: &str, id: &str, body: &Bytes) -> Handled {
    if !matches!(serde_json::from_slice(body), Ok(Value::Object(_))) {
        return Handled::Answer(problem::not_json().into_reply(422));
    }
    board.count(Operation::Hangup);
    let under_way = board.hang_up_under_way();
    board.with(|exchange| exchange.hear_hang_up(account, id));
    let act = || {
        let now = board.now();
        match board.with(|exchange| exchange.hang_up(account, id, false, now)) {
            HangUp::Accepted(_) | HangUp::Over(_, OverAnswer::Record) => {
                Reply::json(200, &json!({ "data": { "result": "ok" } }))
            }
            HangUp::Over(_, OverAnswer::Error) => problem::call_has_ended().into_reply(422),
            HangUp::Over(_, OverAnswer::NotFound) => problem::usual(404),
            HangUp::NoSuchCall => problem::invalid_call_control_id().into_reply(422),
        }
    };
    let handled = guarded(board, Operation::Hangup, act).await;
    drop(under_way);
    handled
}

async fn fetch(board: &Arc<Switchboard>, account: &str, id: &str) -> Handled {
    board.count(Operation::Fetch);
    let act = || {
        let now = board.now();
        let readable = |call: &&Record| {
            call.ended_at
                .is_none_or(|ended_at| now.since(ended_at) <= READABLE)
        };
        let found = |call: &Record| Reply::json(200, &json!({ "data": record::read(call, now) }));
        board
            .with(|exchange| exchange.find(account, id).filter(readable).map(found))
            .unwrap_or_else(|| problem::usual(404))
    };
    guarded(board, Operation::Fetch, act).await
}

async fn active_calls(board: &Arc<Switchboard>, account: &str, query: &str) -> Handled {
    board.count(Operation::List);
    let act = || match record::Wanted::read(query) {
        Ok(wanted) => {
            let now = board.now();
            let page =
                board.with(|exchange| wanted.page(account, exchange.newest_first(account), now));
            Reply::json(200, &page)
        }
        Err(problem) => problem.into_reply(422),
    };
    guarded(board, Operation::List, act).await
}

async fn guarded(
    board: &Arc<Switchboard>,
    operation: Operation,
    act: impl FnOnce() -> Reply + Send,
) -> Handled {
    let usual_body = problem::with_usual_body;
    board.under_fault(TELNYX, operation, act, usual_body).await
}
