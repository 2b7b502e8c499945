//! Pure: their events. First the proof that they sent it, then what it says.
//!
//! <https://developers.telnyx.com/docs/messaging/webhooks/receiving-webhooks>:
//! `telnyx-signature-ed25519` is the base64 of a signature, by the account's key, of
//! `telnyx-timestamp`, a vertical bar and the body. The URL is no part of it, so an event is held
//! to the call that its `client_state` names, which is signed: else whoever saw an event could
//! present it as another call's. Nothing of the body is looked at for meaning before the signature
//! holds.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

use super::{
    Keys, map,
    request::{Reference, is_call_id},
    wire,
};
use crate::{
    domain::provider::{Observation, Progress, Source},
    providers::{Account, Callback, CallbackRefusal, CallbackRequest, IncomingCall, Told},
};

const SIGNATURE: &str = "telnyx-signature-ed25519";
const TIMESTAMP: &str = "telnyx-timestamp";

/// How far from now, either way, an event may have been signed, in seconds: theirs.
const TOLERANCE: u64 = 300;

/// The longest event id that is kept, in bytes; theirs are UUIDs.
const MOST_ID_BYTES: usize = 100;

/// Checks and reads a callback.
///
/// # Errors
/// [`CallbackRefusal`]; nothing is said about a body whose signature does not hold or is too old.
pub(super) fn read(
    account: &Account,
    request: &CallbackRequest<'_>,
) -> Result<Callback, CallbackRefusal> {
    let keys = Keys::of(account).ok_or(CallbackRefusal::WrongAccount)?;
    verify(keys, request)?;
    if request.method != "POST" {
        return Err(malformed("only POST was asked for"));
    }
    let event = wire::parse::<wire::Data<wire::Event>>(request.body)
        .ok_or_else(|| malformed("the body is not an event"))?
        .data;
    if event.id.is_empty()
        || event.id.len() > MOST_ID_BYTES
        || !event.id.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(malformed("data.id is not one of theirs"));
    }
    let payload = event.payload.unwrap_or_default();
    // One key signs for all connections of a customer of theirs.
    if let Some(connection) = &payload.connection_id
        && connection != keys.connection_id()
    {
        return Err(CallbackRefusal::WrongAccount);
    }
    Ok(Callback {
        told: told(
            account,
            request,
            &event.event_type,
            &payload,
            event.occurred_at.as_deref(),
        )?,
        receipt_key: event.id,
        asks: false,
        // They do not count their events.
        sequence: None,
        raw: storable(serde_json::from_slice(request.body).unwrap_or_default()),
    })
}

fn told(
    account: &Account,
    request: &CallbackRequest<'_>,
    event_type: &str,
    payload: &wire::Payload,
    occurred_at: Option<&str>,
) -> Result<Told, CallbackRefusal> {
    let incoming = payload.direction.as_deref() == Some("incoming");
    let progress = match event_type {
        "call.initiated" if incoming && request.call_id.is_none() => {
            return Ok(Told::Incoming(IncomingCall {
                provider_call_id: call_of(account, request, payload)?,
                from: payload.from.clone().unwrap_or_default(),
                to: payload.to.clone().unwrap_or_default(),
                host: None,
                answered_by_reply: false,
            }));
        }
        "call.initiated" => Progress::Placed,
        "call.answered" => Progress::Answered,
        "call.hangup" => map::ended(payload),
        "call.speak.ended" => {
            return Ok(Told::Finished {
                provider_call_id: call_of(account, request, payload)?,
            });
        }
        _ => return Ok(Told::Nothing),
    };
    Ok(Told::Progress(Observation {
        provider_call_id: call_of(account, request, payload)?,
        progress,
        at: occurred_at.and_then(wire::instant),
        source: Source::Callback,
        host: None,
    }))
}

fn verify(keys: &Keys, request: &CallbackRequest<'_>) -> Result<(), CallbackRefusal> {
    let signature = header(request, SIGNATURE)
        .and_then(|text| BASE64_STANDARD.decode(text).ok())
        .ok_or(CallbackRefusal::Signature)?;
    let timestamp = header(request, TIMESTAMP).ok_or(CallbackRefusal::Signature)?;
    let signed_at: i64 = timestamp.parse().map_err(|_| CallbackRefusal::Signature)?;
    let message = [timestamp.as_bytes(), b"|", request.body].concat();
    let holds = keys.have_signed(&message, &signature);
    if holds && request.now.unix_seconds().abs_diff(signed_at) <= TOLERANCE {
        Ok(())
    } else {
        Err(CallbackRefusal::Signature)
    }
}

/// The provider's name for the call, when the event is about this account's call that the URL
/// names.
fn call_of(
    account: &Account,
    request: &CallbackRequest<'_>,
    payload: &wire::Payload,
) -> Result<String, CallbackRefusal> {
    if payload.connection_id.is_none() {
        return Err(malformed("connection_id is missing"));
    }
    let reference = payload.client_state.as_deref().and_then(Reference::read);
    let named = reference.and_then(|reference| reference.within(account.id));
    if request.call_id.is_some() && named != request.call_id {
        return Err(malformed("client_state does not name the call of the URL"));
    }
    payload
        .call_control_id
        .clone()
        .filter(|id| is_call_id(id))
        .ok_or_else(|| malformed("call_control_id is missing or not one of theirs"))
}

/// The same without U+0000, for what is stored. After the signature only.
fn storable(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "")),
        Value::Array(items) => items.into_iter().map(storable).collect(),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| (name.replace('\0', ""), storable(value)))
                .collect(),
        ),
        other => other,
    }
}

fn header<'a>(request: &CallbackRequest<'a>, name: &str) -> Option<&'a str> {
    request.headers.get(name)?.to_str().ok()
}

fn malformed(what: &str) -> CallbackRefusal {
    CallbackRefusal::Malformed(what.to_owned())
}
