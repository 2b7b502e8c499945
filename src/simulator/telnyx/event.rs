//! Telnyx's events: their bodies and their signature.
//!
//! Source: the webhooks in Telnyx's API description, and its documentation of receiving them. The
//! signature is Ed25519, under the account's key, of the time, a vertical bar and the body.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::Signer as _;
use hyper::{
    HeaderMap, Method,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::{record::instant, signing_key};
use crate::{
    domain::Timestamp,
    outbound,
    simulator::call::{CallbackTarget, Event, Record, Report, State},
};

/// The request that tells `report` to `target`, signed at `now` with the key of `secret`. `id`
/// names the event: the same for every attempt and copy. `None` when it cannot be put on the wire.
///
/// By GET it would carry its members in the query, which nobody here asks for: it is sent by POST.
pub(in crate::simulator) fn callback(
    report: &Report,
    target: &CallbackTarget,
    secret: &str,
    id: &str,
    now: Timestamp,
) -> Option<outbound::Request> {
    let url = Url::parse(&target.url).ok()?;
    let body = body(report, target, id)?.to_string();
    let timestamp = now.unix_seconds().to_string();
    let signature = signing_key(secret).sign(format!("{timestamp}|{body}").as_bytes());
    let signature = BASE64_STANDARD.encode(signature.to_bytes());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, text) in [
        ("telnyx-timestamp", timestamp),
        ("telnyx-signature-ed25519", signature),
    ] {
        headers.insert(name, HeaderValue::from_str(&text).ok()?);
    }
    Some(outbound::Request {
        method: Method::POST,
        url,
        headers,
        body: body.into(),
    })
}

/// A UUID that goes with the call, for the names of its leg and its session.
pub(super) fn leg_id(call: &Record) -> String {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(Sha256::digest(call.id.as_bytes())) {
        *to = from;
    }
    uuid::Builder::from_custom_bytes(bytes)
        .into_uuid()
        .to_string()
}

fn body(report: &Report, target: &CallbackTarget, id: &str) -> Option<Value> {
    let call = &report.call;
    let (event_type, more) = match report.event {
        Event::Initiated => (
            "call.initiated",
            json!({ "direction": "outgoing", "state": "bridging" }),
        ),
        Event::Answered => (
            "call.answered",
            json!({ "state": "answered", "start_time": instant(call.created_at) }),
        ),
        Event::Completed => ("call.hangup", ending(call)),
        Event::Arrived => (
            "call.initiated",
            json!({ "direction": "incoming", "state": "parked" }),
        ),
        Event::Spoken => ("call.speak.ended", json!({ "status": "completed" })),
        // They tell nothing of it.
        Event::Ringing | Event::Asks => return None,
    };
    let mut payload = json!({
        "call_control_id": call.id,
        "call_leg_id": leg_id(call),
        "call_session_id": leg_id(call),
        "client_state": call.client_state,
        "connection_id": call.account,
        "from": call.from,
        "to": call.to,
    });
    if let (Some(members), Value::Object(more)) = (payload.as_object_mut(), more) {
        members.extend(more);
    }
    Some(json!({
        "data": {
            "record_type": "event",
            "event_type": event_type,
            "id": id,
            "occurred_at": instant(report.at),
            "payload": payload,
        },
        "meta": { "attempt": 1, "delivered_to": target.url },
    }))
}

fn ending(call: &Record) -> Value {
    let by_customer = call.hangups_carried_out > 0 || call.reached_time_limit;
    let cause = match (call.state, call.sip_code) {
        (State::Completed, _) if call.reached_time_limit => "time_limit",
        (State::Completed, _) => "normal_clearing",
        (State::Canceled, _) => "originator_cancel",
        (State::Busy, _) => "user_busy",
        (State::NoAnswer, _) => "timeout",
        (_, Some(603)) => "call_rejected",
        (_, Some(404)) => "not_found",
        _ => "unspecified",
    };
    let sip = match call.state {
        State::Completed => "200".to_owned(),
        _ => call
            .sip_code
            .map_or_else(|| "unspecified".to_owned(), |code| code.to_string()),
    };
    json!({
        "hangup_cause": cause,
        // The customer is called where the call came in.
        "hangup_source": if by_customer == call.inbound { "callee" } else { "caller" },
        "sip_hangup_cause": sip,
        "start_time": instant(call.created_at),
        "state": "hangup",
    })
}
