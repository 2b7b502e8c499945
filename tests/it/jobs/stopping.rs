//! A node that is told to stop begins nothing new.

use sqlx::Executor as _;

use crate::support::{app::TestApp, wait::wait_for};

/// How many deliveries fulfil the condition.
async fn deliveries(app: &TestApp, condition: &str) -> i64 {
    let statement = format!("SELECT count(*) FROM webhook_deliveries WHERE {condition}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
        .fetch_one(&mut app.database.as_owner().await)
        .await
        .expect("a count")
}

/// The first organisation's are being claimed when the node is told to stop: another node finds the
/// second's, and need not wait for a lease of this one to run out.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_told_to_stop_takes_no_more_deliveries() {
    let app = TestApp::running().await;
    for tenant in [&app.tenant, &app.stranger] {
        let test = format!("/api/v1/webhook-endpoints/{}/test", tenant.endpoint_id);
        let client = app.client.with_token(Some(&tenant.token));
        assert_eq!(client.post_nothing(&test).await.status, 202);
    }
    let delivered = || deliveries(&app, "state = 'delivered'");
    wait_for("the deliveries", delivered, |count| *count == 2).await;

    let mut holder = app.database.as_owner().await;
    let due_again = "BEGIN; LOCK TABLE webhook_deliveries;
        UPDATE webhook_deliveries
        SET state = 'pending', closed_at = NULL, due_at = created_at, lease = NULL, attempt = 0";
    holder.execute(due_again).await.expect("held");
    let wake = app.app.db.wake();
    for tenant in [&app.tenant, &app.stranger] {
        wake.wake_deliveries(tenant.organization_id);
    }
    let claims = || async {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
            AND datname = current_database() AND query LIKE '/* db::webhook_deliveries::claim */%'";
        sqlx::query_scalar::<_, i64>(waiting)
            .fetch_one(&mut app.database.as_owner().await)
            .await
            .expect("a count")
    };
    wait_for("a claim", claims, |count| *count == 1).await;
    app.ambient.tasks.stop();
    holder.execute("COMMIT").await.expect("released");
    app.ambient.tasks.ended().await;

    assert_eq!(deliveries(&app, "attempt = 0 AND lease IS NULL").await, 1);
    app.stop().await;
}
