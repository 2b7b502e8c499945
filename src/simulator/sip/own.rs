//! A bridge of a customer's own, as its credentials describe it: `POST /bridge/calls/{id}` dials,
//! `POST /bridge/calls/{id}/hangup` ends, both answered with 202; 409 means that the call is over,
//! 404 that there is none. Reports are signed as plain bridges are asked to.

use std::{sync::Arc, time::Duration};

use hyper::{Method, body::Bytes};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{SIP, derived, signed};
use crate::{
    domain::Timestamp,
    outbound,
    simulator::{
        call::{CallbackTarget, Event, Order, Report, State},
        exchange::HangUp,
        fault::Operation,
        listener::{Asked, Handled, Reply},
        script::OverAnswer,
        switchboard::Switchboard,
    },
};

pub(super) fn credentials(secret: &str) -> Value {
    json!({
        "bridge": "http",
        "hang_up": {
            "method": "POST",
            "url": "/bridge/calls/{call_id}/hangup",
            "accepted": [202],
            "already_over": [409],
            "unknown": [404],
        },
        "dial": { "method": "POST", "url": "/bridge/calls/{call_id}", "accepted": [202] },
        "headers": { "X-Bridge-Key": derived("enter", secret) },
        "webhook_secret": derived("sign", secret),
    })
}

#[derive(Deserialize)]
struct Wanted {
    from: String,
    to: String,
    report_to: String,
    ring_timeout_seconds: u64,
    max_duration_seconds: u64,
}

pub(super) async fn respond(board: &Arc<Switchboard>, asked: &Asked, path: &str) -> Handled {
    let key = asked.header("x-bridge-key").unwrap_or_default();
    let account = board.with(|exchange| {
        let account = exchange.account_with(SIP, |secret| derived("enter", secret) == key);
        account.map(str::to_owned)
    });
    let Some(account) = account else {
        return Handled::Answer(Reply::empty(401));
    };
    let below = path.strip_prefix("/bridge/calls/").unwrap_or_default();
    match (&asked.method, below.split_once('/')) {
        (&Method::POST, None) if !below.is_empty() => {
            dial(board, &account, below, &asked.body).await
        }
        (&Method::POST, Some((id, "hangup"))) => hang_up(board, &account, id).await,
        _ => Handled::Answer(Reply::empty(405)),
    }
}

async fn dial(board: &Arc<Switchboard>, account: &str, id: &str, body: &Bytes) -> Handled {
    board.count(Operation::Create);
    let wanted = serde_json::from_slice::<Wanted>(body);
    let report_to = wanted.as_ref().ok().map(|wanted| wanted.report_to.clone());
    board.with(|exchange| exchange.hear_create(report_to.as_deref()));
    let act = || {
        let Ok(wanted) = wanted else {
            return Reply::empty(400);
        };
        let order = Order {
            provider: SIP,
            id: id.to_owned(),
            account: account.to_owned(),
            to: wanted.to,
            from: wanted.from,
            callback: Some(CallbackTarget {
                url: wanted.report_to,
                by_get: false,
                wanted: vec![Event::Ringing, Event::Answered, Event::Completed],
            }),
            ring_timeout: Duration::from_secs(wanted.ring_timeout_seconds),
            time_limit: Duration::from_secs(wanted.max_duration_seconds),
            runnable: true,
            client_state: None,
            command_id: None,
        };
        let now = board.now();
        board.with(|exchange| exchange.place(order, now));
        Reply::empty(202)
    };
    board
        .under_fault(SIP, Operation::Create, act, |reply| reply)
        .await
}

async fn hang_up(board: &Arc<Switchboard>, account: &str, id: &str) -> Handled {
    board.count(Operation::Hangup);
    let under_way = board.hang_up_under_way();
    board.with(|exchange| exchange.hear_hang_up(account, id));
    let act = || {
        let now = board.now();
        match board.with(|exchange| exchange.hang_up(account, id, false, now)) {
            HangUp::Accepted(_) | HangUp::Over(_, OverAnswer::Record) => Reply::empty(202),
            HangUp::Over(_, OverAnswer::Error) => Reply::empty(409),
            HangUp::Over(_, OverAnswer::NotFound) | HangUp::NoSuchCall => Reply::empty(404),
        }
    };
    let handled = board
        .under_fault(SIP, Operation::Hangup, act, |reply| reply)
        .await;
    drop(under_way);
    handled
}

pub(super) fn report(
    report: &Report,
    target: &CallbackTarget,
    secret: &str,
    id: &str,
    now: Timestamp,
) -> Option<outbound::Request> {
    let event = match report.event {
        Event::Ringing => "ringing",
        Event::Answered => "answered",
        Event::Completed => "ended",
        Event::Initiated | Event::Arrived | Event::Spoken | Event::Asks => return None,
    };
    let call = &report.call;
    let mut body = json!({
        "id": id, "call_id": call.id, "event": event, "at": report.at.to_string(),
    });
    if let (Event::Completed, Some(members)) = (report.event, body.as_object_mut()) {
        let status = match call.state {
            State::Queued | State::Ringing | State::InProgress => State::Failed,
            over => over,
        };
        members.insert("status".to_owned(), status.as_str().into());
        members.insert("cause".to_owned(), json!({ "sip_code": call.sip_code }));
    }
    let key = derived("sign", secret);
    signed("onhook-bridge-signature", &key, &target.url, &body, now)
}
