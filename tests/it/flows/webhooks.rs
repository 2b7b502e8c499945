//! Events to customers: what arrives, how often, in which form, and what becomes of receivers that
//! fail.

use std::{collections::BTreeSet, time::Duration};

use onhook::{boot::Node, db::webhook_deliveries::Claim, simulator::Delivery};
use serde_json::{Value, json};
use uuid::Uuid;

use super::books::{self, DeliveryAttemptRow};
use crate::support::{
    app::{HELD, TestApp},
    client::TestClient,
    wait::wait_for,
};

const HOUR: i64 = 3600;

/// Attempts every delivery that is due at the clock's instant, until none is.
async fn deliver(app: &TestApp) -> usize {
    let mut attempted = 0;
    loop {
        match app.node.worker.deliver_due().await.unwrap() {
            0 => return attempted,
            some => attempted += some,
        }
    }
}

/// How the receiver answers from now on.
async fn behave(app: &TestApp, behaviour: &Value) {
    let receiver = TestClient::new(&app.receiver.base_url(), None);
    let reply = receiver.post("/behave", behaviour).await;
    assert_eq!(reply.status, 204, "{}", reply.text);
}

/// Creates an endpoint beside the tenant's own, which is deleted; its id.
async fn only_endpoint(app: &TestApp, path: &str, options: Value) -> String {
    let own = format!("/api/v1/webhook-endpoints/{}", app.tenant.endpoint_id);
    let gone = app.client.delete(&own).await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    endpoint(app, path, options).await
}

