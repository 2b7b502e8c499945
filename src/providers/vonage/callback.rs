//! Pure: their webhooks. First the proof that they sent it, then what it says.
//!
//! <https://developer.vonage.com/en/getting-started/concepts/webhooks#decoding-signed-webhooks>: the
//! `Authorization` header has a token, HS256 under the account's signature secret (RFC 7515), that
//! holds the digest of the body. Nothing of the body is looked at for meaning before both hold.
//!
//! A limit: neither URL nor token name our call, and nothing of ours is handed back in the body. Whoever
//! got hold of a report that never reached us could present it as one of a call whose provider id we
//! do not know yet, for as long as the token is fresh. Later ones are held to that id by the core.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    Keys,
    keys::{hex, is_uuid},
    map, region, wire,
};
use crate::{
    domain::provider::{Observation, Progress, Source},
    providers::{Account, Callback, CallbackRefusal, CallbackRequest, IncomingCall, Told},
};

/// Who issues the tokens.
const ISSUER: &str = "Vonage";

/// How far from now, either way, a webhook may have been signed, in seconds.
const TOLERANCE: u64 = 300;

/// The longest of their words that becomes part of a receipt's key, in bytes.
const MOST_WORD_BYTES: usize = 64;

/// Members that only reports about something else than a call's progress have.
const OF_OTHER_REPORTS: [&str; 7] = [
    "type",
    "reason",
    "dtmf",
    "speech",
    "payload",
    "recording_url",
    "conversation_uuid_from",
];

/// Checks and reads a callback.
///
/// # Errors
/// [`CallbackRefusal`]; nothing is said about a body whose signature does not hold or is too old.
pub(super) fn read(
    account: &Account,
    request: &CallbackRequest<'_>,
) -> Result<Callback, CallbackRefusal> {
    let keys = Keys::of(account).ok_or(CallbackRefusal::WrongAccount)?;
    let digest = hex(&Sha256::digest(request.body));
    let claims = verified(keys, request, &digest)?;
    // One secret signs for all applications of a customer of theirs.
    let application = claims.application_id.as_deref();
    if application != Some(keys.application_id()) || application != Some(&account.external_id) {
        return Err(CallbackRefusal::WrongAccount);
    }
    if keys.api_key().is_some() && claims.api_key.as_deref() != keys.api_key() {
        return Err(CallbackRefusal::WrongAccount);
    }
    if request.method != "POST" {
        return Err(malformed("only POST was asked for"));
    }
    let raw = wire::parse::<Value>(request.body)
        .filter(Value::is_object)
        .ok_or_else(|| malformed("the body is not a JSON object"))?;
    let event = wire::parse::<wire::Event>(request.body)
        .ok_or_else(|| malformed("the body is not an event"))?;
    let (told, asks) = told(account, request, &event, &raw)?;
    Ok(Callback {
        receipt_key: receipt_key(&event, asks, &digest),
        told,
        asks,
        // They do not count their reports.
        sequence: None,
        raw: storable(raw),
    })
}

/// What the token claims, once it holds for the body whose digest this is.
fn verified(
    keys: &Keys,
    request: &CallbackRequest<'_>,
    digest: &str,
) -> Result<wire::Claims, CallbackRefusal> {
    let claims = signed(keys, request).ok_or(CallbackRefusal::Signature)?;
    let hash = claims.payload_hash.to_ascii_lowercase();
    let now = request.now.unix_seconds();
    let fresh = now.abs_diff(claims.iat) <= TOLERANCE && claims.exp.is_none_or(|exp| exp >= now);
    let of_body = bool::from(hash.as_bytes().ct_eq(digest.as_bytes()));
    if claims.iss == ISSUER && fresh && of_body {
        Ok(claims)
    } else {
        Err(CallbackRefusal::Signature)
    }
}

