//! Reads a request to place a call.
//!
//! Order of checks, and the code for missing instructions that are too long, are this imitation's
//! choice; the other codes are Twilio's. As at Twilio, a status callback that cannot be used does
//! not stop the call: it is ignored, and nobody is told of anything.

use std::time::Duration;

use url::Url;

use super::{Parameters, TWILIO, problem::Problem, twiml, value};
use crate::{
    domain::phone::Phone,
    simulator::call::{CallbackTarget, Event, Order},
};

/// The longest inline instructions, in characters (Twilio's API description of `Twiml`).
const MAX_TWIML: usize = 4000;
/// Seconds that a call rings, when not said and at most (Twilio's API description of `Timeout`).
const RING_TIMEOUT: (u64, u64) = (60, 600);
/// Seconds that a call lasts, when not said and at most (Twilio's documentation of `TimeLimit`).
const TIME_LIMIT: (u64, u64) = (14_400, 86_400);

/// The call that `form` asks for, named after 16 random bytes.
///
/// # Errors
/// What Twilio answers with status 400.
pub(super) fn order(account: &str, form: &Parameters, random: [u8; 16]) -> Result<Order, Problem> {
    let to = given(form, "To").ok_or_else(|| Problem::new(21201, "No 'To' number is specified"))?;
    let from =
        given(form, "From").ok_or_else(|| Problem::new(21213, "No 'From' number is specified"))?;
    if !is_endpoint(to) {
        let message = format!("The 'To' number {to} is not a valid phone number.");
        return Err(Problem::new(21211, message));
    }
    if !is_endpoint(from) {
        let message = format!("The 'From' number {from} is not a valid phone number.");
        return Err(Problem::new(21212, message));
    }
    Ok(Order {
        provider: TWILIO,
        id: call_id(random),
        account: account.to_owned(),
        to: to.to_owned(),
        from: from.to_owned(),
        callback: callback_target(form),
        ring_timeout: seconds(form, "Timeout", RING_TIMEOUT),
        time_limit: seconds(form, "TimeLimit", TIME_LIMIT),
        runnable: instructions(form)?,
        client_state: None,
        command_id: None,
    })
}

/// Whether the instructions that the call names can be carried out. Those behind an address are
/// not fetched and count as good.
fn instructions(form: &Parameters) -> Result<bool, Problem> {
    if let Some(url) = given(form, "Url") {
        return match Url::parse(url) {
            Ok(url) if url.has_host() => Ok(true),
            _ => Err(Problem::new(
                21205,
                format!("Url is not a valid URL: {url}"),
            )),
        };
    }
    match given(form, "Twiml") {
        Some(text) if text.chars().count() > MAX_TWIML => {
            let message = format!("Twiml is longer than {MAX_TWIML} characters");
            Err(Problem::new(20001, message))
        }
        Some(text) => Ok(twiml::is_well_formed(text)),
        None if given(form, "ApplicationSid").is_some() => Ok(true),
        None => Err(Problem::new(21205, "Url parameter is required.")),
    }
}

fn callback_target(form: &Parameters) -> Option<CallbackTarget> {
    let text = given(form, "StatusCallback")?;
    if !Url::parse(text).is_ok_and(|url| url.has_host()) {
        tracing::warn!("simulation: a StatusCallback is no URL and is ignored (Twilio 21609)");
        return None;
    }
    Some(CallbackTarget {
        url: text.to_owned(),
        by_get: value(form, "StatusCallbackMethod").is_some_and(|method| method == "GET"),
        wanted: wanted_events(form),
    })
}

/// Events joined into one value are none of the known ones: Twilio takes the call, reports nothing
/// and notes warning 21626 in its debugger.
fn wanted_events(form: &Parameters) -> Vec<Event> {
    let named = form.iter().filter(|(key, _)| key == "StatusCallbackEvent");
    let named: Vec<&str> = named.map(|(_, value)| value.as_str()).collect();
    if named.is_empty() {
        vec![Event::Completed]
    } else {
        named.iter().filter_map(|name| name.parse().ok()).collect()
    }
}

fn given<'a>(form: &'a Parameters, name: &str) -> Option<&'a str> {
    value(form, name).filter(|text| !text.is_empty())
}

fn is_endpoint(text: &str) -> bool {
    let named = ["sip:", "client:"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    named || text.parse::<Phone>().is_ok()
}

fn seconds(form: &Parameters, name: &str, (usual, most): (u64, u64)) -> Duration {
    let said = value(form, name).and_then(|text| text.parse().ok());
    Duration::from_secs(said.unwrap_or(usual).clamp(1, most))
}

/// As theirs look: two letters and 32 hexadecimal digits.
pub(in crate::simulator) fn call_id(random: [u8; 16]) -> String {
    format!("CA{:032x}", u128::from_be_bytes(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Order, Problem> {
        let form: Parameters = serde_urlencoded::from_str(text).unwrap();
        order("AC1", &form, [0xAB; 16])
    }

    #[test]
    fn refusals_carry_twilios_codes() {
        let long = format!("To=%2B15550100&From=%2B15550101&Twiml={}", "x".repeat(4001));
        for (form, code) in [
            ("From=%2B15550101&Url=http://a/", 21201),
            ("To=%2B15550100&Url=http://a/", 21213),
            ("To=555&From=%2B15550101&Url=http://a/", 21211),
            ("To=%2B15550100&From=me&Url=http://a/", 21212),
            ("To=%2B15550100&From=%2B15550101", 21205),
            ("To=%2B15550100&From=%2B15550101&Url=hello", 21205),
            (long.as_str(), 20001),
        ] {
            assert_eq!(parse(form).unwrap_err().code, code, "{form}");
        }
    }

    #[test]
    fn an_order_reads_limits_and_repeated_events() {
        let order = parse(
            "To=%2B15550100&From=%2B15550101&Twiml=%3CResponse/%3E&Timeout=700&TimeLimit=90\
             &StatusCallback=http://127.0.0.1/cb&StatusCallbackEvent=ringing\
             &StatusCallbackEvent=completed",
        )
        .unwrap();
        assert_eq!(order.id, format!("CA{}", "ab".repeat(16)));
        assert_eq!(order.ring_timeout, Duration::from_mins(10));
        assert_eq!(order.time_limit, Duration::from_secs(90));
        assert!(order.runnable);
        let target = order.callback.unwrap();
        assert_eq!(target.wanted, [Event::Ringing, Event::Completed]);
    }

    #[test]
    fn events_joined_in_one_value_are_taken_and_never_reported() {
        let order = parse(
            "To=%2B15550100&From=%2B15550101&Url=http://a/&StatusCallback=http://127.0.0.1/cb\
             &StatusCallbackEvent=ringing+completed",
        )
        .unwrap();
        assert_eq!(order.callback.unwrap().wanted, []);
    }
}
