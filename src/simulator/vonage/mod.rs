//! Vonage's Voice API as seen on the wire, version 1: create, hang up, read and list calls, and the
//! webhooks of a call.
//!
//! Routes, members and error bodies follow Vonage's published API description and documentation.
//! Where those are silent and this imitation had to choose, the place says so. Its host is
//! `{base_url}/vonage`; an application is an account here.
//!
//! Not imitated: actions other than to hang up; instructions in the request that creates a call;
//! what instructions do, beyond whether there are any; regions, of which there is one.

mod create;
mod event;
mod problem;
mod record;
mod token;

use std::sync::Arc;

use hyper::{Method, body::Bytes};
use percent_encoding::percent_decode_str;
use serde_json::Value;

pub(super) use create::call_id;
pub(super) use event::callback;
pub(super) use token::credentials;

use super::{
    call::{Record, State},
    exchange::HangUp,
    fault::Operation,
    listener::{Asked, Handled, Reply},
    script::OverAnswer,
    switchboard::Switchboard,
};
use crate::{domain::provider::ProviderKind, outbound};

const VONAGE: ProviderKind = ProviderKind::Vonage;

/// What a request is about.
enum Resource {
    Calls,
    Call(String),
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
        (&Method::POST, Resource::Calls) => create(board, &account, &asked.body).await,
        (&Method::GET, Resource::Calls) => list(board, &account, &asked.query).await,
        (&Method::PUT, Resource::Call(id)) => modify(board, &account, &id, &asked.body).await,
        (&Method::GET, Resource::Call(id)) => fetch(board, &account, &id).await,
        _ => Handled::Answer(problem::usual(405)),
    }
}

/// Does what the customer wants done with a call that it was asked about. Without actions the call
/// is over at once; an answer that is no list of actions ends it too, after they have asked again.
pub(super) fn heed(board: &Arc<Switchboard>, call: &Record, answer: &outbound::Answer) {
    let now = board.now();
    let actions = actions(answer);
    board.with(|exchange| {
        exchange.command(&call.account, &call.id, |line, effects| {
            match (actions, line.record.state) {
                (Some(1..), State::Ringing) => line.answer(now, effects),
                (Some(0), State::Ringing) => line.end(State::Busy, Some(486), now, effects),
                (None, State::Ringing) => line.end(State::Failed, Some(500), now, effects),
                (Some(0) | None, State::InProgress) => {
                    line.end(State::Completed, None, now, effects);
                }
                _ => {}
            }
        })
    });
}

/// How many actions an answer holds; `None`: it is no list of actions.
fn actions(answer: &outbound::Answer) -> Option<usize> {
    let actions: Vec<Value> = serde_json::from_slice(&answer.body).ok()?;
    let named = |action: &Value| action.get("action").is_some_and(Value::is_string);
    (answer.status == 200 && actions.iter().all(named)).then_some(actions.len())
}

/// The account that the request's token is for.
fn account(board: &Arc<Switchboard>, asked: &Asked) -> Option<String> {
    let application = token::application(asked.header("authorization")?, board.now())?;
    let known = board.with(|exchange| exchange.secret(VONAGE, &application).is_some());
    known.then_some(application)
}

fn route(path: &str) -> Option<Resource> {
    let mut segments = path.strip_prefix("/v1/calls")?.split('/').skip(1);
    match (segments.next(), segments.next()) {
        (None | Some(""), None) => Some(Resource::Calls),
        (Some(id), None) => {
            let id = percent_decode_str(id).decode_utf8_lossy().into_owned();
            Some(Resource::Call(id))
        }
        _ => None,
    }
}

async fn create(board: &Arc<Switchboard>, account: &str, body: &Bytes) -> Handled {
    board.count(Operation::Create);
    let wanted = create::read(body);
    if let Ok(wanted) = &wanted {
        let callback_url = wanted.event_url.first().map(String::as_str);
        board.with(|exchange| exchange.hear_create(callback_url));
    }
    let act = || {
        let bytes: [u8; 16] = board.ambient.entropy.bytes();
        match wanted.and_then(|wanted| wanted.into_order(account, bytes)) {
            Ok(order) => {
                let now = board.now();
                let call = board.with(|exchange| exchange.place(order, now));
                Reply::json(201, &record::created(&call))
            }
            Err(problem) => problem.into_reply(),
        }
    };
    guarded(board, Operation::Create, act).await
}

async fn modify(board: &Arc<Switchboard>, account: &str, id: &str, body: &Bytes) -> Handled {
    let wanted = serde_json::from_slice::<Value>(body).unwrap_or_default();
    if wanted.get("action").and_then(Value::as_str) != Some("hangup") {
        return Handled::Answer(problem::usual(400));
    }
    board.count(Operation::Hangup);
    let under_way = board.hang_up_under_way();
    board.with(|exchange| exchange.hear_hang_up(account, id));
    let act = || {
        let now = board.now();
        match board.with(|exchange| exchange.hang_up(account, id, false, now)) {
            HangUp::Accepted(_) | HangUp::Over(_, OverAnswer::Record) => Reply::empty(204),
            // The same for a call that is over and for one that never was.
            HangUp::Over(_, OverAnswer::Error | OverAnswer::NotFound) | HangUp::NoSuchCall => {
                problem::usual(404)
            }
        }
    };
    let handled = guarded(board, Operation::Hangup, act).await;
    drop(under_way);
    handled
}

async fn fetch(board: &Arc<Switchboard>, account: &str, id: &str) -> Handled {
    board.count(Operation::Fetch);
    let act = || {
        let shown = |call: &Record| Reply::json(200, &record::read(call));
        board
            .with(|exchange| exchange.find(account, id).map(shown))
            .unwrap_or_else(|| problem::usual(404))
    };
    guarded(board, Operation::Fetch, act).await
}

async fn list(board: &Arc<Switchboard>, account: &str, query: &str) -> Handled {
    board.count(Operation::List);
    let act = || match record::Wanted::read(query) {
        Ok(wanted) => {
            let page = board.with(|exchange| wanted.page(exchange.newest_first(account)));
            Reply::json(200, &page)
        }
        Err(problem) => problem.into_reply(),
    };
    guarded(board, Operation::List, act).await
}

async fn guarded(
    board: &Arc<Switchboard>,
    operation: Operation,
    act: impl FnOnce() -> Reply + Send,
) -> Handled {
    let usual_body = problem::with_usual_body;
    board.under_fault(VONAGE, operation, act, usual_body).await
}
