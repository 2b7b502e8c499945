//! Calls that a model takes: told of by one webhook and by the websocket beside each call, which the
//! node holds.

use onhook::{
    ambient::Ambient,
    app::organizations::{self, NewAccount},
    boot::Node,
    db::listeners::{self, Subject},
    domain::{
        LeaseToken, ProviderAccountId, provider::ProviderKind, webhook::signature::SigningSecret,
    },
    jobs::Loops,
    simulator::SimulatedAccount,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{self, HELD, TestApp, variables},
    client::Reply,
    database,
    wait::wait_for,
};

const NUMBER: &str = "+15550140";
const CALLER: &str = "+15550199";

struct Project {
    id: ProviderAccountId,
    webhook_secret: SigningSecret,
}

/// Connects a simulated project with a number for the tenant's agent.
async fn connect(app: &TestApp) -> Project {
    let account = SimulatedAccount {
        provider: ProviderKind::Openai,
        external_id: "proj_test".to_owned(),
        secret: app.ambient.entropy.uuid().to_string(),
        incoming_url: None,
    };
    let credentials = account.credentials();
    let secret = credentials["webhook_secret"].as_str().expect("a secret");
    let webhook_secret = SigningSecret::parse(secret).expect("a secret");
    let new = NewAccount {
        provider: ProviderKind::Openai,
        name: "Model".to_owned(),
        external_id: account.external_id.clone(),
        api_base_url: Some(format!("{}/openai", app.simulator.base_url())),
        simulated: true,
        credentials,
        number: NUMBER.parse().expect("a number"),
        agent_id: app.tenant.agent_id,
        rate: Some(organizations::demo_rate(&app.app)),
    };
    let id = organizations::connect_account(&app.app, app.tenant.scope, new)
        .await
        .expect("an account");
    app.simulator.admit(SimulatedAccount {
        incoming_url: Some(app.client.url(&format!("/callbacks/openai/{id}"))),
        ..account
    });
    Project { id, webhook_secret }
}

/// A call comes in; the provider's name for it.
async fn call_in(app: &TestApp, to: &str) -> String {
    let order = json!({"provider": "openai", "to": to, "from": CALLER});
    let reply = app.sim.post("/_sim/inbound", &order).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let sid = reply.json()["id"].as_str().expect("an id").to_owned();
    assert!(sid.starts_with("rtc_"), "{sid}");
    sid
}

async fn call_in_answered(app: &TestApp) -> String {
    let sid = call_in(app, NUMBER).await;
    app.wait_for_status(&sid, "in-progress").await;
    sid
}

async fn terminate(app: &TestApp, sid: &str) -> Reply {
    let path = format!("/api/v1/calls/{sid}/terminate");
    app.client.post_nothing(&path).await
}

async fn fault(app: &TestApp, operation: &str, times: u32, how: Value) {
    let mut fault = json!({"provider": "openai", "operation": operation, "times": times});
    let members = how.as_object().expect("an object").clone();
    fault.as_object_mut().expect("an object").extend(members);
    let reply = app.sim.post("/_sim/faults", &fault).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
}

async fn caller_hangs_up(app: &TestApp, sid: &str) -> u16 {
    let path = format!("/_sim/calls/{sid}/hangup");
    app.sim.post(&path, &json!({})).await.status
}

async fn break_sockets(app: &TestApp) {
    let reply = app.sim.post_nothing("/_sim/sockets/break").await;
    assert_eq!(reply.status, 204);
}

/// How often the websocket of any call was asked for.
async fn sockets(app: &TestApp) -> u64 {
    let stats = app.sim.get("/_sim/stats").await.json();
    stats["sockets"].as_u64().expect("a count")
}

async fn seen(app: &TestApp, sid: &str) -> Value {
    app.sim.get(&format!("/_sim/calls/{sid}")).await.json()
}

async fn assert_one_end(app: &TestApp, call: &Value) {
    let path = format!(
        "/api/v1/calls/{}/events",
        call["id"].as_str().expect("an id")
    );
    let events = app.client.get(&path).await.json();
    let ends = events["items"]
        .as_array()
        .expect("events")
        .iter()
        .filter(|event| event["type"] == "event_phone_call_ended")
        .count();
    assert_eq!(ends, 1, "{events:#}");
}

