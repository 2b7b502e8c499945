//! Every row of the outcome tables, with bodies as Asterisk 22.10 wrote them.

use serde_json::{Value, json};
use time::Duration;

use super::map::{self, Ready};
use crate::{
    domain::{
        call::{CallStatus, EndReason},
        provider::{
            DialOutcome, FetchOutcome, HangUpOutcome, InstructOutcome, LiveCall, LiveOutcome,
            LookupOutcome, Observation, Progress, Source,
        },
    },
    providers::sip::samples::{CALL, PROXY_PAGE, heard, later, lost, not_sent},
};

const INCOMING: &str = "1795267548.1";

fn gone() -> Value {
    json!({"message": "Channel not found"})
}

fn channel(id: &str, state: &str) -> Value {
    json!({
        "id": id, "name": "PJSIP/far-00000001", "state": state, "protocol_id": "1-24276@127.0.0.1",
        "caller": {"name": "", "number": "+15550130"},
        "connected": {"name": "", "number": "+15550130"}, "accountcode": "",
        "dialplan": {
            "context": "incoming", "exten": "s", "priority": 1, "app_name": "AppDial2",
            "app_data": "(Outgoing Line)",
        },
        "creationtime": "2026-11-21T13:25:43.678+0000", "language": "en",
    })
}

fn observation(id: &str, progress: Progress, source: Source) -> Observation {
    Observation {
        provider_call_id: id.to_owned(),
        progress,
        at: None,
        source,
        host: None,
    }
}

#[test]
fn a_hang_up_is_over_by_asterisks_own_word_only() {
    let retry = HangUpOutcome::Retry { after: None };
    let table = [
        (heard(204, Value::Null), HangUpOutcome::Accepted),
        (heard(200, "what?"), HangUpOutcome::Accepted),
        (heard(404, gone()), HangUpOutcome::AlreadyOver),
        (heard(404, PROXY_PAGE), HangUpOutcome::NotFound),
        (
            heard(404, json!({"message": "Resource not found"})),
            HangUpOutcome::NotFound,
        ),
        (
            heard(404, json!({"message": "Channel not found", "via": "proxy"})),
            HangUpOutcome::NotFound,
        ),
        (
            heard(401, json!({"message": "Authentication required"})),
            HangUpOutcome::Refused,
        ),
        (heard(401, gone()), HangUpOutcome::Refused),
        (
            heard(403, json!({"message": "Write access denied"})),
            HangUpOutcome::Refused,
        ),
        (
            heard(
                400,
                json!({"message": "Invalid reason for hangup reason provided"}),
            ),
            HangUpOutcome::Refused,
        ),
        (
            heard(500, json!({"error": "Allocation failed"})),
            retry.clone(),
        ),
        (heard(502, PROXY_PAGE), retry.clone()),
        (
            later(503, "7"),
            HangUpOutcome::Retry {
                after: Some(Duration::seconds(7)),
            },
        ),
        (not_sent(), retry.clone()),
        (lost(), retry),
    ];
    for (answer, expected) in table {
        assert_eq!(map::hang_up(&answer), expected, "{answer:?}");
    }
}

#[test]
fn a_dial_goes_out_only_to_an_application_that_somebody_listens_to() {
    let application = |name: &str| json!({"name": name, "channel_ids": [], "bridge_ids": []});
    let not_now = Ready::No(DialOutcome::NotSent { after: None });
    let refused = Ready::No(DialOutcome::Refused {
        reason: EndReason::ProviderRejected,
    });
    let table = [
        (heard(200, application("onhook")), Ready::Yes),
        (heard(200, application("other")), not_now),
        (
            heard(200, PROXY_PAGE),
            Ready::No(DialOutcome::NotSent { after: None }),
        ),
        (
            heard(404, json!({"message": "Application not found"})),
            Ready::No(DialOutcome::NotSent { after: None }),
        ),
        (heard(401, Value::Null), refused),
        (
            heard(500, Value::Null),
            Ready::No(DialOutcome::NotSent { after: None }),
        ),
        (lost(), Ready::No(DialOutcome::NotSent { after: None })),
    ];
    for (answer, expected) in table {
        assert_eq!(map::ready("onhook", &answer), expected, "{answer:?}");
    }
}

#[test]
fn a_dial_is_placed_refused_not_sent_or_unknown() {
    let id = CALL.to_string();
    let refused = DialOutcome::Refused {
        reason: EndReason::ProviderRejected,
    };
    let not_sent_yet = DialOutcome::NotSent { after: None };
    let placed = observation(&id, Progress::Placed, Source::DialAnswer);
    let exists = json!({"message": "Channel with given unique ID already exists"});
    let table = [
        (
            heard(200, channel(&id, "Down")),
            DialOutcome::Placed(placed),
        ),
        (heard(200, channel("another", "Down")), DialOutcome::Unknown),
        (heard(200, "what?"), DialOutcome::Unknown),
        // It was placed before: to be looked for.
        (heard(409, exists), DialOutcome::Unknown),
        (
            heard(400, json!({"message": "Invalid endpoint specified"})),
            refused.clone(),
        ),
        (
            heard(500, json!({"error": "Allocation failed"})),
            refused.clone(),
        ),
        (
            heard(500, json!({"message": "Out of memory"})),
            DialOutcome::Unknown,
        ),
        (heard(500, PROXY_PAGE), DialOutcome::Unknown),
        (
            heard(401, json!({"message": "Authentication required"})),
            refused.clone(),
        ),
        (
            heard(403, json!({"message": "Write access denied"})),
            refused.clone(),
        ),
        (heard(404, PROXY_PAGE), refused),
        (heard(408, Value::Null), DialOutcome::Unknown),
        (heard(429, Value::Null), not_sent_yet.clone()),
        (heard(502, PROXY_PAGE), DialOutcome::Unknown),
        (not_sent(), not_sent_yet),
        (lost(), DialOutcome::Unknown),
    ];
    for (answer, expected) in table {
        assert_eq!(map::dial(CALL, &answer), expected, "{answer:?}");
    }
}

