//! Pure: their status callbacks. First the proof that they sent it, then what it says.
//!
//! <https://www.twilio.com/docs/usage/security#validating-requests>: `X-Twilio-Signature` is the
//! base64 of the HMAC-SHA-1, under the account's auth token, of the URL and, for a form, every
//! parameter. Nothing of the body is looked at for meaning before that holds.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::form_urlencoded;

use super::{Keys, map, request::is_sid, wire};
use crate::{
    domain::provider::{Observation, Source},
    providers::{Account, Callback, CallbackRefusal, CallbackRequest, IncomingCall, Told},
};

const SIGNATURE: &str = "x-twilio-signature";
const IDEMPOTENCY_TOKEN: &str = "i-twilio-idempotency-token";

/// The query parameter that takes a JSON body's place in what is signed.
const BODY_HASH: &str = "bodySHA256";

/// The members that tell why a call ended.
const CAUSE: [&str; 4] = ["CallStatus", "SipResponseCode", "ErrorCode", "ErrorMessage"];

/// Checks and reads a callback.
///
/// # Errors
/// [`CallbackRefusal`]; nothing is said about a body whose signature does not hold.
pub(super) fn read(
    account: &Account,
    request: &CallbackRequest<'_>,
) -> Result<Callback, CallbackRefusal> {
    let keys = Keys::of(account).ok_or(CallbackRefusal::WrongAccount)?;
    let fields = verified(keys.auth_token(), request)?.storable();
    if request.method != "POST" {
        return Err(malformed("only POST was asked for"));
    }
    let account_sid = fields
        .one("AccountSid")
        .ok_or_else(|| lacks("AccountSid"))?;
    if account_sid != account.external_id {
        return Err(CallbackRefusal::WrongAccount);
    }
    let sid = fields.one("CallSid").ok_or_else(|| lacks("CallSid"))?;
    if !is_sid(sid) {
        return Err(malformed("CallSid is not one of theirs"));
    }
    let sequence = fields
        .one("SequenceNumber")
        .and_then(|text| text.parse().ok());
    Ok(Callback {
        receipt_key: receipt_key(sid, sequence, request),
        asks: false,
        told: told(sid, &fields, request.call_id.is_none()),
        sequence,
        raw: fields.to_json(),
    })
}

/// Call and sequence number, which are signed: whoever sends a report again, cannot make it look
/// new. Without them their idempotency header, which is the same on their own repetitions but is
/// not signed; without that, the content itself.
fn receipt_key(sid: &str, sequence: Option<i64>, request: &CallbackRequest<'_>) -> String {
    if let Some(sequence) = sequence {
        return format!("{sid}:{sequence}");
    }
    let token = header(request, IDEMPOTENCY_TOKEN)
        .filter(|token| (1..=100).contains(&token.len()))
        .filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()));
    match token {
        Some(token) => format!("{sid}:token:{token}"),
        None => format!("{sid}:sha256:{}", sha256_hex(request.body)),
    }
}

/// A call that came in asks the account's URL what it is to do, before it has any reports: they
/// count those, and name where they come from.
fn told(sid: &str, fields: &Fields, of_account: bool) -> Told {
    let incoming = of_account
        && fields.one("Direction") == Some("inbound")
        && fields.one("CallbackSource").is_none()
        && fields.one("SequenceNumber").is_none()
        && matches!(fields.one("CallStatus"), Some("ringing" | "queued"));
    if incoming {
        return Told::Incoming(IncomingCall {
            provider_call_id: sid.to_owned(),
            from: fields.one("From").unwrap_or_default().to_owned(),
            to: fields.one("To").unwrap_or_default().to_owned(),
            host: None,
            answered_by_reply: true,
        });
    }
    observation(sid, fields).map_or(Told::Nothing, Told::Progress)
}

fn observation(sid: &str, fields: &Fields) -> Option<Observation> {
    let cause = CAUSE
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), Value::from(fields.one(name)?))))
        .collect::<Map<_, _>>();
    let ending = map::Ending {
        // `Duration` is in billed minutes.
        connected_seconds: fields.one("CallDuration"),
        sip_response_code: fields.one("SipResponseCode"),
        cause: cause.into(),
    };
    Some(Observation {
        provider_call_id: sid.to_owned(),
        progress: map::progress(fields.one("CallStatus")?, ending)?,
        at: fields.one("Timestamp").and_then(wire::instant),
        source: Source::Callback,
        host: None,
    })
}

