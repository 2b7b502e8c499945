//! Every row of the outcome tables, with bodies as jambonz writes them.

use serde_json::{Value, json};
use time::Duration;

use super::map::{self, HungUp};
use crate::{
    domain::{
        call::{CallStatus, EndReason},
        provider::{
            DialOutcome, FetchOutcome, HangUpOutcome, LiveCall, LiveOutcome, LookupOutcome,
            Observation, Progress, Source,
        },
    },
    providers::sip::samples::{CALL, PROXY_PAGE, Wanted, heard, later, lost, not_sent},
};

const SID: &str = "2531329f-fb09-4ef7-887e-84e648214436";

fn call(sid: &str, status: &str, more: Value) -> Value {
    let mut call = json!({
        "call_sid": sid, "account_sid": "a", "call_id": "x@10.0.0.1", "direction": "outbound",
        "from": "+15550130", "to": "15550101", "call_status": status, "sip_status": 200,
        "service_url": "http://10.0.0.1:3000",
    });
    let Value::Object(more) = more else {
        panic!("{more}");
    };
    call.as_object_mut().unwrap().extend(more);
    call
}

fn observation(sid: &str, progress: Progress, source: Source) -> Observation {
    Observation {
        provider_call_id: sid.to_owned(),
        progress,
        at: None,
        source,
        host: None,
    }
}

#[test]
fn a_hang_up_is_over_by_the_sentence_about_this_call_only() {
    let about = |sentence: &str, sid: &str| format!("{sentence} for call_sid {sid}");
    let retry = HungUp::Tells(HangUpOutcome::Retry { after: None });
    let refused = HungUp::Tells(HangUpOutcome::Refused);
    let wrong = "current call state is incompatible with requested action";
    let table = [
        (
            heard(202, "Accepted"),
            HungUp::Tells(HangUpOutcome::Accepted),
        ),
        (
            heard(200, Value::Null),
            HungUp::Tells(HangUpOutcome::Accepted),
        ),
        (
            heard(422, about("call session is gone", SID)),
            HungUp::Tells(HangUpOutcome::AlreadyOver),
        ),
        (
            heard(422, about("call session is gone", "another")),
            refused,
        ),
        (heard(422, about(wrong, SID)), HungUp::WrongState),
        (
            heard(422, json!({"msg": "invalid"})),
            HungUp::Tells(HangUpOutcome::Refused),
        ),
        (
            heard(404, about("call session is gone", SID)),
            HungUp::Tells(HangUpOutcome::NotFound),
        ),
        (
            heard(404, "Not Found"),
            HungUp::Tells(HangUpOutcome::NotFound),
        ),
        (
            heard(400, json!({"msg": "no valid options"})),
            HungUp::Tells(HangUpOutcome::Refused),
        ),
        (
            heard(401, Value::Null),
            HungUp::Tells(HangUpOutcome::Refused),
        ),
        (
            heard(403, Value::Null),
            HungUp::Tells(HangUpOutcome::Refused),
        ),
        (
            later(429, "9"),
            HungUp::Tells(HangUpOutcome::Retry {
                after: Some(Duration::seconds(9)),
            }),
        ),
        (
            heard(500, json!({"msg": "boom"})),
            HungUp::Tells(HangUpOutcome::Retry { after: None }),
        ),
        (
            heard(502, PROXY_PAGE),
            HungUp::Tells(HangUpOutcome::Retry { after: None }),
        ),
        (
            not_sent(),
            HungUp::Tells(HangUpOutcome::Retry { after: None }),
        ),
        (lost(), retry),
    ];
    for (answer, expected) in table {
        assert_eq!(map::hang_up(SID, &answer), expected, "{answer:?}");
    }
}

#[test]
fn a_dial_is_placed_refused_not_sent_or_unknown() {
    let refused = DialOutcome::Refused {
        reason: EndReason::ProviderRejected,
    };
    let none = json!({"msg": "no available feature servers at this time"});
    let placed = observation(SID, Progress::Placed, Source::DialAnswer);
    let table = [
        (
            heard(201, json!({"sid": SID, "callId": "x"})),
            DialOutcome::Placed(placed),
        ),
        (heard(201, json!({"sid": "../x"})), DialOutcome::Unknown),
        (heard(201, "what?"), DialOutcome::Unknown),
        (heard(480, none), DialOutcome::NotSent { after: None }),
        (
            later(429, "5"),
            DialOutcome::NotSent {
                after: Some(Duration::seconds(5)),
            },
        ),
        (heard(400, json!({"msg": "bad"})), refused.clone()),
        (heard(401, Value::Null), refused.clone()),
        (heard(404, PROXY_PAGE), refused),
        (heard(408, Value::Null), DialOutcome::Unknown),
        (heard(500, json!({"msg": "boom"})), DialOutcome::Unknown),
        (not_sent(), DialOutcome::NotSent { after: None }),
        (lost(), DialOutcome::Unknown),
    ];
    for (answer, expected) in table {
        assert_eq!(map::dial(&answer), expected, "{answer:?}");
    }
}