/// The claims of a token that the account's secret signed. The algorithm is ours to choose, not the
/// token's: one that names another is refused.
fn signed(keys: &Keys, request: &CallbackRequest<'_>) -> Option<wire::Claims> {
    let value = request.headers.get("authorization")?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let (message, tag) = token.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let decoded = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
    let header: Value = wire::parse(&decoded(header)?)?;
    let holds = scheme.eq_ignore_ascii_case("bearer")
        && header.get("alg").and_then(Value::as_str) == Some("HS256")
        && keys.have_signed(message.as_bytes(), &decoded(tag)?);
    if holds {
        wire::parse(&decoded(claims)?)
    } else {
        None
    }
}

/// What it tells, and whether our answer is to be the instructions.
fn told(
    account: &Account,
    request: &CallbackRequest<'_>,
    event: &wire::Event,
    raw: &Value,
) -> Result<(Told, bool), CallbackRefusal> {
    // Our websocket is a call of its own to them, and reports to the same URL.
    let mut ends = [&event.from, &event.to].into_iter().flatten();
    if ends.any(|end| end.starts_with("ws:") || end.starts_with("wss:")) {
        return Ok((Told::Nothing, false));
    }
    if let Some(status) = &event.status {
        return Ok((progress(status, event)?, false));
    }
    let of_other = OF_OTHER_REPORTS.iter().any(|name| raw.get(name).is_some());
    if of_other || event.uuid.is_none() || event.to.is_none() {
        return Ok((Told::Nothing, false));
    }
    let id = call_of(event)?;
    let region_url = event.region_url.as_deref();
    let host = region_url.and_then(|url| region::host(account, url));
    let told = match request.call_id {
        // They ask once somebody has answered, but the event of that tells when.
        Some(_) => Told::Progress(Observation {
            provider_call_id: id,
            progress: Progress::Placed,
            at: None,
            source: Source::Callback,
            host,
        }),
        None => Told::Incoming(IncomingCall {
            provider_call_id: id,
            from: event.from.clone().unwrap_or_default(),
            to: event.to.clone().unwrap_or_default(),
            host,
            answered_by_reply: false,
        }),
    };
    Ok((told, true))
}

fn progress(status: &str, event: &wire::Event) -> Result<Told, CallbackRefusal> {
    let ending = map::Ending {
        duration: event.duration.as_deref(),
        detail: event.detail.as_deref(),
        disconnected_by: event.disconnected_by.as_deref(),
        sip_code: event.sip_code.as_deref(),
    };
    let Some(progress) = map::progress(status, &ending) else {
        return Ok(Told::Nothing);
    };
    let over = matches!(progress, Progress::Ended { .. });
    let ended_at = event.end_time.as_ref().filter(|_| over);
    Ok(Told::Progress(Observation {
        provider_call_id: call_of(event)?,
        progress,
        at: ended_at
            .or(event.timestamp.as_ref())
            .and_then(|text| wire::instant(text)),
        source: Source::Callback,
        host: None,
    }))
}

/// Call, status and time, which they repeat when they send a report again, and which are signed. A
/// report without them is named by its content.
fn receipt_key(event: &wire::Event, asks: bool, digest: &str) -> String {
    let is_word = |text: &&String| {
        (1..=MOST_WORD_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let id = event.uuid.as_ref().or(event.call_uuid.as_ref());
    let id = id.filter(|id| is_uuid(id));
    let status = event.status.as_ref().filter(is_word);
    let timestamp = event.timestamp.as_ref().filter(is_word);
    match (id, status, timestamp) {
        (Some(id), ..) if asks => format!("{id}:answer"),
        (Some(id), Some(status), Some(timestamp)) => format!("{id}:{status}:{timestamp}"),
        _ => format!("sha256:{digest}"),
    }
}

fn call_of(event: &wire::Event) -> Result<String, CallbackRefusal> {
    event
        .uuid
        .clone()
        .or_else(|| event.call_uuid.clone())
        .filter(|id| is_uuid(id))
        .ok_or_else(|| malformed("uuid is missing or not one of theirs"))
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

fn malformed(what: &str) -> CallbackRefusal {
    CallbackRefusal::Malformed(what.to_owned())
}
