//! A plain bridge's credentials, which are its description too: where a call is ended, what that
//! may be answered with, and how a call is dialled, if it can be.

use reqwest::{
    Method,
    header::{HeaderMap, HeaderName},
};
use serde_json::{Map, Value};

use super::super::keys::{only, problem, word};
use crate::{outbound, providers::CredentialsProblem};

/// The most headers that a request is sent with.
const MOST_HEADERS: usize = 20;

/// What stands in a template for our name of the call, which is the bridge's too.
pub(super) const CALL_ID: &str = "{call_id}";

/// `{"bridge": "http", "hang_up": {…}, "dial": {…}?, "headers": {…}?, "webhook_secret"?}`.
///
/// `hang_up` is `{"method", "url", "accepted", "already_over", "unknown"}`, `dial` is
/// `{"method", "url", "accepted"}`. A URL is whole, or begins with a slash and is below the
/// account's API base URL; it holds `{call_id}`, and must to hang up. The rest are lists of
/// statuses. Headers go with both requests and are secret. `webhook_secret` is what the bridge
/// signs its reports with; without it none is believed.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub(super) hang_up: HangUp,
    /// `None`: the bridge takes no dials.
    pub(super) dial: Option<Dial>,
    pub(super) headers: HeaderMap,
    pub(super) webhook_secret: Option<String>,
}

/// The termination path.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct HangUp {
    pub(super) target: Target,
    pub(super) accepted: Vec<u16>,
    pub(super) already_over: Vec<u16>,
    pub(super) unknown: Vec<u16>,
}

/// The way to a new call.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Dial {
    pub(super) target: Target,
    pub(super) accepted: Vec<u16>,
}

/// A method and the template of a URL.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) method: Method,
    pub(super) template: String,
}

impl Keys {
    pub(in crate::providers::sip) fn parse(
        members: &Map<String, Value>,
    ) -> Result<Self, CredentialsProblem> {
        only(members, &["hang_up", "dial", "headers", "webhook_secret"])?;
        let webhook_secret = match members.get("webhook_secret") {
            None | Some(Value::Null) => None,
            Some(_) => Some(word(members, "webhook_secret")?),
        };
        let hang_up = object(members, "hang_up")?.ok_or_else(|| problem("hang_up is missing"))?;
        let dial = match object(members, "dial")? {
            None => None,
            Some(dial) => Some(Dial {
                target: target(dial, "dial")?,
                accepted: accepted(dial, "dial")?,
            }),
        };
        Ok(Self {
            hang_up: read_hang_up(hang_up)?,
            dial,
            headers: headers(object(members, "headers")?)?,
            webhook_secret,
        })
    }

    /// Every text that must never be shown.
    pub(super) fn secrets(&self) -> Vec<String> {
        let values = self
            .headers
            .values()
            .filter_map(|value| value.to_str().ok());
        let words = values.flat_map(str::split_whitespace).map(str::to_owned);
        words.chain(self.webhook_secret.clone()).collect()
    }
}

fn read_hang_up(members: &Map<String, Value>) -> Result<HangUp, CredentialsProblem> {
    let target = target(members, "hang_up")?;
    if !target.template.contains(CALL_ID) {
        return Err(problem("hang_up.url must hold {call_id}"));
    }
    let hang_up = HangUp {
        target,
        accepted: accepted(members, "hang_up")?,
        already_over: statuses(members, "hang_up", "already_over")?,
        unknown: statuses(members, "hang_up", "unknown")?,
    };
    let lists = [&hang_up.accepted, &hang_up.already_over, &hang_up.unknown];
    let mut all: Vec<u16> = lists.into_iter().flatten().copied().collect();
    let told = all.len();
    all.sort_unstable();
    all.dedup();
    if all.len() < told {
        return Err(problem("hang_up: a status can mean one thing only"));
    }
    // They say that we may not ask, or that the bridge is in trouble: never how a call is.
    if hang_up
        .already_over
        .iter()
        .any(|status| matches!(status, 401 | 403 | 407 | 408 | 429 | 500..=599))
    {
        return Err(problem(
            "hang_up.already_over must hold no 401, 403, 407, 408, 429 or 5xx",
        ));
    }
    Ok(hang_up)
}

fn target(members: &Map<String, Value>, name: &str) -> Result<Target, CredentialsProblem> {
    let known = ["method", "url", "accepted", "already_over", "unknown"];
    if members
        .keys()
        .any(|member| !known.contains(&member.as_str()))
    {
        let known = known.join(", ");
        return Err(problem(&format!("{name} may hold only {known}")));
    }
    let method = match members.get("method").and_then(Value::as_str) {
        Some("POST") => Method::POST,
        Some("PUT") => Method::PUT,
        Some("PATCH") => Method::PATCH,
        Some("DELETE") => Method::DELETE,
        _ => {
            let text = format!("{name}.method must be POST, PUT, PATCH or DELETE");
            return Err(problem(&text));
        }
    };
    let template = word(members, "url").map_err(|wrong| problem(&format!("{name}: {wrong}")))?;
    let begins = ["/", "https://", "http://"];
    if !begins.iter().any(|start| template.starts_with(start)) || template.starts_with("//") {
        let text = format!("{name}.url must begin with a slash, https:// or http://");
        return Err(problem(&text));
    }
    let authority = template.split_once("://").map_or("", |(_, rest)| {
        rest.split(['/', '?', '#']).next().unwrap_or_default()
    });
    if authority.contains(['{', '@']) {
        let text = format!("{name}.url must name its host plainly, without credentials");
        return Err(problem(&text));
    }
    Ok(Target { method, template })
}

fn accepted(members: &Map<String, Value>, of: &str) -> Result<Vec<u16>, CredentialsProblem> {
    let accepted = statuses(members, of, "accepted")?;
    if accepted.is_empty() || accepted.iter().any(|status| !(200..=299).contains(status)) {
        return Err(problem(&format!("{of}.accepted must hold statuses of 2xx")));
    }
    Ok(accepted)
}

fn statuses(
    members: &Map<String, Value>,
    of: &str,
    name: &str,
) -> Result<Vec<u16>, CredentialsProblem> {
    let wrong = || {
        problem(&format!(
            "{of}.{name} must be a list of statuses, 200 to 599"
        ))
    };
    let listed = match members.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(listed)) => listed,
        Some(_) => return Err(wrong()),
    };
    let status = |value: &Value| {
        let status = u16::try_from(value.as_u64()?).ok()?;
        (200..=599).contains(&status).then_some(status)
    };
    listed
        .iter()
        .map(status)
        .collect::<Option<_>>()
        .ok_or_else(wrong)
}

fn headers(members: Option<&Map<String, Value>>) -> Result<HeaderMap, CredentialsProblem> {
    /// What makes the request what it is is not the customer's to set.
    const OURS: [&str; 6] = [
        "host",
        "content-length",
        "content-type",
        "connection",
        "transfer-encoding",
        "upgrade",
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in members.into_iter().flatten() {
        let parsed = name.parse::<HeaderName>().ok();
        let value = value.as_str().and_then(outbound::header_value);
        let header = parsed
            .filter(|name| !OURS.contains(&name.as_str()))
            .zip(value);
        let Some((name, mut value)) = header else {
            return Err(problem("headers: one of them cannot be sent"));
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    if headers.len() > MOST_HEADERS {
        return Err(problem("headers: at most 20"));
    }
    Ok(headers)
}

fn object<'a>(
    members: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, CredentialsProblem> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(problem(&format!("{name} must be an object"))),
    }
}