/// The body's members, once the signature holds.
fn verified(auth_token: &str, request: &CallbackRequest<'_>) -> Result<Fields, CallbackRefusal> {
    let tag = header(request, SIGNATURE)
        .and_then(|text| BASE64_STANDARD.decode(text).ok())
        .ok_or(CallbackRefusal::Signature)?;
    // A fragment (`#rc=2…`) tunes their retries and is never part of what they sign.
    let url = request.url.split('#').next().unwrap_or_default();
    let body_hash = url.split_once('?').and_then(|(_, query)| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == BODY_HASH)
            .map(|(_, hash)| hash.to_ascii_lowercase())
    });
    let form = match &body_hash {
        Some(_) => Fields::default(),
        None => Fields::of_form(request.body),
    };
    let signed = form.signed();
    let holds = spellings(url)
        .iter()
        .any(|url| mac(auth_token, url, &signed).verify_slice(&tag).is_ok());
    if !holds {
        return Err(CallbackRefusal::Signature);
    }
    let Some(hash) = body_hash else {
        return Ok(form);
    };
    if bool::from(sha256_hex(request.body).as_bytes().ct_eq(hash.as_bytes())) {
        Fields::of_json(request.body)
    } else {
        Err(CallbackRefusal::Signature)
    }
}

fn mac(auth_token: &str, url: &str, signed: &str) -> Hmac<Sha1> {
    // HMAC takes a key of any length (RFC 2104 section 3): the fallback is never reached.
    let mut mac = Hmac::<Sha1>::new_from_slice(auth_token.as_bytes())
        .unwrap_or_else(|_| Hmac::<Sha1>::new(&hmac::digest::Key::<Hmac<Sha1>>::default()));
    mac.update(url.as_bytes());
    mac.update(signed.as_bytes());
    mac
}

/// The URLs that they may have signed: as given, and with or without a port. Which one depends on
/// their side; their own libraries try both.
fn spellings(url: &str) -> Vec<String> {
    let mut spellings = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else {
        return spellings;
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let without_port = authority
        .rsplit_once(':')
        .filter(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
        .map(|(host, _)| host);
    match (without_port, scheme) {
        (Some(host), _) => spellings.push(format!("{scheme}://{host}{path}")),
        (None, "https") => spellings.push(format!("{scheme}://{authority}:443{path}")),
        (None, "http") => spellings.push(format!("{scheme}://{authority}:80{path}")),
        (None, _) => {}
    }
    spellings
}

/// A body's members, sorted by name in byte order; each has its distinct values, sorted.
#[derive(Default)]
struct Fields(BTreeMap<String, BTreeSet<String>>);

impl Fields {
    fn of_form(body: &[u8]) -> Self {
        let mut fields = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            fields.put(name.into_owned(), value.into_owned());
        }
        fields
    }

    fn of_json(body: &[u8]) -> Result<Self, CallbackRefusal> {
        let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
            return Err(malformed("the body is not a JSON object"));
        };
        let mut fields = Self::default();
        for (name, value) in members {
            match value {
                Value::String(text) => fields.put(name, text),
                other => fields.put(name, other.to_string()),
            }
        }
        Ok(fields)
    }

    fn put(&mut self, name: String, value: String) {
        self.0.entry(name).or_default().insert(value);
    }

    /// What a form adds to the signed URL: names and values, run together.
    fn signed(&self) -> String {
        self.0
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| [name.as_str(), value]))
            .flatten()
            .collect()
    }

    /// A member's value; `None` when it is absent, empty, or has several.
    fn one(&self, name: &str) -> Option<&str> {
        let values = self.0.get(name)?;
        let only = values.first().filter(|_| values.len() == 1)?;
        (!only.is_empty()).then_some(only.as_str())
    }

    /// The same without U+0000, for what is stored. After the signature only.
    fn storable(&self) -> Self {
        let mut fields = Self::default();
        for (name, values) in &self.0 {
            for value in values {
                fields.put(name.replace('\0', ""), value.replace('\0', ""));
            }
        }
        fields
    }

    fn to_json(&self) -> Value {
        let members = self.0.iter().map(|(name, values)| {
            let mut texts: Vec<Value> = values.iter().map(|text| text.as_str().into()).collect();
            let only = if texts.len() == 1 { texts.pop() } else { None };
            (name.clone(), only.unwrap_or(Value::Array(texts)))
        });
        Value::Object(members.collect())
    }
}

fn header<'a>(request: &CallbackRequest<'a>, name: &str) -> Option<&'a str> {
    request.headers.get(name)?.to_str().ok()
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xF])
        .filter_map(|half| char::from_digit(half.into(), 16))
        .collect()
}

fn lacks(name: &str) -> CallbackRefusal {
    malformed(&format!("{name} is missing"))
}

fn malformed(what: &str) -> CallbackRefusal {
    CallbackRefusal::Malformed(what.to_owned())
}