#[test]
fn a_read_tells_the_status() {
    use CallStatus::{Busy, Canceled, Completed, Failed, NoAnswer};
    for (status, expected) in [
        ("trying", Progress::Placed),
        ("queued", Progress::Placed),
        ("ringing", Progress::Ringing),
        ("early-media", Progress::Ringing),
        ("in-progress", Progress::Answered),
    ] {
        let answer = heard(200, call(SID, status, json!({})));
        let expected = FetchOutcome::Found(observation(SID, expected, Source::Fetch));
        assert_eq!(map::fetch(SID, &answer), expected, "{status}");
    }
    for (status, sip, expected, seconds, reason) in [
        ("completed", 200, Completed, Some(12), None),
        ("busy", 486, Busy, None, None),
        ("no-answer", 487, NoAnswer, None, None),
        ("failed", 603, Failed, None, Some(EndReason::Declined)),
        (
            "failed",
            404,
            Failed,
            None,
            Some(EndReason::InvalidDestination),
        ),
        ("failed", 486, Busy, None, None),
        ("failed", 480, NoAnswer, None, None),
        ("failed", 487, Canceled, None, None),
        ("failed", 503, Failed, None, None),
    ] {
        let more = json!({"sip_status": sip, "sip_reason": "why", "duration": 12});
        let answer = heard(200, call(SID, status, more));
        let progress = Progress::Ended {
            status: expected,
            connected_seconds: seconds,
            reason,
            cause: json!({"call_status": status, "sip_status": sip, "sip_reason": "why"}),
        };
        let expected = FetchOutcome::Found(observation(SID, progress, Source::Fetch));
        assert_eq!(map::fetch(SID, &answer), expected, "{status} {sip}");
    }
    let unavailable = FetchOutcome::Unavailable { after: None };
    for (answer, expected) in [
        (
            heard(200, call("another", "completed", json!({}))),
            unavailable.clone(),
        ),
        (
            heard(200, call(SID, "dancing", json!({}))),
            unavailable.clone(),
        ),
        (heard(200, PROXY_PAGE), unavailable.clone()),
        (heard(404, "Not Found"), FetchOutcome::NotFound),
        (heard(401, Value::Null), FetchOutcome::Refused),
        (heard(500, json!({"msg": "boom"})), unavailable.clone()),
        (lost(), unavailable),
    ] {
        assert_eq!(map::fetch(SID, &answer), expected, "{answer:?}");
    }
}

#[test]
fn a_lost_dial_is_found_by_its_tag_or_as_the_only_one_of_its_numbers() {
    let wanted = Wanted::say();
    let known = ["known".to_owned()];
    let tagged = |sid: &str, id: &str| {
        call(
            sid,
            "ringing",
            json!({"customer_data": {"onhook_call_id": id}}),
        )
    };
    let untagged = |sid: &str| call(sid, "ringing", json!({}));
    let ours = CALL.to_string();
    let found = LookupOutcome::Found(observation(SID, Progress::Ringing, Source::Fetch));
    let inbound = call(SID, "ringing", json!({"direction": "inbound"}));
    let elsewhere = call(SID, "ringing", json!({"to": "+15550102"}));
    let unclear = LookupOutcome::Unavailable { after: None };
    let table = [
        (
            heard(
                200,
                json!([tagged("x", "y"), tagged(SID, &ours), untagged("z")]),
            ),
            found.clone(),
        ),
        (
            heard(200, json!([tagged(SID, &ours), tagged("x", &ours)])),
            LookupOutcome::Ambiguous(2),
        ),
        (
            heard(
                200,
                json!([untagged("known"), untagged(SID), tagged("x", "y")]),
            ),
            found,
        ),
        (
            heard(200, json!([untagged(SID), untagged("x")])),
            LookupOutcome::Ambiguous(2),
        ),
        (
            heard(200, json!([untagged("known"), inbound, elsewhere])),
            LookupOutcome::Nothing,
        ),
        (heard(200, json!([])), LookupOutcome::Nothing),
        (heard(200, PROXY_PAGE), unclear.clone()),
        (heard(404, "Not Found"), unclear.clone()),
        (lost(), unclear),
    ];
    for (answer, expected) in table {
        assert_eq!(
            map::lookup(&wanted.lookup(&known), &answer),
            expected,
            "{answer:?}"
        );
    }
}

#[test]
fn what_lives_is_listed_with_our_reference() {
    let ours = json!({"customer_data": {"onhook_call_id": CALL.to_string()}});
    let list = json!([
        call(SID, "in-progress", ours),
        call("other", "ringing", json!({})),
        call("over", "completed", json!({})),
    ]);
    let live = |sid: &str, call_id| LiveCall {
        account_named: false,
        provider_call_id: sid.to_owned(),
        call_id,
        host: None,
        since: None,
    };
    let page = LiveOutcome::Page {
        whole: true,
        calls: vec![live(SID, Some(CALL)), live("other", None)],
        next: None,
    };
    assert_eq!(map::live(&heard(200, list)), page);
    assert_eq!(map::live(&heard(403, Value::Null)), LiveOutcome::Refused);
    let unclear = LiveOutcome::Unavailable { after: None };
    assert_eq!(map::live(&heard(200, PROXY_PAGE)), unclear);
    assert_eq!(map::live(&lost()), unclear);
}
