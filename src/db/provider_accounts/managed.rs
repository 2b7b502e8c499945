//! Accounts as they are managed. Of their credentials, nothing but what is to be stored.

use sqlx::types::Json;

use super::AccountRow;
use crate::{
    crypto::sealed::Sealed,
    db::{Db, Removal, audit_entries::Act},
    domain::{
        OrgScope, OrganizationId, ProviderAccountId, Result, Timestamp, provider::ProviderKind,
    },
};

/// An account without its credentials.
#[derive(Clone, Debug)]
pub struct ManagedAccount {
    pub id: ProviderAccountId,
    pub provider: ProviderKind,
    pub external_id: String,
    pub name: String,
    pub api_base_url: Option<String>,
    pub simulated: bool,
    pub created_at: Timestamp,
    pub rotated_at: Option<Timestamp>,
    pub last_callback_at: Option<Timestamp>,
}

/// The connected accounts of the organisation, or the one that is `only`; of a test token's, the
/// simulated ones alone. Oldest first, at most 1,000.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(
    db: &Db,
    scope: OrgScope,
    only: Option<ProviderAccountId>,
    only_simulated: bool,
) -> Result<Vec<ManagedAccount>> {
    db.run(
        "list provider accounts",
        sqlx::query_as!(
            ManagedAccount,
            "/* db::provider_accounts::managed::list */ SELECT id, provider, external_id, name,
                api_base_url, simulated, created_at, rotated_at, last_callback_at
            FROM provider_accounts
            WHERE organization_id = $1 AND disconnected_at IS NULL
                AND ($2::uuid IS NULL OR id = $2) AND (simulated OR NOT $3)
            ORDER BY created_at, id LIMIT 1000",
            scope.id() as OrganizationId,
            only as Option<ProviderAccountId>,
            only_simulated
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// The organisation's record of the provider's account of this name, and whether it is connected.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find_named(
    db: &Db,
    scope: OrgScope,
    provider: ProviderKind,
    external_id: &str,
) -> Result<Option<(ProviderAccountId, bool)>> {
    let row = db
        .run(
            "look for a provider account by its name",
            sqlx::query!(
                r#"/* db::provider_accounts::managed::find_named */ SELECT id,
                    disconnected_at IS NULL AS "connected!"
                FROM provider_accounts
                WHERE organization_id = $1 AND provider = $2 AND external_id = $3"#,
                scope.id() as OrganizationId,
                provider as ProviderKind,
                external_id
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(|row| (row.id, row.connected)))
}

/// Stores an account, or takes one up again that was disconnected, with the act. One statement.
/// False: somebody has connected the same account meanwhile.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn connect(
    db: &Db,
    scope: OrgScope,
    account: &AccountRow,
    name: &str,
    act: &Act,
) -> Result<bool> {
    let row = db
        .run(
            "connect a provider account",
            sqlx::query!(
                r#"/* db::provider_accounts::managed::connect */ WITH connected AS (
                    INSERT INTO provider_accounts AS a (organization_id, id, provider, external_id,
                        name, api_base_url, simulated, credentials_sealed, credentials_key_id,
                        created_at)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                    ON CONFLICT (organization_id, provider, external_id) DO UPDATE
                    SET name = excluded.name, api_base_url = excluded.api_base_url,
                        simulated = excluded.simulated,
                        credentials_sealed = excluded.credentials_sealed,
                        credentials_key_id = excluded.credentials_key_id,
                        rotated_at = excluded.created_at, disconnected_at = NULL
                    WHERE a.disconnected_at IS NOT NULL AND a.id = excluded.id
                    RETURNING a.id
                )
                SELECT record_act($1, $11) AS "recorded!" FROM connected"#,
                scope.id() as OrganizationId,
                account.id as ProviderAccountId,
                account.provider as ProviderKind,
                account.external_id,
                name,
                account.api_base_url,
                account.simulated,
                account.credentials.bytes,
                account.credentials.key_id,
                act.at as Timestamp,
                Json(act) as _
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.is_some())
}

/// Replaces an account's credentials and where its API is, with the act. One statement. False: there
/// is no such account.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn rotate(
    db: &Db,
    scope: OrgScope,
    id: ProviderAccountId,
    (credentials, api_base_url): (&Sealed, Option<&str>),
    act: &Act,
) -> Result<bool> {
    let row = db
        .run(
            "rotate a provider account's credentials",
            sqlx::query!(
                r#"/* db::provider_accounts::managed::rotate */ WITH rotated AS (
                    UPDATE provider_accounts
                    SET credentials_sealed = $3, credentials_key_id = $4, api_base_url = $5,
                        rotated_at = $6
                    WHERE organization_id = $1 AND id = $2 AND disconnected_at IS NULL
                    RETURNING id
                )
                SELECT record_act($1, $7) AS "recorded!" FROM rotated"#,
                scope.id() as OrganizationId,
                id as ProviderAccountId,
                credentials.bytes,
                credentials.key_id,
                api_base_url,
                act.at as Timestamp,
                Json(act) as _
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.is_some())
}

/// Disconnects an account unless calls live on it, and forgets its credentials.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn disconnect(
    db: &Db,
    scope: OrgScope,
    id: ProviderAccountId,
    act: &Act,
) -> Result<Removal> {
    let word = db
        .run(
            "disconnect a provider account",
            sqlx::query_scalar!(
                r#"/* db::provider_accounts::managed::disconnect */
                SELECT disconnect_account($1, $2, $3) AS "word!""#,
                scope.id() as OrganizationId,
                id as ProviderAccountId,
                Json(act) as _
            )
            .fetch_one(&db.pool),
        )
        .await?;
    Ok(Removal::of(&word))
}

