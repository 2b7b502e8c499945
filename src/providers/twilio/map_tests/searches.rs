//! What a search tells of a dial whose answer was lost.

use serde_json::{Value, json};
use time::Duration;

use super::{PROXY_PAGE, call, error, failures, heard, told_to_wait};
use crate::{
    domain::{
        CallId, Timestamp,
        phone::Phone,
        provider::{LookupOutcome, Observation, Progress, Source},
    },
    outbound::Answer,
    providers::{DialLookup, twilio::map},
};

/// A call of a list: its id's last digit, its direction, and the second of 20:36 it is of.
fn listed(digit: u8, direction: &str, second: u8) -> Value {
    let mut call = call("in-progress");
    call["sid"] = json!(format!("CA{digit}"));
    call["direction"] = json!(direction);
    call["date_created"] = json!(format!("Tue, 31 Aug 2010 20:36:{second:02} +0000"));
    call
}

fn page(calls: &[Value], more: bool) -> Answer {
    let next = more.then_some("/2010-04-01/Accounts/AC123/Calls.json?Page=1");
    heard(
        200,
        json!({"calls": calls, "next_page_uri": next, "page": 0}),
    )
}

/// The dial was sent between 20:36:20.5 and 20:36:30.5.
fn between_20_and_30<'a>(phone: &'a Phone, known: &'a [String]) -> DialLookup<'a> {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    DialLookup {
        call_id: CallId(uuid::Uuid::nil()),
        from: phone,
        to: phone,
        since: at("2010-08-31T20:36:20.500Z"),
        until: at("2010-08-31T20:36:30.500Z"),
        known,
    }
}

#[test]
fn a_search_that_is_not_answered_tells_nothing() {
    let phone = "+15550100".parse().unwrap();
    let lookup = between_20_and_30(&phone, &[]);
    for (failure, _) in failures() {
        let unclear = LookupOutcome::Unavailable { after: None };
        assert_eq!(map::lookup(&lookup, &Err(failure)), unclear);
    }
}

#[test]
fn outcomes_of_a_search_for_a_lost_dial() {
    let known = ["CA9".to_owned()];
    let phone = "+15550100".parse().unwrap();
    let lookup = between_20_and_30(&phone, &known);
    let api = "outbound-api";
    let found = |digit: u8| {
        LookupOutcome::Found(Observation {
            provider_call_id: format!("CA{digit}"),
            progress: Progress::Answered,
            at: None,
            source: Source::Fetch,
            host: None,
        })
    };
    let unclear = LookupOutcome::Unavailable { after: None };
    let mut undated = listed(1, api, 25);
    undated["date_created"] = Value::Null;
    let table = [
        (page(&[], false), LookupOutcome::Nothing),
        (page(&[listed(1, api, 25)], false), found(1)),
        // Two seconds on either side, and theirs are whole.
        (page(&[listed(1, api, 19)], false), found(1)),
        (page(&[listed(1, api, 32)], false), found(1)),
        (page(&[listed(1, api, 18)], false), LookupOutcome::Nothing),
        (page(&[listed(1, api, 33)], false), LookupOutcome::Nothing),
        (page(&[listed(9, api, 25)], false), LookupOutcome::Nothing),
        (
            page(&[listed(1, "inbound", 25)], false),
            LookupOutcome::Nothing,
        ),
        (
            page(&[listed(1, "outbound-dial", 25)], false),
            LookupOutcome::Nothing,
        ),
        (
            page(
                &[listed(9, api, 26), listed(1, api, 25), listed(2, api, 10)],
                false,
            ),
            found(1),
        ),
        (
            page(&[listed(1, api, 25), listed(2, api, 24)], false),
            LookupOutcome::Ambiguous(2),
        ),
        (
            page(&[listed(1, api, 25), listed(2, api, 24)], true),
            LookupOutcome::Ambiguous(2),
        ),
        // More pages, and this one does not reach back far enough to exclude another.
        (page(&[listed(1, api, 25)], true), unclear.clone()),
        (page(&[listed(9, api, 25)], true), unclear.clone()),
        (
            page(&[listed(1, api, 25), listed(2, api, 10)], true),
            found(1),
        ),
        (page(&[listed(2, api, 10)], true), LookupOutcome::Nothing),
        (page(&[undated], false), unclear.clone()),
        (heard(200, "<html>"), unclear.clone()),
        (heard(200, json!({"calls": null})), unclear.clone()),
        (
            heard(401, error(401, 20003, "Authenticate")),
            unclear.clone(),
        ),
        (heard(404, PROXY_PAGE), unclear.clone()),
        (heard(500, ""), unclear.clone()),
        (
            told_to_wait(429, ""),
            LookupOutcome::Unavailable {
                after: Some(Duration::seconds(7)),
            },
        ),
    ];
    for (answer, expected) in table {
        let heard = Ok(answer);
        assert_eq!(map::lookup(&lookup, &heard), expected, "{heard:?}");
    }
}
