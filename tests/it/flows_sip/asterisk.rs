//! Asterisk: commanded, and heard over a websocket that the node holds.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    NUMBER, assert_ended_once, assert_success, call_in, connect, connect_with, fault, party, place,
    place_answered, received, seen, stand_still, terminate, wait_for_state,
};
use crate::support::{
    app::{HELD, TestApp},
    wait::wait_for,
};

const APP: &str = "onhook";

/// Connects the account and waits until the node listens.
async fn listening(app: &TestApp) -> onhook::domain::ProviderAccountId {
    let account = connect(app, APP).await;
    listens(app, account).await;
    account
}

/// Waits until a call can be placed: before the node listens, it is not.
async fn listens(app: &TestApp, account: onhook::domain::ProviderAccountId) {
    let id = place_answered(app, account).await;
    terminate(app, &id).await;
    app.wait_for_status(&id, "completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_placed_answered_and_ended_and_its_end_is_told_over_the_websocket() {
    let app = TestApp::running().await;
    let account = listening(&app).await;
    let id = place_answered(&app, account).await;
    let call = app.call(&id).await;
    assert_eq!(call["call_sid"], id, "the channel has our name");

    assert_success(&terminate(&app, &id).await);

    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["provider"], "sip");
    assert_eq!(call["end"]["confirmed_by"], "socket");
    let cause = assert_ended_once(&app, &id, "ended_by_api", "local").await;
    assert_eq!(cause, json!({"cause": 16, "cause_txt": "Normal Clearing"}));
    let seen = seen(&app, &id).await;
    assert_eq!(seen["hangup_requests"], 1);
    assert_eq!(seen["hangups_carried_out"], 1);
    assert_eq!(seen["create_requests"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ringing_call_that_is_ended_counts_as_canceled() {
    let app = TestApp::running().await;
    let account = listening(&app).await;
    let slow = json!({"ring_after_ms": 50, "answer_after_ms": null});
    assert_eq!(app.sim.post("/_sim/script", &slow).await.status, 200);
    let id = place(&app, account).await;
    app.wait_for_status(&id, "ringing").await;

    assert_success(&terminate(&app, &id).await);

    app.wait_for_status(&id, "canceled").await;
    assert_ended_once(&app, &id, "ended_by_api", "local").await;
    assert_eq!(seen(&app, &id).await["state"], "canceled");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_far_ends_hanging_up_or_declining_is_told_and_named() {
    let app = TestApp::running().await;
    let account = listening(&app).await;
    let id = place_answered(&app, account).await;
    party(&app, &id, "hangup", &json!({})).await;
    app.wait_for_status(&id, "completed").await;
    assert_ended_once(&app, &id, "remote_hangup", "remote").await;

    stand_still(&app).await;
    for (act, details, status, reason, side, tech_cause) in [
        ("busy", json!({}), "busy", "busy", "remote", 486),
        (
            "no-answer",
            json!({}),
            "no-answer",
            "no_answer",
            "remote",
            480,
        ),
        (
            "fail",
            json!({"sip_code": 603}),
            "failed",
            "declined",
            "remote",
            603,
        ),
        (
            "fail",
            json!({"sip_code": 404}),
            "failed",
            "invalid_destination",
            "provider",
            404,
        ),
    ] {
        let id = place(&app, account).await;
        wait_for_state(&app, &id, "queued").await;
        party(&app, &id, act, &details).await;
        app.wait_for_status(&id, status).await;
        let cause = assert_ended_once(&app, &id, reason, side).await;
        assert_eq!(cause["tech_cause"], tech_cause, "{cause}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_hanging_up_at_once_is_one_end() {
    let app = TestApp::running().await;
    let account = listening(&app).await;
    let id = place_answered(&app, account).await;
    // The far end is heard of only after the hang-up was asked for.
    fault(&app, "callback", 1, json!({"delay_ms": HELD})).await;
    party(&app, &id, "hangup", &json!({})).await;

    assert_success(&terminate(&app, &id).await);

    app.wait_for_status(&id, "completed").await;
    app.release().await;
    let told = |seen: &Value| {
        seen["callbacks"]
            .as_array()
            .is_some_and(|all| all.len() == 4)
    };
    wait_for("the late event", || seen(&app, &id), told).await;
    assert_ended_once(&app, &id, "ended_by_api", "local").await;
    assert_eq!(seen(&app, &id).await["hangups_carried_out"], 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_that_fails_is_asked_again_until_it_succeeds() {
    let app = TestApp::running().await;
    let account = listening(&app).await;
    let id = place_answered(&app, account).await;
    fault(&app, "hangup", 2, json!({"respond": {"status": 503}})).await;

    let reply = terminate(&app, &id).await;
    assert!(
        reply.status == 200 || reply.json()["code"] == "HANGUP_RETRYING",
        "{}",
        reply.text
    );
    app.wait_for_status(&id, "completed").await;

    let seen = seen(&app, &id).await;
    assert_eq!(seen["hangup_requests"], 3);
    assert_eq!(seen["hangups_carried_out"], 1);
    assert_ended_once(&app, &id, "ended_by_api", "local").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_of_a_call_that_is_over_already_succeeds() {
    let app = TestApp::running().await;
    let account = listening(&app).await;
    let id = place_answered(&app, account).await;
    fault(&app, "callback", 1, json!({"drop": true})).await;
    party(&app, &id, "hangup", &json!({})).await;
    assert_eq!(app.call(&id).await["status"], "in-progress");

    assert_success(&terminate(&app, &id).await);

    app.wait_for_status(&id, "completed").await;
    let cause = assert_ended_once(&app, &id, "ended_by_api", "local").await;
    assert_eq!(cause, json!({"message": "Channel not found"}));
    assert_eq!(seen(&app, &id).await["hangups_carried_out"], 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_404_that_is_not_asterisks_own_is_evidence_of_nothing() {
    let app = TestApp::running().await;
    let account = listening(&app).await;
    let id = place_answered(&app, account).await;
    let page = json!({"respond": {"status": 404, "body": "<h1>Not Found</h1>"}});
    for operation in ["hangup", "fetch"] {
        fault(&app, operation, 0, page.clone()).await;
    }

    let reply = terminate(&app, &id).await;

    assert_eq!(reply.status, 500, "{}", reply.text);
    let call = app.call(&id).await;
    assert_eq!(call["status"], "in-progress");
    assert_eq!(call["end"]["state"], "failed");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_dialled_before_the_node_listens() {
    let app = TestApp::running().await;
    fault(&app, "socket", 2, json!({"respond": {"status": 503}})).await;
    let account = connect(&app, APP).await;

    let id = place_answered(&app, account).await;

    let seen = seen(&app, &id).await;
    assert_eq!(
        seen["create_requests"], 1,
        "nothing was placed to die unseen"
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_whose_answer_is_lost_is_known_by_its_events_or_found_by_its_name() {
    let app = TestApp::running().await;
    let account = listening(&app).await;
    // Told of by its events before it is looked for.
    fault(&app, "create", 1, json!({"reset": "after"})).await;
    let id = place_answered(&app, account).await;
    assert_eq!(seen(&app, &id).await["create_requests"], 1);
    // Nobody tells of it: it is looked for.
    stand_still(&app).await;
    fault(&app, "create", 1, json!({"reset": "after"})).await;
    let id = place(&app, account).await;
    wait_for_state(&app, &id, "queued").await;
    assert_success(&terminate(&app, &id).await);
    app.wait_for_status(&id, "canceled").await;
    let all = app.sim.get("/_sim/calls").await.json();
    let placed = all["calls"].as_array().expect("calls");
    assert_eq!(
        placed
            .iter()
            .filter(|call| call["id"] == id.as_str())
            .count(),
        1
    );
    assert_eq!(seen(&app, &id).await["create_requests"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_faster_than_the_answer_to_the_dial_count_at_once() {
    let app = TestApp::running().await;
    let account = listening(&app).await;
    let slow = json!({"delay_ms": HELD, "when": "after"});
    fault(&app, "create", 1, slow).await;
    let id = place_answered(&app, account).await;
    assert_success(&terminate(&app, &id).await);
    app.wait_for_status(&id, "completed").await;
    assert_ended_once(&app, &id, "ended_by_api", "local").await;
    assert_eq!(seen(&app, &id).await["create_requests"], 1);
    app.release().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_is_refused_is_told_with_its_reason() {
    let app = TestApp::running().await;
    let elsewhere = |credentials: &mut Value| credentials["endpoint"] = "PJSIP/{to}@none".into();
    let account = connect_with(&app, APP, elsewhere).await;
    let id = place(&app, account).await;
    app.wait_for_status(&id, "failed").await;
    assert_ended_once(&app, &id, "provider_rejected", "provider").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_comes_in_is_answered_and_ended_by_us() {
    let app = TestApp::running().await;
    listening(&app).await;
    let at_bridge = call_in(&app, APP, NUMBER).await;
    let call = received(&app, &at_bridge).await;
    let id = call["id"].as_str().expect("an id").to_owned();
    assert_eq!(call["direction"], "inbound");
    assert_eq!(call["from"], "+15550199");
    app.wait_for_status(&id, "in-progress").await;
    wait_for_state(&app, &at_bridge, "in-progress").await;

    assert_success(&terminate(&app, &id).await);

    let call = app.wait_for_status(&id, "completed").await;
    assert_eq!(call["end"]["confirmed_by"], "socket");
    assert_ended_once(&app, &id, "ended_by_api", "local").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_comes_in_and_is_ended_by_its_caller_is_over() {
    let app = TestApp::running().await;
    listening(&app).await;
    let at_bridge = call_in(&app, APP, NUMBER).await;
    let call = received(&app, &at_bridge).await;
    let id = call["id"].as_str().expect("an id").to_owned();
    app.wait_for_status(&id, "in-progress").await;
    party(&app, &at_bridge, "hangup", &json!({})).await;
    app.wait_for_status(&id, "completed").await;
    assert_ended_once(&app, &id, "remote_hangup", "remote").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_number_that_nobody_has_is_declined() {
    let app = TestApp::running().await;
    listening(&app).await;
    for to in ["+15550777", "s"] {
        let at_bridge = call_in(&app, APP, to).await;
        let call = wait_for_state(&app, &at_bridge, "failed").await;
        assert_eq!(call["sip_code"], 603);
        assert_eq!(
            app.client
                .get(&format!("/api/v1/calls/{at_bridge}"))
                .await
                .status,
            404
        );
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_twice_or_out_of_order_change_nothing_more() {
    let app = TestApp::running().await;
    let account = listening(&app).await;
    for how in [json!({"duplicate": true}), json!({"reorder": true})] {
        fault(&app, "callback", 2, how).await;
        let id = place_answered(&app, account).await;
        assert_success(&terminate(&app, &id).await);
        app.wait_for_status(&id, "completed").await;
        assert_ended_once(&app, &id, "ended_by_api", "local").await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_while_the_websocket_was_broken_is_read() {
    let app = TestApp::running().await;
    let account = listening(&app).await;
    let id = place_answered(&app, account).await;
    fault(&app, "socket", 1, json!({"respond": {"status": 503}})).await;
    assert_eq!(
        app.sim.post_nothing("/_sim/sockets/break").await.status,
        204
    );
    let told_nobody = |seen: &Value| {
        let last = seen["callbacks"].as_array().and_then(|all| all.last());
        last.is_some_and(|last| last["event"] == "completed")
    };
    party(&app, &id, "hangup", &json!({})).await;
    wait_for(
        "the end to be told to nobody",
        || seen(&app, &id),
        told_nobody,
    )
    .await;

    app.wait_for_status(&id, "completed").await;

    let call = app.call(&id).await;
    // Read as gone, or told, when the websocket was back in time for it.
    let reason = call["ended_reason"].as_str().expect("a reason");
    assert!(
        ["reconciled_gone", "remote_hangup"].contains(&reason),
        "{reason}"
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_the_accounts_callback_url_is_never_asterisks() {
    let app = TestApp::running().await;
    let account = listening(&app).await;
    let id = place_answered(&app, account).await;
    let event = json!({
        "type": "ChannelDestroyed", "application": APP, "cause": 16, "channel": {"id": id},
    });
    for path in [
        format!("/callbacks/sip/{account}"),
        format!("/callbacks/sip/{account}/calls/{id}"),
    ] {
        let client = app.client.with_token(None);
        let headers = [("content-type", "application/json")];
        let reply = client
            .send(Method::POST, &path, &headers, &event.to_string())
            .await;
        assert_eq!(reply.status, 403, "{}", reply.text);
    }
    assert_eq!(app.call(&id).await["status"], "in-progress");
    app.stop().await;
}
