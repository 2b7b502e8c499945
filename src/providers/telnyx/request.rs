//! Pure: our questions as HTTP requests, JSON throughout.
//!
//! A request that could go to another resource than the one meant, or carry credentials in clear
//! over a network, is not built.

use axum::body::Bytes;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Keys;
use crate::{
    domain::{CallId, ProviderAccountId, agent::Answer},
    outbound,
    providers::{Account, DialRequest, Instruction, base_url},
};

const API: &str = "https://api.telnyx.com";

/// Who speaks: a voice of theirs that needs no account elsewhere.
const VOICE: &str = "female";

/// The calls on a page of active ones: the most that they give.
const PAGE: &str = "250";

/// All but the unreserved characters of RFC 3986 section 2.3. Their ids hold colons.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// What a call of ours carries through everything that they say about it: our account, a slash and
/// our call. With the account, because other deployments may place calls on the same connection.
/// They take base64 only.
pub(super) fn client_state(account_id: ProviderAccountId, call_id: CallId) -> String {
    BASE64_STANDARD.encode(format!("{account_id}/{call_id}"))
}

/// What a call's `client_state` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// `None`: placed before references named the account.
    account_id: Option<ProviderAccountId>,
    call_id: CallId,
}

impl Reference {
    /// `None`: it is not in a form of ours.
    pub(super) fn read(client_state: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(client_state).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (account_id, call_id) = match text.split_once('/') {
            Some((account_id, call_id)) => (Some(account_id.parse().ok()?), call_id),
            None => (None, text.as_str()),
        };
        Some(Self {
            account_id,
            call_id: call_id.parse().ok()?,
        })
    }

    /// The call that it names, unless it names another account.
    pub(super) fn within(self, account_id: ProviderAccountId) -> Option<CallId> {
        let fits = self.account_id.is_none_or(|named| named == account_id);
        fits.then_some(self.call_id)
    }

    pub(super) fn names(self, account_id: ProviderAccountId) -> bool {
        self.account_id == Some(account_id)
    }
}

/// `POST /v2/calls`. `command_id` lets them ignore the same request if it came twice within 60 s.
///
/// # Errors
/// What is wrong with the account's settings or the call's, for its owner.
pub(super) fn dial(
    account: &Account,
    request: &DialRequest<'_>,
) -> Result<outbound::Request, String> {
    let keys = keys(account)?;
    let mut body = json!({
        "connection_id": keys.connection_id(),
        "to": request.to.reveal(),
        "from": request.from.reveal(),
        "command_id": request.call_id,
        "client_state": client_state(account.id, request.call_id),
        "timeout_secs": request.limits.ring_timeout_seconds,
        "time_limit_secs": request.limits.max_duration_seconds,
        "webhook_url": request.callback_url,
        "webhook_url_method": "POST",
    });
    add_stream(&mut body, request.answer)?;
    post(account, url(account, "calls")?, &body)
}

/// `POST /v2/calls/{id}/actions/answer`. From here on the call's events carry our reference and go
/// to the URL that names it.
///
/// # Errors
/// As for [`dial`].
pub(super) fn answer(
    account: &Account,
    id: &str,
    instruction: &Instruction<'_>,
) -> Result<outbound::Request, String> {
    let mut body = json!({
        "command_id": command("answer", id),
        "client_state": client_state(account.id, instruction.call_id),
        "webhook_url": instruction.callback_url,
        "webhook_url_method": "POST",
    });
    add_stream(&mut body, instruction.answer)?;
    action(account, id, "answer", &body)
}

/// `POST /v2/calls/{id}/actions/speak`.
///
/// # Errors
/// As for [`dial`].
pub(super) fn speak(account: &Account, id: &str, text: &str) -> Result<outbound::Request, String> {
    if text.trim().is_empty() {
        return Err("the sentence to say is empty".to_owned());
    }
    let body = json!({
        "command_id": command("speak", id),
        "payload": text,
        "voice": VOICE,
    });
    action(account, id, "speak", &body)
}

/// `POST /v2/calls/{id}/actions/reject`.
///
/// # Errors
/// As for [`dial`].
pub(super) fn reject(account: &Account, id: &str) -> Result<outbound::Request, String> {
    let body = json!({ "command_id": command("reject", id), "cause": "CALL_REJECTED" });
    action(account, id, "reject", &body)
}

