//! Pure: our questions to jambonz's REST API as HTTP requests, JSON throughout.
//!
//! A request that could go to another resource than the one meant, or carry credentials in clear
//! over a network, is not built.

use percent_encoding::utf8_percent_encode;
use reqwest::{Method, Url};
use serde_json::json;

use super::{
    super::{
        asking::{Content, SEGMENT, request, url},
        keys::JambonzKeys as Keys,
    },
    verbs, wire,
};
use crate::{
    outbound,
    providers::{Account, DialRequest},
};

type Built = Result<outbound::Request, String>;

/// `POST /v1/Accounts/{account}/Calls`. Its tag comes back with everything about the call.
///
/// # Errors
/// What is wrong with the account's settings or the call's, for its owner.
pub(super) fn dial(account: &Account, keys: &Keys, dial: &DialRequest<'_>) -> Built {
    // Asked for when it is answered; what cannot be carried out then is not dialled.
    verbs::carrying_out(dial.answer)?;
    // By POST, which is what they do unless told otherwise: their description names the methods in
    // small letters, their examples in capitals.
    let hook = json!({ "url": dial.callback_url });
    let mut body = json!({
        "from": dial.from.reveal(),
        "to": { "type": "phone", "number": dial.to.reveal() },
        "call_hook": hook,
        "call_status_hook": hook,
        "timeout": dial.limits.ring_timeout_seconds,
        "timeLimit": dial.limits.max_duration_seconds,
        "tag": { wire::REFERENCE: dial.call_id.to_string() },
    });
    if let (Some(sid), Some(members)) = (&keys.application_sid, body.as_object_mut()) {
        members.insert("application_sid".to_owned(), sid.as_str().into());
    }
    let url = calls_url(account, keys, "")?;
    request(Method::POST, url, &keys.bearer(), Content::Json(&body))
}

/// How a call is ended: a word for each state, and the wrong one is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// For one that was answered.
    Completed,
    /// For one that rings.
    NoAnswer,
}

/// `PUT /v1/Accounts/{account}/Calls/{id}`. To delete the resource would only delete a record.
///
/// # Errors
/// As for [`dial`].
pub(super) fn hang_up(account: &Account, keys: &Keys, id: &str, ending: Ending) -> Built {
    let status = match ending {
        Ending::Completed => "completed",
        Ending::NoAnswer => "no-answer",
    };
    let body = json!({ "call_status": status });
    let url = calls_url(account, keys, &path(id)?)?;
    request(Method::PUT, url, &keys.bearer(), Content::Json(&body))
}

/// `GET /v1/Accounts/{account}/Calls/{id}`.
///
/// # Errors
/// As for [`dial`].
pub(super) fn fetch(account: &Account, keys: &Keys, id: &str) -> Built {
    let url = calls_url(account, keys, &path(id)?)?;
    request(Method::GET, url, &keys.bearer(), Content::Nothing)
}

/// `GET /v1/Accounts/{account}/Calls`: all that it knows, on one page.
///
/// # Errors
/// As for [`dial`].
pub(super) fn calls(account: &Account, keys: &Keys) -> Built {
    let url = calls_url(account, keys, "")?;
    request(Method::GET, url, &keys.bearer(), Content::Nothing)
}

/// Whether `text` can be one of their ids, which are UUIDs.
pub(super) fn is_call_sid(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn path(id: &str) -> Result<String, String> {
    if !is_call_sid(id) {
        return Err("the call's provider id is not one of jambonz's".to_owned());
    }
    Ok(format!("/{}", utf8_percent_encode(id, SEGMENT)))
}

/// `below` is encoded already.
fn calls_url(account: &Account, keys: &Keys, below: &str) -> Result<Url, String> {
    if keys.account_sid != account.external_id {
        let text = "the account's external id is not the account_sid of its credentials";
        return Err(text.to_owned());
    }
    url(
        account,
        &format!("/v1/Accounts/{}/Calls{below}", keys.account_sid),
    )
}
