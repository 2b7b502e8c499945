//! Twilio's Programmable Voice as seen on the wire: the Call resource of the REST API, version
//! 2010-04-01, and the status callbacks.
//!
//! Routes, members and error bodies follow Twilio's published API description and documentation.
//! Where those are silent and this imitation had to choose, the place says so. Addresses in
//! answers are relative to the API's host, as Twilio's are; here that host is `{base_url}/twilio`.
//!
//! Not imitated: every other resource; updating a call's instructions; API keys; answering machine
//! detection; regions.

mod create;
mod list;
mod problem;
mod record;
mod status_callback;
mod twiml;

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::Method;

pub(super) use create::call_id;
pub(super) use status_callback::callback;

use super::{
    call::{Record, State},
    exchange::HangUp,
    fault::Operation,
    listener::{Asked, Handled, Reply},
    script::OverAnswer,
    switchboard::Switchboard,
};
use crate::{domain::provider::ProviderKind, outbound};

const TWILIO: ProviderKind = ProviderKind::Twilio;
const API_VERSION: &str = "2010-04-01";

/// A form or a query: names may repeat and their order is kept.
type Parameters = Vec<(String, String)>;

/// What a request is about.
enum Resource<'a> {
    Calls,
    Call(&'a str),
}

/// A request that is let in and understood as far as its form goes.
struct Admitted<'a> {
    account: &'a str,
    /// Relative to the API's host.
    path: &'a str,
    form: Parameters,
    query: &'a str,
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
    let Some((account, resource)) = route(path) else {
        return Handled::Answer(problem::not_found(path));
    };
    if !authentic(board, asked, account) {
        return Handled::Answer(problem::unauthorized());
    }
    let form = match form(asked) {
        Ok(form) => form,
        Err(reply) => return Handled::Answer(reply),
    };
    let query = asked.query.as_str();
    let admitted = Admitted {
        account,
        path,
        form,
        query,
    };
    match (&asked.method, resource) {
        (&Method::POST, Resource::Calls) => create(board, &admitted).await,
        (&Method::GET, Resource::Calls) => list(board, &admitted).await,
        (&Method::POST, Resource::Call(id)) => update(board, &admitted, id).await,
        (&Method::GET, Resource::Call(id)) => fetch(board, &admitted, id).await,
        (&Method::DELETE, Resource::Call(id)) => Handled::Answer(delete(board, &admitted, id)),
        _ => Handled::Answer(problem::method_not_allowed()),
    }
}

/// Does what the customer wants done with a call that came in. An answer that is no instructions
/// ends it, as an application error of the customer's does there.
pub(super) fn heed(board: &Arc<Switchboard>, call: &Record, answer: &outbound::Answer) {
    let now = board.now();
    let text = String::from_utf8_lossy(&answer.body);
    let wanted = if answer.status != 200 || !twiml::is_well_formed(&text) {
        Wanted::Fail
    } else if text.contains("<Reject") {
        Wanted::Reject
    } else {
        Wanted::Answer
    };
    board.with(|exchange| {
        exchange.command(&call.account, &call.id, |line, effects| {
            match (wanted, line.record.state) {
                (Wanted::Answer, State::Ringing) => line.answer(now, effects),
                (Wanted::Reject, State::Ringing) => line.end(State::Busy, Some(603), now, effects),
                (Wanted::Fail, State::Ringing) => line.end(State::Failed, Some(500), now, effects),
                _ => {}
            }
        })
    });
}

/// What a customer's answer to an incoming call asks for.
#[derive(Clone, Copy)]
enum Wanted {
    Answer,
    Reject,
    Fail,
}

fn route(path: &str) -> Option<(&str, Resource<'_>)> {
    let below = path.strip_prefix("/2010-04-01/Accounts/")?;
    let (account, rest) = below.split_once('/')?;
    if rest == "Calls.json" {
        return Some((account, Resource::Calls));
    }
    let id = rest.strip_prefix("Calls/")?.strip_suffix(".json")?;
    Some((account, Resource::Call(id)))
}

/// HTTP Basic with the account's name and auth token; the path names the same account.
fn authentic(board: &Arc<Switchboard>, asked: &Asked, account: &str) -> bool {
    let given = asked
        .header("authorization")
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|encoded| BASE64_STANDARD.decode(encoded).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((user, password)) = given.as_deref().and_then(|text| text.split_once(':')) else {
        return false;
    };
    let known = |secret: &str| secret == password;
    user == account && board.with(|exchange| exchange.secret(TWILIO, account).is_some_and(known))
}