fn add_stream(body: &mut Value, answer: &Answer) -> Result<(), String> {
    if let (Answer::Stream { url }, Some(members)) = (answer, body.as_object_mut()) {
        check_stream(url)?;
        // Their defaults are MP3 snippets, to the leg that this call has not.
        members.extend(
            [
                ("stream_url", url.as_str()),
                ("stream_track", "both_tracks"),
                ("stream_bidirectional_mode", "rtp"),
                ("stream_bidirectional_target_legs", "self"),
            ]
            .map(|(name, value)| (name.to_owned(), Value::from(value))),
        );
    }
    Ok(())
}

/// `POST /v2/calls/{id}/actions/hangup`, ringing or answered. The command's id is the same each
/// time, as they advise for repetitions.
///
/// # Errors
/// As for [`dial`].
pub(super) fn hang_up(account: &Account, id: &str) -> Result<outbound::Request, String> {
    let body = json!({ "command_id": command("hangup", id) });
    action(account, id, "hangup", &body)
}

/// `GET /v2/calls/{id}`.
///
/// # Errors
/// As for [`dial`].
pub(super) fn fetch(account: &Account, id: &str) -> Result<outbound::Request, String> {
    get(account, url(account, &call_path(id)?)?)
}

/// `GET /v2/connections/{connection_id}/active_calls`, from the start or after a page's cursor.
///
/// # Errors
/// As for [`dial`].
pub(super) fn active_calls(
    account: &Account,
    after: Option<&str>,
) -> Result<outbound::Request, String> {
    let connection = keys(account)?.connection_id();
    let mut url = url(account, &format!("connections/{connection}/active_calls"))?;
    let mut query = url.query_pairs_mut();
    query.append_pair("page[limit]", PAGE);
    if let Some(cursor) = after {
        query.append_pair("page[after]", cursor);
    }
    drop(query);
    get(account, url)
}

/// Whether `text` can be one of their ids. They do not say what is in one; it is sent as one path
/// segment, and dots alone would not stay one.
pub(super) fn is_call_id(text: &str) -> bool {
    (1..=200).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.bytes().any(|byte| byte != b'.')
}

/// An id for the only command of its kind to `id`: a UUID of version 8 (RFC 9562 section 5.8) from
/// their hash.
fn command(name: &str, id: &str) -> Uuid {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(Sha256::digest(format!("{name} {id}"))) {
        *to = from;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn action(
    account: &Account,
    id: &str,
    name: &str,
    body: &Value,
) -> Result<outbound::Request, String> {
    let url = url(account, &format!("{}/actions/{name}", call_path(id)?))?;
    post(account, url, body)
}

fn call_path(id: &str) -> Result<String, String> {
    if !is_call_id(id) {
        return Err("the call's provider id is not one of Telnyx's".to_owned());
    }
    Ok(format!("calls/{}", utf8_percent_encode(id, SEGMENT)))
}

fn check_stream(url: &str) -> Result<(), String> {
    let parsed = Url::parse(url).map_err(|_| "the stream's URL is not a URL".to_owned())?;
    if !base_url::is_safe_websocket(&parsed) {
        return Err("the stream's URL must begin with wss://".to_owned());
    }
    Ok(())
}

fn keys(account: &Account) -> Result<&Keys, String> {
    let keys = Keys::of(account).ok_or_else(|| "the account is not Telnyx's".to_owned())?;
    if keys.connection_id() != account.external_id {
        let text = "the account's external id is not the connection_id of its credentials";
        return Err(text.to_owned());
    }
    Ok(keys)
}

/// `path` is encoded already.
fn url(account: &Account, path: &str) -> Result<Url, String> {
    let mut url = base_url::of(account, API)?;
    let path = format!("{}/v2/{path}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

fn get(account: &Account, url: Url) -> Result<outbound::Request, String> {
    Ok(outbound::Request {
        method: Method::GET,
        url,
        headers: headers(account)?,
        body: Bytes::new(),
    })
}

fn post(account: &Account, url: Url, body: &Value) -> Result<outbound::Request, String> {
    let mut headers = headers(account)?;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(outbound::Request {
        method: Method::POST,
        url,
        headers,
        body: body.to_string().into(),
    })
}

fn headers(account: &Account) -> Result<HeaderMap, String> {
    let mut bearer = outbound::header_value(&keys(account)?.bearer())
        .ok_or_else(|| "the account's credentials cannot be sent".to_owned())?;
    bearer.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
}
