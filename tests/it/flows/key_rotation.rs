//! The key that seals is replaced while the nodes work, and nobody notices.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use onhook::{app::resealing, crypto::sealed::KeyRing, domain::OrgScope};
use serde_json::json;

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
        "SELECT credentials_key_id FROM provider_accounts UNION SELECT secret_key_id FROM webhook_endpoints ORDER BY 1",
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
    let clients = vec![client(&both), client(&sealing)];
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let counted = || async { done.load(Ordering::SeqCst) };
    assert_eq!(keys_in_use(&app).await, ["test"]);

    let rotation = async {
        wait_for("calls before", counted, |count| *count >= 2).await;
        let resealed = resealing::reseal(&sealing.app, OrgScope::assume)
            .await
            .expect("resealed");
        assert_eq!((resealed.anew, resealed.unopened), (4, 0));
        assert_eq!(keys_in_use(&app).await, ["new"]);
        let so_far = counted().await;
        wait_for("calls after", counted, |count| *count >= so_far + 4).await;
        stop.store(true, Ordering::SeqCst);
    };
    let working = work(&app, clients, Arc::clone(&stop), Arc::clone(&done));
    tokio::join!(working, rotation);

    // The old key is gone, and everything is there still.
    let without_old = app.node_with(&[("ONHOOK_SECRET_KEY", NEW_KEY)]).await;
    let doctor = format!("/api/v1/provider-accounts/{}/doctor", app.tenant.account_id);
    let seen = client(&without_old).get(&doctor).await;
    assert_eq!(seen.json()["checks"][0]["status"], "ok", "{}", seen.text);
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
