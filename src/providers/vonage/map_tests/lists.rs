//! What lists tell: of a dial whose answer was lost, and of what lives.

use serde_json::{Value, json};
use time::Duration;

use super::{PROXY_PAGE, at, call, error, failures, heard, seen, with_header};
use crate::{
    domain::{
        CallId,
        phone::Phone,
        provider::{LiveCall, LiveOutcome, LookupOutcome, Observation, Progress, Source},
    },
    outbound::Answer,
    providers::{
        DialLookup,
        vonage::{
            fixture::{ID, OTHER_ID},
            map::{self, Page},
        },
    },
};

fn look(known: &[String], index: usize, answer: Answer) -> Page {
    let from: Phone = "+15550120".parse().unwrap();
    let to: Phone = "+15550101".parse().unwrap();
    let lookup = DialLookup {
        call_id: CallId(uuid::Uuid::nil()),
        from: &from,
        to: &to,
        since: at("2026-01-01T00:00:10Z"),
        until: at("2026-01-01T00:00:25Z"),
        known,
    };
    map::lookup(&lookup, index, &Ok(answer))
}

fn list(count: usize, calls: &[Value]) -> Answer {
    heard(
        200,
        json!({"count": count, "page_size": 100, "_embedded": {"calls": calls}}),
    )
}

#[test]
fn a_lost_dial_is_the_outbound_call_between_the_numbers() {
    let ringing = json!({"status": "ringing"});
    let ours = seen(Progress::Ringing, None, Source::Fetch);
    let is_ours = |calls: &[Value]| look(&[], 0, list(calls.len(), calls));
    assert_eq!(
        is_ours(&[call(ringing.clone())]),
        Page::Read(vec![ours.clone()], None)
    );
    for not_ours in [
        json!({"direction": "inbound"}),
        json!({"to": {"type": "phone", "number": "15550102"}}),
        json!({"to": {"type": "websocket", "uri": "wss://agent.example"}}),
        json!({"from": {"type": "phone", "number": "15550121"}}),
        json!({"status": "completed", "start_time": "2026-01-01 00:00:07"}),
    ] {
        assert_eq!(
            is_ours(&[call(not_ours.clone())]),
            Page::Read(vec![], None),
            "{not_ours}"
        );
    }
    // Answered late, and over by now; or without the number that it comes from.
    for still_ours in [
        json!({"status": "completed", "start_time": "2026-01-01 00:01:30"}),
        json!({"status": "started", "from": {"type": "phone"}}),
        json!({"status": "new-word"}),
    ] {
        let Page::Read(found, None) = is_ours(&[call(still_ours.clone())]) else {
            panic!("{still_ours}");
        };
        assert_eq!(found.len(), 1, "{still_ours}");
    }
    let known = look(&[ID.to_owned()], 0, list(1, &[call(ringing.clone())]));
    assert_eq!(known, Page::Read(vec![], None));
    assert_eq!(
        look(&[], 0, list(3, &[call(ringing)])),
        Page::Read(vec![ours.clone()], Some(1))
    );

    let other = Observation {
        provider_call_id: OTHER_ID.to_owned(),
        ..ours.clone()
    };
    assert_eq!(map::found(vec![]), LookupOutcome::Nothing);
    assert_eq!(
        map::found(vec![ours.clone()]),
        LookupOutcome::Found(ours.clone())
    );
    assert_eq!(
        map::found(vec![ours.clone(), ours.clone()]),
        LookupOutcome::Found(ours.clone())
    );
    assert_eq!(
        map::found(vec![ours.clone(), other, ours]),
        LookupOutcome::Ambiguous(2)
    );
}

#[test]
fn nothing_is_said_of_a_list_that_is_not_understood() {
    let unclear = Page::Unclear(LookupOutcome::Unavailable { after: None });
    for answer in [
        heard(200, PROXY_PAGE),
        heard(200, json!({"_embedded": {"calls": []}})),
        heard(200, json!({"count": 0})),
        heard(401, error("unauthorized")),
        heard(404, error("not-found")),
        heard(500, ""),
        // It goes on, and shows nothing.
        list(3, &[]),
        list(1, &[json!({"status": "ringing"})]),
    ] {
        let shown = format!("{} {:?}", answer.status, answer.body);
        assert_eq!(look(&[], 0, answer), unclear, "{shown}");
    }
    let throttled = with_header(heard(429, ""), "retry-after", "3");
    let after = Some(Duration::seconds(3));
    assert_eq!(
        look(&[], 0, throttled),
        Page::Unclear(LookupOutcome::Unavailable { after })
    );
    let mut lookup_failed = failures().into_iter();
    assert!(lookup_failed.all(|failure| {
        map::live(None, &Err(failure)) == LiveOutcome::Unavailable { after: None }
    }));
}

#[test]
fn what_lives_is_read_status_by_status_to_the_last_page() {
    let living = LiveCall {
        provider_call_id: ID.to_owned(),
        call_id: None,
        account_named: false,
        host: None,
        since: None,
    };
    let page = |cursor, answer| map::live(cursor, &Ok(answer));
    let calls = [call(json!({"status": "started"})), json!({"uuid": "x"})];
    for (cursor, count, next) in [
        (None, 2, Some("1:0")),
        (None, 5, Some("0:2")),
        (Some("2:100"), 102, Some("3:0")),
        (Some("3:0"), 3, Some("3:2")),
        (Some("3:0"), 2, None),
    ] {
        let expected = LiveOutcome::Page {
            calls: vec![living.clone()],
            next: next.map(str::to_owned),
            whole: false,
        };
        assert_eq!(page(cursor, list(count, &calls)), expected, "{cursor:?}");
    }
    let unclear = LiveOutcome::Unavailable { after: None };
    assert_eq!(page(None, heard(200, PROXY_PAGE)), unclear);
    assert_eq!(page(None, list(1, &[])), unclear);
    assert_eq!(page(Some("9:0"), list(0, &[])), unclear);
    assert_eq!(page(None, heard(503, "")), unclear);
    for status in [401, 403] {
        assert_eq!(page(None, heard(status, "")), LiveOutcome::Refused);
    }
}
