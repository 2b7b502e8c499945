//! Twilio's status callback: its parameters and its signature.
//!
//! Sources: Twilio's documentation of outgoing calls and of webhook security, and a
//! recorded callback. The signature is HMAC-SHA-1 under the auth token of the address followed by
//! every parameter's name and value, by name, each pair once.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use hyper::{
    HeaderMap, Method,
    header::{CONTENT_TYPE, HeaderValue},
};
use sha1::Sha1;
use url::Url;

use super::{API_VERSION, record};
use crate::{
    outbound,
    simulator::call::{CallbackTarget, Event, Report},
};

/// Parameters that Twilio sends, empty where it knows nothing.
const PLACES: [&str; 16] = [
    "CalledCity",
    "CalledCountry",
    "CalledState",
    "CalledZip",
    "CallerCity",
    "CallerCountry",
    "CallerState",
    "CallerZip",
    "FromCity",
    "FromCountry",
    "FromState",
    "FromZip",
    "ToCity",
    "ToCountry",
    "ToState",
    "ToZip",
];

/// The callback that tells `report` to `target`, signed with `secret`. `token` is the same for
/// every attempt and copy. `None` when it cannot be put on the wire.
pub(in crate::simulator) fn callback(
    report: &Report,
    target: &CallbackTarget,
    secret: &str,
    token: &str,
) -> Option<outbound::Request> {
    // Of a call that came in they ask what to do, and tell the end.
    let asks = report.event == Event::Arrived;
    let told = asks || report.event == Event::Completed || !report.call.inbound;
    if !told || report.event == Event::Spoken {
        return None;
    }
    let mut url = Url::parse(&target.url).ok()?;
    // The fragment holds the customer's wishes for the connection and is not sent.
    url.set_fragment(None);
    let parameters = parameters(report);
    let mut headers = HeaderMap::new();
    headers.insert(
        "i-twilio-idempotency-token",
        HeaderValue::from_str(token).ok()?,
    );
    let (method, signature, body) = if target.by_get {
        url.query_pairs_mut().extend_pairs(&parameters);
        (Method::GET, sign(secret, url.as_str(), &[]), String::new())
    } else {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=UTF-8");
        headers.insert(CONTENT_TYPE, form);
        let signature = sign(secret, url.as_str(), &parameters);
        let body = serde_urlencoded::to_string(&parameters).ok()?;
        (Method::POST, signature, body)
    };
    headers.insert(
        "x-twilio-signature",
        HeaderValue::from_str(&signature).ok()?,
    );
    Some(outbound::Request {
        method,
        url,
        headers,
        body: body.into(),
    })
}

fn parameters(report: &Report) -> Vec<(&'static str, String)> {
    let call = &report.call;
    let status = match report.event {
        Event::Initiated => "initiated",
        Event::Ringing
        | Event::Answered
        | Event::Completed
        | Event::Arrived
        | Event::Spoken
        | Event::Asks => call.state.as_str(),
    };
    let mut parameters = vec![
        ("CallSid", call.id.clone()),
        ("AccountSid", call.account.clone()),
        ("From", call.from.clone()),
        ("Caller", call.from.clone()),
        ("To", call.to.clone()),
        ("Called", call.to.clone()),
        ("Direction", record::direction(call).to_owned()),
        ("ApiVersion", API_VERSION.to_owned()),
        ("CallStatus", status.to_owned()),
    ];
    if report.event != Event::Arrived {
        parameters.extend([
            ("SequenceNumber", report.sequence.to_string()),
            ("Timestamp", record::date(report.at)),
            ("CallbackSource", "call-progress-events".to_owned()),
        ]);
    }
    parameters.extend(PLACES.map(|name| (name, String::new())));
    if let Some(seconds) = call.connected_seconds() {
        // `Duration` is what is billed: minutes begun.
        let minutes = (seconds + 59) / 60;
        parameters.push(("CallDuration", seconds.to_string()));
        parameters.push(("Duration", minutes.to_string()));
    }
    parameters.extend(
        call.sip_code
            .map(|code| ("SipResponseCode", code.to_string())),
    );
    parameters
}

/// The value of `X-Twilio-Signature`.
fn sign(secret: &str, url: &str, parameters: &[(&'static str, String)]) -> String {
    let mut pairs: Vec<_> = parameters.iter().collect();
    pairs.sort();
    pairs.dedup();
    // HMAC takes a key of any length (RFC 2104 section 3): the fallback is never reached.
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes())
        .unwrap_or_else(|_| Hmac::<Sha1>::new(&hmac::digest::Key::<Hmac<Sha1>>::default()));
    mac.update(url.as_bytes());
    for (name, value) in pairs {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Twilio's documentation and of the tests of its libraries.
    #[test]
    fn signs_as_twilios_own_example() {
        let pairs = |pairs: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
            let owned = pairs
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()));
            owned.collect()
        };
        let example = pairs(&[
            ("To", "+18005551212"),
            ("Digits", "1234"),
            ("CallSid", "CA1234567890ABCDE"),
            ("From", "+14158675309"),
            ("Caller", "+14158675309"),
        ]);
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert_eq!(sign("12345", url, &example), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
        let repeated = pairs(&[
            ("Sid", "CA123"),
            ("SidAccount", "AC123"),
            ("Digits", "5678"),
            ("Digits", "1234"),
            ("Digits", "1234"),
        ]);
        assert_eq!(
            sign("12345", url, &repeated),
            "IK+Dwps556ElfBT0I3Rgjkr1wJU="
        );
    }
}
