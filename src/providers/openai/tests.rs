//! What OpenAI is sent, member by member.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Openai, request};
use crate::{
    domain::{
        CallId, OrganizationId, ProviderAccountId,
        agent::Answer,
        call::{EndReason, Limits},
        phone::Phone,
        provider::{
            DialOutcome, FetchOutcome, InstructOutcome, LiveOutcome, LookupOutcome, ProviderKind,
        },
    },
    outbound::{self, Reach},
    providers::{
        Account, CallControl as _, Commands as _, Credentials, Deadlines, DialLookup, DialRequest,
        Instruction, ProviderCall, Stage,
    },
};

const ID: &str = "rtc_479a275623b54bdb9b6fbae2f7cbd408";

pub(super) fn account(voice: Option<&str>) -> Account {
    let credentials = json!({
        "api_key": "sk-hunter2", "webhook_secret": "whsec_aHVudGVyMw==", "voice": voice,
    });
    Account {
        id: ProviderAccountId(uuid::Uuid::nil()),
        organization_id: OrganizationId(uuid::Uuid::nil()),
        kind: ProviderKind::Openai,
        external_id: "proj_1".to_owned(),
        api_base_url: None,
        credentials: Credentials::parse(ProviderKind::Openai, credentials.to_string().as_bytes())
            .unwrap(),
    }
}

fn say(text: &str) -> Answer {
    Answer::Say {
        text: text.to_owned(),
    }
}

fn stream() -> Answer {
    Answer::Stream {
        url: "wss://media.example.com/".to_owned(),
    }
}

fn body(request: &outbound::Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn adapter() -> Openai {
    let second = std::time::Duration::from_secs(1);
    let deadlines = Deadlines {
        connect: second,
        hang_up: second,
        dial: second,
    };
    Openai::new(Reach::Public, deadlines).unwrap()
}

#[test]
fn accepting_gives_the_model_its_instructions_and_leaves_the_formats_out() {
    let accept = request::accept(&account(Some("marin")), ID, &say("Be kind.")).unwrap();
    assert_eq!(accept.method, Method::POST);
    assert_eq!(
        accept.url.as_str(),
        format!("https://api.openai.com/v1/realtime/calls/{ID}/accept")
    );
    assert_eq!(accept.headers["authorization"], "Bearer sk-hunter2");
    assert!(accept.headers["authorization"].is_sensitive());
    assert_eq!(accept.headers["content-type"], "application/json");
    assert_eq!(
        body(&accept),
        json!({
            "type": "realtime", "model": "gpt-realtime", "instructions": "Be kind.",
            "audio": {"output": {"voice": "marin"}},
        })
    );
    let plain = request::accept(&account(None), ID, &say("Be kind.")).unwrap();
    assert_eq!(body(&plain).get("audio"), None);
}

#[test]
fn an_agent_that_streams_or_says_nothing_is_refused() {
    let refused = request::accept(&account(None), ID, &stream()).unwrap_err();
    assert!(refused.contains("cannot stream"), "{refused}");
    let refused = request::accept(&account(None), ID, &say(" ")).unwrap_err();
    assert!(refused.contains("empty"), "{refused}");
}

#[test]
fn a_hang_up_has_no_body_and_the_same_key_each_time() {
    let hang_up = || request::hang_up(&account(None), ID).unwrap();
    assert!(hang_up().body.is_empty());
    assert_eq!(hang_up().headers.get("content-type"), None);
    assert!(hang_up().url.path().ends_with("/hangup"));
    let key = |request: outbound::Request| request.headers["idempotency-key"].clone();
    assert_eq!(key(hang_up()), key(hang_up()));
    let other = request::hang_up(&account(None), "rtc_2").unwrap();
    assert_ne!(key(hang_up()), key(other));
}

#[test]
fn the_websocket_names_the_call_alone_and_a_rejection_its_status() {
    let socket = request::socket(&account(None), ID).unwrap();
    assert_eq!(
        socket.url.as_str(),
        format!("https://api.openai.com/v1/realtime?call_id={ID}")
    );
    assert_eq!(socket.headers["authorization"], "Bearer sk-hunter2");
    let reject = request::reject(&account(None), ID).unwrap();
    assert_eq!(body(&reject), json!({"status_code": 603}));
}

#[test]
fn an_id_that_could_leave_its_path_is_not_sent() {
    for id in [
        "",
        "rtc_",
        "rtc_1/../2",
        "rtc_1?x",
        "rtc_%2e",
        "..",
        "CA1",
        "rtc_é",
    ] {
        assert!(request::hang_up(&account(None), id).is_err(), "{id}");
        assert!(request::socket(&account(None), id).is_err(), "{id}");
        assert!(
            request::accept(&account(None), id, &say("x")).is_err(),
            "{id}"
        );
    }
}

#[test]
fn credentials_cross_no_network_in_clear() {
    let mut account = account(None);
    account.api_base_url = Some("http://api.example.com".to_owned());
    assert!(request::socket(&account, ID).is_err());
    assert!(request::hang_up(&account, ID).is_err());
}

#[tokio::test]
async fn what_cannot_be_asked_is_said_so_and_is_no_evidence() {
    let (adapter, account) = (adapter(), account(None));
    let number: Phone = "+15550100".parse().unwrap();
    let now = crate::domain::Timestamp::from_unix_millis(0);
    let dial = DialRequest {
        call_id: CallId(uuid::Uuid::nil()),
        from: &number,
        to: &number,
        answer: &say("Hello."),
        limits: Limits::default(),
        callback_url: String::new(),
    };
    let refused = adapter.dial(&account, dial).await;
    let reason = EndReason::ProviderRejected;
    assert_eq!(refused.outcome, DialOutcome::Refused { reason });
    let call = ProviderCall::named(ID);
    let read = adapter.fetch(&account, call).await.outcome;
    assert_eq!(read, FetchOutcome::Unsupported);
    let listed = adapter.list_live(&account, None).await.outcome;
    assert_eq!(listed, LiveOutcome::Unsupported);
    let lookup = DialLookup {
        call_id: CallId(uuid::Uuid::nil()),
        from: &number,
        to: &number,
        since: now,
        until: now,
        known: &[],
    };
    let found = adapter.find_dial(&account, lookup).await.outcome;
    assert_eq!(found, LookupOutcome::Nothing);
}

#[tokio::test]
async fn a_streaming_agents_call_is_refused_before_anything_is_sent() {
    let (adapter, account, answer) = (adapter(), account(None), stream());
    let instruction = |stage| Instruction {
        call_id: CallId(uuid::Uuid::nil()),
        stage,
        answer: &answer,
        limits: Limits::default(),
        callback_url: String::new(),
    };
    let call = ProviderCall::named(ID);
    let refused = adapter.instruct(&account, call, instruction(Stage::Incoming));
    let refused = refused.await;
    assert_eq!(refused.outcome, InstructOutcome::Refused);
    assert_eq!(refused.answer.status, None);
    let later = adapter.instruct(&account, call, instruction(Stage::Answered));
    assert_eq!(later.await.outcome, InstructOutcome::Done);
}
