//! End against end, against answer, against a dial in flight, against the far end's own end: one
//! outcome each.

use onhook::{boot::Node, domain::CallId};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use super::books;
use crate::support::{
    app::{HELD, TestApp},
    client::{Reply, TestClient},
    wait::wait_for,
};

const MANY: usize = 50;

/// The four routes that end a call.
fn route(app: &TestApp, id: &str, which: usize) -> (String, Value) {
    match which % 4 {
        0 => (
            format!("/api/v1/agents/{}/end-call", app.tenant.agent_id),
            json!({"call_sid": id}),
        ),
        1 => (format!("/api/v1/calls/{id}/terminate"), json!({})),
        2 => (format!("/api/calls/{id}/end"), json!({})),
        _ => (format!("/api/v1/calls/{id}/end"), json!({})),
    }
}

/// Ends the call `MANY` times at once, over all routes; the `nodes` take turns. The provider thinks
/// until every request is waiting for it.
async fn end_many_times(app: &TestApp, nodes: &[&Node], id: &str) -> Vec<Reply> {
    app.fault("hangup", 1, &json!({"delay_ms": HELD})).await;
    let clients = nodes.iter().map(|node| {
        let url = format!("http://{}", node.address);
        TestClient::new(&url, Some(&app.tenant.token))
    });
    let clients: Vec<TestClient> = clients.collect();
    let mut ends = JoinSet::new();
    for (which, client) in (0..MANY).zip(clients.iter().cycle()) {
        let (path, body) = route(app, id, which);
        let client = client.clone();
        ends.spawn(async move { client.post(&path, &body).await });
    }
    let call_id: CallId = id.parse().expect("a call's id");
    let waiting = async || {
        let of_nodes = nodes
            .iter()
            .map(|node| node.app.db.wake().watching(call_id));
        of_nodes.sum::<usize>()
    };
    wait_for("every request to wait", waiting, |count| *count == MANY).await;
    app.release().await;
    ends.join_all().await
}

/// Every answer is its route's success, and all that name the end's moment name the same.
fn assert_same_success(call: &Value, replies: &[(u16, Value)]) {
    assert_eq!(replies.len(), MANY);
    for (status, body) in replies {
        assert_eq!(*status, 200, "{body}");
        if body.get("outcome").is_some() {
            assert_eq!(body["outcome"], "ended");
            assert_eq!(body["ended_at"], call["ended_at"]);
        } else if body.get("data").is_some() {
            assert_eq!(body["data"]["status"], "completed");
            assert_eq!(body["data"]["ended_at"], call["ended_at"]);
            assert_eq!(body["data"]["ended_reason"], "ended_by_api");
        } else {
            let id = call["id"].as_str().expect("an id");
            let messages = [
                "Call terminated successfully via twilio".to_owned(),
                format!("Call {id} ended"),
            ];
            assert!(
                messages.iter().any(|message| body["message"] == **message),
                "{body}"
            );
        }
    }
}

async fn add_endpoint(app: &TestApp, path: &str) {
    let url = format!("{}{path}", app.receiver.base_url());
    let reply = app
        .client
        .post("/api/v1/webhook-endpoints", &json!({"url": url}))
        .await;
    assert_eq!(reply.status, 201, "{}", reply.text);
}