/// The form of a POST. Twilio takes no other kind of body.
fn form(asked: &Asked) -> Result<Parameters, Reply> {
    if asked.method != Method::POST {
        return Ok(Parameters::new());
    }
    let media_type = asked.header("content-type").unwrap_or_default();
    let is_form = media_type
        .to_ascii_lowercase()
        .starts_with("application/x-www-form-urlencoded");
    if !is_form && !asked.body.is_empty() {
        return Err(problem::unsupported_media_type());
    }
    serde_urlencoded::from_bytes(&asked.body)
        .map_err(|_not_a_form| problem::bad_request(20001, "The request body is not a form."))
}

fn value<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    let named = parameters.iter().find(|(key, _)| key == name);
    named.map(|(_, value)| value.as_str())
}

async fn create(board: &Arc<Switchboard>, admitted: &Admitted<'_>) -> Handled {
    board.count(Operation::Create);
    let callback_url = value(&admitted.form, "StatusCallback");
    board.with(|exchange| exchange.hear_create(callback_url));
    let act = || {
        let bytes: [u8; 16] = board.ambient.entropy.bytes();
        match create::order(admitted.account, &admitted.form, bytes) {
            Ok(order) => {
                let now = board.now();
                let placed = board.with(|exchange| exchange.place(order, now));
                Reply::json(201, &record::json(&placed))
            }
            Err(problem) => problem.into_reply(400),
        }
    };
    guarded(board, admitted, Operation::Create, act).await
}

async fn update(board: &Arc<Switchboard>, admitted: &Admitted<'_>, id: &str) -> Handled {
    let unless_answered = match value(&admitted.form, "Status") {
        Some("completed") => false,
        Some("canceled") => true,
        _ => {
            let text = "Status must be completed or canceled; this imitation updates nothing else.";
            return Handled::Answer(problem::bad_request(20001, text));
        }
    };
    board.count(Operation::Hangup);
    let under_way = board.hang_up_under_way();
    board.with(|exchange| exchange.hear_hang_up(admitted.account, id));
    let act = || {
        let now = board.now();
        let account = admitted.account;
        match board.with(|exchange| exchange.hang_up(account, id, unless_answered, now)) {
            HangUp::Accepted(call) | HangUp::Over(call, OverAnswer::Record) => {
                Reply::json(200, &record::json(&call))
            }
            HangUp::Over(_, OverAnswer::Error) => {
                problem::bad_request(21220, "Call is not in-progress. Cannot redirect.")
            }
            HangUp::NoSuchCall | HangUp::Over(_, OverAnswer::NotFound) => {
                problem::not_found(admitted.path)
            }
        }
    };
    let handled = guarded(board, admitted, Operation::Hangup, act).await;
    drop(under_way);
    handled
}

async fn fetch(board: &Arc<Switchboard>, admitted: &Admitted<'_>, id: &str) -> Handled {
    board.count(Operation::Fetch);
    let act = || {
        let found = |call: &Record| Reply::json(200, &record::json(call));
        board
            .with(|exchange| exchange.find(admitted.account, id).map(found))
            .unwrap_or_else(|| problem::not_found(admitted.path))
    };
    guarded(board, admitted, Operation::Fetch, act).await
}

async fn list(board: &Arc<Switchboard>, admitted: &Admitted<'_>) -> Handled {
    board.count(Operation::List);
    let act = || {
        let wanted = list::Wanted::read(admitted.query);
        match wanted {
            Ok(wanted) => {
                let account = admitted.account;
                let page =
                    board.with(|exchange| wanted.page(account, exchange.newest_first(account)));
                Reply::json(200, &page)
            }
            Err(problem) => problem.into_reply(400),
        }
    };
    guarded(board, admitted, Operation::List, act).await
}

fn delete(board: &Arc<Switchboard>, admitted: &Admitted<'_>, id: &str) -> Reply {
    if board.with(|exchange| exchange.delete(admitted.account, id)) {
        Reply::empty(204)
    } else {
        problem::not_found(admitted.path)
    }
}

async fn guarded(
    board: &Arc<Switchboard>,
    admitted: &Admitted<'_>,
    operation: Operation,
    act: impl FnOnce() -> Reply + Send,
) -> Handled {
    let usual_body = |reply| problem::with_usual_body(reply, admitted.path);
    board.under_fault(TWILIO, operation, act, usual_body).await
}
