//! What asking a bridge and reading its answers have in common, whichever it is.
//!
//! Nothing here knows a status or a word of any bridge.

use axum::body::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    domain::provider::{Answered, ProviderAnswer},
    outbound::{self, Answer, Failure},
    providers::{Account, answer::plain, base_url},
};

/// All but the unreserved characters of RFC 3986 section 2.3.
pub(super) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// What came back: an answer, or why there is none.
pub(super) type Heard = Result<Answer, Failure>;

/// What a bridge is sent.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Nothing,
    Json(&'a Value),
}

/// `path` below the account's own address, which it must name: a bridge has no usual one. `path` is
/// encoded already and begins with a slash.
///
/// # Errors
/// What is wrong with the account's setting, for its owner.
pub(super) fn url(account: &Account, path: &str) -> Result<Url, String> {
    let Some(base) = account.api_base_url.as_deref() else {
        return Err("the account needs the address of its bridge as its API base URL".to_owned());
    };
    let mut url = base_url::of(account, base)?;
    let path = format!("{}{path}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// # Errors
/// That the credentials cannot stand in a header.
pub(super) fn request(
    method: Method,
    url: Url,
    authorization: &str,
    content: Content<'_>,
) -> Result<outbound::Request, String> {
    let mut value = outbound::header_value(authorization)
        .ok_or_else(|| "the account's credentials cannot be sent".to_owned())?;
    value.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, value);
    let body = match content {
        Content::Nothing => Bytes::new(),
        Content::Json(value) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            value.to_string().into()
        }
    };
    Ok(outbound::Request {
        method,
        url,
        headers,
        body,
    })
}

/// What a bridge literally said; `words` finds its own text in the body of a refusal.
pub(super) fn answer(
    heard: &Heard,
    secrets: &[String],
    words: impl Fn(&[u8]) -> Option<String>,
) -> ProviderAnswer {
    let answer = match heard {
        Ok(answer) => answer,
        Err(failure) => {
            return ProviderAnswer {
                status: None,
                code: None,
                message: plain(&failure.to_string(), secrets),
            };
        }
    };
    let is_refusal = !(200..=299).contains(&answer.status);
    let text = || {
        words(&answer.body).unwrap_or_else(|| String::from_utf8_lossy(&answer.body).into_owned())
    };
    ProviderAnswer {
        status: Some(answer.status),
        code: None,
        message: is_refusal.then(text).and_then(|text| plain(&text, secrets)),
    }
}

/// The outcome of a request that was not made.
pub(super) fn not_asked<T>(outcome: T, why: String) -> Answered<T> {
    Answered {
        outcome,
        answer: ProviderAnswer {
            status: None,
            code: None,
            message: Some(why),
        },
    }
}

pub(super) fn not_a_bridge<T>(outcome: T) -> Answered<T> {
    not_asked(outcome, "the account is not a bridge's".to_owned())
}

/// A body as one of a bridge's shapes; `None` when it is something else, such as a proxy's page.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// A member of an unexpected kind is as good as absent: no answer may become unreadable by a member
/// that we could do without.
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// The same without U+0000, for what is stored. After it is proven to come from the bridge only.
pub(super) fn storable(value: Value) -> Value {
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
