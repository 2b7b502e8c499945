//! Pure: their webhooks. First the proof that they sent it, then what it says.
//!
//! Signed as the Standard Webhooks specification has it: HMAC-SHA-256, under the project's secret,
//! of `webhook-id`, `webhook-timestamp` and the body. The only one with meaning is
//! `realtime.call.incoming`; the same call also comes as `live.call.incoming`, for another API of
//! theirs, which is not ours to take. Nothing tells of an end: the websocket does.

use serde_json::Value;

use super::{Keys, request::is_call_id, wire};
use crate::{
    domain::phone::Phone,
    providers::{Account, Callback, CallbackRefusal, CallbackRequest, IncomingCall, Told},
};

/// How far from now, either way, a webhook may have been signed, in seconds: theirs.
const TOLERANCE: u64 = 300;

/// The longest webhook id that is kept, in bytes.
const MOST_ID_BYTES: usize = 200;

/// Checks and reads a webhook.
///
/// # Errors
/// [`CallbackRefusal`]; nothing is said about a body whose signature does not hold or is too old.
pub(super) fn read(
    account: &Account,
    request: &CallbackRequest<'_>,
) -> Result<Callback, CallbackRefusal> {
    let keys = Keys::of(account).ok_or(CallbackRefusal::WrongAccount)?;
    let id = verified_id(keys, request)?;
    if request.method != "POST" {
        return Err(malformed("only POST was asked for"));
    }
    if request.call_id.is_some() {
        return Err(malformed("webhooks go to the account's own URL"));
    }
    let event = wire::parse::<wire::Event>(request.body)
        .ok_or_else(|| malformed("the body is not an event"))?;
    let told = match event.kind.as_str() {
        "realtime.call.incoming" => Told::Incoming(incoming(event.data.unwrap_or_default())?),
        _ => Told::Nothing,
    };
    Ok(Callback {
        receipt_key: id.to_owned(),
        told,
        asks: false,
        sequence: None,
        raw: storable(serde_json::from_slice(request.body).unwrap_or_default()),
    })
}

fn incoming(data: wire::Data) -> Result<IncomingCall, CallbackRefusal> {
    let id = data.call_id.filter(|id| is_call_id(id));
    let provider_call_id = id.ok_or_else(|| malformed("data.call_id is missing or not theirs"))?;
    let headers = data.sip_headers.unwrap_or_default();
    let header = |name: &str| {
        let found = headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value.clone())
    };
    // A trunk calls the project; the number that was called is then the one that diverted.
    let to = [header("To"), header("Diversion")].into_iter().flatten();
    let to = to.clone().find(|text| Phone::in_address(text).is_some());
    Ok(IncomingCall {
        provider_call_id,
        from: header("From").unwrap_or_default(),
        to: to.or_else(|| header("To")).unwrap_or_default(),
        host: None,
        answered_by_reply: false,
    })
}

/// The webhook's id, which is the same when it is sent again.
fn verified_id<'a>(keys: &Keys, request: &CallbackRequest<'a>) -> Result<&'a str, CallbackRefusal> {
    let header = |name| header(request, name).ok_or(CallbackRefusal::Signature);
    let id = header("webhook-id")?;
    let timestamp = header("webhook-timestamp")?;
    let signed_at: i64 = timestamp.parse().map_err(|_| CallbackRefusal::Signature)?;
    let signatures = header("webhook-signature")?;
    let holds = keys
        .webhook_secret()
        .verifies(id, signed_at, request.body, signatures);
    let fresh = request.now.unix_seconds().abs_diff(signed_at) <= TOLERANCE;
    if !holds || !fresh {
        return Err(CallbackRefusal::Signature);
    }
    if id.is_empty() || id.len() > MOST_ID_BYTES {
        return Err(malformed("webhook-id is not one of theirs"));
    }
    Ok(id)
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
