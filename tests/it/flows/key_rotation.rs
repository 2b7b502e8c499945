//! The key that seals, and the secrets that sign webhooks, are replaced while the nodes work, and
//! nobody notices.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use onhook::{
    app::resealing,
    crypto::sealed::KeyRing,
    domain::{OrgScope, role::Role, webhook::signature::SigningSecret},
    simulator::Delivery,
};
use serde_json::json;

use crate::people;
use crate::support::{
    app::{SECRET_KEY, TestApp},
    client::TestClient,
    wait::wait_for,
};

const NEW_KEY: &str = "new:AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=";

/// The ids of the keys that sealed what must be opened.
async fn keys_in_use(app: &TestApp) -> Vec<String> {
    let mut owner = app.database.as_owner().await;
    sqlx::query_scalar(
        "SELECT credentials_key_id FROM provider_accounts UNION SELECT secret_key_id FROM webhook_endpoints
        UNION SELECT seed_key_id FROM access_token_keys ORDER BY 1",
    )
    .fetch_all(&mut owner)
    .await
    .expect("ids")
}

/// Places and ends calls at the nodes in turn until it is told to stop; counts those that are over.
async fn work(
    app: &TestApp,
    clients: Vec<TestClient>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
) {
    let body = json!({"agent_id": app.tenant.agent_id, "to": "+15550101"});
    for client in clients.iter().cycle() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let placed = client.post("/api/v1/calls", &body).await;
        assert_eq!(placed.status, 201, "{}", placed.text);
        let id = placed.json()["id"].as_str().expect("an id").to_owned();
        let path = format!("/api/v1/calls/{id}");
        let ended = client.post_nothing(&format!("{path}/end")).await;
        assert!(ended.status < 300, "{}", ended.text);
        let over = client
            .get(&format!("{path}?wait_for=ended&timeout=30"))
            .await;
        assert!(over.json()["ended_at"].is_string(), "{}", over.text);
        done.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_rotated_under_load_without_a_failed_request() {
    let app = TestApp::looking_on().await;
    // The nodes as they are after the steps of docs/operations.md: some still seal with the old key,
    // all open both.
    let both = app
        .node_with(&[("ONHOOK_SECRET_KEY", &format!("{SECRET_KEY},{NEW_KEY}"))])
        .await;
    let new_first = format!("{NEW_KEY},{SECRET_KEY}");
    let sealing = app.node_with(&[("ONHOOK_SECRET_KEY", &new_first)]).await;
    let client = |node: &onhook::boot::Node| {
        TestClient::new(&format!("http://{}", node.address), Some(&app.tenant.token))
    };
    // Programs and people, at both.
    let (_, access) = people::signed_in(&app, &app.tenant, "person@example.com", Role::Owner).await;
    let mut clients = vec![client(&both), client(&sealing)];
    let of_people = clients
        .iter()
        .map(|client| client.with_token(Some(&access)));
    clients.extend(of_people.collect::<Vec<_>>());
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let counted = || async { done.load(Ordering::SeqCst) };
    assert_eq!(keys_in_use(&app).await, ["test"]);

    let rotation = async {
        wait_for("calls before", counted, |count| *count >= 4).await;
        let resealed = resealing::reseal(&sealing.app, OrgScope::assume)
            .await
            .expect("resealed");
        assert_eq!((resealed.anew, resealed.unopened), (5, 0));
        assert_eq!(keys_in_use(&app).await, ["new"]);
        let so_far = counted().await;
        wait_for("calls after", counted, |count| *count >= so_far + 8).await;
        stop.store(true, Ordering::SeqCst);
    };
    let working = work(&app, clients, Arc::clone(&stop), Arc::clone(&done));
    tokio::join!(working, rotation);

    // The old key is gone, and everything is there still.
    let without_old = app.node_with(&[("ONHOOK_SECRET_KEY", NEW_KEY)]).await;
    let doctor = format!("/api/v1/provider-accounts/{}/doctor", app.tenant.account_id);
    let seen = client(&without_old).get(&doctor).await;
    assert_eq!(seen.json()["checks"][0]["status"], "ok", "{}", seen.text);
    let person = client(&without_old).with_token(Some(&access));
    let organizations = person.get("/api/v1/organizations").await;
    assert_eq!(organizations.status, 200, "{}", organizations.text);
    let login = json!({"email": "person@example.com", "password": people::PASSWORD});
    let login = person.post("/api/v1/auth/login", &login).await;
    assert_eq!(login.status, 200, "{}", login.text);
    let again = resealing::reseal(&sealing.app, OrgScope::assume)
        .await
        .expect("resealed");
    assert_eq!((again.anew, again.unopened), (0, 0));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dump_holds_is_opened_by_no_other_key_and_for_no_other_row() {
    let app = TestApp::by_hand().await;
    let mut owner = app.database.as_owner().await;
    let (sealed, key_id): (Vec<u8>, String) = sqlx::query_as(
        "SELECT credentials_sealed, credentials_key_id FROM provider_accounts WHERE id = $1",
    )
    .bind(app.tenant.account_id.0)
    .fetch_one(&mut owner)
    .await
    .expect("the account");
    assert!(
        !sealed
            .windows(8)
            .any(|part| app.tenant.auth_token.as_bytes().starts_with(part))
    );
    let sealed = onhook::crypto::sealed::Sealed {
        bytes: sealed,
        key_id,
    };
    let context = |organization, id| onhook::app::provider_accounts::seal_context(organization, id);
    let (own, theirs) = (&app.tenant, &app.stranger);
    let of_row = context(own.organization_id, own.account_id);
    let right = KeyRing::parse(SECRET_KEY).expect("a ring");
    let opened = right.open(&sealed, &of_row).expect("opened");
    assert!(String::from_utf8_lossy(&opened).contains(&own.auth_token));

    let guessed =
        KeyRing::parse("test:BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ=").expect("a ring");
    assert!(guessed.open(&sealed, &of_row).is_err());
    assert!(
        KeyRing::parse(NEW_KEY)
            .expect("a ring")
            .open(&sealed, &of_row)
            .is_err()
    );
    // Nor does a row that is put in another's place open there.
    for context in [
        context(theirs.organization_id, own.account_id),
        context(own.organization_id, theirs.account_id),
    ] {
        assert!(right.open(&sealed, &context).is_err());
    }
    // A node without the key says so, and stores and shows nothing.
    let other = app.node_with(&[("ONHOOK_SECRET_KEY", NEW_KEY)]).await;
    let client = TestClient::new(
        &format!("http://{}", other.address),
        Some(&app.tenant.token),
    );
    let path = format!("/api/v1/provider-accounts/{}/doctor", app.tenant.account_id);
    let seen = client.get(&path).await;
    assert_eq!(
        (seen.status, &seen.json()["checks"][0]["status"]),
        (200, &json!("failed")),
        "{}",
        seen.text
    );
    let resealed = resealing::reseal(&other.app, OrgScope::assume)
        .await
        .expect("an answer");
    assert_eq!((resealed.anew, resealed.unopened), (0, 4));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sealed_is_sealed_anew_or_gone_within_two_days() {
    let app = TestApp::by_hand().await;
    let mut owner = app.database.as_owner().await;
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT table_name || '.' || column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type = 'bytea' AND column_name LIKE '%\\_sealed' ORDER BY 1",
    )
    .fetch_all(&mut owner)
    .await
    .expect("columns");
    let expected = [
        "access_token_keys.seed_sealed",
        // Kept for two days.
        "idempotency_keys.answer_sealed",
        // Sent within two days or given up.
        "mails.mail_sealed",
        "provider_accounts.credentials_sealed",
        "webhook_endpoints.headers_sealed",
        "webhook_endpoints.previous_secret_sealed",
        "webhook_endpoints.secret_sealed",
    ];
    assert_eq!(columns, expected, "a new one belongs in db/sealed.rs");
    app.stop().await;
}

async fn pending(app: &TestApp) -> i64 {
    let count = "SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'";
    let mut owner = app.database.as_owner().await;
    sqlx::query_scalar(count)
        .fetch_one(&mut owner)
        .await
        .expect("a count")
}

/// Whether the delivery is signed by this secret.
fn is_signed_by(secret: &SigningSecret, event: &Delivery) -> bool {
    let at = event.headers["webhook-timestamp"].parse().expect("a time");
    let id = event.id.as_deref().expect("an id");
    let signature = &event.headers["webhook-signature"];
    secret.verifies(id, at, event.raw_body.as_bytes(), signature)
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_webhooks_are_rotated_under_load_without_a_refused_delivery() {
    let app = TestApp::running().await;
    let rotate = format!(
        "/api/v1/webhook-endpoints/{}/rotate-secret",
        app.tenant.endpoint_id
    );
    let parse = |text: &str| SigningSecret::parse(text).expect("a secret");
    let mut secrets = vec![parse(&app.tenant.webhook_secret)];
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let received = || async { app.receiver.received().len() };
    let more = async |what: &str| {
        let before = received().await;
        wait_for(what, received, |count| *count >= before + 12).await
    };
    let rotation = async {
        let mut until = vec![more("deliveries before").await];
        for _ in 0..3 {
            let rotated = app
                .client
                .post(&rotate, &json!({"overlap_seconds": 3600}))
                .await;
            assert_eq!(rotated.status, 200, "{}", rotated.text);
            // A receiver hears of the new secret a little later than the nodes.
            more("deliveries before the receiver knows").await;
            let new = parse(rotated.json()["secret"].as_str().expect("a secret"));
            app.receiver.trust(new.clone());
            secrets.push(new);
            until.push(more("deliveries after").await);
        }
        stop.store(true, Ordering::SeqCst);
        until
    };
    let clients = vec![app.client.clone()];
    let working = work(&app, clients, Arc::clone(&stop), Arc::clone(&done));
    let (until, ()) = tokio::join!(rotation, working);
    wait_for("every delivery", || pending(&app), |open| *open == 0).await;

    let arrived = app.receiver.received();
    // As the receiver saw them at once: signed by a secret that it knew, and taken at the first attempt.
    let refused = arrived
        .iter()
        .filter(|event| !event.signature_valid || event.answered >= 300);
    assert_eq!(refused.count(), 0);
    let signed = |event: &Delivery| {
        let by = secrets.iter().map(|secret| is_signed_by(secret, event));
        by.collect::<Vec<bool>>()
    };
    let (before, rest) = arrived.split_at(until[0]);
    assert!(before.iter().all(|event| signed(event)[0]));
    for (round, window) in until.windows(2).enumerate() {
        let both = arrived[window[0]..window[1]].iter().filter(|event| {
            let by = signed(event);
            by[round] && by[round + 1]
        });
        assert!(
            both.count() > 0,
            "nothing was signed by both in round {round}"
        );
    }
    assert!(
        rest.iter()
            .any(|event| signed(event) == [false, false, true, true])
    );
    let ids: std::collections::BTreeSet<_> = arrived.iter().map(|event| &event.id).collect();
    assert_eq!(ids.len(), arrived.len(), "none was sent twice");
    assert!(done.load(Ordering::SeqCst) > 3);
    app.stop().await;
}
