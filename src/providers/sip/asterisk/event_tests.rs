//! Events as Asterisk 22.10 sent them, and what they tell.

use serde_json::{Value, json};

use super::event::{Read, read};
use crate::{
    domain::{
        call::{CallStatus, EndReason},
        provider::{Observation, Progress, Source},
    },
    providers::{Callback, IncomingCall, Told, sip::samples::CALL},
};

const INCOMING: &str = "1795267548.1";

fn event(kind: &str, id: &str, state: &str, more: Value) -> Value {
    let mut event = json!({
        "type": kind,
        "timestamp": "2026-11-21T13:25:46.679+0000",
        "channel": {
            "id": id, "name": "PJSIP/far-00000000", "state": state,
            "protocol_id": "47e5c260-3059-41c5-8d72-f73340af46e5",
            "caller": {"name": "sipp", "number": "+15550199"},
            "connected": {"name": "", "number": ""}, "accountcode": "",
            "dialplan": {
                "context": "incoming", "exten": "+15550130", "priority": 1,
                "app_name": "Stasis", "app_data": "onhook",
            },
            "creationtime": "2026-11-21T13:25:43.678+0000", "language": "en",
        },
        "asterisk_id": "02:fc:00:00:00:01",
        "application": "onhook",
    });
    let Value::Object(more) = more else {
        panic!("{more}");
    };
    event.as_object_mut().unwrap().extend(more);
    event
}

fn told(event: &Value) -> Callback {
    match read("onhook", &event.to_string()) {
        Read::Told(callback) | Read::Arrived(_, callback) => callback,
        other => panic!("{event}: {other:?}"),
    }
}

fn progress(event: &Value) -> Progress {
    match told(event).told {
        Told::Progress(observation) => observation.progress,
        other => panic!("{event}: {other:?}"),
    }
}

#[test]
fn changes_of_state_are_told_with_their_time() {
    let id = CALL.to_string();
    for (state, expected) in [("Ringing", Progress::Ringing), ("Up", Progress::Answered)] {
        let event = event("ChannelStateChange", &id, state, json!({}));
        let callback = told(&event);
        assert_eq!(
            callback.told,
            Told::Progress(Observation {
                provider_call_id: id.clone(),
                progress: expected,
                at: Some("2026-11-21T13:25:46.679Z".parse().unwrap()),
                source: Source::Socket,
                host: None,
            })
        );
        assert_eq!(callback.raw, event);
        assert!(!callback.asks);
    }
}

#[test]
fn a_channel_of_ours_enters_answered_and_any_other_came_in() {
    let id = CALL.to_string();
    let ours = event("StasisStart", &id, "Up", json!({"args": [id]}));
    assert_eq!(progress(&ours), Progress::Answered);

    let other = event("StasisStart", INCOMING, "Ring", json!({"args": []}));
    let Read::Arrived(channel, callback) = read("onhook", &other.to_string()) else {
        panic!("not told of as arrived");
    };
    assert_eq!(channel, INCOMING);
    assert_eq!(
        callback.told,
        Told::Incoming(IncomingCall {
            provider_call_id: INCOMING.to_owned(),
            from: "+15550199".to_owned(),
            to: "+15550130".to_owned(),
            host: None,
            answered_by_reply: false,
        })
    );
}

fn assert_ended(state: &str, cause: &Value, status: CallStatus, reason: Option<EndReason>) {
    let event = event("ChannelDestroyed", INCOMING, state, cause.clone());
    let expected = Progress::Ended {
        status,
        connected_seconds: None,
        reason,
        cause: cause.clone(),
    };
    assert_eq!(progress(&event), expected, "{state} {cause}");
}

#[test]
fn an_end_of_a_channel_that_was_up_is_a_completed_call() {
    for cause in [
        json!({"cause": 16, "cause_txt": "Normal Clearing"}),
        json!({"cause": 0, "cause_txt": "Unknown"}),
        json!({"cause": 17, "cause_txt": "User busy", "tech_cause": 486}),
    ] {
        assert_ended("Up", &cause, CallStatus::Completed, None);
    }
}

#[test]
fn an_end_before_the_answer_is_told_by_its_sip_status() {
    use CallStatus::{Busy, Canceled, Failed, NoAnswer};
    let invalid = Some(EndReason::InvalidDestination);
    for (cause, tech_cause, status, reason) in [
        (17, 486, Busy, None),
        (17, 600, Busy, None),
        (19, 480, NoAnswer, None),
        (19, 408, NoAnswer, None),
        (16, 487, Canceled, None),
        (21, 603, Failed, Some(EndReason::Declined)),
        (1, 404, Failed, invalid),
        (1, 604, Failed, invalid),
        (34, 503, Failed, None),
    ] {
        let cause = json!({"cause": cause, "tech_cause": tech_cause});
        assert_ended("Ringing", &cause, status, reason);
    }
}

#[test]
fn an_end_without_a_sip_status_is_told_by_its_cause() {
    use CallStatus::{Busy, Canceled, Failed, NoAnswer};
    for (cause, status, reason) in [
        (0, Canceled, None),
        (16, Canceled, None),
        (17, Busy, None),
        (18, NoAnswer, None),
        (19, NoAnswer, None),
        (21, Failed, Some(EndReason::Declined)),
        (28, Failed, Some(EndReason::InvalidDestination)),
        (127, Failed, None),
    ] {
        assert_ended("Ringing", &json!({"cause": cause}), status, reason);
    }
    assert_ended("Down", &json!({}), Canceled, None);
    // It came in, and its caller gave up.
    let gave_up = Some(EndReason::RemoteHangup);
    for cause in [0, 16, 127] {
        assert_ended("Ring", &json!({"cause": cause}), Canceled, gave_up);
    }
}

#[test]
fn a_report_is_named_by_all_of_it() {
    let first = event("ChannelStateChange", INCOMING, "Up", json!({}));
    let later = event(
        "ChannelStateChange",
        INCOMING,
        "Up",
        json!({"timestamp": "2026-11-21T13:25:46.680+0000"}),
    );
    assert_eq!(told(&first).receipt_key, told(&first).receipt_key);
    assert_ne!(told(&first).receipt_key, told(&later).receipt_key);
}

#[test]
fn what_is_not_about_a_call_of_the_application_is_passed_over() {
    let of_another = json!({"application": "other"});
    for text in [
        event("ChannelVarset", INCOMING, "Up", json!({})).to_string(),
        event("Dial", INCOMING, "Up", json!({"dialstatus": "RINGING"})).to_string(),
        // The channel may go on in the dial plan.
        event("StasisEnd", INCOMING, "Up", json!({})).to_string(),
        event(
            "ChannelHangupRequest",
            INCOMING,
            "Up",
            json!({"soft": true}),
        )
        .to_string(),
        event("ChannelStateChange", INCOMING, "Dialing", json!({})).to_string(),
        event("ChannelStateChange", "..", "Up", json!({})).to_string(),
        event("ChannelDestroyed", INCOMING, "Up", of_another).to_string(),
        json!({"type": "ChannelDestroyed", "application": "onhook"}).to_string(),
        "hello".to_owned(),
        "{}".to_owned(),
    ] {
        assert_eq!(read("onhook", &text), Read::Nothing, "{text}");
    }
    let replaced = json!({"type": "ApplicationReplaced", "application": "onhook"});
    assert_eq!(read("onhook", &replaced.to_string()), Read::Replaced);
}
