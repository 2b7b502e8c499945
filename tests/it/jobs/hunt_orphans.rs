//! Our live calls against the provider's, both ways.

use onhook::db::invariants;
use serde_json::{Value, json};

use crate::{
    flows::books,
    routes::steps::{nobody_acts, sid},
    support::{
        app::TestApp,
        client::TestClient,
        elsewhere::{self, Second, at_provider, dial_elsewhere},
        wait::wait_for,
    },
};

/// A minute later, whatever is due.
async fn next_round(app: &TestApp) {
    app.advance(60);
    assert!(app.node.worker.hunt_orphans().await.unwrap() >= 1);
}

/// The audit finds nothing. Deliveries wait: nobody runs them here.
async fn assert_sound(app: &TestApp) {
    for (check, offenders) in invariants::run(&app.app.db, app.ambient.now())
        .await
        .unwrap()
    {
        let excused = check.name == "nothing_due_waits";
        assert!(
            excused || offenders.is_empty(),
            "{}: {offenders:?}",
            check.name
        );
    }
}

/// Faults of the first provider strike the tenant's account only.
async fn without_the_stranger(app: &TestApp) {
    let statement =
        "UPDATE provider_accounts SET disconnected_at = now() WHERE organization_id IN (
        SELECT organization_id FROM organizations WHERE name = 'Stranger')";
    books::run(&mut app.database.as_owner().await, statement).await;
}

async fn metrics(app: &TestApp) -> String {
    let operators = TestClient::new(&format!("http://{}", app.node.operator_address), None);
    operators.get("/metrics").await.text
}

async fn drop_callbacks(app: &TestApp) {
    app.fault("callback", 0, &json!({"drop": true})).await;
    elsewhere::fault(app, "callback", 0, json!({"drop": true})).await;
}

async fn named(app: &TestApp, id: &str) -> String {
    sid(app, id).await
}

