//! At every provider a call in each direction, answered, and ended by us, by the far end, and by both
//! at once: one end, for the right reason, from the right side, with the provider's own cause.

use onhook::domain::provider::ProviderKind;
use serde_json::{Value, json};

use super::EVERY;
use crate::{
    flows::books,
    support::{
        app::TestApp,
        line::{Line, connect},
        wait::wait_for,
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Outbound,
    Inbound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Us,
    FarEnd,
    Both,
}

/// What an end may be told as: the reason and the side.
const OURS: (&str, &str) = ("ended_by_api", "local");
const THEIRS: (&str, &str) = ("remote_hangup", "remote");

/// The tenant's agent has this conversation: a sentence would end the call by itself, but a model
/// takes a text only.
async fn converse(app: &TestApp, provider: ProviderKind) {
    let statement = if provider == ProviderKind::Openai {
        "UPDATE agents SET settings = '{}'"
    } else {
        r#"UPDATE agents SET settings =
            '{"answer": {"mode": "stream", "url": "wss://media.example/calls"}}'"#
    };
    books::run(&mut app.database.as_owner().await, statement).await;
}

/// A call that is answered and has been told what to do; our id of it.
async fn answered(app: &TestApp, line: &Line, direction: Direction) -> String {
    let named = match direction {
        Direction::Outbound => line.place(app).await,
        Direction::Inbound => line.ring(app, line.number).await,
    };
    let call = app.wait_for_status(&named, "in-progress").await;
    let id = call["id"].as_str().expect("an id").to_owned();
    let answered = |seen: &Value| seen["state"] == "in-progress";
    wait_for("the answer", || app.at_provider(&id), answered).await;
    if line.provider == "vonage" && direction == Direction::Outbound {
        // A wish that came before the question would be told in answer to it.
        let told = |seen: &Value| {
            let mut sent = seen["callbacks"].as_array().into_iter().flatten();
            sent.any(|sent| sent["event"] == "asks" && sent["answers"] == json!([200]))
        };
        wait_for("the question", || app.at_provider(&id), told).await;
    }
    wait_for("the instructions", || books::jobs(app, &id), Vec::is_empty).await;
    id
}

async fn terminate(app: &TestApp, id: &str) -> u16 {
    let path = format!("/api/v1/calls/{id}/terminate");
    app.client.post_nothing(&path).await.status
}

async fn end(app: &TestApp, id: &str, by: By) {
    match by {
        By::Us => assert_eq!(terminate(app, id).await, 200),
        By::FarEnd => assert_eq!(books::party(app, id, "hangup").await, 200),
        By::Both => {
            let (_, ours) = tokio::join!(books::party(app, id, "hangup"), terminate(app, id));
            // 400: over before it was asked.
            assert!(matches!(ours, 200 | 400), "{ours}");
        }
    }
}

/// What the provider said of the end, as it said it.
async fn assert_ended(app: &TestApp, id: &str, may_be: &[(&str, &str)]) -> Value {
    let call = app.wait_for_status(id, "completed").await;
    let reason = call["ended_reason"].as_str().expect("a reason");
    let side = call["end"]["side"].as_str().expect("a side");
    assert!(may_be.contains(&(reason, side)), "{call}");
    wait_for("the jobs", || books::jobs(app, id), Vec::is_empty).await;
    books::assert_ended_once(app, id).await;
    let seen = app.at_provider(id).await;
    assert!(!seen["ended_at"].is_null(), "{seen}");
    call["end"]["provider_cause"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_ends_a_call_it_ends_once_for_the_right_reason_from_the_right_side() {
    let app = TestApp::running().await;
    for provider in EVERY {
        converse(&app, provider).await;
        let line = connect(&app, provider).await;
        for direction in [Direction::Outbound, Direction::Inbound] {
            if direction == Direction::Outbound && !provider.places_calls() {
                continue;
            }
            for (by, may_be) in [
                (By::Us, &[OURS][..]),
                (By::FarEnd, &[THEIRS]),
                (By::Both, &[OURS, THEIRS]),
            ] {
                let id = answered(&app, &line, direction).await;
                end(&app, &id, by).await;
                let cause = assert_ended(&app, &id, may_be).await;
                assert!(
                    causes(provider, direction, by).contains(&cause),
                    "{}, {direction:?}, {by:?}: {cause}",
                    line.provider
                );
            }
        }
    }
    app.stop().await;
}

/// What may be kept of the provider's own words.
fn causes(provider: ProviderKind, direction: Direction, by: By) -> Vec<Value> {
    match by {
        By::Us => told(provider, direction, true),
        By::FarEnd => told(provider, direction, false),
        By::Both => [
            told(provider, direction, true),
            told(provider, direction, false),
            shown(provider),
        ]
        .concat(),
    }
}

/// What is told of an end by one side.
fn told(provider: ProviderKind, direction: Direction, we_did: bool) -> Vec<Value> {
    let we_called = direction == Direction::Outbound;
    match provider {
        // Told by the answer to our hang-up and by a report, whichever comes first.
        ProviderKind::Twilio => vec![
            json!({"status": "completed"}),
            json!({"CallStatus": "completed"}),
        ],
        ProviderKind::Telnyx => vec![json!({
            "hangup_cause": "normal_clearing", "sip_hangup_cause": "200",
            "hangup_source": if we_did == we_called { "caller" } else { "callee" },
        })],
        ProviderKind::Vonage => vec![json!({
            "status": "completed", "disconnected_by": if we_did { "platform" } else { "user" },
        })],
        ProviderKind::Sip => vec![json!({
            "call_status": "completed", "sip_status": 200, "sip_reason": "OK",
            "call_termination_by": if we_did { "jambonz" } else { "caller" },
        })],
        // Who did it is not told.
        ProviderKind::Openai => vec![json!({"close_code": 1000})],
    }
}

/// What shows the end when our hang-up came after it: an answer that the call is over says nothing
/// more, and at some a read says less than a report.
fn shown(provider: ProviderKind) -> Vec<Value> {
    match provider {
        ProviderKind::Twilio | ProviderKind::Sip | ProviderKind::Openai => vec![Value::Null],
        ProviderKind::Telnyx => vec![Value::Null, json!({})],
        // Their answer is the same as for a call that never was: it is read.
        ProviderKind::Vonage => vec![json!({"status": "completed"})],
    }
}

#[test]
fn the_words_of_another_provider_or_in_another_shape_are_nobodys_cause() {
    use ProviderKind::{Openai, Sip, Telnyx, Twilio, Vonage};
    for (provider, word) in [
        (Twilio, json!({"call_status": "completed"})),
        (
            Twilio,
            json!({"status": "completed", "disconnected_by": "user"}),
        ),
        (Twilio, json!({"CallStatus": ["completed"]})),
        (Twilio, json!({"CallStatus": "busy"})),
        (Telnyx, json!({"CallStatus": "completed"})),
        (Telnyx, json!({"hangup_cause": "normal_clearing"})),
        (Telnyx, json!([])),
        (Vonage, json!({"CallStatus": "completed"})),
        (
            Vonage,
            json!({"status": "completed", "disconnected_by": "callee"}),
        ),
        (Vonage, Value::Null),
        (Sip, json!({"status": "completed"})),
        (
            Sip,
            json!({"call_status": "completed", "sip_status": "200", "sip_reason": "OK", "call_termination_by": "jambonz"}),
        ),
        (Openai, json!({"status": "completed"})),
        (Openai, json!({"close_code": "1000"})),
        (Openai, json!({"close_code": 1006})),
        (Openai, json!("1000")),
    ] {
        for direction in [Direction::Outbound, Direction::Inbound] {
            let may_be = causes(provider, direction, By::Both);
            assert!(!may_be.contains(&word), "{provider:?}: {word}");
        }
    }
    for provider in EVERY {
        // Of an end by one side everything is told.
        for by in [By::Us, By::FarEnd] {
            let may_be = causes(provider, Direction::Inbound, by);
            assert!(!may_be.contains(&Value::Null), "{provider:?}");
            assert!(!may_be.contains(&json!({})), "{provider:?}");
        }
    }
}
