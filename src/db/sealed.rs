//! Everything that is sealed, to be sealed anew under the newest key: rows read in the order of their
//! keys, and written only if they are still what was read.
//!
//! A table with a sealed column is named here, in [`list`] and in [`replace`]. The answers that are kept
//! for idempotency keys are not: they live for two days.

use uuid::Uuid;

use super::Db;
use crate::{
    crypto::sealed::Sealed,
    domain::{OrgScope, OrganizationId, Result},
};

/// The tables that hold something sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::VariantArray)]
pub enum SealedTable {
    ProviderAccounts,
    WebhookEndpoints,
}

/// A row with something sealed.
#[derive(Clone, Debug)]
pub struct SealedRow {
    pub organization_id: OrganizationId,
    pub id: Uuid,
    pub sealed: Sealed,
}

impl SealedTable {
    /// What a row of the table is sealed for.
    pub fn context(self, row: &SealedRow) -> String {
        let table = match self {
            Self::ProviderAccounts => "provider_accounts",
            Self::WebhookEndpoints => "webhook_endpoints",
        };
        format!("{table}/{}/{}", row.organization_id, row.id)
    }
}

/// The next rows after `after` that another key than `key_id` has sealed, at most `limit`, over all
/// organisations: for the operator's command. One statement.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(
    db: &Db,
    table: SealedTable,
    key_id: &str,
    after: Option<&SealedRow>,
    limit: i64,
) -> Result<Vec<SealedRow>> {
    let start = (OrganizationId(Uuid::nil()), Uuid::nil());
    let (organization_id, id) = after.map_or(start, |row| (row.organization_id, row.id));
    let rows = db
        .run(
            "list what is sealed",
            sqlx::query!(
                r#"/* db::sealed::list */
                SELECT organization_id AS "organization_id!: OrganizationId", id AS "id!",
                    bytes AS "bytes!", key_id AS "key_id!"
                FROM (
                    SELECT organization_id, id, credentials_sealed AS bytes,
                        credentials_key_id AS key_id
                    FROM provider_accounts
                    WHERE $1 = 'ProviderAccounts' AND disconnected_at IS NULL
                    UNION ALL
                    SELECT organization_id, id, secret_sealed, secret_key_id
                    FROM webhook_endpoints
                    WHERE $1 = 'WebhookEndpoints' AND deleted_at IS NULL
                ) sealed
                WHERE key_id <> $2 AND (organization_id, id) > ($3, $4)
                ORDER BY organization_id, id LIMIT $5"#,
                format!("{table:?}"),
                key_id,
                organization_id as OrganizationId,
                id,
                limit
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| SealedRow {
            organization_id: row.organization_id,
            id: row.id,
            sealed: Sealed {
                bytes: row.bytes,
                key_id: row.key_id,
            },
        })
        .collect())
}

/// Puts what was sealed anew in the place of what was read. One statement. False: somebody has
/// replaced or removed it meanwhile.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn replace(
    db: &Db,
    scope: OrgScope,
    table: SealedTable,
    row: &SealedRow,
    anew: &Sealed,
) -> Result<bool> {
    let replaced = db
        .run(
            "seal anew",
            sqlx::query_scalar!(
                r#"/* db::sealed::replace */ WITH accounts AS (
                    UPDATE provider_accounts SET credentials_sealed = $4, credentials_key_id = $5
                    WHERE $1 = 'ProviderAccounts' AND organization_id = $2 AND id = $3
                        AND credentials_sealed = $6
                    RETURNING 1
                ), endpoints AS (
                    UPDATE webhook_endpoints SET secret_sealed = $4, secret_key_id = $5
                    WHERE $1 = 'WebhookEndpoints' AND organization_id = $2 AND id = $3
                        AND secret_sealed = $6
                    RETURNING 1
                )
                SELECT (SELECT count(*) FROM accounts) + (SELECT count(*) FROM endpoints) AS "replaced!""#,
                format!("{table:?}"),
                scope.id() as OrganizationId,
                row.id,
                anew.bytes,
                anew.key_id,
                row.sealed.bytes
            )
            .fetch_one(&db.pool),
        )
        .await?;
    Ok(replaced == 1)
}