/// What there is to say of an account's use.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub has_had_calls: bool,
    pub numbers: i64,
    /// Those whose agent takes calls.
    pub numbers_in_use: i64,
}

/// How an account is used.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn usage(db: &Db, scope: OrgScope, id: ProviderAccountId) -> Result<Usage> {
    db.run(
        "see how a provider account is used",
        sqlx::query_as!(
            Usage,
            r#"/* db::provider_accounts::managed::usage */ SELECT
                EXISTS (
                    SELECT FROM calls
                    WHERE organization_id = $1 AND provider_account_id = $2
                ) AS "has_had_calls!",
                count(*) AS "numbers!",
                count(*) FILTER (WHERE a.published_at IS NOT NULL) AS "numbers_in_use!"
            FROM phone_numbers n
            LEFT JOIN agents a ON a.organization_id = n.organization_id AND a.id = n.agent_id
            WHERE n.organization_id = $1 AND n.provider_account_id = $2"#,
            scope.id() as OrganizationId,
            id as ProviderAccountId
        )
        .fetch_one(&db.pool),
    )
    .await
}

/// When an account's provider reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    pub organization_id: OrganizationId,
    pub id: ProviderAccountId,
    pub at: Timestamp,
}

/// Notes when providers last reported, of all organisations at once. One statement. Rows are locked
/// in their order: nodes do this at the same moment.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn record_heard(db: &Db, heard: &[Heard]) -> Result<()> {
    let organizations: Vec<uuid::Uuid> = heard.iter().map(|one| one.organization_id.0).collect();
    let accounts: Vec<uuid::Uuid> = heard.iter().map(|one| one.id.0).collect();
    let instants: Vec<Timestamp> = heard.iter().map(|one| one.at).collect();
    db.run(
        "note when providers reported",
        sqlx::query!(
            r#"/* db::provider_accounts::managed::record_heard */ WITH heard AS (
                SELECT organization_id, id, at
                FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS u(organization_id, id, at)
            ), held AS (
                SELECT a.organization_id, a.id
                FROM provider_accounts a JOIN heard USING (organization_id, id)
                ORDER BY a.organization_id, a.id FOR NO KEY UPDATE OF a
            )
            UPDATE provider_accounts a SET last_callback_at = greatest(a.last_callback_at, heard.at)
            FROM heard JOIN held USING (organization_id, id)
            WHERE a.organization_id = heard.organization_id AND a.id = heard.id"#,
            &organizations,
            &accounts,
            &instants as _
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}
