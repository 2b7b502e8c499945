//! A call as Twilio shows it: every member is there, most may be `null`, numbers are texts and
//! dates are RFC 2822 in whole seconds.
//!
//! Source: `api.v2010.account.call` in Twilio's API description. Of a queued call Twilio's
//! documentation says that `start_time` is empty; the same is done here.

use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc2822;

use super::API_VERSION;
use crate::{
    domain::Timestamp,
    simulator::call::{Record, State},
};

/// The names of a call's subresources in answers and in addresses.
const SUBRESOURCES: [(&str, &str); 9] = [
    ("notifications", "Notifications"),
    ("recordings", "Recordings"),
    ("payments", "Payments"),
    ("events", "Events"),
    ("siprec", "Siprec"),
    ("streams", "Streams"),
    ("transcriptions", "Transcriptions"),
    (
        "user_defined_message_subscriptions",
        "UserDefinedMessageSubscriptions",
    ),
    ("user_defined_messages", "UserDefinedMessages"),
];

pub(super) fn json(call: &Record) -> Value {
    let base = format!("/{API_VERSION}/Accounts/{}/Calls/{}", call.account, call.id);
    let subresources: Map<String, Value> = SUBRESOURCES
        .iter()
        .map(|(name, segment)| ((*name).to_owned(), format!("{base}/{segment}.json").into()))
        .collect();
    let completed = call.state == State::Completed;
    let seconds = call.connected_seconds().filter(|_| completed);
    json!({
        "sid": call.id,
        "date_created": date(call.created_at),
        "date_updated": date(call.updated_at),
        "parent_call_sid": null,
        "account_sid": call.account,
        "to": call.to,
        "to_formatted": formatted(&call.to),
        "from": call.from,
        "from_formatted": formatted(&call.from),
        "phone_number_sid": null,
        "status": call.state.as_str(),
        "start_time": call.ringing_at.map(date),
        "end_time": call.ended_at.map(date),
        "duration": seconds.map(|seconds| seconds.to_string()),
        "price": null,
        "price_unit": "USD",
        "direction": direction(call),
        "answered_by": null,
        "api_version": API_VERSION,
        "forwarded_from": null,
        "group_sid": null,
        "caller_name": null,
        "queue_time": "0",
        "trunk_sid": null,
        "uri": format!("{base}.json"),
        "subresource_uris": subresources,
    })
}

pub(super) fn direction(call: &Record) -> &'static str {
    if call.inbound {
        "inbound"
    } else {
        "outbound-api"
    }
}

/// RFC 2822, as in `Tue, 31 Aug 2010 20:36:28 +0000`.
pub(super) fn date(instant: Timestamp) -> String {
    // Only years before 1900 have no such form.
    instant.inner().format(&Rfc2822).unwrap_or_default()
}

/// North American numbers as `(415) 867-5309`, others unchanged.
fn formatted(number: &str) -> String {
    let digits = number.strip_prefix("+1").filter(|rest| rest.len() == 10);
    let parts = digits.and_then(|d| Some((d.get(..3)?, d.get(3..6)?, d.get(6..)?)));
    match parts {
        Some((area, exchange, line)) => format!("({area}) {exchange}-{line}"),
        None => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_numbers_read_as_twilios_do() {
        let instant: Timestamp = "2010-08-31T20:36:28.900Z".parse().unwrap();
        assert_eq!(date(instant), "Tue, 31 Aug 2010 20:36:28 +0000");
        assert_eq!(formatted("+14158675309"), "(415) 867-5309");
        assert_eq!(formatted("+442071838750"), "+442071838750");
    }
}