async fn endpoint(app: &TestApp, path: &str, options: Value) -> String {
    let mut body = options;
    body["url"] = json!(format!("{}{path}", app.receiver.base_url()));
    let reply = app.client.post("/api/v1/webhook-endpoints", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let created = reply.json();
    let secret = created["secret"].as_str().unwrap();
    app.receiver
        .trust(onhook::domain::webhook::signature::SigningSecret::parse(secret).unwrap());
    created["id"].as_str().unwrap().to_owned()
}

/// A call that was answered, talked for 30 s and ended by the API. No event was delivered yet.
async fn ended_call(app: &TestApp) -> String {
    let id = app.place_answered().await;
    app.advance(30);
    let path = format!("/api/v1/calls/{id}/terminate");
    let reply = app.client.post_nothing(&path).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    app.wait_for_status(&id, "completed").await;
    id
}

fn ended_only() -> Value {
    json!({"events": ["event_phone_call_ended"]})
}

/// The number of the call's ended event.
async fn ended_sequence(app: &TestApp, id: &str) -> i64 {
    let facts = books::facts(app, id).await;
    let ended = facts
        .iter()
        .find(|fact| fact.r#type == "event_phone_call_ended");
    ended.expect("an end").sequence
}

fn statuses(attempts: &[DeliveryAttemptRow]) -> Vec<(i32, Option<i32>)> {
    attempts
        .iter()
        .map(|attempt| (attempt.attempt, attempt.response_status))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_delivery_is_repeated_by_the_schedule_with_the_same_id_signed_anew() {
    let app = TestApp::by_hand().await;
    only_endpoint(&app, "/ended", ended_only()).await;
    let id = ended_call(&app).await;
    behave(&app, &json!({"status": 500, "times": 2})).await;

    assert_eq!(deliver(&app).await, 1);
    app.advance(3);
    assert_eq!(deliver(&app).await, 0, "5 s ± 20 % have not passed");
    app.advance(3);
    assert_eq!(deliver(&app).await, 1);
    app.advance(239);
    assert_eq!(deliver(&app).await, 0, "5 min ± 20 % have not passed");
    app.advance(122);
    assert_eq!(deliver(&app).await, 1);
    app.advance(1000 * HOUR);
    assert_eq!(deliver(&app).await, 0, "it was delivered");

    let arrived = app.receiver.received();
    assert_eq!(arrived.len(), 3);
    assert!(arrived.iter().all(|attempt| attempt.signature_valid));
    let answers: Vec<u16> = arrived.iter().map(|attempt| attempt.answered).collect();
    assert_eq!(answers, [500, 500, 204]);
    let call_id = id.replace('-', "");
    let sequence = ended_sequence(&app, &id).await;
    let event_id = format!("evt_{call_id}_{sequence}");
    for attempt in &arrived {
        assert_eq!(attempt.id.as_deref(), Some(event_id.as_str()));
        assert_eq!(attempt.raw_body, arrived[0].raw_body);
    }
    let times: BTreeSet<&String> = arrived
        .iter()
        .map(|attempt| &attempt.headers["webhook-timestamp"])
        .collect();
    assert_eq!(times.len(), 3, "each attempt says when it was made");
    let attempts = books::delivery_attempts(&app, &id, sequence).await;
    assert_eq!(
        statuses(&attempts),
        [(1, Some(500)), (2, Some(500)), (3, Some(204))]
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_gets_nothing_more() {
    let app = TestApp::by_hand().await;
    let endpoint_id = only_endpoint(&app, "/gone", json!({})).await;
    let id = ended_call(&app).await;
    behave(&app, &json!({"status": 410, "times": 0})).await;

    deliver(&app).await;

    let first = app.receiver.received().len();
    app.advance(100 * HOUR);
    let later = ended_call(&app).await;
    assert_eq!(deliver(&app).await, 0);
    assert_eq!(app.receiver.received().len(), first);
    let shown = app.client.get("/api/v1/webhook-endpoints").await.json();
    let shown = &shown["items"][0];
    assert_eq!(shown["id"], endpoint_id.as_str());
    assert_eq!(shown["enabled"], false);
    assert_eq!(shown["disabled_reason"], "The receiver answered 410 Gone");
    for kind in ["event_phone_call_started", "event_phone_call_ended"] {
        assert_eq!(books::deliveries(&app, &id, kind).await, ["dead"], "{kind}");
        assert!(books::deliveries(&app, &later, kind).await.is_empty());
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_receiver_is_given_up_with_the_receiver() {
    let app = TestApp::by_hand().await;
    only_endpoint(&app, "/gone", ended_only()).await;
    let waiting = ended_call(&app).await;
    behave(&app, &json!({"status": 429, "retry_after": 3600})).await;
    assert_eq!(deliver(&app).await, 1);
    let refused = ended_call(&app).await;
    behave(&app, &json!({"status": 410})).await;
    assert_eq!(deliver(&app).await, 1);

    let ended = "event_phone_call_ended";
    assert_eq!(books::deliveries(&app, &refused, ended).await, ["dead"]);
    assert_eq!(books::deliveries(&app, &waiting, ended).await, ["dead"]);
    app.advance(100 * HOUR);
    assert_eq!(deliver(&app).await, 0);
    assert_eq!(app.receiver.received().len(), 2);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_asks_for_patience_is_not_asked_before() {
    let app = TestApp::by_hand().await;
    only_endpoint(&app, "/busy", ended_only()).await;
    let id = ended_call(&app).await;
    behave(&app, &json!({"status": 429, "retry_after": 120})).await;

    assert_eq!(deliver(&app).await, 1);
    app.advance(119);
    assert_eq!(deliver(&app).await, 0);
    app.advance(1);
    assert_eq!(deliver(&app).await, 1);

    let ended = "event_phone_call_ended";
    assert_eq!(books::deliveries(&app, &id, ended).await, ["delivered"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let app = TestApp::by_hand().await;
    only_endpoint(&app, "/moved", ended_only()).await;
    let id = ended_call(&app).await;
    behave(&app, &json!({"status": 302})).await;

    assert_eq!(deliver(&app).await, 1);
    assert_eq!(app.receiver.received().len(), 1);
    let ended = "event_phone_call_ended";
    assert_eq!(books::deliveries(&app, &id, ended).await, ["pending"]);
    app.advance(6);
    assert_eq!(deliver(&app).await, 1);
    assert_eq!(books::deliveries(&app, &id, ended).await, ["delivered"]);
    let sequence = ended_sequence(&app, &id).await;
    let attempts = books::delivery_attempts(&app, &id, sequence).await;
    assert_eq!(statuses(&attempts), [(1, Some(302)), (2, Some(204))]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_days_without_a_receiver_everything_arrives() {
    let app = TestApp::by_hand().await;
    let id = ended_call(&app).await;
    behave(&app, &json!({"status": 503, "times": 0})).await;
    for _ in 0..72 {
        deliver(&app).await;
        app.advance(HOUR);
    }
    let facts = books::facts(&app, &id).await;
    let failed = app.receiver.received().len();
    assert!(failed >= 5 * facts.len(), "{failed} attempts");

    behave(&app, &json!({"status": 204, "times": 0})).await;
    for _ in 0..15 {
        app.advance(HOUR);
        deliver(&app).await;
    }

    let arrived: Vec<Delivery> = app.receiver.received().split_off(failed);
    let ids: BTreeSet<_> = arrived.iter().map(|event| event.id.clone()).collect();
    assert_eq!(ids.len(), facts.len());
    assert_eq!(arrived.len(), facts.len(), "each once");
    assert!(arrived.iter().all(|event| event.signature_valid));
    for fact in &facts {
        let states = books::deliveries(&app, &id, &fact.r#type).await;
        assert_eq!(states, ["delivered"]);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_stays_away_leaves_a_dead_letter() {
    let app = TestApp::by_hand().await;
    only_endpoint(&app, "/away", ended_only()).await;
    let id = ended_call(&app).await;
    behave(&app, &json!({"status": 503, "times": 0})).await;
    let ended = "event_phone_call_ended";
    let mut hours = 0;
    while books::deliveries(&app, &id, ended).await == ["pending"] {
        deliver(&app).await;
        app.advance(HOUR);
        hours += 1;
        assert!(hours < 100, "given up at last");
    }

    assert!(hours > 72, "given up after {hours} hours");
    assert_eq!(books::deliveries(&app, &id, ended).await, ["dead"]);
    let attempts = app.receiver.received().len();
    app.advance(100 * HOUR);
    assert_eq!(deliver(&app).await, 0);
    assert_eq!(app.receiver.received().len(), attempts);
    let sequence = ended_sequence(&app, &id).await;
    let logged = books::delivery_attempts(&app, &id, sequence).await;
    let numbers: Vec<i32> = logged.iter().map(|attempt| attempt.attempt).collect();
    let expected: Vec<i32> = (1..).take(attempts).collect();
    assert_eq!(numbers, expected, "every attempt is logged");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_address_is_never_connected_to() {
    let app = TestApp::by_hand().await;
    let endpoint_id = only_endpoint(&app, "/ended", ended_only()).await;
    // Past the check of the URL at its creation, as a name that later resolves elsewhere would be.
    let statement = "UPDATE webhook_endpoints SET url = $1 WHERE id = $2 RETURNING 1";
    let changed: i32 = sqlx::query_scalar(statement)
        .bind("http://10.0.0.1/")
        .bind(endpoint_id.parse::<Uuid>().unwrap())
        .fetch_one(&mut app.database.as_owner().await)
        .await
        .unwrap();
    assert_eq!(changed, 1);
    let id = ended_call(&app).await;

    assert_eq!(deliver(&app).await, 1);

    let sequence = ended_sequence(&app, &id).await;
    let attempts = books::delivery_attempts(&app, &id, sequence).await;
    assert_eq!(statuses(&attempts), [(1, None)]);
    let failure = attempts[0].failure.as_deref().unwrap();
    assert!(failure.contains("forbidden address"), "{failure}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_get_the_events_and_agents_that_they_asked_for() {
    let app = TestApp::by_hand().await;
    let other_agent = second_agent(&app).await;
    endpoint(&app, "/ends", ended_only()).await;
    let of_other = json!({"agent_id": other_agent});
    endpoint(&app, "/other-agent", of_other).await;

    let id = ended_call(&app).await;
    deliver(&app).await;

    let facts = books::facts(&app, &id).await;
    let kinds = |path: &str| -> Vec<String> {
        let arrived = app.receiver.received().into_iter();
        let mine = arrived.filter(|event| event.path == path);
        mine.filter_map(|event| event.kind).collect()
    };
    let all: Vec<String> = facts.iter().map(|fact| fact.r#type.clone()).collect();
    assert_eq!(kinds("/Tenant"), all, "in their order");
    assert_eq!(kinds("/ends"), ["event_phone_call_ended"]);
    assert!(kinds("/other-agent").is_empty());

    let body = json!({"agent_id": other_agent, "to": "+15550102", "from": "+15550100"});
    let reply = app.client.post("/api/v1/calls", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    app.wait_for_status(&id, "in-progress").await;
    deliver(&app).await;
    assert_eq!(
        kinds("/other-agent"),
        [
            "event_phone_call_started",
            "event_phone_call_ringing",
            "event_phone_call_connected"
        ]
    );
    let nobody = app.receiver.received();
    assert!(nobody.iter().all(|event| event.path != "/Stranger"));
    app.stop().await;
}

/// A published agent beside the tenant's own.
async fn second_agent(app: &TestApp) -> Uuid {
    let statement =
        "INSERT INTO agents (organization_id, id, name, settings, created_at, published_at)
        SELECT organization_id, gen_random_uuid(), 'Second', settings, created_at, published_at
        FROM agents WHERE id = $1 RETURNING id";
    sqlx::query_scalar(statement)
        .bind(app.tenant.agent_id.0)
        .fetch_one(&mut app.database.as_owner().await)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_carry_the_call_as_it_was_and_are_numbered_without_a_gap() {
    let app = TestApp::by_hand().await;
    let id = ended_call(&app).await;
    deliver(&app).await;

    let mut arrived = app.receiver.received();
    arrived.sort_by_key(|event| event.body["sequence"].as_i64());
    let path = format!("/api/v1/calls/{id}/events");
    let listed = app.client.get(&path).await.json();
    let listed = listed["items"].as_array().unwrap();
    assert_eq!(arrived.len(), listed.len());
    for ((number, event), listed) in (1..).zip(&arrived).zip(listed) {
        let body = &event.body;
        assert_eq!(body["sequence"], number);
        assert_eq!(body["id"].as_str(), event.id.as_deref());
        assert_eq!(body["call_id"], id.as_str());
        assert_eq!(body["organization_id"], json!(app.tenant.organization_id));
        assert_eq!(body["agent_id"], json!(app.tenant.agent_id));
        assert_eq!(body["data"]["call"]["last_sequence"], number);
        for member in ["id", "type", "timestamp", "sequence", "data"] {
            assert_eq!(body[member], listed[member], "{member} of event {number}");
        }
    }
    let kinds: Vec<&str> = arrived
        .iter()
        .filter_map(|event| event.kind.as_deref())
        .collect();
    let expected = [
        "started",
        "ringing",
        "connected",
        "end_requested",
        "ended",
        "billed",
    ]
    .map(|kind| format!("event_phone_call_{kind}"));
    assert_eq!(kinds, expected);
    let last = &arrived.last().unwrap().body["data"]["call"];
    assert_eq!(*last, app.call(&id).await, "the newest event is the row");
    app.stop().await;
}

/// A node that dies while it delivers leaves its deliveries to the lease, which must run out soon
/// after the receiver's own deadline.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_whose_node_died_is_repeated_soon_after_the_endpoints_timeout() {
    let app = TestApp::by_hand().await;
    let mut options = ended_only();
    options["timeout_seconds"] = json!(5);
    only_endpoint(&app, "/ended", options).await;
    let id = ended_call(&app).await;
    assert_eq!(claim_and_die(&app).await, 1);
    assert_eq!(deliver(&app).await, 0, "leased");

    app.advance(15);
    assert_eq!(deliver(&app).await, 1);

    let ended = "event_phone_call_ended";
    assert_eq!(books::deliveries(&app, &id, ended).await, ["delivered"]);
    app.stop().await;
}

/// Takes what is due and does nothing with it.
async fn claim_and_die(app: &TestApp) -> usize {
    let now = app.ambient.now();
    let lease = onhook::domain::LeaseToken(app.ambient.entropy.uuid());
    let db = &app.app.db;
    let margin = time::Duration::seconds(10);
    let claim = Claim {
        now,
        lease,
        margin,
        most: 64,
    };
    onhook::db::webhook_deliveries::claim(db, app.tenant.scope, claim, &[])
        .await
        .unwrap()
        .len()
}

/// A receiver that hangs must not make its other deliveries start under a lease that has run out:
/// another node would send them again meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn deliveries_behind_a_slow_one_are_given_back_untried() {
    let app = TestApp::by_hand().await;
    only_endpoint(&app, "/slow", json!({"timeout_seconds": 5})).await;
    let id = ended_call(&app).await;
    let facts = books::facts(&app, &id).await.len();
    behave(&app, &json!({"status": 500, "delay_ms": HELD})).await;

    let round = app.node.worker.deliver_due();
    let (attempted, ()) = tokio::join!(round, async {
        let first = |arrived: &usize| *arrived == 1;
        wait_for(
            "the first",
            || async { app.receiver.received().len() },
            first,
        )
        .await;
        // The first one takes this long by the clock.
        app.advance(20);
        behave(&app, &json!({"status": 204})).await;
    });
    attempted.unwrap();

    assert_eq!(app.receiver.received().len(), 1);
    deliver(&app).await;
    app.advance(10);
    deliver(&app).await;
    assert_eq!(app.receiver.received().len(), facts + 1);
    for sequence in 2..=i64::try_from(facts).unwrap() {
        let attempts = books::delivery_attempts(&app, &id, sequence).await;
        assert_eq!(statuses(&attempts), [(1, Some(204))]);
    }
    app.stop().await;
}

/// Another node on the same database, with its loops.
async fn node(app: &TestApp, delivers: bool) -> Node {
    let delivers = delivers.to_string();
    app.node_with(&[("ONHOOK_DELIVER_WEBHOOKS", &delivers)])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_deliveries_to_others_makes_none() {
    let app = TestApp::looking_on().await;
    let leaving = node(&app, false).await;
    let there = TestClient::new(
        &format!("http://{}", leaving.address),
        Some(&app.tenant.token),
    );
    let id = app.place_answered().await;
    let ended = there
        .post_nothing(&format!("/api/v1/calls/{id}/terminate"))
        .await;
    assert_eq!(ended.status, 200, "{}", ended.text);
    app.wait_for_status(&id, "completed").await;

    // Twice as long as a node that delivers takes to look.
    let arrived = wait_for(
        "an event",
        || async { app.receiver.received().len() },
        |arrived| *arrived > 0,
    );
    let arrived = tokio::time::timeout(Duration::from_secs(3), arrived).await;
    arrived.expect_err("nobody delivers");

    let delivering = node(&app, true).await;
    let facts = books::facts(&app, &id).await.len();
    wait_for(
        "every event",
        || async { app.receiver.received().len() },
        |arrived| *arrived == facts,
    )
    .await;
    delivering.stop().await;
    leaving.stop().await;
    app.stop().await;
}

/// More events of more calls than one claim takes.
#[tokio::test(flavor = "multi_thread")]
async fn many_events_are_attempted_once_for_each_endpoint() {
    let app = TestApp::running().await;
    endpoint(&app, "/second", json!({})).await;
    let calls = 40;
    let mut ids = Vec::new();
    for _ in 0..calls {
        ids.push(app.place_answered().await);
    }
    for id in &ids {
        let path = format!("/api/v1/calls/{id}/terminate");
        assert_eq!(app.client.post_nothing(&path).await.status, 200);
    }
    let facts = books::facts(&app, &ids[0]).await.len();
    let all = calls * facts * 2;
    let received = || async { app.receiver.received().len() };
    wait_for("every event twice", received, |arrived| *arrived == all).await;
    for sequence in 1..=i64::try_from(facts).unwrap() {
        wait_for(
            "an attempt for each endpoint",
            || books::delivery_attempts(&app, &ids[0], sequence),
            |attempts| statuses(attempts) == [(1, Some(204)), (1, Some(204))],
        )
        .await;
    }
    app.stop().await;
}
