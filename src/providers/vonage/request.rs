//! Pure: our questions as HTTP requests, JSON throughout, each with a token of the application's.
//!
//! A request that could go to another resource than the one meant, or carry credentials in clear
//! over a network, is not built. Which host it goes to is in `region.rs`.

use axum::body::Bytes;
use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde_json::{Value, json};
use time::Duration;

use super::{
    Keys,
    keys::{Stamp, is_uuid},
    ncco, region,
};
use crate::{
    domain::phone::Phone,
    outbound,
    providers::{Account, DialLookup, DialRequest, ProviderCall},
};

/// Seconds that a call may last, by their `length_timer`; without it two hours.
const MOST_SECONDS: i32 = 86_400;

/// Seconds that a call may ring, by their `ringing_timer`.
const MOST_RINGING_SECONDS: i32 = 120;

/// The calls on a page: the most that they give.
pub(super) const PAGE: usize = 100;

/// How far their clock and ours may be apart when a lost dial is looked for. Theirs shows whole
/// seconds.
pub(super) const CLOCK_TOLERANCE: Duration = Duration::seconds(2);

/// They do not say which of a call's moments their list goes by. The latest that it may be is the
/// answer, after the longest ringing.
const FOUND_WITHIN: Duration = Duration::minutes(3);

/// `POST /v1/calls`. They take no key against repetition. The instructions come by the answer
/// webhook, because that also tells where the call lives.
///
/// # Errors
/// What is wrong with the account's settings or the call's, for its owner.
pub(super) fn dial(
    account: &Account,
    request: &DialRequest<'_>,
    stamp: Stamp,
) -> Result<outbound::Request, String> {
    // What the answer webhook could not be answered with is not dialled.
    ncco::render(request.answer, request.call_id, &request.callback_url)?;
    let body = json!({
        "to": [{ "type": "phone", "number": digits(request.to) }],
        "from": { "type": "phone", "number": digits(request.from) },
        "answer_url": [request.callback_url],
        "answer_method": "POST",
        "event_url": [request.callback_url],
        "event_method": "POST",
        "length_timer": request.limits.max_duration_seconds.clamp(1, MOST_SECONDS),
        "ringing_timer": request.limits.ring_timeout_seconds.clamp(1, MOST_RINGING_SECONDS),
    });
    let url = calls(region::base(account, None)?, None)?;
    with_body(account, Method::POST, url, &body, stamp)
}

/// `PUT /v1/calls/{uuid}` with the action `hangup`, ringing or answered.
///
/// # Errors
/// As for [`dial`].
pub(super) fn hang_up(
    account: &Account,
    call: ProviderCall<'_>,
    stamp: Stamp,
) -> Result<outbound::Request, String> {
    let url = call_url(account, call)?;
    with_body(
        account,
        Method::PUT,
        url,
        &json!({ "action": "hangup" }),
        stamp,
    )
}

/// `GET /v1/calls/{uuid}`.
///
/// # Errors
/// As for [`dial`].
pub(super) fn fetch(
    account: &Account,
    call: ProviderCall<'_>,
    stamp: Stamp,
) -> Result<outbound::Request, String> {
    get(account, call_url(account, call)?, stamp)
}

/// `GET /v1/calls` for the time in which a dial was sent, from the record `index` on. Numbers cannot
/// be asked for; `map::lookup` narrows what comes.
///
/// # Errors
/// As for [`dial`].
pub(super) fn find_dial(
    account: &Account,
    lookup: &DialLookup<'_>,
    index: usize,
    stamp: Stamp,
) -> Result<outbound::Request, String> {
    let earliest = lookup.since.plus(-CLOCK_TOLERANCE).to_string();
    let latest = lookup.until.plus(FOUND_WITHIN).to_string();
    let filters = [("date_start", earliest.as_str()), ("date_end", &latest)];
    list(account, &filters, index, stamp)
}

/// The statuses of calls that live, in the order in which they are listed and in which a call takes
/// them: one that moves on meanwhile is seen twice rather than never.
const LIVE: [&str; 4] = ["started", "ringing", "answered", "machine"];

/// A place in the lists of calls that live: which status, and from which record on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    status: usize,
    pub(super) index: usize,
}

impl Place {
    /// The place that a cursor of ours names.
    pub(super) fn of(cursor: Option<&str>) -> Option<Self> {
        let (status, index) = cursor.unwrap_or("0:0").split_once(':')?;
        Some(Self {
            status: status.parse().ok().filter(|status| *status < LIVE.len())?,
            index: index.parse().ok()?,
        })
    }

    /// The place after this one; `index` is where its list goes on, when it does.
    pub(super) fn next(&self, index: Option<usize>) -> Option<String> {
        match index {
            Some(index) => Some(format!("{}:{index}", self.status)),
            None if self.status + 1 < LIVE.len() => Some(format!("{}:0", self.status + 1)),
            None => None,
        }
    }
}

/// `GET /v1/calls?status=`, for each of the statuses of calls that live.
///
/// # Errors
/// As for [`dial`].
pub(super) fn live_calls(
    account: &Account,
    cursor: Option<&str>,
    stamp: Stamp,
) -> Result<outbound::Request, String> {
    let place = Place::of(cursor).ok_or_else(|| "the list's cursor is not ours".to_owned())?;
    let status = LIVE.get(place.status).copied().unwrap_or_default();
    list(account, &[("status", status)], place.index, stamp)
}

/// A number as they take it: the digits alone.
pub(super) fn digits(phone: &Phone) -> &str {
    phone.reveal().trim_start_matches('+')
}

fn list(
    account: &Account,
    filters: &[(&str, &str)],
    index: usize,
    stamp: Stamp,
) -> Result<outbound::Request, String> {
    let mut url = calls(region::base(account, None)?, None)?;
    url.query_pairs_mut()
        .extend_pairs(filters)
        .append_pair("page_size", &PAGE.to_string())
        .append_pair("record_index", &index.to_string())
        .append_pair("order", "asc");
    get(account, url, stamp)
}

fn call_url(account: &Account, call: ProviderCall<'_>) -> Result<Url, String> {
    if !is_uuid(call.id) {
        return Err("the call's provider id is not one of Vonage's".to_owned());
    }
    calls(region::base(account, call.host)?, Some(call.id))
}

fn calls(mut base: Url, id: Option<&str>) -> Result<Url, String> {
    base.path_segments_mut()
        .map_err(|()| "the account's API base URL has no path".to_owned())?
        .pop_if_empty()
        .extend(["v1", "calls"])
        .extend(id);
    Ok(base)
}

fn get(account: &Account, url: Url, stamp: Stamp) -> Result<outbound::Request, String> {
    Ok(outbound::Request {
        method: Method::GET,
        url,
        headers: headers(account, stamp)?,
        body: Bytes::new(),
    })
}

fn with_body(
    account: &Account,
    method: Method,
    url: Url,
    body: &Value,
    stamp: Stamp,
) -> Result<outbound::Request, String> {
    let mut headers = headers(account, stamp)?;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(outbound::Request {
        method,
        url,
        headers,
        body: body.to_string().into(),
    })
}

fn headers(account: &Account, stamp: Stamp) -> Result<HeaderMap, String> {
    let keys = Keys::of(account).ok_or_else(|| "the account is not Vonage's".to_owned())?;
    if keys.application_id() != account.external_id {
        let text = "the account's external id is not the application_id of its credentials";
        return Err(text.to_owned());
    }
    let bearer = keys
        .bearer(stamp)
        .ok_or_else(|| "the account's credentials cannot be sent".to_owned())?;
    Ok(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
}
