//! Sessions: going on, ending, theft.

use reqwest::Method;
use serde_json::json;

use super::{bearing, bytes, logged_in, nobody, post, registered, take, text};
use crate::support::{app::TestApp, client::TestClient, wait::wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_good_once_and_a_second_use_ends_the_whole_session() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    let first = logged_in(&app, "person@example.com").await;
    let refresh = |token: &str| {
        post(
            &app,
            "/api/v1/auth/refresh",
            json!({"refresh_token": token}),
        )
    };
    let second = refresh(text(&first, "refresh_token")).await;
    assert_eq!(second.status, 200, "{}", second.text);
    let second = second.json();
    assert_eq!(second["session_id"], first["session_id"]);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    let third = refresh(text(&second, "refresh_token")).await.json();
    let person = bearing(&app, text(&third, "access_token"));
    assert_eq!(person.get("/api/v1/sessions").await.status, 200);

    // The thief, or the owner after the thief: who of the two cannot be told.
    let stolen = refresh(text(&first, "refresh_token")).await;
    assert_eq!(
        (stolen.status, &stolen.json()["code"]),
        (401, &json!("UNAUTHENTICATED"))
    );
    let newest = refresh(text(&third, "refresh_token")).await;
    assert_eq!(newest.status, 401, "the family goes on: {}", newest.text);
    let ask = || async { person.get("/api/v1/sessions").await.status };
    wait_for("the access tokens to end", ask, |status| *status == 401).await;
    app.node.worker.send_mails().await.expect("a round");
    assert!(take(&app, "person@example.com", "second time").is_some());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_refreshes_at_the_same_moment_none_leaves_a_session_behind() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    let tokens = logged_in(&app, "person@example.com").await;
    let body = json!({"refresh_token": text(&tokens, "refresh_token")});
    let refresh = || post(&app, "/api/v1/auth/refresh", body.clone());
    let replies = tokio::join!(refresh(), refresh(), refresh(), refresh());
    let replies = [replies.0, replies.1, replies.2, replies.3];
    let good: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert!(good.len() <= 1, "{replies:?}");
    for reply in good {
        let next = json!({"refresh_token": text(&reply.json(), "refresh_token")});
        assert_eq!(post(&app, "/api/v1/auth/refresh", next).await.status, 401);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lasts_while_it_is_used_and_an_access_token_fifteen_minutes() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    let mut tokens = logged_in(&app, "person@example.com").await;
    let old = bearing(&app, text(&tokens, "access_token"));
    app.advance(14 * 60);
    assert_eq!(old.get("/api/v1/sessions").await.status, 200);
    app.advance(61);
    assert_eq!(old.get("/api/v1/sessions").await.status, 401);
    for days in [13, 13, 13] {
        app.advance(days * 86_400);
        let body = json!({"refresh_token": text(&tokens, "refresh_token")});
        let reply = post(&app, "/api/v1/auth/refresh", body).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        tokens = reply.json();
    }
    app.advance(15 * 86_400);
    let body = json!({"refresh_token": text(&tokens, "refresh_token")});
    assert_eq!(post(&app, "/api/v1/auth/refresh", body).await.status, 401);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ended_on_one_node_is_over_on_every_node_within_two_seconds() {
    let app = TestApp::running().await;
    registered(&app, "person@example.com").await;
    let other = app.node_with(&[]).await;
    let (here, there) = (
        logged_in(&app, "person@example.com").await,
        logged_in(&app, "person@example.com").await,
    );
    let person = bearing(&app, text(&here, "access_token"));
    let base = format!("http://{}", other.address);
    let elsewhere = TestClient::new(&base, Some(text(&there, "access_token")));
    assert_eq!(elsewhere.get("/api/v1/sessions").await.status, 200);

    let sessions = person.get("/api/v1/sessions").await.json();
    let items = sessions["items"].as_array().expect("sessions");
    assert_eq!(items.len(), 2, "{sessions}");
    let current = items.iter().find(|session| session["current"] == true);
    assert_eq!(current.expect("a current one")["id"], here["session_id"]);
    assert_eq!(items[0]["address"], "127.0.0.1");

    let path = format!("/api/v1/sessions/{}", text(&there, "session_id"));
    assert_eq!(person.delete(&path).await.status, 204);
    let revoked_at = tokio::time::Instant::now();
    let ask = || async { elsewhere.get("/api/v1/sessions").await.status };
    wait_for("the refusal", ask, |status| *status == 401).await;
    let took = revoked_at.elapsed();
    assert!(took < std::time::Duration::from_secs(4), "{took:?}");
    assert_eq!(person.get("/api/v1/sessions").await.status, 200);

    let body = json!({"refresh_token": text(&here, "refresh_token")});
    for _ in 0..2 {
        assert_eq!(
            post(&app, "/api/v1/auth/logout", body.clone()).await.status,
            204
        );
    }
    assert_eq!(person.get("/api/v1/sessions").await.status, 401);
    assert_eq!(post(&app, "/api/v1/auth/refresh", body).await.status, 401);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_persons_session_is_an_unknown_one() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    registered(&app, "other@example.com").await;
    let person = logged_in(&app, "person@example.com").await;
    let eve = bearing(
        &app,
        text(&logged_in(&app, "other@example.com").await, "access_token"),
    );
    let unknown = "0f0e0d0c-0b0a-4908-8706-050403020100";
    let id = text(&person, "session_id");
    let foreign = eve.delete(&format!("/api/v1/sessions/{id}")).await;
    let none = eve.delete(&format!("/api/v1/sessions/{unknown}")).await;
    assert_eq!(foreign.status, 404);
    let (status, body) = bytes(&foreign);
    assert_eq!((status, body.replace(id, unknown)), bytes(&none));
    assert_eq!(eve.delete("/api/v1/sessions/no-id").await.status, 404);
    let person = bearing(&app, text(&person, "access_token"));
    assert_eq!(person.get("/api/v1/sessions").await.status, 200);
    // A program is no person, and nobody is none.
    for client in [&app.client, &nobody(&app)] {
        for path in ["/api/v1/sessions", "/api/v1/organizations"] {
            assert_eq!(client.get(path).await.status, 401, "{path}");
        }
        let sent = client
            .send(Method::POST, "/api/v1/invitations/accept", &[], "{")
            .await;
        assert_eq!(sent.status, 401);
    }
    app.stop().await;
}