/// Over here by the provider's own word, and alive there all the same.
async fn end_here_only(app: &TestApp, id: &str) {
    let over = json!({"respond": {"status": 400, "body": {
        "code": 21220, "message": "Call is not in-progress.", "status": 400,
    }}});
    app.fault("hangup", 1, &over).await;
    let path = format!("/api/v1/calls/{id}/terminate");
    assert_eq!(app.client.post_nothing(&path).await.status, 200);
    assert_eq!(app.call(id).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_ended_without_a_report_ends_with_the_providers_times() {
    let app = TestApp::by_hand().await;
    let second = Second::connect(&app).await;
    let ids = [app.place().await, second.place(&app).await];
    let mut hung_up_at = Vec::new();
    for id in &ids {
        app.wait_for_status(id, "in-progress").await;
    }
    drop_callbacks(&app).await;
    app.advance(30);
    for id in &ids {
        assert_eq!(books::party(&app, id, "hangup").await, 200);
        let there = at_provider(&app, &named(&app, id).await).await;
        hung_up_at.push(there["ended_at"].clone());
    }

    next_round(&app).await;

    for (id, hung_up_at) in ids.iter().zip(hung_up_at) {
        let call = app.call(id).await;
        assert_eq!(call["status"], "completed", "{call:#}");
        assert_eq!(call["ended_reason"], "reconciled_gone");
        assert_eq!(call["ended_at"], hung_up_at);
        assert_eq!(call["duration_seconds"], 30);
        assert_eq!(call["cost"]["billable_milliseconds"], 30_000);
        assert_eq!(call["end"]["side"], "provider");
        books::assert_ended_once(&app, id).await;
    }
    let cause = app.call(&ids[0]).await["end"]["provider_cause"].clone();
    assert_eq!(cause["status"], "completed");
    assert_sound(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_keeps_its_reason_and_moment_when_the_call_is_gone() {
    let app = TestApp::by_hand().await;
    let slow_end = json!({"hangup_answer": "in-progress", "hangup_after_ms": 3_600_000});
    books::script(&app, &slow_end).await;
    let id = app.place_answered().await;
    drop_callbacks(&app).await;
    let path = format!("/api/v1/calls/{id}/terminate");
    assert_eq!(app.client.post_nothing(&path).await.status, 200);
    let wished = app.call(&id).await;
    assert_eq!(wished["end"]["state"], "accepted");
    assert_eq!(books::party(&app, &id, "hangup").await, 200);

    next_round(&app).await;

    let call = app.call(&id).await;
    assert_eq!(call["status"], "completed");
    assert_eq!(call["ended_reason"], "ended_by_api");
    assert_eq!(call["ended_at"], wished["end"]["requested_at"]);
    assert_eq!(call["end"]["confirmed_by"], "fetch");
    books::assert_ended_once(&app, &id).await;
    assert_sound(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_provider_has_forgotten_is_gone_only_by_a_whole_list() {
    let app = TestApp::by_hand().await;
    let second = Second::connect(&app).await;
    let first = app.place_answered().await;
    let forgotten = second.place(&app).await;
    app.wait_for_status(&forgotten, "in-progress").await;
    let heard_at = app.ambient.now();
    drop_callbacks(&app).await;
    app.advance(30);
    for id in [&first, &forgotten] {
        assert_eq!(books::party(&app, id, "hangup").await, 200);
    }
    let unknown = json!({"respond": {"status": 404}});
    app.fault("fetch", 0, &unknown).await;
    elsewhere::fault(&app, "fetch", 0, unknown).await;

    next_round(&app).await;
    for id in [&first, &forgotten] {
        assert_eq!(
            app.call(id).await["status"],
            "in-progress",
            "heard of lately"
        );
    }
    next_round(&app).await;

    let call = app.call(&forgotten).await;
    assert_eq!(call["status"], "completed");
    assert_eq!(call["ended_reason"], "reconciled_gone");
    assert_eq!(
        call["ended_at"],
        heard_at.to_string(),
        "the last evidence of its life"
    );
    assert_eq!(call["cost"]["billable_milliseconds"], 0);
    books::assert_ended_once(&app, &forgotten).await;
    // Another region may have it.
    assert_eq!(app.call(&first).await["status"], "in-progress");
    assert_sound(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_or_half_a_list_ends_nothing() {
    let app = TestApp::by_hand().await;
    without_the_stranger(&app).await;
    let second = Second::connect(&app).await;
    let ids = [app.place().await, second.place(&app).await];
    for id in &ids {
        app.wait_for_status(id, "in-progress").await;
    }
    drop_callbacks(&app).await;
    for id in &ids {
        assert_eq!(books::party(&app, id, "hangup").await, 200);
    }
    let fetches = books::stats(&app).await["fetches"].clone();
    for status in [401, 403, 404, 500, 503] {
        let refusal = json!({"respond": {"status": status}});
        // The first of the first provider's three lists is answered.
        app.fault("list", 1, &json!({"delay_ms": 0})).await;
        app.fault("list", 1, &refusal).await;
        elsewhere::fault(&app, "list", 1, refusal).await;

        next_round(&app).await;

        for id in &ids {
            assert_eq!(app.call(id).await["status"], "in-progress", "{status}");
        }
        assert_eq!(books::stats(&app).await["fetches"], fetches, "{status}");
    }
    next_round(&app).await;
    for id in &ids {
        assert_eq!(app.call(id).await["ended_reason"], "reconciled_gone");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_conclude_nothing_of_a_single_call() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    drop_callbacks(&app).await;
    assert_eq!(books::party(&app, &id, "hangup").await, 200);
    let refusal = json!({"respond": {"status": 401}});
    app.fault("fetch", 3, &refusal).await;

    for _ in 0..3 {
        next_round(&app).await;
        assert_eq!(app.call(&id).await["status"], "in-progress");
    }
    next_round(&app).await;

    assert_eq!(app.call(&id).await["ended_reason"], "reconciled_gone");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_lives_on_after_its_end_is_ended_in_each_round_until_it_is_dead() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    let name = sid(&app, &id).await;
    end_here_only(&app, &id).await;
    assert_eq!(at_provider(&app, &name).await["state"], "in-progress");
    app.fault("hangup", 1, &json!({"respond": {"status": 500}}))
        .await;

    next_round(&app).await;
    assert_eq!(at_provider(&app, &name).await["state"], "in-progress");
    next_round(&app).await;
    assert_eq!(at_provider(&app, &name).await["state"], "completed");
    next_round(&app).await;

    let attempts = books::hang_ups(&app, &id).await;
    let outcomes: Vec<&str> = attempts.iter().map(|row| row.outcome.as_str()).collect();
    assert_eq!(outcomes, ["already_over", "retry", "ended"]);
    books::assert_ended_once(&app, &id).await;
    let series =
        r#"onhook_reconciliation_findings_total{provider="twilio",finding="orphan_ended"} 2"#;
    let metrics = metrics(&app).await;
    assert!(metrics.contains(series), "{metrics}");
    assert_sound(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_ended_a_moment_ago_is_no_orphan() {
    let app = TestApp::by_hand().await;
    let id = app.place_answered().await;
    app.advance(60);
    end_here_only(&app, &id).await;

    assert!(app.node.worker.hunt_orphans().await.unwrap() >= 1);

    assert_eq!(books::hang_ups(&app, &id).await.len(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_never_touched_and_our_own_are_ended_even_without_a_record() {
    let app = TestApp::by_hand().await;
    let second = Second::connect(&app).await;
    let account = second.account_id;
    let uuid = || app.ambient.entropy.uuid();
    let elsewhere = format!("{}/{}", uuid(), uuid());
    let ours = format!("{account}/{}", uuid());
    let placed = second.place(&app).await;
    app.wait_for_status(&placed, "in-progress").await;
    // Other software may have transferred our call, and the new leg have taken the reference along.
    let second_leg = format!("{account}/{placed}");
    let strangers = [
        dial_elsewhere(&app).await,
        second.dial_elsewhere(&app, None).await,
        second.dial_elsewhere(&app, Some("something")).await,
        second.dial_elsewhere(&app, Some(&uuid().to_string())).await,
        second.dial_elsewhere(&app, Some(&elsewhere)).await,
        second.dial_elsewhere(&app, Some(&second_leg)).await,
    ];
    let lost = second.dial_elsewhere(&app, Some(&ours)).await;
    let kept = app.place_answered().await;

    next_round(&app).await;
    next_round(&app).await;

    for name in &strangers {
        let there = at_provider(&app, name).await;
        assert_eq!(there["hangup_requests"], 0, "{there:#}");
        assert!(there["ended_at"].is_null(), "{there:#}");
    }
    let there = at_provider(&app, &lost).await;
    assert_eq!(there["hangups_carried_out"], 1, "{there:#}");
    assert_eq!(app.call(&kept).await["status"], "in-progress");
    let audited: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM audit_entries WHERE action = 'call.end_orphan' AND subject = $1",
    )
    .bind(&lost)
    .fetch_one(&mut app.database.as_owner().await)
    .await
    .unwrap();
    assert_eq!(audited, 1);
    assert_sound(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_whose_answer_was_lost_is_found_on_the_list() {
    let app = TestApp::by_hand().await;
    let second = Second::connect(&app).await;
    nobody_acts(&app).await;
    drop_callbacks(&app).await;
    elsewhere::fault(&app, "create", 1, json!({"reset": "after"})).await;
    let id = second.place(&app).await;
    let job_free = |jobs: &Vec<books::JobRow>| jobs.iter().all(|job| job.lease.is_none());
    wait_for("the lost answer", || books::jobs(&app, &id), job_free).await;
    assert_eq!(app.call(&id).await["call_sid"], json!(id));

    next_round(&app).await;

    let call = app.call(&id).await;
    assert_ne!(call["call_sid"], json!(id), "{call:#}");
    assert_eq!(app.at_provider(&id).await["create_requests"], 1);
    let path = format!("/api/v1/calls/{id}/terminate");
    assert_eq!(app.client.post_nothing(&path).await.status, 200);
    assert_eq!(app.at_provider(&id).await["hangups_carried_out"], 1);
    assert_sound(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_was_given_up_and_lives_all_the_same_is_ended() {
    let app = TestApp::by_hand().await;
    let second = Second::connect(&app).await;
    nobody_acts(&app).await;
    drop_callbacks(&app).await;
    elsewhere::fault(&app, "create", 1, json!({"reset": "after"})).await;
    let id = second.place(&app).await;
    let job_free = |jobs: &Vec<books::JobRow>| jobs.iter().all(|job| job.lease.is_none());
    wait_for("the lost answer", || books::jobs(&app, &id), job_free).await;
    let nothing = json!({"respond": {"status": 200, "body": {"data": [], "meta": {}}}});
    elsewhere::fault(&app, "list", 1, nothing).await;
    app.advance(61);
    assert_eq!(app.node.worker.run_due().await.unwrap(), 1);
    assert_eq!(app.call(&id).await["ended_reason"], "platform_error");

    next_round(&app).await;

    let there = &books::provider_calls(&app).await[0];
    assert_eq!(there["hangups_carried_out"], 1, "{there:#}");
    assert_eq!(books::hang_ups(&app, &id).await.len(), 1);
    books::assert_ended_once(&app, &id).await;
    assert_sound(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_account_is_listed_once_a_minute_whoever_asks() {
    let app = TestApp::by_hand().await;
    without_the_stranger(&app).await;
    let other = app.node_with(&[]).await;
    let lists = || async { books::stats(&app).await["lists"].as_u64().unwrap() };
    let (one, two) = tokio::join!(app.node.worker.hunt_orphans(), other.worker.hunt_orphans());
    assert_eq!(one.unwrap() + two.unwrap(), 1);
    // One for each status of calls that live.
    assert_eq!(lists().await, 3);

    app.advance(44);
    assert_eq!(app.node.worker.hunt_orphans().await.unwrap(), 0);
    app.advance(6);
    assert_eq!(other.worker.hunt_orphans().await.unwrap(), 1);
    assert_eq!(lists().await, 6);

    let busy = json!({"respond": {"status": 429, "headers": {"retry-after": "120"}}});
    app.fault("list", 1, &busy).await;
    next_round(&app).await;
    app.advance(119);
    assert_eq!(app.node.worker.hunt_orphans().await.unwrap(), 0);
    app.advance(1);
    assert_eq!(app.node.worker.hunt_orphans().await.unwrap(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnected_account_is_left_alone() {
    let app = TestApp::by_hand().await;
    let statement = "UPDATE provider_accounts SET disconnected_at = now()";
    books::run(&mut app.database.as_owner().await, statement).await;

    assert_eq!(app.node.worker.hunt_orphans().await.unwrap(), 0);
    let stats: Value = books::stats(&app).await;
    assert_eq!(stats["lists"], 0, "{stats}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_compares_by_itself() {
    let app = TestApp::serving().await;
    let compared = |stats: &Value| stats["lists"].as_u64().is_some_and(|lists| lists >= 6);
    wait_for("both accounts' lists", || books::stats(&app), compared).await;
    app.stop().await;
}
