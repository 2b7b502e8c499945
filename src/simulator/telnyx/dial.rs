//! Reads a request to dial.
//!
//! The order of checks is this imitation's choice; the codes are Telnyx's. What a call does once
//! answered is a matter of later commands there, so any call can be carried out.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use url::Url;

use super::{
    TELNYX,
    problem::{self, Problem},
};
use crate::{
    domain::phone::Phone,
    simulator::call::{CallbackTarget, Event, Order},
};

/// Seconds that a call rings, when not said and at most (Telnyx's description of `timeout_secs`).
const RING_TIMEOUT: (u64, u64) = (30, 600);
/// Seconds that a call lasts, when not said and at most (their `time_limit_secs`).
const TIME_LIMIT: (u64, u64) = (14_400, 86_400);

/// The members that this imitation understands; others are let pass.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    connection_id: Option<String>,
    to: Option<String>,
    from: Option<String>,
    command_id: Option<String>,
    client_state: Option<String>,
    timeout_secs: Option<u64>,
    time_limit_secs: Option<u64>,
    pub(super) webhook_url: Option<String>,
    webhook_url_method: Option<String>,
}

/// # Errors
/// What Telnyx answers with status 422.
pub(super) fn read(body: &[u8]) -> Result<Wanted, Problem> {
    serde_json::from_slice(body).map_err(|_not_the_members| problem::not_json())
}

impl Wanted {
    /// The call that is asked for, named after 16 random bytes.
    ///
    /// # Errors
    /// What Telnyx answers with status 422.
    pub(super) fn into_order(self, account: &str, random: [u8; 16]) -> Result<Order, Problem> {
        if self.connection_id.as_deref() != Some(account) {
            let detail = "The connection_id is not one of a Call Control application of yours.";
            let problem = Problem::new("10015", "Invalid value for connection_id", detail);
            return Err(problem.at("/connection_id"));
        }
        let callback = self.callback_target();
        let state = self.client_state.filter(|text| !text.is_empty());
        if state
            .as_ref()
            .is_some_and(|text| BASE64_STANDARD.decode(text).is_err())
        {
            let detail = "The client_state must be base64.";
            return Err(Problem::new("90021", "Invalid client state", detail).at("/client_state"));
        }
        Ok(Order {
            provider: TELNYX,
            id: call_id(random),
            account: account.to_owned(),
            to: number(self.to, "to", "/to")?,
            from: number(self.from, "from", "/from")?,
            callback,
            ring_timeout: seconds(self.timeout_secs, RING_TIMEOUT),
            time_limit: seconds(self.time_limit_secs, TIME_LIMIT),
            runnable: true,
            client_state: state,
            command_id: self.command_id.filter(|text| !text.is_empty()),
        })
    }

    /// They tell of everything but the ringing, which has no event.
    fn callback_target(&self) -> Option<CallbackTarget> {
        let url = self.webhook_url.clone()?;
        Url::parse(&url)
            .is_ok_and(|url| url.has_host())
            .then(|| CallbackTarget {
                url,
                by_get: self.webhook_url_method.as_deref() == Some("GET"),
                wanted: vec![Event::Initiated, Event::Answered, Event::Completed],
            })
    }
}

/// As theirs look: a version, a colon and characters of base64 for URLs.
pub(in crate::simulator) fn call_id(random: [u8; 16]) -> String {
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    format!("v3:{}", BASE64_URL_SAFE_NO_PAD.encode(random))
}

fn number(given: Option<String>, name: &str, pointer: &'static str) -> Result<String, Problem> {
    let text = given.filter(|text| !text.is_empty()).ok_or_else(|| {
        let detail = format!("The {name} parameter is required.");
        Problem::new("10004", "Missing required parameter", detail).at(pointer)
    })?;
    if text.starts_with("sip:") || text.parse::<Phone>().is_ok() {
        return Ok(text);
    }
    let detail = format!("The {name} parameter must be in +E164 format.");
    Err(Problem::new("10016", "Phone number must be in +E164 format", detail).at(pointer))
}

fn seconds(said: Option<u64>, (usual, most): (u64, u64)) -> Duration {
    Duration::from_secs(said.unwrap_or(usual).clamp(1, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Order, Problem> {
        read(text.as_bytes())?.into_order("7", [0xAB; 16])
    }

    #[test]
    fn refusals_carry_telnyxs_codes() {
        for (body, code) in [
            ("[1]", "10015"),
            (r#"{"to":"+15550100","from":"+15550101"}"#, "10015"),
            (
                r#"{"connection_id":"8","to":"+15550100","from":"+15550101"}"#,
                "10015",
            ),
            (r#"{"connection_id":"7","from":"+15550101"}"#, "10004"),
            (
                r#"{"connection_id":"7","to":"555","from":"+15550101"}"#,
                "10016",
            ),
            (
                r#"{"connection_id":"7","to":"+15550100","from":"me"}"#,
                "10016",
            ),
            (
                r#"{"connection_id":"7","to":"+15550100","from":"+15550101","client_state":"!"}"#,
                "90021",
            ),
        ] {
            assert_eq!(parse(body).unwrap_err().code, code, "{body}");
        }
    }

    #[test]
    fn an_order_reads_limits_and_is_told_of_all_but_the_ringing() {
        let order = parse(
            r#"{"connection_id":"7","to":"+15550100","from":"+15550101","timeout_secs":700,
                "webhook_url":"http://127.0.0.1/cb","client_state":"eA==","command_id":"c"}"#,
        )
        .unwrap();
        assert_eq!(order.id, "v3:q6urq6urq6urq6urq6urqw");
        assert_eq!(order.ring_timeout, Duration::from_mins(10));
        assert_eq!(order.time_limit, Duration::from_hours(4));
        assert_eq!(order.client_state.as_deref(), Some("eA=="));
        let wanted = order.callback.unwrap().wanted;
        assert_eq!(
            wanted,
            [Event::Initiated, Event::Answered, Event::Completed]
        );
    }
}
