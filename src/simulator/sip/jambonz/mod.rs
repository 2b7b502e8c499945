//! jambonz's REST API and hooks, as its sources have them.
//!
//! Not imitated: the carrying out of verbs beyond the answering or declining of a call that comes
//! in; conferences, queues and messages; two hooks with different addresses; rate limits.

mod call;

use std::{sync::Arc, time::Duration};

use hyper::{Method, body::Bytes};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{SIP, derived, signed};
use crate::{
    domain::Timestamp,
    outbound,
    simulator::{
        call::{CallbackTarget, Event, Order, Record, Report, State},
        exchange::HangUp,
        fault::Operation,
        listener::{Asked, Handled, Reply},
        script::OverAnswer,
        switchboard::Switchboard,
    },
};

/// Seconds that a call rings when that is not said.
const USUAL_TIMEOUT: u64 = 60;

pub(super) fn credentials(account: &str, secret: &str) -> Value {
    json!({
        "bridge": "jambonz",
        "api_key": derived("enter", secret),
        "account_sid": account,
        "webhook_secret": webhook_secret(secret),
    })
}

fn webhook_secret(secret: &str) -> String {
    format!("wh_secret_{}", derived("sign", secret))
}

pub(super) async fn respond(board: &Arc<Switchboard>, asked: &Asked, path: &str) -> Handled {
    let key = asked.header("authorization").unwrap_or_default();
    let key = key.strip_prefix("Bearer ").unwrap_or_default();
    let account = board.with(|exchange| {
        let account = exchange.account_with(SIP, |secret| derived("enter", secret) == key);
        account.map(str::to_owned)
    });
    let Some(account) = account else {
        return Handled::Answer(message(401, "unauthorized"));
    };
    let prefix = format!("/v1/Accounts/{account}/Calls");
    let Some(below) = path.strip_prefix(&prefix) else {
        return Handled::Answer(bare(404, "Not Found"));
    };
    match (&asked.method, below.strip_prefix('/')) {
        (&Method::POST, None) => dial(board, &account, &asked.body).await,
        (&Method::GET, None) => list(board, &account).await,
        (&Method::GET, Some(sid)) => fetch(board, &account, sid).await,
        (&Method::PUT | &Method::POST, Some(sid)) => {
            update(board, &account, sid, &asked.body).await
        }
        _ => Handled::Answer(bare(404, "Not Found")),
    }
}

#[derive(Deserialize)]
struct Wanted {
    from: String,
    to: Target,
    application_sid: Option<String>,
    call_hook: Option<Hook>,
    call_status_hook: Option<Hook>,
    timeout: Option<u64>,
    #[serde(rename = "timeLimit")]
    time_limit: Option<u64>,
    tag: Option<Value>,
}

#[derive(Deserialize)]
struct Target {
    #[serde(rename = "type")]
    kind: String,
    number: Option<String>,
}

#[derive(Deserialize)]
struct Hook {
    url: String,
}

async fn dial(board: &Arc<Switchboard>, account: &str, body: &Bytes) -> Handled {
    board.count(Operation::Create);
    let wanted = serde_json::from_slice::<Wanted>(body);
    let hook = |wanted: &Wanted| Some(wanted.call_status_hook.as_ref()?.url.clone());
    let report_to = wanted.as_ref().ok().and_then(hook);
    board.with(|exchange| exchange.hear_create(report_to.as_deref()));
    let act = || {
        let Ok(wanted) = wanted else {
            return message(400, "the body is not a call");
        };
        let sid = uuid::Builder::from_random_bytes(board.ambient.entropy.bytes()).into_uuid();
        match order(wanted, account, sid.to_string(), report_to) {
            Ok(order) => {
                let now = board.now();
                board.with(|exchange| exchange.place(order, now));
                Reply::json(
                    201,
                    &json!({ "sid": sid, "callId": format!("{sid}@127.0.0.1") }),
                )
            }
            Err(problem) => message(400, problem),
        }
    };
    guarded(board, Operation::Create, act).await
}

fn order(
    wanted: Wanted,
    account: &str,
    sid: String,
    report_to: Option<String>,
) -> Result<Order, &'static str> {
    if wanted.application_sid.is_none() && wanted.call_hook.is_none() {
        return Err("either url or application_sid required");
    }
    let number = wanted.to.number.filter(|_| wanted.to.kind == "phone");
    let report_to = report_to.filter(|url| Url::parse(url).is_ok());
    Ok(Order {
        provider: SIP,
        id: sid,
        account: account.to_owned(),
        to: number.ok_or("number is required for a phone")?,
        from: wanted.from,
        callback: report_to.map(CallbackTarget::everything_to),
        ring_timeout: Duration::from_secs(wanted.timeout.unwrap_or(USUAL_TIMEOUT)),
        time_limit: Duration::from_secs(wanted.time_limit.unwrap_or(14_400)),
        runnable: true,
        client_state: wanted.tag.map(|tag| tag.to_string()),
        command_id: None,
    })
}