/// One hang-up at the provider, one end, one bill, one delivery for each of two endpoints.
async fn assert_ended_once_for_two_endpoints(app: &TestApp, id: &str) {
    let there = app.at_provider(id).await;
    assert_eq!(there["hangup_requests"], 1, "{there:#}");
    assert_eq!(there["hangups_carried_out"], 1, "{there:#}");
    books::assert_ended_once(app, id).await;
    let ended = "event_phone_call_ended";
    wait_for(
        "both endpoints to have the event",
        || books::deliveries(app, id, ended),
        |states| *states == ["delivered", "delivered"],
    )
    .await;
    let arrived = app.receiver.received();
    let ends = arrived
        .iter()
        .filter(|event| event.kind.as_deref() == Some(ended));
    let mut paths: Vec<&str> = ends.clone().map(|event| event.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/Tenant", "/second"]);
    let mut ids: Vec<_> = ends.map(|event| event.id.clone()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "the event has one id for every endpoint");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_overlapping_ends_get_one_success_and_cause_one_hang_up() {
    let app = TestApp::running().await;
    add_endpoint(&app, "/second").await;
    let id = app.place_answered().await;

    let replies = end_many_times(&app, &[&app.node], &id).await;

    let call = app.call(&id).await;
    let replies: Vec<_> = replies.iter().map(|r| (r.status, r.json())).collect();
    assert_same_success(&call, &replies);
    assert_ended_once_for_two_endpoints(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_ends_on_open_connections_get_one_success_however_fast_the_provider_is() {
    let app = TestApp::running().await;
    add_endpoint(&app, "/second").await;
    let id = app.place_answered().await;
    let mut open = Vec::new();
    for which in 0..MANY {
        let mut stream = TcpStream::connect(app.node.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        // Half a request: the server has the connection and reads from it.
        let (path, body) = route(&app, &id, which);
        let (head, rest) = raw_request(&app, &path, &body);
        stream.write_all(head.as_bytes()).await.unwrap();
        open.push((stream, rest));
    }

    let mut ends = JoinSet::new();
    for (mut stream, rest) in open {
        ends.spawn(async move {
            stream.write_all(rest.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            parse_answer(&answer)
        });
    }
    let replies = ends.join_all().await;

    let call = app.call(&id).await;
    assert_same_success(&call, &replies);
    assert_ended_once_for_two_endpoints(&app, &id).await;
    app.stop().await;
}

/// A request on a connection of its own, in two parts.
fn raw_request(app: &TestApp, path: &str, body: &Value) -> (String, String) {
    let body = body.to_string();
    let head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\n", app.node.address);
    let rest = format!(
        "Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        app.tenant.token,
        body.len(),
    );
    (head, rest)
}

fn parse_answer(answer: &str) -> (u16, Value) {
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    let body = serde_json::from_str(body).unwrap_or_else(|_| panic!("not JSON: {answer}"));
    (status.expect("a status"), body)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_end_one_call_at_once_cause_one_hang_up() {
    let app = TestApp::running().await;
    add_endpoint(&app, "/second").await;
    let second = second_node(&app).await;
    let id = app.place_answered().await;

    let replies = end_many_times(&app, &[&app.node, &second], &id).await;

    let call = app.call(&id).await;
    let replies: Vec<_> = replies.iter().map(|r| (r.status, r.json())).collect();
    assert_same_success(&call, &replies);
    assert_ended_once_for_two_endpoints(&app, &id).await;
    second.stop().await;
    app.stop().await;
}

/// Another node on the same database.
async fn second_node(app: &TestApp) -> Node {
    app.node_with(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn end_against_answer_has_one_outcome_which_the_provider_shares() {
    let app = TestApp::running().await;
    books::script(&app, &json!({"answer_after_ms": null})).await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        let id = app.place().await;
        app.wait_for_status(&id, "ringing").await;
        ids.push(id);
    }

    for (nth, id) in ids.iter().enumerate() {
        let path = format!("/api/v1/calls/{id}/terminate");
        let end = app.client.post_nothing(&path);
        let answer = books::party(&app, id, "answer");
        let (end, _answered) = if nth % 2 == 0 {
            tokio::join!(end, answer)
        } else {
            let (answered, end) = tokio::join!(answer, end);
            (end, answered)
        };
        assert_eq!(end.status, 200, "{}", end.text);
    }

    for id in &ids {
        let call = app.call(id).await;
        let there = app.at_provider(id).await;
        assert_eq!(call["status"], there["state"], "{call:#}\n{there:#}");
        assert_eq!(call["ended_reason"], "ended_by_api");
        assert_eq!(there["hangups_carried_out"], 1);
        books::assert_ended_once(&app, id).await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_answered_while_its_hang_up_is_under_way_is_ended_as_answered() {
    let app = TestApp::running().await;
    books::script(&app, &json!({"answer_after_ms": null})).await;
    let id = app.place().await;
    app.wait_for_status(&id, "ringing").await;
    app.fault("hangup", 1, &json!({"delay_ms": HELD})).await;

    let path = format!("/api/v1/calls/{id}/terminate");
    let (end, ()) = tokio::join!(app.client.post_nothing(&path), async {
        let asked = |there: &Value| there["hangup_requests"] == 1;
        wait_for("the hang-up", || app.at_provider(&id), asked).await;
        assert_eq!(books::party(&app, &id, "answer").await, 200);
        app.wait_for_status(&id, "in-progress").await;
        app.release().await;
    });

    assert_eq!(end.status, 200, "{}", end.text);
    let call = app.call(&id).await;
    assert_eq!(call["status"], "completed");
    assert_eq!(call["ended_reason"], "ended_by_api");
    assert_eq!(call["cost"]["billable_milliseconds"], 0, "{call:#}");
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_before_the_provider_has_the_call_is_carried_out_once_its_id_is_known() {
    let app = TestApp::running().await;
    let still = json!({"ring_after_ms": null, "answer_after_ms": null});
    books::script(&app, &still).await;
    app.fault("create", 1, &json!({"delay_ms": HELD})).await;
    let id = app.place().await;
    assert_eq!(app.call(&id).await["call_sid"], id.as_str());

    let path = format!("/api/v1/calls/{id}/terminate");
    let (end, ()) = tokio::join!(app.client.post_nothing(&path), async {
        let wished = |call: &Value| call["end"]["state"] == "requested";
        wait_for("the wish", || app.call(&id), wished).await;
        app.release().await;
    });

    assert_eq!(end.status, 200, "{}", end.text);
    let call = app.call(&id).await;
    assert_eq!(call["status"], "canceled");
    assert_eq!(call["ended_reason"], "ended_by_api");
    let there = app.at_provider(&id).await;
    assert_eq!(there["state"], "canceled");
    assert_eq!(there["ringing_at"], Value::Null, "nothing rang");
    assert_eq!(there["hangup_requests"], 1);
    assert_eq!(there["create_requests"], 1);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_overtakes_the_creates_answer_lets_the_hang_up_begin() {
    let app = TestApp::running().await;
    books::script(&app, &json!({"answer_after_ms": null})).await;
    let fault = json!({"delay_ms": HELD, "when": "after"});
    app.fault("create", 1, &fault).await;
    let id = app.place().await;

    let path = format!("/api/v1/calls/{id}/terminate");
    let end = app.client.post_nothing(&path).await;

    assert_eq!(end.status, 200, "{}", end.text);
    assert_eq!(app.call(&id).await["status"], "canceled");
    // Only now does the create's answer come.
    app.release().await;
    let finished = |jobs: &Vec<books::JobRow>| jobs.is_empty();
    wait_for("the dial's job", || books::jobs(&app, &id), finished).await;
    assert_eq!(app.at_provider(&id).await["create_requests"], 1);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_after_the_far_ends_unreported_hang_up_is_a_success_and_bills_to_that_hang_up() {
    let app = TestApp::running().await;
    let id = app.place_answered().await;
    app.fault("callback", 1, &json!({"delay_ms": HELD})).await;
    assert_eq!(books::party(&app, &id, "hangup").await, 200);

    let path = format!("/api/v1/calls/{id}/terminate");
    let end = app.client.post_nothing(&path).await;

    assert_eq!(end.status, 200, "{}", end.text);
    let call = app.call(&id).await;
    assert_eq!(call["status"], "completed");
    assert_eq!(call["ended_reason"], "ended_by_api");
    assert_eq!(call["end"]["confirmed_by"], "fetch");
    assert_eq!(app.at_provider(&id).await["hangups_carried_out"], 0);
    // An earlier report whose answer took too long has come twice.
    let stale_before = books::receipts(&app, &id, "stale").await;
    app.release().await;
    let late = |stale: &i64| *stale > stale_before;
    wait_for(
        "the late callback",
        || books::receipts(&app, &id, "stale"),
        late,
    )
    .await;
    assert_eq!(app.call(&id).await, call, "the late callback changed it");
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_far_ends_hang_up_under_our_own_confirms_the_wish() {
    let app = TestApp::running().await;
    let id = app.place_answered().await;
    app.fault("hangup", 1, &json!({"delay_ms": HELD})).await;

    let path = format!("/api/v1/calls/{id}/terminate");
    let (end, ()) = tokio::join!(app.client.post_nothing(&path), async {
        let asked = |there: &Value| there["hangup_requests"] == 1;
        wait_for("the hang-up", || app.at_provider(&id), asked).await;
        assert_eq!(books::party(&app, &id, "hangup").await, 200);
    });

    assert_eq!(end.status, 200, "{}", end.text);
    let call = app.call(&id).await;
    assert_eq!(call["ended_reason"], "ended_by_api");
    assert_eq!(call["ended_at"], call["end"]["requested_at"]);
    assert_eq!(call["end"]["confirmed_by"], "callback");
    app.release().await;
    // The provider's "already over" comes after the end and is recorded all the same.
    let told = |attempts: &Vec<books::HangUpRow>| attempts.len() == 1;
    let attempts = wait_for("its answer", || books::hang_ups(&app, &id), told).await;
    assert_eq!(attempts[0].provider_code.as_deref(), Some("21220"));
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_after_the_far_ends_recorded_hang_up_finds_the_call_over() {
    let app = TestApp::running().await;
    let id = app.place_answered().await;
    assert_eq!(books::party(&app, &id, "hangup").await, 200);
    let before = app.wait_for_status(&id, "completed").await;

    let mut answers = Vec::new();
    for which in 0..4 {
        let (path, body) = route(&app, &id, which);
        let reply = app.client.post(&path, &body).await;
        answers.push((reply.status, reply.json()));
    }

    let (end_call, terminate, session) = (&answers[0], &answers[1], &answers[2]);
    let end = &answers[3];
    let not_active =
        json!({"success": false, "message": "Call is not active", "code": "CALL_NOT_ACTIVE"});
    assert_eq!(*end_call, (409, not_active));
    let over = json!({"detail": "Cannot terminate call - current status is 'completed'"});
    assert_eq!(*terminate, (400, over));
    let gone = json!({"success": false, "error": "Call not found"});
    assert_eq!(*session, (404, gone));
    assert_eq!((end.0, &end.1["outcome"]), (200, &json!("already_ended")));
    assert_eq!(before["ended_reason"], "remote_hangup");
    assert_eq!(app.call(&id).await, before);
    assert_eq!(app.at_provider(&id).await["hangup_requests"], 0);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

/// The end is decided before it is durable; a request that arrives in between must not be told that
/// the call was over before it came, however long it then waits for the database.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_arrives_before_the_first_one_is_durable_shares_its_success() {
    let app = TestApp::running().await;
    let id = app.place_answered().await;
    let path = format!("/api/v1/calls/{id}/terminate");
    let live = onhook::domain::token::Environment::Live;
    let scopes = [onhook::domain::token::Scope::CallsEnd];
    let other = app.token(live, &scopes, None).await;
    let other = app.client.with_token(Some(&other));
    app.fault("hangup", 1, &json!({"delay_ms": HELD})).await;

    let (first, second) = tokio::join!(app.client.post_nothing(&path), async {
        let asked = |there: &Value| there["hangup_requests"] == 1;
        wait_for("the hang-up", || app.at_provider(&id), asked).await;
        let mut row = books::hold(&app, &id).await;
        app.release().await;
        let decided = |waiting: &i64| *waiting > 0;
        wait_for(
            "the end to be decided",
            || books::blocked(&app, "apply_change"),
            decided,
        )
        .await;
        let mut tokens = app.database.as_owner().await;
        books::run(&mut tokens, "BEGIN; LOCK TABLE tokens").await;
        let (second, ()) = tokio::join!(other.post_nothing(&path), async {
            wait_for(
                "the second request to have arrived",
                || books::blocked(&app, "find_caller"),
                decided,
            )
            .await;
            books::run(&mut row, "ROLLBACK").await;
            wait_for(
                "the end to be durable",
                || books::story(&app, &id),
                |story| story.iter().any(|fact| fact == "ended"),
            )
            .await;
            books::run(&mut tokens, "ROLLBACK").await;
        });
        second
    });

    assert_eq!(first.status, 200, "{}", first.text);
    assert_eq!(second.status, 200, "{}", second.text);
    let third = app.client.post_nothing(&path).await;
    assert_eq!(third.status, 400, "{}", third.text);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}
