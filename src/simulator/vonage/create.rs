//! Reads a request to create a call.
//!
//! The order of checks is this imitation's choice. Only calls to a phone that ask what to do by an
//! answer URL are imitated; one with its instructions in the request is refused here.

use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::{VONAGE, problem::Problem};
use crate::simulator::{
    call::Order,
    report::{CallbackTarget, Event},
};

/// Seconds that a call rings, when not said and at most (Vonage's `ringing_timer`).
const RINGING: (u64, u64) = (60, 120);
/// Seconds that a call lasts, when not said and at most (their `length_timer`).
const LENGTH: (u64, u64) = (7_200, 86_400);

/// The members that this imitation understands; others are let pass.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    to: Vec<Phone>,
    from: Option<Phone>,
    answer_url: Vec<String>,
    answer_method: Option<String>,
    pub(super) event_url: Vec<String>,
    event_method: Option<String>,
    ringing_timer: Option<u64>,
    length_timer: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Phone {
    #[serde(rename = "type")]
    kind: String,
    number: String,
}

/// # Errors
/// What Vonage answers with status 400.
pub(super) fn read(body: &[u8]) -> Result<Wanted, Problem> {
    serde_json::from_slice(body)
        .map_err(|_not_the_members| Problem::new("body", "Must be JSON of the documented members"))
}

impl Wanted {
    /// The call that is asked for, named after 16 random bytes.
    ///
    /// # Errors
    /// What Vonage answers with status 400.
    pub(super) fn into_order(self, account: &str, random: [u8; 16]) -> Result<Order, Problem> {
        let [to] = <[Phone; 1]>::try_from(self.to)
            .map_err(|_several| Problem::new("to", "Must have one endpoint"))?;
        let from = self
            .from
            .ok_or_else(|| Problem::new("from", "Is required"))?;
        let answer_url = url(&self.answer_url, "answer_url")?;
        let event_url = url(&self.event_url, "event_url")?;
        if [&self.answer_method, &self.event_method].map(Option::as_deref) != [Some("POST"); 2] {
            let reason = "This simulator calls by POST; say so beside both URLs";
            return Err(Problem::new("answer_method", reason));
        }
        Ok(Order {
            provider: VONAGE,
            id: call_id(random),
            account: account.to_owned(),
            to: number(to, "to")?,
            from: number(from, "from")?,
            callback: Some(CallbackTarget {
                url: event_url,
                by_get: false,
                wanted: vec![
                    Event::Initiated,
                    Event::Ringing,
                    Event::Answered,
                    Event::Asks,
                    Event::Completed,
                ],
            }),
            ring_timeout: seconds(self.ringing_timer, RINGING, "ringing_timer")?,
            time_limit: seconds(self.length_timer, LENGTH, "length_timer")?,
            runnable: true,
            // Vonage hands nothing back; it keeps where to ask.
            client_state: Some(answer_url),
            command_id: None,
        })
    }
}

/// As theirs look: a UUID.
pub(in crate::simulator) fn call_id(random: [u8; 16]) -> String {
    uuid::Builder::from_random_bytes(random)
        .into_uuid()
        .to_string()
}

fn url(given: &[String], name: &'static str) -> Result<String, Problem> {
    match given {
        [url] if Url::parse(url).is_ok_and(|url| url.has_host()) => Ok(url.clone()),
        _ => Err(Problem::new(name, "Must be a list of one URL")),
    }
}

/// Digits alone, 7 to 15 (their `AddressE164`).
fn number(phone: Phone, name: &'static str) -> Result<String, Problem> {
    let digits = phone.number.bytes().all(|byte| byte.is_ascii_digit());
    if phone.kind == "phone" && digits && (7..=15).contains(&phone.number.len()) {
        Ok(phone.number)
    } else {
        Err(Problem::new(name, "Must be a phone's number, digits alone"))
    }
}

fn seconds(
    said: Option<u64>,
    (usual, most): (u64, u64),
    name: &'static str,
) -> Result<Duration, Problem> {
    let seconds = said.unwrap_or(usual);
    if (1..=most).contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(Problem::new(name, "Out of range"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn order(change: impl FnOnce(&mut Value)) -> Result<Order, Problem> {
        let mut body = json!({
            "to": [{"type": "phone", "number": "15550101"}],
            "from": {"type": "phone", "number": "15550120"},
            "answer_url": ["http://127.0.0.1/answer"], "answer_method": "POST",
            "event_url": ["http://127.0.0.1/event"], "event_method": "POST",
            "length_timer": 1800,
        });
        change(&mut body);
        read(body.to_string().as_bytes())?.into_order("a", [0xAB; 16])
    }

    #[test]
    fn an_order_reads_numbers_urls_and_limits() {
        let order = order(|_| ()).unwrap();
        assert_eq!(order.id, "abababab-abab-4bab-abab-abababababab");
        assert_eq!(
            (order.to.as_str(), order.from.as_str()),
            ("15550101", "15550120")
        );
        assert_eq!(order.ring_timeout, Duration::from_mins(1));
        assert_eq!(order.time_limit, Duration::from_mins(30));
        assert_eq!(
            order.client_state.as_deref(),
            Some("http://127.0.0.1/answer")
        );
        assert_eq!(order.callback.unwrap().url, "http://127.0.0.1/event");
    }

    #[test]
    fn a_wrong_request_is_refused_by_the_parameter_that_is_wrong() {
        let table: [(&str, Value, &str); 8] = [
            ("to", json!([]), "to"),
            (
                "to",
                json!([{"type": "phone", "number": "+15550101"}]),
                "to",
            ),
            ("to", json!([{"type": "sip", "number": "15550101"}]), "to"),
            ("to", json!("15550101"), "body"),
            ("from", json!(null), "from"),
            ("event_url", json!(["nowhere"]), "event_url"),
            ("answer_method", json!("GET"), "answer_method"),
            ("ringing_timer", json!(121), "ringing_timer"),
        ];
        for (member, value, parameter) in table {
            let refused = order(|body| body[member] = value.clone()).unwrap_err();
            assert_eq!(refused.parameter, parameter, "{member}: {value}");
        }
    }
}