async fn list(board: &Arc<Switchboard>, account: &str) -> Handled {
    board.count(Operation::List);
    guarded(board, Operation::List, || {
        let calls: Vec<Value> = board.with(|exchange| {
            let calls = exchange.newest_first(account);
            calls.map(call::shown).collect()
        });
        Reply::json(200, &calls)
    })
    .await
}

async fn fetch(board: &Arc<Switchboard>, account: &str, sid: &str) -> Handled {
    board.count(Operation::Fetch);
    guarded(board, Operation::Fetch, || {
        let shown = |call: &Record| Reply::json(200, &call::shown(call));
        board
            .with(|exchange| exchange.find(account, sid).map(shown))
            .unwrap_or_else(|| bare(404, "Not Found"))
    })
    .await
}

#[derive(Deserialize)]
struct Update {
    call_status: Option<String>,
}

async fn update(board: &Arc<Switchboard>, account: &str, sid: &str, body: &Bytes) -> Handled {
    let update = serde_json::from_slice::<Update>(body).ok();
    let status = update.and_then(|update| update.call_status);
    let of_answered = match status.as_deref() {
        Some("completed") => true,
        Some("no-answer") => false,
        _ => return Handled::Answer(message(400, "no valid options supplied to updateCall")),
    };
    board.count(Operation::Hangup);
    let under_way = board.hang_up_under_way();
    board.with(|exchange| exchange.hear_hang_up(account, sid));
    let act = || {
        let now = board.now();
        let state = board.with(|exchange| exchange.find(account, sid).map(|call| call.state));
        let fits = match state {
            Some(State::InProgress) => of_answered,
            Some(State::Queued | State::Ringing) => !of_answered,
            _ => true,
        };
        if !fits {
            let text = "current call state is incompatible with requested action for call_sid";
            return plain(422, &format!("{text} {sid}"));
        }
        match board.with(|exchange| exchange.hang_up(account, sid, false, now)) {
            HangUp::Accepted(_) | HangUp::Over(_, OverAnswer::Record) => bare(202, "Accepted"),
            HangUp::Over(_, OverAnswer::Error) => {
                plain(422, &format!("call session is gone for call_sid {sid}"))
            }
            HangUp::Over(_, OverAnswer::NotFound) | HangUp::NoSuchCall => bare(404, "Not Found"),
        }
    };
    let handled = guarded(board, Operation::Hangup, act).await;
    drop(under_way);
    handled
}

/// The hook that tells `report`, or asks what a call is to do that came in or was answered.
pub(super) fn hook(
    report: &Report,
    target: &CallbackTarget,
    secret: &str,
    now: Timestamp,
) -> Option<outbound::Request> {
    if report.event == Event::Spoken {
        return None;
    }
    let body = call::shown(&report.call);
    let key = webhook_secret(secret);
    signed("jambonz-signature", &key, &target.url, &body, now)
}

/// Does what the verbs in answer to a call that came in ask for: declines it, or answers it.
pub(super) fn heed(board: &Arc<Switchboard>, call: &Record, answer: &outbound::Answer) {
    let now = board.now();
    let verbs = serde_json::from_slice::<Vec<Value>>(&answer.body).ok();
    let first = verbs
        .filter(|_| answer.status == 200)
        .and_then(|verbs| Some(verbs.first()?.get("verb")?.as_str()?.to_owned()));
    board.with(|exchange| {
        exchange.command(&call.account, &call.id, |line, effects| {
            if line.record.state != State::Ringing {
                return;
            }
            match first.as_deref() {
                Some("answer" | "say" | "listen") => line.answer(now, effects),
                Some("sip:decline") => line.end(State::Failed, Some(603), now, effects),
                _ => line.end(State::Failed, Some(500), now, effects),
            }
        })
    });
}

fn message(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({ "msg": text }))
}

/// A status and its name, as their server sends it.
fn bare(status: u16, name: &str) -> Reply {
    let body = Bytes::from(name.to_owned());
    Reply::empty(status).with_body("text/plain; charset=utf-8", body)
}

/// A sentence, as their server sends it.
fn plain(status: u16, text: &str) -> Reply {
    let body = Bytes::from(text.to_owned());
    Reply::empty(status).with_body("text/html; charset=utf-8", body)
}

async fn guarded(
    board: &Arc<Switchboard>,
    operation: Operation,
    act: impl FnOnce() -> Reply + Send,
) -> Handled {
    let usual_body = |reply: Reply| {
        if reply.status < 400 {
            return reply;
        }
        let mut with_body = match reply.status {
            404 => bare(404, "Not Found"),
            422 => plain(422, "it was ordered so"),
            status => message(status, "it was ordered so"),
        };
        with_body.headers.extend(reply.headers);
        with_body
    };
    board.under_fault(SIP, operation, act, usual_body).await
}
