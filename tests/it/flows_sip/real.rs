//! The same against a real Asterisk, with `sipp` as the far end. `scripts/asterisk-real` sets both up
//! and runs these; nothing else does.

use std::time::Duration;

use onhook::{
    ambient::Ambient,
    app::organizations::{self, NewAccount},
    domain::{
        OrganizationId, ProviderAccountId,
        provider::{FetchOutcome, HangUpOutcome, LiveOutcome, Progress, ProviderKind},
    },
    outbound::Reach,
    providers::{Account, Credentials, Deadlines, NoFeed, ProviderCall, Registry},
};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{NUMBER, assert_ended_once, assert_success, place, terminate};
use crate::support::{app::TestApp, wait::wait_for};

/// Where the script has put it.
fn setting(name: &str) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "the script's word to these tests; no configuration of a node"
    )]
    std::env::var(name).expect("scripts/asterisk-real runs this")
}

fn credentials(application: &str, far_end: &str) -> Value {
    json!({
        "bridge": "asterisk", "app": application, "username": "onhook", "password": "secret",
        "endpoint": format!("PJSIP/{far_end}/sip:{{to_digits}}@127.0.0.1:{}", port(far_end)),
    })
}

/// The ports of the script.
fn port(far_end: &str) -> u16 {
    let all = ["answers", "leaves", "busy", "declines", "unknown", "rings"];
    let at = all.iter().position(|name| *name == far_end);
    15081 + u16::try_from(at.expect("a far end")).expect("a few")
}

/// Connects the real Asterisk for calls that end at `far_end`.
async fn connect(app: &TestApp, application: &str, credentials: Value) -> ProviderAccountId {
    let account = NewAccount {
        provider: ProviderKind::Sip,
        name: "Asterisk".to_owned(),
        external_id: application.to_owned(),
        api_base_url: Some(setting("ONHOOK_REAL_ASTERISK")),
        simulated: false,
        credentials,
        number: NUMBER.parse().expect("a number"),
        agent_id: app.tenant.agent_id,
        rate: Some(organizations::demo_rate(&app.app)),
    };
    organizations::connect_account(&app.app, app.tenant.scope, account)
        .await
        .expect("an account")
}

