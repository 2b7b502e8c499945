//! The one webhook about a call, that it came in, and its signature.
//!
//! Source: OpenAI's API description, and the Standard Webhooks specification for the signature.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::{
    HeaderMap, Method,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;

use super::signing_key;
use crate::{
    domain::Timestamp,
    outbound,
    simulator::call::{CallbackTarget, Event, Record, Report},
};

/// The request that tells `report` to `target`, signed at `now` with the key of `secret`. `id`
/// names the webhook: the same for every attempt and copy. `None`: they tell nothing of it.
pub(in crate::simulator) fn callback(
    report: &Report,
    target: &CallbackTarget,
    secret: &str,
    id: &str,
    now: Timestamp,
) -> Option<outbound::Request> {
    if report.event != Event::Arrived {
        return None;
    }
    let url = Url::parse(&target.url).ok()?;
    let id = format!("wh_{}", id.replace('-', ""));
    let body = body(&report.call, &id, report.at).to_string();
    let timestamp = now.unix_seconds().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(&signing_key(secret)).ok()?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    let tag = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, text) in [
        ("webhook-id", id),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", format!("v1,{tag}")),
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

/// As from a trunk that diverts its number's calls to the project.
fn body(call: &Record, id: &str, at: Timestamp) -> Value {
    let header = |name: &str, value: String| json!({ "name": name, "value": value });
    let (to, from, project) = (&call.to, &call.from, &call.account);
    json!({
        "id": id.replacen("wh_", "evt_", 1),
        "object": "event",
        "type": "realtime.call.incoming",
        "created_at": at.unix_seconds(),
        "data": {
            "call_id": call.id,
            "sip_headers": [
                header("From", format!("<sip:{from}@carrier.example>;tag=1c4")),
                header("To", format!("<sip:{project}@sip.api.openai.com;transport=tls>")),
                header("Diversion", format!("<sip:{to}@carrier.example>;reason=unconditional")),
                header("Max-Forwards", "63".to_owned()),
            ],
        },
    })
}
