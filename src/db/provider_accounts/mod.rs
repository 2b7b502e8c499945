//! Accounts at providers, with their sealed credentials.

pub mod managed;

use super::Db;
use crate::{
    crypto::sealed::Sealed,
    domain::{
        OrgScope, OrganizationId, ProviderAccountId, Result, Timestamp, provider::ProviderKind,
    },
};

/// An account as it is stored.
#[derive(Clone, Debug)]
pub struct AccountRow {
    pub organization_id: OrganizationId,
    pub id: ProviderAccountId,
    pub provider: ProviderKind,
    pub external_id: String,
    pub api_base_url: Option<String>,
    pub simulated: bool,
    pub credentials: Sealed,
}

/// Finds an account by id alone: for callbacks, which name nothing else and are then verified with
/// the account's own secret, and for jobs, whose row names the organisation.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find(db: &Db, id: ProviderAccountId) -> Result<Option<AccountRow>> {
    let row = db
        .run(
            "find a provider account",
            sqlx::query!(
                "/* db::provider_accounts::find */ SELECT organization_id, id, provider, external_id,
                    api_base_url, simulated, credentials_sealed, credentials_key_id
                FROM provider_accounts WHERE id = $1 AND disconnected_at IS NULL",
                id as ProviderAccountId
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(|row| AccountRow {
        organization_id: row.organization_id,
        id: row.id,
        provider: row.provider,
        external_id: row.external_id,
        api_base_url: row.api_base_url,
        simulated: row.simulated,
        credentials: Sealed {
            bytes: row.credentials_sealed,
            key_id: row.credentials_key_id,
        },
    }))
}

/// Points an account at another host: `onhook dev`, whose simulator has a new port at each start.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn set_api_base_url(
    db: &Db,
    scope: OrgScope,
    id: ProviderAccountId,
    api_base_url: &str,
) -> Result<()> {
    db.run(
        "point a provider account at its host",
        sqlx::query!(
            "/* db::provider_accounts::set_api_base_url */ UPDATE provider_accounts
            SET api_base_url = $3 WHERE organization_id = $1 AND id = $2",
            scope.id() as OrganizationId,
            id as ProviderAccountId,
            api_base_url
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Takes the accounts whose live calls are to be listed by `now`, at most `most`, those due for
/// longest first: until `next` they are nobody else's. One statement, over all organisations.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn claim_lists(
    db: &Db,
    now: Timestamp,
    next: Timestamp,
    most: i64,
) -> Result<Vec<(OrganizationId, ProviderAccountId)>> {
    let rows = db
        .run(
            "claim accounts to list",
            sqlx::query!(
                r#"/* db::provider_accounts::claim_lists */
                WITH due AS MATERIALIZED (
                    SELECT organization_id, id FROM provider_accounts
                    WHERE disconnected_at IS NULL AND list_due_at <= $1
                    ORDER BY list_due_at LIMIT $3 FOR UPDATE SKIP LOCKED
                )
                UPDATE provider_accounts a SET list_due_at = $2
                FROM due
                WHERE a.organization_id = due.organization_id AND a.id = due.id
                RETURNING a.organization_id AS "organization_id: OrganizationId",
                    a.id AS "id: ProviderAccountId""#,
                now as Timestamp,
                next as Timestamp,
                most
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.organization_id, row.id))
        .collect())
}

/// Puts the account's next list off, for a provider that asks to be left alone until `until`.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn postpone_list(
    db: &Db,
    scope: OrgScope,
    id: ProviderAccountId,
    until: Timestamp,
) -> Result<()> {
    db.run(
        "put an account's list off",
        sqlx::query!(
            "/* db::provider_accounts::postpone_list */ UPDATE provider_accounts
            SET list_due_at = greatest(list_due_at, $3) WHERE organization_id = $1 AND id = $2",
            scope.id() as OrganizationId,
            id as ProviderAccountId,
            until as Timestamp
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}