fn assert_success(reply: &Reply) {
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(
        reply.text,
        r#"{"success":true,"message":"Call terminated successfully via openai"}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_comes_in_is_answered_ended_by_us_and_proved_over_by_the_closing() {
    let app = TestApp::running().await;
    connect(&app).await;
    let sid = call_in_answered(&app).await;
    let call = app.call(&sid).await;
    assert_eq!(call["direction"], "inbound");
    assert_eq!(
        (&call["to"], &call["from"]),
        (&NUMBER.into(), &CALLER.into())
    );

    assert_success(&terminate(&app, &sid).await);

    let call = app.wait_for_status(&sid, "completed").await;
    assert_eq!(call["provider"], "openai");
    assert_eq!(call["ended_reason"], "ended_by_api");
    assert_eq!(call["end"]["side"], "local");
    assert_eq!(call["end"]["confirmed_by"], "socket");
    assert_eq!(call["end"]["provider_cause"], json!({"close_code": 1000}));
    assert_one_end(&app, &call).await;
    let seen = seen(&app, &sid).await;
    assert_eq!(seen["hangup_requests"], 1);
    assert_eq!(seen["hangups_carried_out"], 1);
    // The other account goes on beside it.
    let other = app.place_answered().await;
    assert_eq!(app.call(&other).await["provider"], "twilio");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_hanging_up_is_seen_by_the_closing() {
    let app = TestApp::running().await;
    connect(&app).await;
    let sid = call_in_answered(&app).await;

    assert_eq!(caller_hangs_up(&app, &sid).await, 200);

    let call = app.wait_for_status(&sid, "completed").await;
    assert_eq!(call["ended_reason"], "remote_hangup");
    assert_eq!(call["end"]["side"], "remote");
    assert_eq!(call["end"]["provider_cause"], json!({"close_code": 1000}));
    assert_one_end(&app, &call).await;
    assert_eq!(seen(&app, &sid).await["hangup_requests"], 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_hanging_up_at_once_is_one_end() {
    let app = TestApp::running().await;
    connect(&app).await;
    let sid = call_in_answered(&app).await;

    let (reply, status) = tokio::join!(terminate(&app, &sid), caller_hangs_up(&app, &sid));
    // Theirs came too late when ours was carried out before.
    assert!(status == 200 || status == 409, "{status}");
    // Ours too, when theirs was known before.
    assert!(reply.status == 200 || reply.status == 400, "{}", reply.text);

    let call = app.wait_for_status(&sid, "completed").await;
    let (reason, side) = (&call["ended_reason"], &call["end"]["side"]);
    assert!(
        (reason == "ended_by_api" && side == "local")
            || (reason == "remote_hangup" && side == "remote"),
        "{call:#}"
    );
    assert_one_end(&app, &call).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_that_fails_is_asked_again_until_it_succeeds() {
    let app = TestApp::running().await;
    connect(&app).await;
    let sid = call_in_answered(&app).await;
    fault(&app, "hangup", 1, json!({"respond": {"status": 503}})).await;
    fault(&app, "hangup", 1, json!({"reset": "before"})).await;

    let reply = terminate(&app, &sid).await;
    assert!(
        reply.status == 200 || reply.json()["code"] == "HANGUP_RETRYING",
        "{}",
        reply.text
    );
    let call = app.wait_for_status(&sid, "completed").await;

    assert_eq!(call["end"]["state"], "confirmed");
    assert_eq!(call["ended_reason"], "ended_by_api");
    assert_one_end(&app, &call).await;
    let seen = seen(&app, &sid).await;
    assert_eq!(seen["hangup_requests"], 3);
    assert_eq!(seen["hangups_carried_out"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_of_a_call_that_is_over_already_is_evidence_when_its_session_was_seen() {
    for answer in ["error", "record", "not-found"] {
        let app = TestApp::running().await;
        connect(&app).await;
        let script = json!({"over_answer": answer});
        assert_eq!(app.sim.post("/_sim/script", &script).await.status, 200);
        let sid = call_in_answered(&app).await;
        // Nobody hears of the caller's hanging up.
        fault(&app, "socket", 0, json!({"respond": {"status": 503}})).await;
        break_sockets(&app).await;
        assert_eq!(caller_hangs_up(&app, &sid).await, 200);
        assert_eq!(app.call(&sid).await["status"], "in-progress");

        assert_success(&terminate(&app, &sid).await);

        let call = app.call(&sid).await;
        assert_eq!(call["status"], "completed", "{answer}");
        assert_eq!(call["end"]["confirmed_by"], "hang_up_answer", "{answer}");
        assert_one_end(&app, &call).await;
        assert_eq!(seen(&app, &sid).await["hangups_carried_out"], 0);
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_breaks_is_opened_again_and_the_call_lives_on() {
    let app = TestApp::running().await;
    connect(&app).await;
    let sid = call_in_answered(&app).await;
    let before = sockets(&app).await;
    fault(
        &app,
        "socket",
        1,
        json!({"respond": {"status": 502, "body": "<html>"}}),
    )
    .await;
    fault(&app, "socket", 1, json!({"reset": "before"})).await;
    // A proxy's page is no word of theirs.
    fault(
        &app,
        "socket",
        2,
        json!({"respond": {"status": 404, "body": "<html>"}}),
    )
    .await;
    break_sockets(&app).await;
    let all_struck = |asked: &u64| *asked > before + 4;
    wait_for("every fault to have struck", || sockets(&app), all_struck).await;
    assert_eq!(app.call(&sid).await["status"], "in-progress");

    caller_hangs_up(&app, &sid).await;
    let call = app.wait_for_status(&sid, "completed").await;
    assert_one_end(&app, &call).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_told_is_found_when_the_websocket_cannot_be_opened_again() {
    let app = TestApp::running().await;
    connect(&app).await;
    let sid = call_in_answered(&app).await;
    fault(&app, "socket", 1, json!({"delay_ms": HELD})).await;
    break_sockets(&app).await;
    assert_eq!(caller_hangs_up(&app, &sid).await, 200);
    app.release().await;

    let call = app.wait_for_status(&sid, "completed").await;
    assert_eq!(call["ended_reason"], "reconciled_gone");
    assert_eq!(call["end"]["side"], "provider");
    let cause = json!({"websocket": "no such call"});
    assert_eq!(call["end"]["provider_cause"], cause);
    assert_one_end(&app, &call).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_never_comes_to_be_is_over_after_a_minute() {
    let app = TestApp::by_hand().await;
    let project = connect(&app).await;
    let path = format!("/callbacks/openai/{}", project.id);
    let now = app.ambient.now().unix_seconds();
    // Signed by them, and they have no such call any more: the caller gave up.
    assert_eq!(
        tell(&app, &path, &project.webhook_secret, now, None).await,
        200
    );
    assert_eq!(app.node.worker.listen().await.expect("a round"), 1);
    let asked = async || sockets(&app).await;
    wait_for("several questions", asked, |asked| *asked > 3).await;
    assert_eq!(app.call("rtc_1").await["status"], "ringing");

    app.advance(61);

    let call = app.wait_for_status("rtc_1", "failed").await;
    assert_eq!(call["ended_reason"], "reconciled_gone");
    assert_one_end(&app, &call).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_websocket_of_a_node_that_died_is_opened_when_its_lease_ran_out() {
    let app = TestApp::by_hand().await;
    let project = connect(&app).await;
    let sid = call_in(&app, NUMBER).await;
    let recorded = |call: &Value| call["id"].is_string();
    let call = wait_for("the call", || app.call(&sid), recorded).await;
    let subject = Subject {
        organization_id: app.tenant.organization_id,
        provider_account_id: project.id,
        call_id: Some(call["id"].as_str().expect("an id").parse().expect("an id")),
    };
    let (now, dead) = (app.ambient.now(), LeaseToken(app.ambient.entropy.uuid()));
    let until = now.plus(time::Duration::seconds(20));
    let taken = listeners::take(&app.app.db, subject, dead, now, until).await;
    assert!(taken.expect("an answer"));

    app.advance(19);
    assert_eq!(app.node.worker.listen().await.expect("a round"), 0);
    app.advance(2);
    assert_eq!(app.node.worker.listen().await.expect("a round"), 1);

    app.wait_for_status(&sid, "in-progress").await;
    app.stop().await;
}

/// Another node on the same database, in a life of its own.
async fn another_node(app: &TestApp) -> Node {
    let variables = variables(&app.database.url);
    app::node(variables, Ambient::system(), Loops::Intentions).await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_goes_on_listening_when_one_stops() {
    let app = TestApp::looking_on().await;
    connect(&app).await;
    let first = another_node(&app).await;
    let sid = call_in_answered(&app).await;
    let asked = sockets(&app).await;
    let second = another_node(&app).await;

    first.stop().await;
    let again = |now: &u64| *now > asked;
    wait_for("the second node's websocket", || sockets(&app), again).await;
    assert_eq!(caller_hangs_up(&app, &sid).await, 200);

    let call = app.wait_for_status(&sid, "completed").await;
    assert_eq!(call["ended_reason"], "remote_hangup");
    assert_one_end(&app, &call).await;
    second.stop().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_has_one_websocket_however_many_nodes_there_are() {
    let app = TestApp::running().await;
    connect(&app).await;
    let second = another_node(&app).await;
    let third = another_node(&app).await;
    let sids = [call_in_answered(&app).await, call_in_answered(&app).await];

    let mut connection = app.database.as_owner().await;
    let held: i64 = sqlx::query_scalar("SELECT count(*) FROM listeners")
        .fetch_one(&mut connection)
        .await
        .expect("a count");
    assert_eq!(held, 2);
    let over = async |sid: &str| {
        caller_hangs_up(&app, sid).await;
        let call = app.wait_for_status(sid, "completed").await;
        assert_one_end(&app, &call).await;
    };
    over(&sids[0]).await;
    over(&sids[1]).await;
    let left = || async {
        let mut connection = app.database.as_owner().await;
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM listeners");
        count.fetch_one(&mut connection).await.expect("a count")
    };
    wait_for("the leases to be given back", left, |left| *left == 0).await;
    second.stop().await;
    third.stop().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_number_that_nobody_has_is_turned_away() {
    let app = TestApp::running().await;
    connect(&app).await;
    let sid = call_in(&app, "+15550777").await;

    let rejected = |call: &Value| call["state"] == "failed";
    let call = wait_for("the rejection", || seen(&app, &sid), rejected).await;

    assert_eq!(call["sip_code"], 603);
    let path = format!("/api/v1/calls/{sid}");
    assert_eq!(app.client.get(&path).await.status, 404);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_streams_takes_no_call_of_a_model() {
    let app = TestApp::running().await;
    connect(&app).await;
    let streams = "UPDATE agents SET settings = jsonb_set(settings, '{answer}',
        '{\"mode\":\"stream\",\"url\":\"wss://media.example.com/\"}')";
    database::run(&mut app.database.as_owner().await, streams)
        .await
        .expect("settings");
    let sid = call_in(&app, NUMBER).await;

    let call = app.wait_for_status(&sid, "canceled").await;

    assert_eq!(call["ended_reason"], "media_error");
    assert_eq!(call["end"]["side"], "local");
    assert_one_end(&app, &call).await;
    // One that nobody accepted is none to hang up: it was turned away.
    assert_eq!(seen(&app, &sid).await["sip_code"], 603);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_comes_twice_or_forged_is_one_call() {
    let app = TestApp::running().await;
    connect(&app).await;
    fault(&app, "callback", 1, json!({"forge": true})).await;
    let first = call_in_answered(&app).await;
    fault(&app, "callback", 1, json!({"duplicate": true})).await;
    let second = call_in_answered(&app).await;

    let told = |sid: String| {
        let app = &app;
        async move {
            let all = |call: &Value| {
                call["callbacks"]
                    .as_array()
                    .is_some_and(|all| all.len() >= 2)
            };
            let seen = wait_for("both copies", || seen(app, &sid), all).await;
            let copy = |at: usize| {
                let sent = &seen["callbacks"][at];
                (sent["copy"].clone(), sent["answers"][0].clone())
            };
            [copy(0), copy(1)]
        }
    };
    let [forged, genuine] = told(first).await;
    assert_eq!(forged, (json!("forged"), json!(403)));
    assert_eq!(genuine, (json!("true"), json!(200)));
    let [genuine, again] = told(second).await;
    assert_eq!(genuine, (json!("true"), json!(200)));
    assert_eq!(again, (json!("duplicate"), json!(200)));
    let calls = app.client.get("/api/v1/calls").await.json();
    assert_eq!(calls["items"].as_array().expect("calls").len(), 2);
    app.stop().await;
}

/// Sends the node a webhook about the call `rtc_1`, signed as of `signed_at`; `sent` is what is sent
/// in place of what was signed.
async fn tell(
    app: &TestApp,
    path: &str,
    secret: &SigningSecret,
    signed_at: i64,
    sent: Option<&str>,
) -> u16 {
    let body = json!({
        "id": "evt_1", "object": "event", "type": "realtime.call.incoming", "created_at": signed_at,
        "data": {"call_id": "rtc_1", "sip_headers": [
            {"name": "From", "value": format!("<sip:{CALLER}@carrier.example>;tag=1")},
            {"name": "To", "value": format!("<sip:{NUMBER}@sip.api.openai.com>")},
        ]},
    })
    .to_string();
    let signature = secret.sign("wh_1", signed_at, body.as_bytes());
    let signed_at = signed_at.to_string();
    let headers = [
        ("content-type", "application/json"),
        ("webhook-id", "wh_1"),
        ("webhook-timestamp", signed_at.as_str()),
        ("webhook-signature", signature.as_str()),
    ];
    let client = app.client.with_token(None);
    let body = sent.unwrap_or(&body);
    client.send(Method::POST, path, &headers, body).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_must_be_signed_with_the_accounts_secret_lately_and_as_it_is() {
    let app = TestApp::running().await;
    let project = connect(&app).await;
    let path = format!("/callbacks/openai/{}", project.id);
    let (secret, now) = (&project.webhook_secret, app.ambient.now().unix_seconds());
    let other = SigningSecret::new(b"another".to_vec());

    assert_eq!(tell(&app, &path, &other, now, None).await, 403);
    assert_eq!(tell(&app, &path, secret, now - 302, None).await, 403);
    assert_eq!(tell(&app, &path, secret, now + 302, None).await, 403);
    assert_eq!(tell(&app, &path, secret, now, Some("{}")).await, 403);
    let elsewhere = format!("/callbacks/openai/{}", app.tenant.account_id);
    assert_eq!(tell(&app, &elsewhere, secret, now, None).await, 403);
    let about_a_call = format!("{path}/calls/{}", app.ambient.entropy.uuid());
    assert_eq!(tell(&app, &about_a_call, secret, now, None).await, 400);
    let calls = app.client.get("/api/v1/calls").await.json();
    assert_eq!(calls["items"], json!([]));

    assert_eq!(tell(&app, &path, secret, now, None).await, 200);
    let call = app.call("rtc_1").await;
    assert_eq!(
        (&call["to"], &call["from"]),
        (&NUMBER.into(), &CALLER.into())
    );
    // The provider has no such call, which proves nothing yet of one that rings.
    assert_eq!(call["ended_at"], Value::Null);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_only_takes_calls_refuses_to_place_one() {
    let app = TestApp::running().await;
    let project = connect(&app).await;
    let body = json!({
        "agent_id": app.tenant.agent_id, "to": "+15550101", "provider_account_id": project.id,
    });
    let reply = app.client.post("/api/v1/calls", &body).await;
    assert_eq!(reply.status, 422, "{}", reply.text);
    assert!(reply.text.contains("takes_calls_only"), "{}", reply.text);
    let by_number = json!({"agent_id": app.tenant.agent_id, "to": "+15550101", "from": NUMBER});
    let reply = app.client.post("/api/v1/calls", &by_number).await;
    assert_eq!(reply.status, 422, "{}", reply.text);
    app.stop().await;
}
