//! Pure: what a plain bridge is asked, by the templates of its owner.
//!
//! A request that could go to another resource than the one meant, or carry credentials in clear
//! over a network, is not built.

use axum::body::Bytes;
use percent_encoding::utf8_percent_encode;
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};

use super::{
    super::asking::{SEGMENT, url},
    keys::{CALL_ID, Dial, Keys, Target},
};
use crate::{
    outbound,
    providers::{Account, DialRequest, base_url},
};

type Built = Result<outbound::Request, String>;

/// The request to end the call of that name.
///
/// # Errors
/// What is wrong with the account's settings or the call's, for its owner.
pub(super) fn hang_up(account: &Account, keys: &Keys, id: &str) -> Built {
    request(
        account,
        keys,
        &keys.hang_up.target,
        id,
        &json!({ "call_id": id }),
    )
}

/// The request to place a call, which the bridge is to name as we do.
///
/// # Errors
/// As for [`hang_up`].
pub(super) fn dial(account: &Account, keys: &Keys, dial: &Dial, wanted: &DialRequest<'_>) -> Built {
    let id = wanted.call_id.to_string();
    let body = json!({
        "call_id": id,
        "from": wanted.from.reveal(),
        "to": wanted.to.reveal(),
        "answer": wanted.answer,
        "ring_timeout_seconds": wanted.limits.ring_timeout_seconds,
        "max_duration_seconds": wanted.limits.max_duration_seconds,
        "report_to": wanted.callback_url,
    });
    request(account, keys, &dial.target, &id, &body)
}

/// Whether `text` can be a call's name at a bridge. Dots alone would not stay a path segment.
pub(super) fn is_call_id(text: &str) -> bool {
    (1..=200).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.bytes().any(|byte| byte != b'.')
}

fn request(account: &Account, keys: &Keys, target: &Target, id: &str, body: &Value) -> Built {
    if !is_call_id(id) {
        return Err("the call's provider id is not one of a bridge's".to_owned());
    }
    let id = utf8_percent_encode(id, SEGMENT).to_string();
    let url = filled(account, &target.template.replace(CALL_ID, &id))?;
    let mut headers = keys.headers.clone();
    let body = if target.method == Method::DELETE {
        Bytes::new()
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        body.to_string().into()
    };
    Ok(outbound::Request {
        method: target.method.clone(),
        url,
        headers,
        body,
    })
}

fn filled(account: &Account, text: &str) -> Result<Url, String> {
    if text.starts_with('/') {
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        let mut url = url(account, path)?;
        url.set_query(query);
        return Ok(url);
    }
    let url = Url::parse(text).map_err(|_| "the bridge's URL is not a URL".to_owned())?;
    if url.scheme() != "https" && !base_url::is_loopback(&url) {
        return Err("the bridge's URL must be https".to_owned());
    }
    Ok(url)
}
