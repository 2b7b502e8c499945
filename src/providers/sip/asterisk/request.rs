//! Pure: our questions to Asterisk's REST interface as HTTP requests.
//!
//! A request that could go to another resource than the one meant, or carry credentials in clear
//! over a network, is not built.

use percent_encoding::utf8_percent_encode;
use reqwest::{Method, Url};
use serde_json::json;

use super::super::{
    asking::{Content, SEGMENT, request, url},
    keys::AsteriskKeys as Keys,
};
use crate::{
    domain::agent::Answer,
    outbound,
    providers::{Account, DialRequest},
};

/// Normal clearing, by ITU-T Q.850.
const NORMAL_CLEARING: &str = "16";

/// Call rejected.
const CALL_REJECTED: &str = "21";

type Built = Result<outbound::Request, String>;

/// `POST /ari/channels`. The channel is named by our id, so that it can be looked for, and enters
/// the application with it, so that it is known from one that came in. Asterisk itself ends it
/// when it has lasted as long as it may, should nobody else.
///
/// # Errors
/// What is wrong with the account's settings or the call's, for its owner.
pub(super) fn dial(account: &Account, keys: &Keys, dial: &DialRequest<'_>) -> Built {
    can_carry_out(dial.answer)?;
    let id = dial.call_id.to_string();
    let mut url = url(account, "/ari/channels")?;
    url.query_pairs_mut()
        .append_pair("endpoint", &keys.endpoint(dial.to.reveal()))
        .append_pair("app", &keys.app)
        .append_pair("appArgs", &id)
        .append_pair("channelId", &id)
        .append_pair("callerId", dial.from.reveal())
        .append_pair("timeout", &dial.limits.ring_timeout_seconds.to_string());
    let longest = dial.limits.ring_timeout_seconds + dial.limits.max_duration_seconds;
    let body = json!({ "variables": {
        "ONHOOK_CALL_ID": id,
        "TIMEOUT(absolute)": longest.to_string(),
    } });
    request(Method::POST, url, &keys.basic(), Content::Json(&body))
}

/// Asterisk speaks no text and reaches no websocket that its configuration does not name. A
/// sentence is left out, and the call stays with whatever the bridge's owner does with it; a stream
/// that nobody would carry is refused.
///
/// # Errors
/// That it is a stream.
pub(super) fn can_carry_out(answer: &Answer) -> Result<(), String> {
    match answer {
        Answer::Say { .. } => Ok(()),
        Answer::Stream { .. } => {
            Err("Asterisk cannot stream a call to a URL: let the agent say something".to_owned())
        }
    }
}

/// `DELETE /ari/channels/{id}`, ringing or answered.
///
/// # Errors
/// As for [`dial`].
pub(super) fn hang_up(account: &Account, keys: &Keys, id: &str) -> Built {
    clear(account, keys, id, NORMAL_CLEARING)
}

/// `DELETE /ari/channels/{id}`, as the called party that declines.
///
/// # Errors
/// As for [`dial`].
pub(super) fn reject(account: &Account, keys: &Keys, id: &str) -> Built {
    clear(account, keys, id, CALL_REJECTED)
}

fn clear(account: &Account, keys: &Keys, id: &str, cause: &str) -> Built {
    let mut url = channel_url(account, id, "")?;
    url.query_pairs_mut().append_pair("reason_code", cause);
    request(Method::DELETE, url, &keys.basic(), Content::Nothing)
}

/// `GET /ari/channels/{id}`.
///
/// # Errors
/// As for [`dial`].
pub(super) fn fetch(account: &Account, keys: &Keys, id: &str) -> Built {
    let url = channel_url(account, id, "")?;
    request(Method::GET, url, &keys.basic(), Content::Nothing)
}

/// `POST /ari/channels/{id}/answer`.
///
/// # Errors
/// As for [`dial`].
pub(super) fn answer(account: &Account, keys: &Keys, id: &str) -> Built {
    let url = channel_url(account, id, "/answer")?;
    request(Method::POST, url, &keys.basic(), Content::Nothing)
}

/// `GET /ari/channels`: those of every application.
///
/// # Errors
/// As for [`dial`].
pub(super) fn channels(account: &Account, keys: &Keys) -> Built {
    let url = url(account, "/ari/channels")?;
    request(Method::GET, url, &keys.basic(), Content::Nothing)
}

/// `GET /ari/applications/{app}`: found only while somebody listens to its events.
///
/// # Errors
/// As for [`dial`].
pub(super) fn application(account: &Account, keys: &Keys) -> Built {
    let url = url(account, &format!("/ari/applications/{}", keys.app))?;
    request(Method::GET, url, &keys.basic(), Content::Nothing)
}

/// `POST /ari/applications/{app}/subscription`: without it, the end of a call that came in is not
/// told.
///
/// # Errors
/// As for [`dial`].
pub(super) fn subscribe(account: &Account, keys: &Keys, id: &str) -> Built {
    let mut url = url(
        account,
        &format!("/ari/applications/{}/subscription", keys.app),
    )?;
    url.query_pairs_mut()
        .append_pair("eventSource", &format!("channel:{id}"));
    request(Method::POST, url, &keys.basic(), Content::Nothing)
}

/// `GET /ari/events`, to be upgraded to a websocket. The credentials go in a header, which Asterisk
/// takes as well as its `api_key`: addresses are logged wherever they pass.
///
/// # Errors
/// As for [`dial`].
pub(super) fn events(account: &Account, keys: &Keys) -> Built {
    let mut url = url(account, "/ari/events")?;
    url.query_pairs_mut()
        .append_pair("app", &keys.app)
        .append_pair("subscribeAll", "false");
    request(Method::GET, url, &keys.basic(), Content::Nothing)
}

/// Whether `text` can be a channel's id. It is sent as one path segment, and dots alone would not
/// stay one.
pub(super) fn is_channel_id(text: &str) -> bool {
    (1..=150).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.bytes().any(|byte| byte != b'.')
}

fn channel_url(account: &Account, id: &str, action: &str) -> Result<Url, String> {
    if !is_channel_id(id) {
        return Err("the call's provider id is not a channel's".to_owned());
    }
    let id = utf8_percent_encode(id, SEGMENT);
    url(account, &format!("/ari/channels/{id}{action}"))
}
