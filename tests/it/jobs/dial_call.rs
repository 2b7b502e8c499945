//! The dial: once, and never after it was given up.

use onhook::{
    app::{
        Actor, App, FastLane, FastLaneJob, Parts,
        actor::By,
        calls::start::{self, NewCall},
        rates::Quotas,
    },
    config,
};
use serde_json::{Value, json};
use time::Duration;
use tokio::sync::mpsc::Receiver;

use crate::{
    flows::books,
    support::{
        app::{TestApp, variables},
        wait::wait_for,
    },
};

/// The test's operations with a fast lane that ends in the test: its jobs wait for as long as the
/// test likes, as they do for a node that has too many dials under way.
fn congested(app: &TestApp) -> (App, Receiver<FastLaneJob>) {
    let config = config::from_variables(variables(&app.database.url)).unwrap();
    let (fast_lane, jobs) = FastLane::new();
    let congested = App::new(Parts {
        db: app.app.db.clone(),
        ambient: app.ambient.clone(),
        keys: config.keys.secret_key,
        pepper: config.keys.token_pepper,
        fast_lane,
        mail: app.app.mail.clone(),
        allow_loopback: true,
        quotas: Quotas::default(),
        most_live_calls: None,
    });
    (congested, jobs)
}

async fn start(app: &TestApp, through: &App) -> String {
    let new = NewCall {
        agent_id: Some(app.tenant.agent_id),
        to: "+15550101".parse().unwrap(),
        from: None,
        provider_account_id: None,
        metadata: json!({}),
        limits: None,
        delay: Duration::ZERO,
        client_reference: None,
        test: false,
    };
    let by = By {
        scope: app.tenant.scope,
        actor: &Actor::System("test"),
    };
    let call = start::start(through, by, &new, None).await.unwrap();
    call.expect("an agent").id.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_waited_until_another_node_gave_it_up_is_not_sent() {
    let app = TestApp::by_hand().await;
    let (congested, mut jobs) = congested(&app);
    let id = start(&app, &congested).await;
    let job = jobs.recv().await.unwrap();

    // Another node finds the lease run out, looks for the dial, and gives it up after a minute.
    app.advance(61);
    assert_eq!(app.node.worker.run_due().await.unwrap(), 1);
    assert_eq!(app.call(&id).await["status"], "failed");
    app.node.worker.run_fresh(job).await;

    assert_eq!(
        books::stats(&app).await["creates"],
        0,
        "nobody waits for it"
    );
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_waited_for_its_turn_is_begun_anew_and_placed_once() {
    let app = TestApp::by_hand().await;
    let (congested, mut jobs) = congested(&app);
    let id = start(&app, &congested).await;
    let job = jobs.recv().await.unwrap();

    app.advance(10);
    app.node.worker.run_fresh(job).await;
    assert_eq!(books::stats(&app).await["creates"], 0);
    app.advance(1);
    assert_eq!(app.node.worker.run_due().await.unwrap(), 1);

    app.wait_for_status(&id, "in-progress").await;
    assert_eq!(books::stats(&app).await["creates"], 1);
    assert_eq!(app.at_provider(&id).await["create_requests"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_takes_back_a_dial_that_still_waits_for_its_turn() {
    let app = TestApp::by_hand().await;
    let (congested, mut jobs) = congested(&app);
    let id = start(&app, &congested).await;
    let job = jobs.recv().await.unwrap();
    app.advance(10);
    app.node.worker.run_fresh(job).await;

    let path = format!("/api/v1/calls/{id}/terminate");
    assert_eq!(app.client.post_nothing(&path).await.status, 200);

    assert_eq!(app.call(&id).await["status"], "canceled");
    app.advance(1);
    assert_eq!(app.node.worker.run_due().await.unwrap(), 0);
    assert_eq!(books::stats(&app).await["creates"], 0);
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_the_database_kept_from_being_sent_is_begun_anew() {
    let app = TestApp::by_hand().await;
    let (congested, mut jobs) = congested(&app);
    let id = start(&app, &congested).await;
    let job = jobs.recv().await.unwrap();
    let mut agents = app.database.as_owner().await;
    books::run(&mut agents, "BEGIN; LOCK TABLE agents").await;

    let ((), ()) = tokio::join!(app.node.worker.run_fresh(job), async {
        let waits = |waiting: &i64| *waiting == 1;
        let blocked = || books::blocked(&app, "find_settings");
        wait_for("the dial to be prepared", blocked, waits).await;
        let statement = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let canceled: bool = sqlx::query_scalar(statement)
            .fetch_one(&mut agents)
            .await
            .unwrap();
        assert!(canceled);
    });
    books::run(&mut agents, "ROLLBACK").await;
    assert_eq!(books::stats(&app).await["creates"], 0);
    app.advance(1);
    assert_eq!(app.node.worker.run_due().await.unwrap(), 1);

    app.wait_for_status(&id, "in-progress").await;
    assert_eq!(books::stats(&app).await["creates"], 1);
    app.stop().await;
}

/// Twilio lists the newest calls first and fifty at a time unless told otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_dial_is_found_behind_many_newer_calls_between_the_same_numbers() {
    let app = TestApp::by_hand().await;
    app.fault("callback", 1, &json!({"drop": true})).await;
    books::script(&app, &json!({"ring_after_ms": null})).await;
    let fault = json!({"respond": {"status": 500}, "when": "after"});
    app.fault("create", 1, &fault).await;
    let lost = app.place().await;
    let recorded = |jobs: &Vec<books::JobRow>| jobs.iter().all(|job| job.lease.is_none());
    wait_for("the dial's record", || books::jobs(&app, &lost), recorded).await;
    for _ in 0..60 {
        app.place().await;
    }
    let all = |calls: &Vec<Value>| calls.len() == 61;
    wait_for("the dials", || books::provider_calls(&app), all).await;
    let nothing_else = |open: &i64| *open == 1;
    let open = || async {
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM jobs")
            .fetch_one(&mut app.database.as_owner().await)
            .await
            .unwrap()
    };
    wait_for("their records", open, nothing_else).await;

    app.advance(1);
    assert_eq!(app.node.worker.run_due().await.unwrap(), 1);

    let oldest = &books::provider_calls(&app).await[0];
    assert_eq!(app.call(&lost).await["call_sid"], oldest["id"]);
    app.stop().await;
}
