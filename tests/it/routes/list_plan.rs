//! The list stays an index scan, however many calls there are.

use onhook::db::call_list::{self, Filter, Start, StatusFilter};
use sqlx::Executor as _;

use crate::support::app::{Tenant, TestApp};

const ONGOING: i64 = 20_000;
const ENDED: i64 = 50_000;

/// As the schema's owner: through the routes it would take an hour.
async fn fill(app: &TestApp, tenant: &Tenant) {
    let mut owner = app.database.as_owner().await;
    let inserted = sqlx::query_scalar::<_, i64>(
        "WITH inserted AS (
            INSERT INTO calls (organization_id, id, agent_id, provider, provider_account_id,
                provider_call_id, version, last_sequence, status, direction, from_number, to_number,
                test, max_duration_seconds, ring_timeout_seconds, dial_state, created_at,
                answered_at, ended_at, ended_reason, ended_side, heard_at, rate_card_id,
                billable_millis, billed_seconds, amount_micros)
            SELECT r.organization_id, gen_random_uuid(), $2, 'twilio', $3, 'CA' || n, 1, 1,
                CASE WHEN ongoing THEN 'in-progress' ELSE 'completed' END, 'outbound', '+15550100',
                '+15550101', false, 3600, 60, 'placed', at, at, ended_at,
                CASE WHEN NOT ongoing THEN 'remote_hangup' END,
                CASE WHEN NOT ongoing THEN 'remote' END, at, r.id,
                CASE WHEN NOT ongoing THEN 60000 END, CASE WHEN NOT ongoing THEN 60 END,
                CASE WHEN NOT ongoing THEN 14000 END
            FROM rate_cards r, generate_series(1, $4 + $5) n,
                -- Ongoing calls lie anywhere among the others.
                LATERAL (SELECT n % 7 < 2 AS ongoing,
                    timestamptz '2026-01-01Z' + n * interval '1 second' AS at) x,
                LATERAL (SELECT CASE WHEN NOT ongoing THEN at + interval '1 minute' END AS ended_at) y
            WHERE r.organization_id = $1
            RETURNING ended_at IS NULL AS ongoing
        ) SELECT count(*) FILTER (WHERE ongoing) FROM inserted",
    )
    .bind(tenant.organization_id)
    .bind(tenant.agent_id)
    .bind(tenant.account_id)
    .bind(ONGOING)
    .bind(ENDED)
    .fetch_one(&mut owner)
    .await
    .expect("calls");
    assert_eq!(inserted, ONGOING);
    owner.execute("ANALYZE calls").await.expect("statistics");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_an_index_scan_among_seventy_thousand_calls() {
    let app = TestApp::by_hand().await;
    fill(&app, &app.tenant).await;
    let ongoing = Filter {
        status: StatusFilter::Ongoing,
        ..Filter::default()
    };
    let page = call_list::list(&app.app.db, app.tenant.scope, &ongoing, Start::Newest, 50)
        .await
        .expect("calls");
    assert_eq!(page.calls.len(), 50);

    for (filter, index) in [
        (&ongoing, "calls_ongoing"),
        (&Filter::default(), "calls_newest"),
    ] {
        let plan = call_list::explain(&app.app.db, app.tenant.scope, filter, Start::Newest, 50)
            .await
            .expect("a plan")
            .join("\n");

        assert!(
            plan.contains(&format!("Index Scan using {index}")),
            "{plan}"
        );
        assert!(!plan.contains("Sort") && !plan.contains("Bitmap"), "{plan}");
    }
    let listed = app
        .client
        .get("/api/v1/calls?status=ongoing&limit=50")
        .await;
    assert_eq!(listed.json()["items"].as_array().map(Vec::len), Some(50));
    app.stop().await;
}
