//! The chain of hashes over the audit log. It is carried on by a function of the migrations, in the
//! background; what it must come to is computed again elsewhere (`crypto/audit_chain.rs`).

use sqlx::types::Json;

use super::Db;
use crate::domain::{AuditEntryId, OrgScope, OrganizationId, Result, Timestamp};

/// Entries that can be sealed.
#[derive(Debug)]
pub struct Unsealed {
    /// Every entry of an older transaction was there to be read.
    pub below: i64,
    pub entries: Vec<(OrganizationId, Vec<AuditEntryId>)>,
}

/// The oldest entries without a seal, at most `limit`, of those that nothing older can come before
/// any more. Reads what was written since the last round, and everything once after the database
/// was restored elsewhere, where transactions are numbered anew.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn unsealed(db: &Db, limit: i64) -> Result<Unsealed> {
    let row = db
        .run(
            "find audit entries to seal",
            sqlx::query!(
                r#"/* db::audit_seals::unsealed */ WITH horizon AS (
                    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS below,
                        sealed_below FROM audit_sealing
                ), batch AS (
                    SELECT e.organization_id, e.id
                    FROM horizon h
                    CROSS JOIN LATERAL (
                        SELECT organization_id, id, position FROM audit_entries
                        WHERE (position >= h.sealed_below AND position < h.below)
                            OR h.sealed_below > h.below
                    ) e
                    WHERE NOT EXISTS (
                        SELECT FROM audit_seals s
                        WHERE s.organization_id = e.organization_id AND s.entry_id = e.id
                    )
                    ORDER BY e.position LIMIT $1
                ), organization AS (
                    SELECT jsonb_build_array(organization_id, jsonb_agg(id)) AS entries
                    FROM batch GROUP BY organization_id
                )
                SELECT h.below AS "below!",
                    (SELECT coalesce(jsonb_agg(entries), '[]') FROM organization)
                        AS "entries!: Json<Vec<(OrganizationId, Vec<AuditEntryId>)>>"
                FROM horizon h"#,
                limit
            )
            .fetch_one(&db.pool),
        )
        .await?;
    Ok(Unsealed {
        below: row.below,
        entries: row.entries.0,
    })
}

/// Seals entries of an organisation; those that are sealed already stay as they are. How many were
/// not. Safe to repeat, and by several nodes at once.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn seal(
    db: &Db,
    scope: OrgScope,
    entries: &[AuditEntryId],
    now: Timestamp,
) -> Result<i64> {
    let entries: Vec<uuid::Uuid> = entries.iter().map(|id| id.0).collect();
    db.run(
        "seal audit entries",
        sqlx::query_scalar!(
            r#"/* db::audit_seals::seal */ SELECT seal_audit_entries($1, $2, $3) AS "sealed!""#,
            scope.id() as OrganizationId,
            &entries,
            now as Timestamp
        )
        .fetch_one(&db.pool),
    )
    .await
}

/// Records that nothing is left to seal of transactions older than `below`.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn record_sealed(db: &Db, below: i64) -> Result<()> {
    db.run(
        "record how far the audit log is sealed",
        sqlx::query!(
            "/* db::audit_seals::record_sealed */ UPDATE audit_sealing SET sealed_below = $1
            WHERE sealed_below <> $1",
            below
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// A link of the chain, and the entry that it seals as it is now.
#[derive(Clone, Debug)]
pub struct Link {
    pub number: i64,
    pub entry_id: AuditEntryId,
    pub hash: Vec<u8>,
    pub sealed_at_micros: i64,
    /// `None`: the entry is gone.
    pub text: Option<String>,
    /// When the entry says that it was written.
    pub at_micros: Option<i64>,
}

/// The next links after `number`, at most `limit`.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn links(db: &Db, scope: OrgScope, number: i64, limit: i64) -> Result<Vec<Link>> {
    db.run(
        "read the chain over the audit log",
        sqlx::query_as!(
            Link,
            r#"/* db::audit_seals::links */ SELECT s.number, s.entry_id AS "entry_id: AuditEntryId",
                s.hash, (extract(epoch FROM s.sealed_at) * 1000000)::bigint AS "sealed_at_micros!",
                CASE WHEN e.id IS NOT NULL THEN audit_entry_text(e) END AS text,
                (extract(epoch FROM e.at) * 1000000)::bigint AS at_micros
            FROM audit_seals s
            LEFT JOIN audit_entries e ON e.organization_id = s.organization_id AND e.id = s.entry_id
            WHERE s.organization_id = $1 AND s.number > $2
            ORDER BY s.number LIMIT $3"#,
            scope.id() as OrganizationId,
            number,
            limit
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// Entries from before `before` without a seal, at most 20: sealing stands still, or somebody
/// slipped them in.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn left_out(db: &Db, scope: OrgScope, before: Timestamp) -> Result<Vec<AuditEntryId>> {
    db.run(
        "find audit entries without a seal",
        sqlx::query_scalar!(
            r#"/* db::audit_seals::left_out */ SELECT e.id AS "id: AuditEntryId"
            FROM audit_entries e
            WHERE e.organization_id = $1 AND e.at < $2 AND NOT EXISTS (
                SELECT FROM audit_seals s
                WHERE s.organization_id = e.organization_id AND s.entry_id = e.id
            )
            ORDER BY e.at LIMIT 20"#,
            scope.id() as OrganizationId,
            before as Timestamp
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// Every organisation, by id.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn organizations(db: &Db) -> Result<Vec<OrganizationId>> {
    db.run(
        "list organisations",
        sqlx::query_scalar!(
            r#"/* db::audit_seals::organizations */ SELECT organization_id AS "id: OrganizationId"
            FROM organizations ORDER BY organization_id"#
        )
        .fetch_all(&db.pool),
    )
    .await
}
