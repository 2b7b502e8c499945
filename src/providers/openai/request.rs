//! Pure: our questions as HTTP requests.
//!
//! A request that could go to another resource than the one meant, or carry credentials in clear
//! over a network, is not built.

use axum::body::Bytes;
use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Keys;
use crate::{
    domain::agent::Answer,
    outbound,
    providers::{Account, base_url},
};

const API: &str = "https://api.openai.com";

/// What a caller is turned away with (RFC 3261 section 21.6.2): theirs too when none is said.
const DECLINE: u16 = 603;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `POST /v1/realtime/calls/{id}/accept`: the model takes the call, with `answer` as its
/// instructions. Audio formats are left out: over SIP the two sides agree on one.
///
/// # Errors
/// What is wrong with the account's settings or the agent's, for its owner.
pub(super) fn accept(
    account: &Account,
    id: &str,
    answer: &Answer,
) -> Result<outbound::Request, String> {
    let keys = keys(account)?;
    let Answer::Say { text } = answer else {
        let text = "OpenAI carries the conversation itself: the agent must say a text, which the \
            model takes as its instructions, and cannot stream";
        return Err(text.to_owned());
    };
    if text.trim().is_empty() {
        return Err("the agent's text, the model's instructions, is empty".to_owned());
    }
    let mut body = json!({
        "type": "realtime",
        "model": keys.model(),
        "instructions": text,
    });
    if let (Some(voice), Some(members)) = (keys.voice(), body.as_object_mut()) {
        let audio = json!({ "output": { "voice": voice } });
        members.insert("audio".to_owned(), audio);
    }
    post(account, id, "accept", Some(&body))
}

/// `POST /v1/realtime/calls/{id}/reject`.
///
/// # Errors
/// As for [`accept`].
pub(super) fn reject(account: &Account, id: &str) -> Result<outbound::Request, String> {
    post(
        account,
        id,
        "reject",
        Some(&json!({ "status_code": DECLINE })),
    )
}

/// `POST /v1/realtime/calls/{id}/hangup`, without a body. Its key is the same each time.
///
/// # Errors
/// As for [`accept`].
pub(super) fn hang_up(account: &Account, id: &str) -> Result<outbound::Request, String> {
    let mut request = post(account, id, "hangup", None)?;
    let key = outbound::header_value(&key("hangup", id).to_string())
        .ok_or_else(|| "the request's key cannot be sent".to_owned())?;
    request.headers.insert(IDEMPOTENCY_KEY, key);
    Ok(request)
}

/// `GET /v1/realtime?call_id={id}`: the websocket beside a call.
///
/// # Errors
/// As for [`accept`].
pub(super) fn socket(account: &Account, id: &str) -> Result<outbound::Request, String> {
    check(id)?;
    let mut url = url(account, "realtime")?;
    url.query_pairs_mut().append_pair("call_id", id);
    Ok(outbound::Request {
        method: Method::GET,
        url,
        headers: headers(account)?,
        body: Bytes::new(),
    })
}

/// Whether `text` can be one of their ids: `rtc_` and letters, digits, `_` and `-`.
pub(super) fn is_call_id(text: &str) -> bool {
    text.strip_prefix("rtc_").is_some_and(|rest| {
        (1..=190).contains(&rest.len())
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    })
}

/// A key for the only request of its kind about `id`: a UUID of version 8 (RFC 9562 section 5.8)
/// from their hash.
fn key(name: &str, id: &str) -> Uuid {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(Sha256::digest(format!("{name} {id}"))) {
        *to = from;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn check(id: &str) -> Result<(), String> {
    if is_call_id(id) {
        Ok(())
    } else {
        Err("the call's provider id is not one of OpenAI's".to_owned())
    }
}

fn keys(account: &Account) -> Result<&Keys, String> {
    Keys::of(account).ok_or_else(|| "the account is not OpenAI's".to_owned())
}

fn url(account: &Account, path: &str) -> Result<Url, String> {
    let mut url = base_url::of(account, API)?;
    let path = format!("{}/v1/{path}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

fn post(
    account: &Account,
    id: &str,
    name: &str,
    body: Option<&Value>,
) -> Result<outbound::Request, String> {
    check(id)?;
    let url = url(account, &format!("realtime/calls/{id}/{name}"))?;
    let mut headers = headers(account)?;
    if body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(outbound::Request {
        method: Method::POST,
        url,
        headers,
        body: body.map_or_else(Bytes::new, |body| body.to_string().into()),
    })
}

fn headers(account: &Account) -> Result<HeaderMap, String> {
    let mut bearer = outbound::header_value(&keys(account)?.bearer())
        .ok_or_else(|| "the account's credentials cannot be sent".to_owned())?;
    bearer.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
}
