//! The chain of seals over the audit log: what is done is sealed in the background, and whoever
//! touches the log afterwards is found by `onhook audit --chain`.

use serde_json::json;
use sqlx::AssertSqlSafe;
use tokio::process::Command;

use crate::support::{
    app::{TestApp, variables},
    wait::wait_for,
};

/// Runs `onhook audit --chain`: whether everything holds, and what it says of the tenant.
async fn verdict(app: &TestApp) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_onhook"))
        .args(["audit", "--chain"])
        .env_clear()
        .envs(variables(&app.database.url))
        .output()
        .await
        .expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.is_empty(), "{complaint}");
    let tenant = app.tenant.organization_id.to_string();
    let at = text.find(&tenant).unwrap_or_else(|| panic!("{text}"));
    let of_tenant: Vec<&str> = text[at..]
        .lines()
        .enumerate()
        .take_while(|(number, line)| *number == 0 || line.starts_with("    "))
        .map(|(_, line)| line.trim())
        .collect();
    (output.status.success(), of_tenant.join(" "))
}

/// Places calls and ends them, and seals what that left in the audit log.
async fn act(app: &TestApp, calls: usize) {
    for _ in 0..calls {
        let id = app.place().await;
        let path = format!("/api/v1/calls/{id}/end");
        let ended = app.client.post(&path, &json!({})).await;
        assert!(ended.status < 300, "{}", ended.text);
    }
    seal(app).await;
}

/// Seals until nothing is left: a transaction of another test's database keeps newer ones waiting.
async fn seal(app: &TestApp) {
    let left = || async {
        app.node.worker.seal_audit().await.expect("a round");
        let left = "SELECT count(*) FROM audit_entries e WHERE NOT EXISTS (
            SELECT FROM audit_seals s WHERE s.entry_id = e.id)";
        let mut owner = app.database.as_owner().await;
        let left: i64 = sqlx::query_scalar(left)
            .fetch_one(&mut owner)
            .await
            .expect("a count");
        left
    };
    wait_for("every entry to be sealed", left, |left| *left == 0).await;
}

/// As somebody who may do everything in the database, and knows about the keys in the way.
async fn tamper(app: &TestApp, statement: &str) {
    let mut owner = app.database.as_owner().await;
    let tenant = app.tenant.organization_id;
    let statement = statement.replace("$org", &format!("'{tenant}'::uuid"));
    sqlx::raw_sql(AssertSqlSafe(format!(
        "SET session_replication_role = replica; {statement}"
    )))
    .execute(&mut owner)
    .await
    .expect("it is done");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_act_is_sealed_in_order_and_a_repeated_round_changes_nothing() {
    let app = TestApp::by_hand().await;
    act(&app, 2).await;
    let (holds, first) = verdict(&app).await;
    assert!(holds, "{first}");
    assert!(first.contains(" entries, head "), "{first}");

    assert_eq!(app.node.worker.seal_audit().await.expect("a round"), 0);
    assert_eq!(verdict(&app).await, (true, first.clone()));

    // Two nodes at once seal each entry once.
    let other = app.node_with(&[]).await;
    for _ in 0..3 {
        app.place().await;
    }
    let (one, two) = tokio::join!(app.node.worker.seal_audit(), other.worker.seal_audit());
    one.and(two).expect("rounds");
    seal(&app).await;
    let (holds, second) = verdict(&app).await;
    assert!(holds, "{second}");
    assert_ne!(first, second);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_removed_or_inserted_entry_is_named() {
    let fourth = "(SELECT entry_id FROM audit_seals WHERE organization_id = $org AND number = 4)";
    for (what, statement, says) in [
        (
            "a changed entry",
            format!("UPDATE audit_entries SET actor = 'somebody else' WHERE id = {fourth}"),
            "entry 4 (",
        ),
        (
            "a changed member of the detail",
            format!("UPDATE audit_entries SET detail = detail || '{{\"a\":1}}' WHERE id = {fourth}"),
            "was changed",
        ),
        (
            "a removed entry",
            format!("DELETE FROM audit_entries WHERE id = {fourth}"),
            "the entry was removed",
        ),
        (
            "an entry that was removed with its link",
            format!(
                "DELETE FROM audit_entries WHERE id = {fourth};
                DELETE FROM audit_seals WHERE organization_id = $org AND number = 4"
            ),
            "entry 5 (",
        ),
        (
            "links that close the gap",
            format!(
                "DELETE FROM audit_entries WHERE id = {fourth};
                DELETE FROM audit_seals WHERE organization_id = $org AND number = 4;
                UPDATE audit_seals SET number = number - 1 WHERE organization_id = $org AND number > 4"
            ),
            "was changed",
        ),
        (
            "an entry of long ago that claims to be of an old transaction",
            "INSERT INTO audit_entries (organization_id, id, at, actor, action, subject, position)
            VALUES ($org, gen_random_uuid(), '2026-01-01Z', 'x', 'call.end', 'y', 1)"
                .to_owned(),
            "has no seal",
        ),
    ] {
        let app = TestApp::by_hand().await;
        act(&app, 4).await;
        let (holds, before) = verdict(&app).await;
        assert!(holds, "{before}");

        tamper(&app, &statement).await;
        app.node.worker.seal_audit().await.expect("a round");

        let (holds, after) = verdict(&app).await;
        assert!(!holds, "{what}: {after}");
        assert!(after.contains(says), "{what}: {after}");
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_dated_back_is_sealed_as_late() {
    let app = TestApp::by_hand().await;
    act(&app, 2).await;
    app.advance(3600);
    act(&app, 1).await;
    tamper(
        &app,
        "INSERT INTO audit_entries (organization_id, id, at, actor, action, subject)
        SELECT organization_id, gen_random_uuid(), at, 'x', 'call.end', 'y' FROM audit_entries
        WHERE organization_id = $org ORDER BY at LIMIT 1",
    )
    .await;
    app.advance(10);
    seal(&app).await;

    let (holds, after) = verdict(&app).await;
    assert!(!holds && after.contains("later than it says"), "{after}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restored_database_holds_is_sealed_although_transactions_count_anew() {
    let app = TestApp::by_hand().await;
    act(&app, 1).await;
    // As after a restore from a server that had counted further.
    tamper(
        &app,
        "UPDATE audit_sealing SET sealed_below = sealed_below * 1000",
    )
    .await;
    act(&app, 1).await;

    let (holds, after) = verdict(&app).await;
    assert!(holds, "{after}");
    app.stop().await;
}
