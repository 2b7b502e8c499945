//! Vonage's webhooks: the events of a call and the question what it is to do.
//!
//! Source: Vonage's reference of Voice API webhooks. Which detail goes with which end is this
//! imitation's choice among the documented ones.

use std::net::SocketAddr;

use hyper::{
    HeaderMap, Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};
use url::Url;

use super::{record, token};
use crate::{
    domain::Timestamp,
    outbound,
    simulator::{
        call::{Record, State},
        report::{CallbackTarget, Event, Report},
    },
};

/// The request that tells `report` to `target`, signed at `now` with what comes from `secret`. `id`
/// names the token: the same for every attempt and copy. `None` when it cannot be put on the wire.
/// `address` is where the simulator listens: the only region there is.
pub(in crate::simulator) fn callback(
    report: &Report,
    target: &CallbackTarget,
    secret: &str,
    id: &str,
    (now, address): (Timestamp, SocketAddr),
) -> Option<outbound::Request> {
    let call = &report.call;
    let (url, body) = match report.event {
        Event::Asks => (call.client_state.as_ref()?, question(call, address)),
        Event::Arrived => (&target.url, question(call, address)),
        Event::Initiated | Event::Ringing | Event::Answered | Event::Completed => {
            (&target.url, event(report))
        }
        // They tell nothing of it.
        Event::Spoken => return None,
    };
    let body = body.to_string();
    let token = token::of_webhook(&call.account, secret, id, body.as_bytes(), now)?;
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (AUTHORIZATION, HeaderValue::from_str(&token).ok()?),
    ]);
    Some(outbound::Request {
        method: Method::POST,
        url: Url::parse(url).ok()?,
        headers,
        body: body.into(),
    })
}

fn question(call: &Record, address: SocketAddr) -> Value {
    json!({
        "from": call.from,
        "to": call.to,
        "endpoint_type": "phone",
        "uuid": call.id,
        "conversation_uuid": record::conversation(call),
        "region_url": format!("http://{address}"),
    })
}

fn event(report: &Report) -> Value {
    let call = &report.call;
    let mut event = json!({
        "from": call.from,
        "to": call.to,
        "uuid": call.id,
        "conversation_uuid": record::conversation(call),
        "status": record::status(call),
        "direction": record::direction(call),
        "timestamp": report.at.to_string(),
    });
    if let (Value::Object(members), Value::Object(more)) = (&mut event, ending(call)) {
        members.extend(more);
    }
    event
}

fn ending(call: &Record) -> Value {
    let by_customer = call.hangups_carried_out > 0 || call.reached_time_limit;
    match (call.state, call.sip_code) {
        (State::Completed, _) => json!({
            "start_time": call.answered_at.map(|at| at.to_string()),
            "end_time": call.ended_at.map(|at| at.to_string()),
            "duration": call.connected_seconds().unwrap_or_default().to_string(),
            "rate": "0.00",
            "price": "0.00",
            "network": "US-FIXED",
            "disconnected_by": if by_customer { "platform" } else { "user" },
        }),
        (State::NoAnswer, _) => json!({ "detail": "timeout" }),
        (State::Failed, Some(603)) => json!({ "detail": "declined", "sip_code": 603 }),
        (State::Failed, Some(404)) => json!({ "detail": "invalid_number", "sip_code": 404 }),
        (State::Failed, code) => json!({ "detail": "internal_error", "sip_code": code }),
        _ => json!({}),
    }
}