#[test]
fn a_read_tells_the_state_and_a_channel_that_is_gone_is_over() {
    let read = |progress| FetchOutcome::Found(observation(INCOMING, progress, Source::Fetch));
    let over = |status| {
        read(Progress::Ended {
            status,
            connected_seconds: None,
            reason: Some(EndReason::ReconciledGone),
            cause: gone(),
        })
    };
    let unavailable = FetchOutcome::Unavailable { after: None };
    let table = [
        (
            heard(200, channel(INCOMING, "Down")),
            false,
            read(Progress::Placed),
        ),
        (
            heard(200, channel(INCOMING, "Ring")),
            false,
            read(Progress::Ringing),
        ),
        (
            heard(200, channel(INCOMING, "Ringing")),
            false,
            read(Progress::Ringing),
        ),
        (
            heard(200, channel(INCOMING, "Up")),
            true,
            read(Progress::Answered),
        ),
        (
            heard(200, channel("another", "Up")),
            true,
            unavailable.clone(),
        ),
        (heard(200, PROXY_PAGE), true, unavailable.clone()),
        (heard(404, gone()), true, over(CallStatus::Completed)),
        (heard(404, gone()), false, over(CallStatus::Canceled)),
        (heard(404, PROXY_PAGE), true, FetchOutcome::NotFound),
        (heard(401, Value::Null), true, FetchOutcome::Refused),
        (heard(403, gone()), true, FetchOutcome::Refused),
        (heard(503, Value::Null), true, unavailable.clone()),
        (lost(), true, unavailable),
    ];
    for (answer, answered, expected) in table {
        assert_eq!(
            map::fetch(INCOMING, answered, &answer),
            expected,
            "{answer:?}"
        );
    }
}

#[test]
fn a_lost_dial_is_found_by_its_name() {
    let id = CALL.to_string();
    let unclear = LookupOutcome::Unavailable { after: None };
    let found = observation(&id, Progress::Ringing, Source::Fetch);
    let table = [
        (
            heard(200, channel(&id, "Ringing")),
            LookupOutcome::Found(found),
        ),
        (heard(200, channel(INCOMING, "Ringing")), unclear.clone()),
        (heard(404, gone()), LookupOutcome::Nothing),
        (heard(404, PROXY_PAGE), unclear.clone()),
        (heard(401, Value::Null), unclear.clone()),
        (lost(), unclear),
    ];
    for (answer, expected) in table {
        assert_eq!(map::lookup(CALL, &answer), expected, "{answer:?}");
    }
}

#[test]
fn what_lives_is_what_the_application_is_told_of() {
    let id = CALL.to_string();
    let application = json!({"name": "onhook", "channel_ids": [id, INCOMING]});
    let ours = map::channels_of("onhook", &heard(200, application)).unwrap();
    assert_eq!(ours, [id.as_str(), INCOMING]);
    let all = json!([
        channel(&id, "Up"),
        channel("170.9", "Up"),
        channel(INCOMING, "Ring")
    ]);
    let since = Some("2026-11-21T13:25:43.678Z".parse().unwrap());
    let live = |id: &str, call_id| LiveCall {
        account_named: false,
        provider_call_id: id.to_owned(),
        call_id,
        host: None,
        since,
    };
    assert_eq!(
        map::live(&ours, &heard(200, all)),
        LiveOutcome::Page {
            whole: false,
            calls: vec![live(&id, Some(CALL)), live(INCOMING, None)],
            next: None,
        }
    );
    let unclear = LiveOutcome::Unavailable { after: None };
    assert_eq!(map::live(&ours, &heard(200, PROXY_PAGE)), unclear);
    assert_eq!(
        map::live(&ours, &heard(401, Value::Null)),
        LiveOutcome::Refused
    );
    let unregistered = heard(404, json!({"message": "Application not found"}));
    assert_eq!(map::channels_of("onhook", &unregistered), Err(unclear));
}

#[test]
fn a_command_is_done_or_came_too_late_or_is_sent_again() {
    let retry = InstructOutcome::Retry { after: None };
    let table = [
        (heard(204, Value::Null), InstructOutcome::Done),
        (heard(404, gone()), InstructOutcome::Gone),
        (heard(404, PROXY_PAGE), retry),
        (
            heard(409, json!({"message": "Channel not in Stasis application"})),
            InstructOutcome::Gone,
        ),
        (
            heard(412, json!({"message": "Channel in invalid state"})),
            InstructOutcome::Gone,
        ),
        (heard(401, Value::Null), InstructOutcome::Refused),
        (heard(500, Value::Null), retry),
        (lost(), retry),
    ];
    for (answer, expected) in table {
        assert_eq!(map::command(&answer), expected, "{answer:?}");
    }
}
