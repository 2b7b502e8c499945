//! Registering, confirming, forgetting: what happens, and that strangers learn nothing from it.

use serde_json::json;

use super::{
    PASSWORD, bearing, bytes, logged_in, login, mailed, nobody, post, registered, take, text,
};
use crate::support::{app::TestApp, wait::wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn who_registers_acts_fully_once_the_address_is_confirmed() {
    let app = TestApp::by_hand().await;
    let body = json!({
        "email": "Person@example.com", "password": PASSWORD, "name": "Example Person",
        "organization_name": "Example Ltd",
    });
    let reply = post(&app, "/api/v1/auth/register", body).await;
    assert_eq!(reply.status, 202, "{}", reply.text);

    let person = bearing(
        &app,
        text(&logged_in(&app, "person@example.com").await, "access_token"),
    );
    let organizations = person.get("/api/v1/organizations").await.json();
    let organization = &organizations["items"][0];
    assert_eq!(organization["name"], "Example Ltd");
    assert_eq!(organization["role"], "owner");
    assert!(organization["verified_at"].is_null());
    let call = "/api/v1/calls/00000000-0000-4000-8000-000000000000/terminate";
    let refused = person.post_nothing(call).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert!(refused.json()["detail"].is_string(), "{}", refused.text);
    let invitation = json!({"email": "bob@example.com", "role": "viewer"});
    let refused = person.post("/api/v1/invitations", &invitation).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (403, &json!("ACCOUNT_NOT_VERIFIED"))
    );
    assert_eq!(person.get("/api/v1/calls").await.status, 200);

    let token = mailed(&app, "Person@example.com", "verify-email").await;
    let path = "/api/v1/auth/verify-email";
    assert_eq!(post(&app, path, json!({"token": token})).await.status, 204);
    let again = post(&app, path, json!({"token": token})).await;
    assert_eq!(
        (again.status, &again.json()["code"]),
        (400, &json!("LINK_INVALID"))
    );
    let ask = || async { person.post_nothing(call).await.status };
    wait_for("the account to be verified", ask, |status| *status == 404).await;
    let made = person.post("/api/v1/invitations", &invitation).await;
    assert_eq!(made.status, 201, "{}", made.text);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_answered_the_same_bytes_whether_an_address_has_an_account_or_not() {
    let app = TestApp::by_hand().await;
    registered(&app, "known@example.com").await;
    let registration = |email: &str| {
        json!({"email": email, "password": "another horse battery", "name": "Eve",
            "organization_name": "Eve's"})
    };
    let known = post(
        &app,
        "/api/v1/auth/register",
        registration("known@example.com"),
    )
    .await;
    let unknown = post(
        &app,
        "/api/v1/auth/register",
        registration("new@example.com"),
    )
    .await;
    assert_eq!(bytes(&known), bytes(&unknown));
    assert_eq!(known.status, 202);
    // The owner is told, and nothing is changed.
    app.node.worker.send_mails().await.expect("a round");
    assert!(take(&app, "known@example.com", "Nothing").is_some());
    assert_eq!(
        login(&app, "known@example.com", "another horse battery")
            .await
            .status,
        401
    );
    logged_in(&app, "known@example.com").await;

    let forgot = |email: &str| {
        post(
            &app,
            "/api/v1/auth/password/forgot",
            json!({"email": email}),
        )
    };
    let (known, unknown) = (
        forgot("known@example.com").await,
        forgot("none@example.com").await,
    );
    assert_eq!(bytes(&known), bytes(&unknown));
    let (known, unknown) = (
        login(&app, "known@example.com", "wrong horse battery").await,
        login(&app, "none@example.com", "wrong horse battery").await,
    );
    assert_eq!(bytes(&known), bytes(&unknown));
    assert_eq!(known.json()["code"], "LOGIN_FAILED");
    // Nor by how many tries are let through.
    let mut refusals = Vec::new();
    for email in ["known@example.com", "none@example.com"] {
        let mut statuses = Vec::new();
        for _ in 0..12 {
            let reply = login(&app, email, "wrong horse battery").await;
            statuses.push((
                bytes(&reply),
                reply.header("retry-after").map(str::to_owned),
            ));
        }
        refusals.push(statuses);
    }
    assert_eq!(refusals[0], refusals[1]);
    assert_eq!(refusals[0][11].0.0, 429);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_nobody_confirmed_is_replaced_by_the_next_one() {
    let app = TestApp::by_hand().await;
    let body = |password: &str| {
        json!({"email": "person@example.com", "password": password, "name": "A",
            "organization_name": "Ltd"})
    };
    post(&app, "/api/v1/auth/register", body("the squatters own")).await;
    let squatter = login(&app, "person@example.com", "the squatters own")
        .await
        .json();
    let old = mailed(&app, "person@example.com", "verify-email").await;
    post(&app, "/api/v1/auth/register", body(PASSWORD)).await;

    let refresh = json!({"refresh_token": text(&squatter, "refresh_token")});
    assert_eq!(
        post(&app, "/api/v1/auth/refresh", refresh).await.status,
        401
    );
    let verified = post(&app, "/api/v1/auth/verify-email", json!({"token": old})).await;
    assert_eq!(verified.status, 400);
    assert_eq!(
        login(&app, "person@example.com", "the squatters own")
            .await
            .status,
        401
    );
    let person = bearing(
        &app,
        text(&logged_in(&app, "person@example.com").await, "access_token"),
    );
    let organizations = person.get("/api/v1/organizations").await.json();
    assert_eq!(organizations["items"].as_array().map(Vec::len), Some(1));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_set_by_mail_once_and_every_session_ends() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    let before = logged_in(&app, "person@example.com").await;
    let forgot = json!({"email": "PERSON@example.com"});
    post(&app, "/api/v1/auth/password/forgot", forgot.clone()).await;
    let old = mailed(&app, "person@example.com", "reset-password").await;
    post(&app, "/api/v1/auth/password/forgot", forgot).await;
    let token = mailed(&app, "person@example.com", "reset-password").await;

    let path = "/api/v1/auth/password/reset";
    let short = post(&app, path, json!({"token": token, "password": "short"})).await;
    assert_eq!(
        (short.status, short.json()["errors"][0]["pointer"].as_str()),
        (422, Some("/password"))
    );
    let body = json!({"token": token, "password": "staple battery horse"});
    assert_eq!(post(&app, path, body.clone()).await.status, 204);
    assert_eq!(post(&app, path, body).await.status, 400);
    let other = json!({"token": old, "password": "staple battery horse"});
    assert_eq!(post(&app, path, other).await.status, 400);

    assert_eq!(
        login(&app, "person@example.com", PASSWORD).await.status,
        401
    );
    assert_eq!(
        login(&app, "person@example.com", "staple battery horse")
            .await
            .status,
        200
    );
    let refresh = json!({"refresh_token": text(&before, "refresh_token")});
    assert_eq!(
        post(&app, "/api/v1/auth/refresh", refresh).await.status,
        401
    );
    app.node.worker.send_mails().await.expect("a round");
    assert!(take(&app, "person@example.com", "was changed").is_some());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_good_for_their_time_and_purpose_alone() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    post(
        &app,
        "/api/v1/auth/password/forgot",
        json!({"email": "person@example.com"}),
    )
    .await;
    let reset = mailed(&app, "person@example.com", "reset-password").await;
    let verified = post(&app, "/api/v1/auth/verify-email", json!({"token": reset})).await;
    assert_eq!(verified.status, 400);
    app.advance(3601);
    let body = json!({"token": reset, "password": "staple battery horse"});
    let late = post(&app, "/api/v1/auth/password/reset", body).await;
    assert_eq!(
        (late.status, &late.json()["code"]),
        (400, &json!("LINK_INVALID"))
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed_by_who_shows_the_present_one_and_other_sessions_end() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    let (here, there) = (
        logged_in(&app, "person@example.com").await,
        logged_in(&app, "person@example.com").await,
    );
    let person = bearing(&app, text(&here, "access_token"));
    let path = "/api/v1/auth/password/change";
    let change = |present: &str, new: &str| json!({"password": present, "new_password": new});
    for (body, status) in [
        (change("wrong horse battery", "staple battery horse"), 401),
        (change(PASSWORD, "short"), 422),
        (change(PASSWORD, "person@example.com"), 422),
        (change(PASSWORD, "staple battery horse"), 204),
        (change(PASSWORD, "staple battery horse"), 401),
    ] {
        let reply = person.post(path, &body).await;
        assert_eq!(reply.status, status, "{}", reply.text);
    }
    let refresh = |tokens| json!({"refresh_token": text(tokens, "refresh_token")});
    assert_eq!(
        post(&app, "/api/v1/auth/refresh", refresh(&there))
            .await
            .status,
        401
    );
    assert_eq!(
        post(&app, "/api/v1/auth/refresh", refresh(&here))
            .await
            .status,
        200
    );
    assert_eq!(nobody(&app).post(path, &change("a", "b")).await.status, 401);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_are_called_and_reached_at_becomes_no_header() {
    let app = TestApp::by_hand().await;
    let good = json!({"email": "person@example.com", "password": PASSWORD, "name": "Example Person",
        "organization_name": "Example"});
    for (member, sly) in [
        ("email", "person@example.com\r\nBcc: other@example.com"),
        ("email", "person@example.com,other@example.com"),
        ("email", "<person@example.com>"),
        ("email", "person@example.com' OR '1'='1"),
        ("name", "Person\r\nBcc: other@example.com"),
        ("name", "A\u{202e}da"),
        ("organization_name", "Example\nSubject: x"),
    ] {
        let mut body = good.clone();
        body[member] = json!(sly);
        let reply = post(&app, "/api/v1/auth/register", body).await;
        assert_eq!(reply.status, 422, "{sly:?}: {}", reply.text);
        assert_eq!(reply.json()["errors"][0]["pointer"], format!("/{member}"));
    }
    assert_eq!(app.node.worker.send_mails().await.expect("a round"), 0);
    app.stop().await;
}
