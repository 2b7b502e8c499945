//! What the owner of a webhook endpoint can do, and what is done for him: rotation, pause,
//! disabling, sending again, pulling instead.

use std::collections::BTreeSet;

use onhook::{
    domain::{role::Role, webhook::signature::SigningSecret},
    simulator::Delivery,
};
use serde_json::{Value, json};

use super::{
    provider_faults::set_secret,
    webhooks::{behave, deliver, ended_call, endpoint, only_endpoint},
};
use crate::{
    people::{signed_in, take_whole},
    support::{app::TestApp, wait::wait_for},
};

const DAY: i64 = 24 * 3600;
const PATH: &str = "/api/v1/webhook-endpoints";

async fn post(app: &TestApp, path: &str, body: Value) -> Value {
    let reply = app.client.post(&format!("{PATH}/{path}"), &body).await;
    assert!(reply.status < 300, "{path}: {}", reply.text);
    reply.json()
}

async fn change(app: &TestApp, id: &str, body: Value) -> Value {
    let path = format!("{PATH}/{id}");
    let headers = [("content-type", "application/json")];
    let method = reqwest::Method::PATCH;
    let reply = app
        .client
        .send(method, &path, &headers, &body.to_string())
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

async fn show(app: &TestApp, path: &str) -> Value {
    let reply = app.client.get(&format!("{PATH}/{path}")).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    reply.json()
}

/// The endpoint's deliveries, newest first, as (type, state).
async fn listed(app: &TestApp, id: &str, query: &str) -> Vec<(String, String)> {
    let list = show(app, &format!("{id}/deliveries{query}")).await;
    let items = list["items"].as_array().unwrap().iter();
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    items
        .map(|item| (text(item, "type"), text(item, "state")))
        .collect()
}

fn at(app: &TestApp, path: &str) -> Vec<Delivery> {
    let arrived = app.receiver.received().into_iter();
    arrived.filter(|event| event.path == path).collect()
}

fn kinds(events: &[Delivery]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| event.kind.as_deref())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_rotation_both_secrets_sign_and_afterwards_the_new_one() {
    let app = TestApp::by_hand().await;
    let id = app.tenant.endpoint_id.to_string();
    let old = SigningSecret::parse(&app.tenant.webhook_secret).unwrap();

    let rotated = post(&app, &format!("{id}/rotate-secret"), json!({})).await;

    let new = SigningSecret::parse(rotated["secret"].as_str().unwrap()).unwrap();
    assert_eq!(rotated["previous_secret_until"], "2026-11-22T09:30:00.000Z");
    let by = |secret: &SigningSecret, event: &Delivery| {
        let at = event.headers["webhook-timestamp"].parse().unwrap();
        let (id, signature) = (
            event.id.as_deref().unwrap(),
            &event.headers["webhook-signature"],
        );
        secret.verifies(id, at, event.raw_body.as_bytes(), signature)
    };
    ended_call(&app).await;
    deliver(&app).await;
    let first = app.receiver.received();
    assert!(!first.is_empty());
    assert!(first.iter().all(|event| by(&old, event) && by(&new, event)));

    app.advance(DAY);
    ended_call(&app).await;
    deliver(&app).await;
    let later = app.receiver.received().split_off(first.len());
    assert!(!later.is_empty());
    assert!(
        later
            .iter()
            .all(|event| !by(&old, event) && by(&new, event))
    );
    let shown = show(&app, &id).await;
    assert_eq!(shown["secret"], Value::Null);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoints_own_headers_are_sent_and_their_values_shown_nowhere() {
    let app = TestApp::by_hand().await;
    let headers = json!({"headers": {"X-Gate": "let-me-in", "Authorization": "Basic Zm9v"}});
    let id = only_endpoint(&app, "/gated", headers).await;
    ended_call(&app).await;
    deliver(&app).await;

    let arrived = at(&app, "/gated");
    assert!(!arrived.is_empty());
    for event in &arrived {
        assert_eq!(event.headers["x-gate"], "let-me-in");
        assert_eq!(event.headers["authorization"], "Basic Zm9v");
        assert!(event.signature_valid);
    }
    let event_id = arrived[0].id.as_deref().unwrap();
    let shown = show(&app, &format!("{id}/deliveries/{event_id}")).await;
    let attempt = &shown["attempt_log"][0];
    assert_eq!(attempt["request"]["headers"]["x-gate"], "…");
    assert_eq!(attempt["request"]["headers"]["webhook-id"], event_id);
    assert_eq!(attempt["response"]["status"], 204);
    assert_eq!(shown["body"], arrived[0].body);
    let endpoint = show(&app, &id).await;
    assert_eq!(endpoint["headers"], json!(["authorization", "x-gate"]));
    let sealed: Vec<u8> = sqlx::query_scalar(
        "SELECT headers_sealed FROM webhook_endpoints WHERE headers_sealed IS NOT NULL",
    )
    .fetch_one(&mut app.database.as_owner().await)
    .await
    .unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("let-me-in"));

    let changed = change(&app, &id, json!({"headers": {}})).await;
    assert_eq!(changed["headers"], json!([]));
    for name in ["Host", "content-length", "Webhook-Id"] {
        let body = json!({"headers": {name: "x"}}).to_string();
        let path = format!("{PATH}/{id}");
        let headers = [("content-type", "application/json")];
        let method = reqwest::Method::PATCH;
        let refused = app.client.send(method, &path, &headers, &body).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert_eq!(
            refused.json()["errors"][0]["pointer"],
            format!("/headers/{name}")
        );
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_during_a_pause_arrives_after_it() {
    let app = TestApp::by_hand().await;
    let id = app.tenant.endpoint_id.to_string();
    assert_eq!(
        change(&app, &id, json!({"paused": true})).await["paused"],
        true
    );
    ended_call(&app).await;
    assert_eq!(deliver(&app).await, 0);
    let test = app
        .client
        .post(&format!("{PATH}/{id}/test"), &json!({}))
        .await;
    assert_eq!(
        (test.status, &test.json()["code"]),
        (409, &json!("WEBHOOK_ENDPOINT_DISABLED"))
    );
    let waiting = listed(&app, &id, "?state=pending").await.len();
    assert_eq!(waiting, 6);

    let resumed = change(&app, &id, json!({"paused": false})).await;
    assert_eq!(
        (&resumed["paused"], &resumed["enabled"]),
        (&json!(false), &json!(true))
    );
    deliver(&app).await;
    assert_eq!(app.receiver.received().len(), waiting);
    app.stop().await;
}

/// People of the tenant: those in charge, one who is not, and one who confirmed no address.
async fn colleagues(app: &TestApp) {
    for (email, role) in [
        ("owner@example.com", Role::Owner),
        ("admin@example.com", Role::Admin),
        ("operator@example.com", Role::Operator),
        ("unknown@example.com", Role::Admin),
    ] {
        signed_in(app, &app.tenant, email, role).await;
    }
    let unconfirm =
        "UPDATE people SET email_verified_at = NULL WHERE email = 'unknown@example.com'";
    let mut owner = app.database.as_owner().await;
    sqlx::raw_sql(unconfirm).execute(&mut owner).await.unwrap();
}

/// What the owner and the admin were mailed of the receiver that was disabled: one mail each, and nobody
/// else got one.
async fn mails_to_those_in_charge(app: &TestApp) -> [String; 2] {
    assert_eq!(app.node.worker.send_mails().await.unwrap(), 2);
    ["owner@example.com", "admin@example.com"].map(|email| {
        let mail = take_whole(app, email, "A receiver of events was disabled");
        mail.unwrap_or_else(|| panic!("a mail to {email}"))
    })
}

fn says_what_to_do_and_no_secret(app: &TestApp, endpoint: &Value, mail: &str) {
    let id = endpoint["id"].as_str().unwrap();
    let resource = format!("http://{}{PATH}/{id}", app.node.address);
    for part in [
        "to http://127.0.0.1:1 any",
        "five days.",
        &format!("PATCH {resource}"),
        "/replay",
    ] {
        assert!(mail.contains(part), "{part} in {mail}");
    }
    let secret = endpoint["secret"].as_str().unwrap();
    assert!(!mail.contains("s3cret") && !mail.contains(secret), "{mail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_whose_every_place_hears_that_it_is_gone_is_told_of_once() {
    let app = TestApp::by_hand().await;
    colleagues(&app).await;
    let id = only_endpoint(&app, "/leaving", json!({})).await;
    ended_call(&app).await;
    deliver(&app).await;
    for _ in 0..4 {
        ended_call(&app).await;
    }
    behave(&app, &json!({"status": 410, "times": 0})).await;
    // What one claim took is attempted, whatever the first is answered.
    deliver(&app).await;

    let refused = at(&app, "/leaving").into_iter();
    assert!(refused.filter(|event| event.answered == 410).count() > 1);
    let mut owner = app.database.as_owner().await;
    let told: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM audit_entries WHERE action = 'webhook_endpoint.disable' AND subject = $1),
            (SELECT count(*) FROM organization_events WHERE type = 'webhook_endpoint.disabled'),
            (SELECT count(*) FROM webhook_deliveries d JOIN organization_events e ON e.id = d.call_id
                WHERE d.sequence = 0 AND d.endpoint_id = $1::uuid)",
    )
    .bind(&id)
    .fetch_one(&mut owner)
    .await
    .unwrap();
    assert_eq!(told, (1, 1, 0), "and nothing waits for itself");
    mails_to_those_in_charge(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_for_five_days_is_disabled_and_the_others_are_told() {
    let app = TestApp::by_hand().await;
    colleagues(&app).await;
    // Nobody listens there.
    let body = json!({"url": "http://127.0.0.1:1/gone?key=s3cret", "timeout_seconds": 5});
    let created = app.client.post(PATH, &body).await.json();
    let id = created["id"].as_str().unwrap().to_owned();
    let mut days = 0;
    while show(&app, &id).await["enabled"] == true {
        days += 1;
        assert!(days < 8, "disabled at last");
        ended_call(&app).await;
        deliver(&app).await;
        app.advance(DAY);
    }
    assert_eq!(
        days, 6,
        "five days after the first failure, at the next one"
    );
    deliver(&app).await;

    let shown = show(&app, &id).await;
    assert_eq!(
        shown["disabled_reason"],
        "Every delivery failed for five days"
    );
    let told: Vec<Delivery> = at(&app, "/Tenant")
        .into_iter()
        .filter(|event| event.kind.as_deref() == Some("webhook_endpoint.disabled"))
        .collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].signature_valid);
    assert_eq!(told[0].body["data"]["webhook_endpoint"]["id"], id.as_str());
    assert_eq!(told[0].body["call_id"], Value::Null);
    assert!(at(&app, "/Stranger").is_empty());
    let audited: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_entries WHERE action = 'webhook_endpoint.disable' AND subject = $1")
        .bind(&id)
        .fetch_one(&mut app.database.as_owner().await)
        .await
        .unwrap();
    assert_eq!(audited, 1);
    for mail in mails_to_those_in_charge(&app).await {
        says_what_to_do_and_no_secret(&app, &created, &mail);
    }

    // Nothing is queued while it is disabled; what was missed comes when it is asked for.
    let before = listed(&app, &id, "").await.len();
    let missed_from = app.ambient.now();
    ended_call(&app).await;
    assert_eq!(listed(&app, &id, "").await.len(), before);
    let url = format!("{}/back", app.receiver.base_url());
    app.receiver
        .trust(SigningSecret::parse(created["secret"].as_str().unwrap()).unwrap());
    let enabled = change(&app, &id, json!({"enabled": true, "url": url})).await;
    assert_eq!(
        (&enabled["enabled"], &enabled["failing_since"]),
        (&json!(true), &Value::Null)
    );
    app.advance(60);
    let replayed = post(&app, &format!("{id}/replay"), json!({"from": missed_from})).await;
    assert_eq!(replayed, json!({"count": 6, "continue_from": null}));
    deliver(&app).await;
    app.advance(DAY);
    deliver(&app).await;
    let missed = at(&app, "/back");
    let ids: BTreeSet<_> = missed.iter().map(|event| event.id.clone()).collect();
    assert_eq!(ids.len(), missed.len(), "each once");
    assert!(missed.iter().all(|event| event.signature_valid));
    let last = kinds(&missed)
        .iter()
        .filter(|kind| **kind == "event_phone_call_billed")
        .count();
    assert!(last >= 1, "{:?}", kinds(&missed));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_and_waits_is_delivered_when_its_endpoint_is_enabled() {
    let app = TestApp::by_hand().await;
    let id = only_endpoint(&app, "/mended", json!({})).await;
    ended_call(&app).await;
    behave(&app, &json!({"status": 500, "times": 0})).await;
    for _ in 0..3 {
        deliver(&app).await;
        app.advance(1000);
    }
    let waiting = listed(&app, &id, "?state=pending").await.len();
    assert!(waiting > 1);
    change(&app, &id, json!({"enabled": false})).await;
    behave(&app, &json!({"status": 204, "times": 0})).await;

    let before = at(&app, "/mended").len();
    change(&app, &id, json!({"enabled": true})).await;
    deliver(&app).await;
    // One that keeps failing is tried by one delivery first.
    deliver(&app).await;

    assert_eq!(at(&app, "/mended").len() - before, waiting);
    assert!(listed(&app, &id, "?state=pending").await.is_empty());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_event_goes_to_its_endpoint_alone_and_shows_what_was_answered() {
    let app = TestApp::by_hand().await;
    let id = endpoint(
        &app,
        "/tested",
        json!({"events": ["event_phone_call_ended"]}),
    )
    .await;
    behave(&app, &json!({"status": 418})).await;

    let queued = post(&app, &format!("{id}/test"), json!({})).await;
    deliver(&app).await;

    let arrived = app.receiver.received();
    assert_eq!(kinds(&arrived), ["webhook.test"]);
    assert_eq!(arrived[0].path, "/tested");
    let event_id = queued["event_id"].as_str().unwrap();
    assert_eq!(arrived[0].id.as_deref(), Some(event_id));
    assert_eq!(arrived[0].body["sequence"], 0);
    let shown = show(&app, &format!("{id}/deliveries/{event_id}")).await;
    assert_eq!(
        (&shown["state"], &shown["attempts"]),
        (&json!("pending"), &json!(1))
    );
    assert_eq!(shown["attempt_log"][0]["response"]["status"], 418);
    app.advance(6);
    deliver(&app).await;
    let shown = show(&app, &format!("{id}/deliveries/{event_id}")).await;
    assert_eq!(shown["state"], "delivered");
    assert_eq!(shown["attempt_log"].as_array().unwrap().len(), 2);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_sent_again_when_it_is_asked_for() {
    let app = TestApp::by_hand().await;
    let id = app.tenant.endpoint_id.to_string();
    ended_call(&app).await;
    deliver(&app).await;
    let first = app.receiver.received();
    let event_id = first[4].id.clone().unwrap();

    let again = post(
        &app,
        &format!("{id}/deliveries/{event_id}/resend"),
        json!({}),
    )
    .await;
    assert_eq!(again["event_id"], event_id.as_str());
    assert_eq!(deliver(&app).await, 1);
    let second = app.receiver.received().split_off(first.len());
    assert_eq!(second[0].id, first[4].id);
    assert_eq!(second[0].raw_body, first[4].raw_body);
    let shown = show(&app, &format!("{id}/deliveries/{event_id}")).await;
    assert_eq!(
        (&shown["state"], &shown["attempts"]),
        (&json!("delivered"), &json!(2))
    );

    // Given up, then all that was given up.
    behave(&app, &json!({"status": 503, "times": 0})).await;
    ended_call(&app).await;
    while !listed(&app, &id, "?state=pending").await.is_empty() {
        deliver(&app).await;
        app.advance(3600);
    }
    assert_eq!(listed(&app, &id, "?state=dead").await.len(), 6);
    behave(&app, &json!({"status": 204, "times": 0})).await;
    let before = app.receiver.received().len();
    let replayed = post(&app, &format!("{id}/replay"), json!({"failed_only": true})).await;
    assert_eq!(replayed["count"], 6);
    deliver(&app).await;
    assert_eq!(app.receiver.received().len(), before + 6);
    assert!(listed(&app, &id, "?state=dead").await.is_empty());

    let unknown = "evt_00000000000040008000000000000000_1";
    let path = format!("{PATH}/{id}/deliveries/{unknown}/resend");
    let refused = app.client.post(&path, &json!({})).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (404, &json!("WEBHOOK_DELIVERY_NOT_FOUND"))
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_listed_newest_first_by_pages_and_filters() {
    let app = TestApp::by_hand().await;
    let id = app.tenant.endpoint_id.to_string();
    let first = ended_call(&app).await;
    deliver(&app).await;
    let second = ended_call(&app).await;
    let all = show(&app, &format!("{id}/deliveries")).await;
    let all: Vec<&str> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    assert_eq!(all.len(), 12);
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = show(&app, &format!("{id}/deliveries?limit=5{cursor}")).await;
        let items = page["items"].as_array().unwrap().iter();
        paged.extend(items.map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all);
    assert_eq!(
        listed(&app, &id, &format!("?call_id={first}&state=delivered"))
            .await
            .len(),
        6
    );
    assert_eq!(
        listed(&app, &id, &format!("?call_id={second}&state=delivered"))
            .await
            .len(),
        0
    );
    assert_eq!(
        listed(&app, &id, "?type=event_phone_call_ended")
            .await
            .len(),
        2
    );
    assert!(
        listed(&app, &id, "?created_before=2026-11-21T09:00:00Z")
            .await
            .is_empty()
    );
    for (query, status) in [
        ("?state=lost", 422),
        ("?limit=0", 422),
        ("?cursor=x", 400),
        ("?nothing=1", 422),
    ] {
        let refused = app
            .client
            .get(&format!("{PATH}/{id}/deliveries{query}"))
            .await;
        assert_eq!(refused.status, status, "{query}: {}", refused.text);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_endpoint_gets_a_calls_events_one_after_the_other() {
    let app = TestApp::by_hand().await;
    only_endpoint(&app, "/ordered", json!({"ordered": true})).await;
    ended_call(&app).await;
    behave(&app, &json!({"status": 500, "times": 3})).await;

    deliver(&app).await;
    assert_eq!(
        app.receiver.received().len(),
        1,
        "the others wait for the first"
    );
    for _ in 0..60 {
        app.advance(60);
        deliver(&app).await;
    }

    let delivered: Vec<i64> = app
        .receiver
        .received()
        .iter()
        .filter(|event| event.answered == 204)
        .map(|event| event.body["sequence"].as_i64().unwrap())
        .collect();
    assert_eq!(delivered, [1, 2, 3, 4, 5, 6]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_account_is_told_of_once_an_hour() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    set_secret(&app, "another").await;
    let path = format!("/api/v1/calls/{id}/terminate");
    app.client.post_nothing(&path).await;
    let told = || async {
        deliver(&app).await;
        let arrived = app.receiver.received().into_iter();
        let kind = Some("provider_account.credentials_refused");
        arrived
            .filter(|event| event.kind.as_deref() == kind)
            .collect::<Vec<_>>()
    };
    let told = wait_for("the event", told, |events| !events.is_empty()).await;
    let account = &told[0].body["data"]["provider_account"];
    assert_eq!(account["id"], json!(app.tenant.account_id));
    assert_eq!(account["provider"], "twilio");
    assert!(told[0].signature_valid);
    assert_eq!(told.len(), 1);
    app.stop().await;
}
