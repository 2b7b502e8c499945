//! Pure: our questions as HTTP requests. Forms, never JSON, which their API does not take.
//!
//! A request that could go to another resource than the one meant, or carry credentials in clear
//! over a network, is not built.

use axum::body::Bytes;
use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use time::Duration;
use url::form_urlencoded;

use super::{Keys, twiml};
use crate::{
    outbound,
    providers::{Account, DialLookup, DialRequest, base_url},
};

const API: &str = "https://api.twilio.com";

/// How far their clock and ours may be apart when a lost dial is looked for. Theirs shows whole
/// seconds.
pub(super) const CLOCK_TOLERANCE: Duration = Duration::seconds(2);

/// The reports that a call is to send. The parameter is repeated: one value with spaces between
/// is accepted, and then no report ever comes (their error 21626).
const EVENTS: [&str; 4] = ["initiated", "ringing", "answered", "completed"];

/// `POST …/Calls.json`.
///
/// # Errors
/// What is wrong with the account's settings or the call's, for its owner.
pub(super) fn dial(
    account: &Account,
    request: &DialRequest<'_>,
) -> Result<outbound::Request, String> {
    let twiml = twiml::render(request.answer, request.call_id)?;
    let (ring, most) = (
        request.limits.ring_timeout_seconds.to_string(),
        request.limits.max_duration_seconds.to_string(),
    );
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("To", request.to.reveal())
        .append_pair("From", request.from.reveal())
        .append_pair("Twiml", &twiml)
        .append_pair("StatusCallback", &request.callback_url)
        .append_pair("StatusCallbackMethod", "POST")
        .extend_pairs(EVENTS.map(|event| ("StatusCallbackEvent", event)))
        .append_pair("Timeout", &ring)
        .append_pair("TimeLimit", &most);
    let url = url(account, &["Calls.json"])?;
    post(account, url, form.finish())
}

/// `POST …/Calls/{sid}.json`. `completed` ends queued, ringing and answered calls alike
/// (`canceled` leaves answered ones alone), and nothing else is sent with it: an update with
/// `StatusCallbackMethod` was seen to reset the call's callback URL.
///
/// # Errors
/// As for [`dial`].
pub(super) fn hang_up(account: &Account, sid: &str) -> Result<outbound::Request, String> {
    post(
        account,
        call_url(account, sid)?,
        "Status=completed".to_owned(),
    )
}

/// `GET …/Calls/{sid}.json`.
///
/// # Errors
/// As for [`dial`].
pub(super) fn fetch(account: &Account, sid: &str) -> Result<outbound::Request, String> {
    get(account, call_url(account, sid)?)
}

/// `GET …/Calls.json?To=&From=`, which lists the newest first; `map::lookup` narrows what comes.
///
/// Without their filter by `StartTime`: a call that waits in their queue has none, and must be found
/// before it rings.
///
/// # Errors
/// As for [`dial`].
pub(super) fn find_dial(
    account: &Account,
    lookup: &DialLookup<'_>,
) -> Result<outbound::Request, String> {
    let mut url = url(account, &["Calls.json"])?;
    url.query_pairs_mut()
        .append_pair("To", lookup.to.reveal())
        .append_pair("From", lookup.from.reveal())
        .append_pair("PageSize", "1000");
    get(account, url)
}

/// The statuses of calls that live, in the order in which they are listed: one that moves on
/// meanwhile is seen twice rather than never.
const LIVE: [&str; 3] = ["queued", "ringing", "in-progress"];

/// A place in the lists of calls that live: which status, and which page of theirs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    status: usize,
    /// Their `PageToken`.
    page: Option<String>,
}

impl Place {
    /// The place that a cursor of ours names.
    pub(super) fn of(cursor: Option<&str>) -> Option<Self> {
        let (status, page) = cursor.unwrap_or("0:").split_once(':')?;
        let status = status.parse().ok().filter(|status| *status < LIVE.len())?;
        let page = Some(page.to_owned()).filter(|page| !page.is_empty());
        Some(Self { status, page })
    }

    /// The place after this one, when their page ends in `next_page_uri`.
    pub(super) fn next(&self, next_page_uri: Option<&str>) -> Option<String> {
        let token = next_page_uri.and_then(|uri| {
            let (_, query) = uri.split_once('?')?;
            form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == "PageToken")
                .map(|(_, token)| token.into_owned())
        });
        match token {
            Some(token) => Some(format!("{}:{token}", self.status)),
            None if self.status + 1 < LIVE.len() => Some(format!("{}:", self.status + 1)),
            None => None,
        }
    }
}

/// `GET …/Calls.json?Status=`, for each of the statuses of calls that live.
///
/// # Errors
/// As for [`dial`].
pub(super) fn live_calls(
    account: &Account,
    cursor: Option<&str>,
) -> Result<outbound::Request, String> {
    let place = Place::of(cursor).ok_or_else(|| "the list's cursor is not ours".to_owned())?;
    let status = LIVE.get(place.status).copied().unwrap_or_default();
    let mut url = url(account, &["Calls.json"])?;
    let mut query = url.query_pairs_mut();
    query
        .append_pair("Status", status)
        .append_pair("PageSize", "1000");
    if let Some(token) = &place.page {
        query.append_pair("PageToken", token);
    }
    drop(query);
    get(account, url)
}

/// Whether `text` can be one of their ids: letters and digits only, so that it is one path
/// segment and no more. Theirs are two letters and 32 hexadecimal digits.
pub(super) fn is_sid(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn call_url(account: &Account, sid: &str) -> Result<Url, String> {
    if !is_sid(sid) {
        return Err("the call's provider id is not one of Twilio's".to_owned());
    }
    url(account, &["Calls", &format!("{sid}.json")])
}

fn url(account: &Account, path: &[&str]) -> Result<Url, String> {
    if !is_sid(&account.external_id) {
        return Err("the account's external id is not one of Twilio's (AC…)".to_owned());
    }
    let mut url = base_url::of(account, API)?;
    url.path_segments_mut()
        .map_err(|()| "the account's API base URL has no path".to_owned())?
        .pop_if_empty()
        .extend(["2010-04-01", "Accounts", &account.external_id])
        .extend(path);
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

fn post(account: &Account, url: Url, form: String) -> Result<outbound::Request, String> {
    let mut headers = headers(account)?;
    let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(CONTENT_TYPE, form_type);
    Ok(outbound::Request {
        method: Method::POST,
        url,
        headers,
        body: form.into(),
    })
}

fn headers(account: &Account) -> Result<HeaderMap, String> {
    let keys = Keys::of(account).ok_or_else(|| "the account is not Twilio's".to_owned())?;
    let mut basic = outbound::header_value(&keys.basic(&account.external_id))
        .ok_or_else(|| "the account's credentials cannot be sent".to_owned())?;
    basic.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, basic)]))
}
