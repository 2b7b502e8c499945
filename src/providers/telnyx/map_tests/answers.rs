//! What each answer to a hang-up, a dial and a read means.

use serde_json::{Value, json};
use time::Duration;

use super::{ID, PROXY_PAGE, at, call, error, error_at, failures, heard, with_header};
use crate::{
    domain::{
        call::{CallStatus, EndReason},
        provider::{DialOutcome, FetchOutcome, HangUpOutcome, Observation, Progress, Source},
    },
    providers::telnyx::map,
};

#[test]
fn each_answer_to_a_hang_up_has_its_outcome() {
    let retry = || HangUpOutcome::Retry { after: None };
    let table = [
        (
            heard(200, json!({"data": {"result": "ok"}})),
            HangUpOutcome::Accepted,
        ),
        (heard(200, "not JSON"), HangUpOutcome::Accepted),
        (heard(202, ""), HangUpOutcome::Accepted),
        (heard(422, error("90018")), HangUpOutcome::AlreadyOver),
        (heard(422, error("90015")), HangUpOutcome::NotFound),
        (heard(404, error("10005")), HangUpOutcome::NotFound),
        (heard(404, error("10007")), HangUpOutcome::NotFound),
        (heard(404, PROXY_PAGE), HangUpOutcome::NotFound),
        (heard(429, error("10011")), retry()),
        (heard(500, error("10007")), retry()),
        (heard(503, error("10007")), retry()),
        (heard(502, PROXY_PAGE), retry()),
        (heard(408, ""), retry()),
        (heard(401, error("10009")), HangUpOutcome::Refused),
        (heard(403, error("10010")), HangUpOutcome::Refused),
        (heard(400, error("10015")), HangUpOutcome::Refused),
        (heard(422, error("90034")), HangUpOutcome::Refused),
        (heard(301, ""), HangUpOutcome::Refused),
        // The code counts only as what it is, where it belongs.
        (heard(422, PROXY_PAGE), HangUpOutcome::Refused),
        (
            heard(422, json!({"errors": [{"code": 90018}]})),
            HangUpOutcome::Refused,
        ),
        (heard(422, json!({"errors": []})), HangUpOutcome::Refused),
        (heard(400, error("90018")), HangUpOutcome::Refused),
        (heard(404, error("90018")), HangUpOutcome::NotFound),
        (heard(500, error("90018")), retry()),
    ];
    for (answer, expected) in table {
        let shown = format!("{} {:?}", answer.status, answer.body);
        assert_eq!(map::hang_up(&Ok(answer)), expected, "{shown}");
    }
    for failure in failures() {
        assert_eq!(map::hang_up(&Err(failure)), retry());
    }
}

#[test]
fn a_throttled_hang_up_waits_for_the_reset_or_as_long_as_is_said() {
    let wait = |answer| match map::hang_up(&Ok(answer)) {
        HangUpOutcome::Retry { after } => after.map(Duration::whole_seconds),
        other => panic!("{other:?}"),
    };
    let reset = |status| with_header(heard(status, ""), "x-ratelimit-reset", "3");
    assert_eq!(wait(reset(429)), Some(3));
    assert_eq!(wait(with_header(reset(429), "retry-after", "7")), Some(7));
    assert_eq!(
        wait(with_header(heard(503, ""), "retry-after", "7")),
        Some(7)
    );
    // A failure is to be asked again at once; the limit has nothing to do with it.
    assert_eq!(wait(reset(500)), None);
    let odd = with_header(heard(429, ""), "x-ratelimit-reset", "soon");
    assert_eq!(wait(odd), None);
}

