//! At every provider whose reports all stay away, what is read there takes their place.

use onhook::{db::invariants, domain::provider::ProviderKind};
use serde_json::{Value, json};

use super::EVERY;
use crate::{
    flows::books,
    support::{app::TestApp, line::connect, wait::wait_for},
};

/// A minute later, whatever is due.
async fn a_minute_later(app: &TestApp) {
    app.advance(61);
    let worker = &app.node.worker;
    worker.reconcile().await.expect("reads");
    worker.hunt_orphans().await.expect("comparisons");
    worker.run_due().await.expect("jobs");
}

async fn at_provider(app: &TestApp, provider: &str) -> Vec<Value> {
    let mut calls = books::provider_calls(app).await;
    calls.retain(|call| call["provider"] == provider);
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_not_heard_of_is_read_and_nobody_is_called_twice() {
    let app = TestApp::by_hand().await;
    for provider in EVERY {
        // What only comes in, by a report, is told of again by the provider or never was.
        if !provider.places_calls() {
            continue;
        }
        let line = connect(&app, provider).await;
        let fault = json!({
            "provider": provider, "operation": "callback", "times": 0, "drop": true,
        });
        assert_eq!(app.sim.post("/_sim/faults", &fault).await.status, 201);
        let (lives, ends) = (line.place(&app).await, line.place(&app).await);
        let answered = |calls: &Vec<Value>| {
            calls.len() == 2 && calls.iter().all(|call| call["state"] == "in-progress")
        };
        wait_for("the answers", || at_provider(&app, line.provider), answered).await;
        let named = |call: &Value| call["call_sid"] != call["id"];
        for id in [&lives, &ends] {
            wait_for("the provider's id", || app.call(id), named).await;
            assert_eq!(app.call(id).await["status"], "initiating");
        }
        assert_eq!(books::party(&app, &ends, "hangup").await, 200);

        for _ in 0..3 {
            a_minute_later(&app).await;
        }

        let call = app.call(&ends).await;
        // Telnyx does not tell afterwards whether a call was answered: without evidence it was not.
        let over = ["completed", "canceled"].map(|status| json!(status));
        assert!(over.contains(&call["status"]), "{call}");
        // A bridge does not tell when: it is when that was read.
        if provider != ProviderKind::Sip {
            assert_eq!(call["ended_at"], app.at_provider(&ends).await["ended_at"]);
        }
        books::assert_ended_once(&app, &ends).await;
        let call = app.call(&lives).await;
        assert_eq!(call["end"], Value::Null, "{call}");
        let reply = app
            .client
            .post_nothing(&format!("/api/v1/calls/{lives}/terminate"))
            .await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        for _ in 0..3 {
            a_minute_later(&app).await;
        }
        let call = app.call(&lives).await;
        assert!(over.contains(&call["status"]), "{call}");
        books::assert_ended_once(&app, &lives).await;
        let calls = at_provider(&app, line.provider).await;
        assert_eq!(calls.len(), 2, "{calls:#?}");
        let hung_up: Vec<&Value> = calls
            .iter()
            .map(|call| &call["hangups_carried_out"])
            .collect();
        assert!(hung_up.contains(&&json!(1)) && hung_up.contains(&&json!(0)));
    }
    let checks = invariants::run(&app.app.db, app.ambient.now())
        .await
        .unwrap();
    for (check, offenders) in checks {
        // Nobody delivers here.
        let excused = check.name == "nothing_due_waits";
        assert!(
            excused || offenders.is_empty(),
            "{}: {offenders:?}",
            check.name
        );
    }
    app.stop().await;
}