async fn calling(far_end: &str) -> (TestApp, String) {
    let app = TestApp::running().await;
    // Of its own, so that no other test's listener takes its place.
    let application = format!("onhook-{far_end}");
    let account = connect(&app, &application, credentials(&application, far_end)).await;
    let id = place(&app, account).await;
    (app, id)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real Asterisk: scripts/asterisk-real"]
async fn an_answered_call_is_ended_by_us() {
    let (app, id) = calling("answers").await;
    app.wait_for_status(&id, "in-progress").await;
    assert_success(&terminate(&app, &id).await);
    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["end"]["confirmed_by"], "socket");
    let cause = assert_ended_once(&app, &id, "ended_by_api", "local").await;
    assert_eq!(cause["cause"], 16, "{cause}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real Asterisk: scripts/asterisk-real"]
async fn an_answered_call_is_ended_by_the_far_end() {
    let (app, id) = calling("leaves").await;
    app.wait_for_status(&id, "in-progress").await;
    app.wait_for_status(&id, "completed").await;
    assert_ended_once(&app, &id, "remote_hangup", "remote").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real Asterisk: scripts/asterisk-real"]
async fn a_call_that_is_refused_is_told_with_its_sip_status() {
    for (far_end, status, reason, side, tech_cause) in [
        ("busy", "busy", "busy", "remote", 486),
        ("declines", "failed", "declined", "remote", 603),
        ("unknown", "failed", "invalid_destination", "provider", 404),
    ] {
        let (app, id) = calling(far_end).await;
        app.wait_for_status(&id, status).await;
        let cause = assert_ended_once(&app, &id, reason, side).await;
        assert_eq!(cause["tech_cause"], tech_cause, "{cause}");
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real Asterisk: scripts/asterisk-real"]
async fn a_ringing_call_is_ended_by_us() {
    let (app, id) = calling("rings").await;
    app.wait_for_status(&id, "ringing").await;
    assert_success(&terminate(&app, &id).await);
    app.wait_for_status(&id, "canceled").await;
    assert_ended_once(&app, &id, "ended_by_api", "local").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real Asterisk: scripts/asterisk-real"]
async fn a_call_that_nobody_answers_is_given_up() {
    let app = TestApp::running().await;
    let application = "onhook-patience";
    let account = connect(&app, application, credentials(application, "rings")).await;
    let body = json!({
        "agent_id": app.tenant.agent_id, "to": "+15550101", "provider_account_id": account,
        "limits": {"ring_timeout_seconds": 5, "max_duration_seconds": 60},
    });
    let reply = app.client.post("/api/v1/calls", &body).await;
    let id = reply.json()["id"].as_str().expect("an id").to_owned();
    app.wait_for_status(&id, "no-answer").await;
    assert_ended_once(&app, &id, "no_answer", "remote").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real Asterisk: scripts/asterisk-real"]
async fn an_endpoint_that_is_not_configured_is_refused() {
    let app = TestApp::running().await;
    let application = "onhook-nowhere";
    let mut wrong = credentials(application, "answers");
    wrong["endpoint"] = "PJSIP/{to_digits}@nowhere".into();
    let account = connect(&app, application, wrong).await;
    let id = place(&app, account).await;
    app.wait_for_status(&id, "failed").await;
    assert_ended_once(&app, &id, "provider_rejected", "provider").await;
    app.stop().await;
}

fn account(application: &str, credentials: &Value) -> Account {
    let credentials = Credentials::parse(ProviderKind::Sip, credentials.to_string().as_bytes());
    Account {
        id: ProviderAccountId(uuid::Uuid::nil()),
        organization_id: OrganizationId(uuid::Uuid::nil()),
        kind: ProviderKind::Sip,
        external_id: application.to_owned(),
        api_base_url: Some(setting("ONHOOK_REAL_ASTERISK")),
        credentials: credentials.expect("credentials"),
    }
}

fn registry() -> Registry {
    let deadlines = Deadlines {
        connect: Duration::from_secs(2),
        hang_up: Duration::from_secs(4),
        dial: Duration::from_secs(8),
    };
    Registry::new(Reach::PublicAndLoopback, deadlines, &Ambient::system()).expect("a registry")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real Asterisk: scripts/asterisk-real"]
async fn a_call_is_listed_while_it_lives_and_over_when_it_is_gone() {
    let (app, id) = calling("answers").await;
    app.wait_for_status(&id, "in-progress").await;
    let registry = registry();
    let calls = registry.calls(ProviderKind::Sip);
    let account = account("onhook-answers", &credentials("onhook-answers", "answers"));
    let call = ProviderCall::named(&id);

    let LiveOutcome::Page { calls: live, .. } = calls.list_live(&account, None).await.outcome
    else {
        panic!("no list");
    };
    assert_eq!(live.len(), 1, "{live:?}");
    assert_eq!(live[0].provider_call_id, id);
    assert!(live[0].since.is_some());
    let FetchOutcome::Found(found) = calls.fetch(&account, call).await.outcome else {
        panic!("not found");
    };
    assert_eq!(found.progress, Progress::Answered);

    assert_eq!(
        calls.hang_up(&account, call).await.outcome,
        HangUpOutcome::Accepted
    );
    let again = async || calls.hang_up(&account, call).await.outcome;
    let over = |outcome: &HangUpOutcome| *outcome == HangUpOutcome::AlreadyOver;
    wait_for("the channel to be gone", again, over).await;
    let FetchOutcome::Found(found) = calls.fetch(&account, call).await.outcome else {
        panic!("not found");
    };
    assert!(matches!(found.progress, Progress::Ended { .. }));
    app.wait_for_status(&id, "completed").await;
    assert_ended_once(&app, &id, "remote_hangup", "remote").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real Asterisk: scripts/asterisk-real"]
async fn a_wrong_password_opens_no_websocket() {
    let mut wrong = credentials("onhook-wrong", "answers");
    wrong["password"] = "other".into();
    let account = account("onhook-wrong", &wrong);
    let registry = registry();
    let listens = registry.listens(ProviderKind::Sip).expect("listens");
    let refused = listens.connect(&account, None).await.err();
    assert!(matches!(refused, Some(NoFeed::Refused(_))), "{refused:?}");
}

/// A caller who stays for `millis`; dropped, it is gone without a word.
fn caller(to: &str, millis: u32, port: u16) -> Child {
    Command::new("sipp")
        .args([
            "-sn",
            "uac",
            &setting("ONHOOK_REAL_ASTERISK_SIP"),
            "-s",
            to,
            "-m",
            "1",
        ])
        .args([
            "-i",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-d",
            &millis.to_string(),
        ])
        .args(["-nostdin", "-trace_err", "-error_file", "/dev/null"])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("sipp")
}

/// The application that the dial plan sends callers to, listened to.
async fn called() -> TestApp {
    let app = TestApp::running().await;
    let account = connect(&app, "onhook-in", credentials("onhook-in", "answers")).await;
    // It can dial as soon as it listens.
    let id = place(&app, account).await;
    app.wait_for_status(&id, "in-progress").await;
    terminate(&app, &id).await;
    app.wait_for_status(&id, "completed").await;
    app
}

async fn came_in(app: &TestApp) -> String {
    let list = async || app.client.get("/api/v1/calls").await.json();
    let incoming = |list: &Value| {
        let items = list["items"].as_array()?;
        let call = items.iter().find(|call| call["direction"] == "inbound")?;
        Some(call["id"].as_str()?.to_owned())
    };
    let seen = wait_for("a call that came in", list, |list| incoming(list).is_some()).await;
    incoming(&seen).expect("it")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real Asterisk: scripts/asterisk-real"]
async fn a_call_that_comes_in_is_answered_and_ended_by_us() {
    let app = called().await;
    let _caller = caller(NUMBER, 60_000, 15091);
    let id = came_in(&app).await;
    app.wait_for_status(&id, "in-progress").await;
    assert_success(&terminate(&app, &id).await);
    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["end"]["confirmed_by"], "socket");
    assert_ended_once(&app, &id, "ended_by_api", "local").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real Asterisk: scripts/asterisk-real"]
async fn a_call_that_comes_in_is_ended_by_its_caller() {
    let app = called().await;
    let _caller = caller(NUMBER, 1500, 15092);
    let id = came_in(&app).await;
    app.wait_for_status(&id, "in-progress").await;
    app.wait_for_status(&id, "completed").await;
    let cause = assert_ended_once(&app, &id, "remote_hangup", "remote").await;
    assert!(cause["cause"].is_i64(), "told by the event: {cause}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real Asterisk: scripts/asterisk-real"]
async fn a_call_to_a_number_that_nobody_has_is_declined() {
    let app = called().await;
    let mut caller = caller("+15550777", 60_000, 15093);
    let ended = tokio::time::timeout(Duration::from_secs(20), caller.wait()).await;
    let status = ended.expect("declined in time").expect("sipp's end");
    // It tells that its one call failed.
    assert_eq!(status.code(), Some(1));
    app.stop().await;
}