#[test]
fn each_answer_to_a_dial_has_its_outcome() {
    let refused = |reason| DialOutcome::Refused { reason };
    let placed = |at| {
        DialOutcome::Placed(Observation {
            provider_call_id: ID.to_owned(),
            progress: Progress::Placed,
            at,
            source: Source::DialAnswer,
            host: None,
        })
    };
    let rejected = || refused(EndReason::ProviderRejected);
    let table = [
        (heard(200, call(json!({"is_alive": false}))), placed(None)),
        (
            // Not even an end time would make a dial's answer the end of its call.
            heard(
                200,
                call(json!({
                    "is_alive": false, "start_time": "2019-01-23T18:10:02.574Z",
                    "end_time": "2019-01-23T18:11:52.574Z",
                })),
            ),
            placed(Some(at("2019-01-23T18:10:02.574Z"))),
        ),
        (heard(200, "not JSON"), DialOutcome::Unknown),
        (heard(200, json!({"data": {}})), DialOutcome::Unknown),
        (
            heard(200, json!({"data": {"call_control_id": "a b"}})),
            DialOutcome::Unknown,
        ),
        (
            heard(429, error("90103")),
            DialOutcome::NotSent { after: None },
        ),
        (
            with_header(heard(429, error("10011")), "x-ratelimit-reset", "2"),
            DialOutcome::NotSent {
                after: Some(Duration::seconds(2)),
            },
        ),
        (
            heard(422, error_at("10016", "/to")),
            refused(EndReason::InvalidDestination),
        ),
        (heard(422, error_at("10016", "/from")), rejected()),
        (heard(422, error_at("10015", "/connection_id")), rejected()),
        (heard(401, error("10009")), rejected()),
        (heard(403, error("10010")), rejected()),
        (heard(404, PROXY_PAGE), rejected()),
        (heard(408, ""), DialOutcome::Unknown),
        (heard(500, error("10007")), DialOutcome::Unknown),
        (heard(503, error("10007")), DialOutcome::Unknown),
        (heard(302, ""), DialOutcome::Unknown),
    ];
    for (answer, expected) in table {
        let shown = format!("{} {:?}", answer.status, answer.body);
        assert_eq!(map::dial(&Ok(answer)), expected, "{shown}");
    }
    let outcomes = failures().map(|failure| map::dial(&Err(failure)));
    let not_sent = || DialOutcome::NotSent { after: None };
    assert_eq!(outcomes, [not_sent(), not_sent(), DialOutcome::Unknown]);
}

#[test]
fn a_call_that_is_read_is_over_only_with_an_end_time_and_not_alive() {
    let progress = |more: Value| match map::fetch(ID, &Ok(heard(200, call(more)))) {
        FetchOutcome::Found(observation) => {
            assert_eq!(observation.source, Source::Fetch);
            (observation.progress, observation.at)
        }
        other => panic!("{other:?}"),
    };
    let end = "2019-01-23T18:11:52.574Z";
    let ended = |status, seconds| Progress::Ended {
        status,
        connected_seconds: seconds,
        reason: None,
        cause: json!({}),
    };
    // Right after a dial.
    assert_eq!(
        progress(json!({"is_alive": false})),
        (Progress::Placed, None)
    );
    assert_eq!(
        progress(json!({"is_alive": false, "end_time": null})).0,
        Progress::Placed
    );
    assert_eq!(
        progress(json!({"is_alive": false, "end_time": "soon"})).0,
        Progress::Placed
    );
    assert_eq!(
        progress(json!({"is_alive": true, "end_time": end})).0,
        Progress::Placed
    );
    assert_eq!(progress(json!({"end_time": end})).0, Progress::Placed);
    // For how long it lasts already does not say that it was answered.
    assert_eq!(
        progress(json!({"is_alive": true, "call_duration": 9})).0,
        Progress::Placed
    );
    for (duration, expected) in [
        (json!(50), ended(CallStatus::Completed, Some(50))),
        (json!(0), ended(CallStatus::Canceled, Some(0))),
        (json!(null), ended(CallStatus::Canceled, None)),
        (json!(-1), ended(CallStatus::Canceled, None)),
    ] {
        let more = json!({"is_alive": false, "end_time": end, "call_duration": duration});
        assert_eq!(progress(more), (expected, Some(at(end))), "{duration}");
    }
}

#[test]
fn what_a_read_does_not_tell_is_not_taken_for_an_end() {
    let unavailable = || FetchOutcome::Unavailable { after: None };
    let mut other = call(json!({"is_alive": false, "end_time": "2019-01-23T18:11:52.574Z"}));
    other["data"]["call_control_id"] = json!("v3:other");
    let table = [
        (heard(200, other), unavailable()),
        (heard(200, PROXY_PAGE), unavailable()),
        (heard(404, error("10005")), FetchOutcome::NotFound),
        (heard(404, PROXY_PAGE), FetchOutcome::NotFound),
        (heard(422, error("90015")), FetchOutcome::NotFound),
        (heard(422, error("90018")), unavailable()),
        (heard(401, error("10009")), FetchOutcome::Refused),
        (heard(403, error("10010")), FetchOutcome::Refused),
        (heard(429, error("10011")), unavailable()),
        (heard(500, error("10007")), unavailable()),
    ];
    for (answer, expected) in table {
        let shown = format!("{} {:?}", answer.status, answer.body);
        assert_eq!(map::fetch(ID, &Ok(answer)), expected, "{shown}");
    }
    for failure in failures() {
        assert_eq!(map::fetch(ID, &Err(failure)), unavailable());
    }
}
