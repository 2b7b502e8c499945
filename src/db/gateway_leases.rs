//! Which node holds the websocket to which gateway: one row for each, under a lease.

use std::collections::HashSet;

use super::Db;
use crate::domain::{LeaseToken, OrganizationId, Result, Timestamp, WebhookEndpointId};

/// A gateway, over all organisations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gateway {
    pub organization_id: OrganizationId,
    pub endpoint_id: WebhookEndpointId,
}

/// The gateways that ought to be connected and that nobody holds at `now`, at most `limit`, in no
/// order: nodes share them by chance.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn missing(db: &Db, now: Timestamp, limit: i64) -> Result<Vec<Gateway>> {
    db.run(
        "find gateways that nobody holds",
        sqlx::query_as!(
            Gateway,
            r#"/* db::gateway_leases::missing */
            SELECT e.organization_id, e.id AS "endpoint_id: WebhookEndpointId"
            FROM webhook_endpoints e
            WHERE e.channel = 'gateway' AND e.deleted_at IS NULL AND e.disabled_at IS NULL
                AND e.paused_at IS NULL
                AND NOT EXISTS (
                    SELECT FROM gateway_leases l
                    WHERE l.organization_id = e.organization_id AND l.endpoint_id = e.id
                        AND l.lease_until > $1
                )
            ORDER BY random() LIMIT $2"#,
            now as Timestamp,
            limit
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// Takes the lease of a gateway until `until`. False: another node has it.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: whether it was taken is unknown.
pub async fn take(
    db: &Db,
    gateway: Gateway,
    lease: LeaseToken,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool> {
    let done = db
        .run(
            "take the lease of a gateway",
            sqlx::query!(
                "/* db::gateway_leases::take */ INSERT INTO gateway_leases AS l
                    (organization_id, endpoint_id, lease, lease_until)
                VALUES ($1, $2, $3, $5)
                ON CONFLICT (organization_id, endpoint_id) DO UPDATE
                SET lease = EXCLUDED.lease, lease_until = EXCLUDED.lease_until
                WHERE l.lease_until <= $4",
                gateway.organization_id as OrganizationId,
                gateway.endpoint_id as WebhookEndpointId,
                lease as LeaseToken,
                now as Timestamp,
                until as Timestamp
            )
            .execute(&db.pool),
        )
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Renews those of the leases that are still held and whose gateways are still wanted, and returns
/// them; the others are to be let go of.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: nothing is known of any.
pub async fn renew(
    db: &Db,
    held: &[(Gateway, LeaseToken)],
    until: Timestamp,
) -> Result<HashSet<Gateway>> {
    let of =
        |pick: fn(&(Gateway, LeaseToken)) -> uuid::Uuid| held.iter().map(pick).collect::<Vec<_>>();
    let rows = db
        .run(
            "renew the leases of gateways",
            sqlx::query_as!(
                Gateway,
                r#"/* db::gateway_leases::renew */ UPDATE gateway_leases l SET lease_until = $4
                FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS h (organization_id, endpoint_id, lease)
                JOIN webhook_endpoints e ON e.organization_id = h.organization_id
                    AND e.id = h.endpoint_id AND e.deleted_at IS NULL AND e.disabled_at IS NULL
                    AND e.paused_at IS NULL
                WHERE l.organization_id = h.organization_id AND l.endpoint_id = h.endpoint_id
                    AND l.lease = h.lease
                RETURNING l.organization_id AS "organization_id: OrganizationId",
                    l.endpoint_id AS "endpoint_id: WebhookEndpointId""#,
                &of(|(gateway, _)| gateway.organization_id.0),
                &of(|(gateway, _)| gateway.endpoint_id.0),
                &of(|(_, lease)| lease.0),
                until as Timestamp
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows.into_iter().collect())
}

/// Gives a lease back, for another node to take at once. Nothing happens when it was lost.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn release(db: &Db, gateway: Gateway, lease: LeaseToken) -> Result<()> {
    db.run(
        "release the lease of a gateway",
        sqlx::query!(
            "/* db::gateway_leases::release */ DELETE FROM gateway_leases
            WHERE organization_id = $1 AND endpoint_id = $2 AND lease = $3",
            gateway.organization_id as OrganizationId,
            gateway.endpoint_id as WebhookEndpointId,
            lease as LeaseToken
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}
