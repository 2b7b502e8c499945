//! Many at once: logins that wait their turn, keys that change under way.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use onhook::app::people;
use serde_json::json;
use tokio::{sync::RwLock, task::JoinSet};

use super::{logged_in, login, post, registered, text};
use crate::support::{app::TestApp, client::TestClient, wait::wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_logins_at_once_are_all_answered_while_others_are_served() {
    let app = TestApp::running().await;
    registered(&app, "person@example.com").await;
    let emails: Vec<String> = (0..100).map(|n| format!("nobody{n}@example.com")).collect();
    let over = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let others = {
        let (client, over, served) = (app.client.clone(), Arc::clone(&over), Arc::clone(&served));
        async move {
            while !over.load(Ordering::SeqCst) {
                let reply = client.get("/api/v1/calls").await;
                assert_eq!(reply.status, 200, "{}", reply.text);
                served.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    let logins = async {
        let mut running = Vec::new();
        for email in &emails {
            running.push(login(&app, email, "correct horse battery"));
        }
        let replies = futures_util::future::join_all(running).await;
        over.store(true, Ordering::SeqCst);
        replies
    };
    let (replies, ()) = tokio::join!(logins, others);
    for reply in replies {
        // Too many for the queue of a very slow machine is an answer too; none is lost.
        assert!([401, 503].contains(&reply.status), "{}", reply.text);
        assert_eq!(reply.status == 503, reply.header("retry-after").is_some());
    }
    assert!(served.load(Ordering::SeqCst) > 0);
    logged_in(&app, "person@example.com").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_access_tokens_change_under_load_without_a_failed_request() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    let other = app.node_with(&[]).await;
    let elsewhere = TestClient::new(&format!("http://{}", other.address), None);
    // Connections are made one by one: a slow machine takes its time for many at once.
    for client in [&app.client, &elsewhere.with_token(Some(&app.tenant.token))] {
        assert_eq!(client.get("/api/v1/calls").await.status, 200);
    }
    let mut tokens = logged_in(&app, "person@example.com").await;
    // What one node signed both take, whichever heard of the key first: asked all the while.
    let (over, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let current = Arc::new(RwLock::new(text(&tokens, "access_token").to_owned()));
    let mut users = JoinSet::new();
    for client in [&app.client, &elsewhere, &app.client, &elsewhere] {
        let (client, current) = (client.clone(), Arc::clone(&current));
        let (over, served) = (Arc::clone(&over), Arc::clone(&served));
        users.spawn(async move {
            while !over.load(Ordering::SeqCst) {
                let access = current.read().await.clone();
                let reply = client.with_token(Some(&access)).get("/api/v1/calls").await;
                assert_eq!(reply.status, 200, "{}", reply.text);
                served.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let key_of = |token: &str| token.split('.').next().expect("a header").to_owned();
    let mut signed_by = std::collections::BTreeSet::new();
    for round in 0..12 {
        if round % 3 == 1 {
            people::rotate_key(&app.app).await.expect("a new key");
        }
        app.advance(6);
        let access = text(&tokens, "access_token").to_owned();
        signed_by.insert(key_of(&access));
        *current.write().await = access;
        let before = served.load(Ordering::SeqCst);
        let count = || async { served.load(Ordering::SeqCst) };
        wait_for("requests", count, |served| *served >= before + 12).await;
        let body = json!({"refresh_token": text(&tokens, "refresh_token")});
        let refreshed = if round % 2 == 0 {
            post(&app, "/api/v1/auth/refresh", body).await
        } else {
            elsewhere.post("/api/v1/auth/refresh", &body).await
        };
        assert_eq!(refreshed.status, 200, "round {round}: {}", refreshed.text);
        tokens = refreshed.json();
    }
    over.store(true, Ordering::SeqCst);
    while let Some(user) = users.join_next().await {
        user.expect("no request failed");
    }
    assert!(signed_by.len() >= 2, "{signed_by:?}");

    // Keys that signed nothing that is still good are forgotten.
    let count = || async {
        let keys = onhook::db::access_token_keys::list(&app.app.db).await;
        keys.expect("keys").len()
    };
    assert_eq!(count().await, 5);
    app.advance(31 * 60);
    app.node
        .worker
        .forget_what_is_over()
        .await
        .expect("a round");
    assert_eq!(count().await, 1);
    app.stop().await;
}
