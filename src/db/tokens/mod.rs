//! API tokens: found by their digest to identify who calls, and by their id to be managed.

mod row;

pub use row::TokenRow;

use std::collections::HashSet;

use sqlx::types::Json;
use uuid::Uuid;

use super::{Db, audit_entries::Act};
use crate::domain::{
    OrgScope, OrganizationId, Result, Timestamp, TokenId,
    grant::{Grant, Sources},
    token::{Caller, Environment, Principal},
};
use row::{Columns, Stored, agents, scopes, sources};

/// A token to store: its digest and what it may do.
#[derive(Debug)]
pub struct NewToken {
    pub id: TokenId,
    pub name: String,
    pub digest: [u8; 32],
    pub prefix: String,
    pub grant: Grant,
    pub created_at: Timestamp,
    /// As the audit log names him.
    pub created_by: String,
}

/// Who holds a token, and from where it may be used.
#[derive(Clone, Debug)]
pub struct Holder {
    pub caller: Caller,
    pub sources: Option<Sources>,
}

/// Who holds the token with this digest: `None` when there is none that is in force at `now`.
/// The one look-up without an organisation: it establishes which one is calling.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find_caller(db: &Db, digest: &[u8; 32], now: Timestamp) -> Result<Option<Holder>> {
    let row = db
        .run(
            "find a token",
            sqlx::query!(
                r#"/* db::tokens::find_caller */ SELECT t.organization_id, t.id,
                    t.environment AS "environment: Environment", t.scopes, t.agent_ids,
                    t.source_addresses, o.verified_at IS NOT NULL AS "verified!"
                FROM tokens t JOIN organizations o ON o.organization_id = t.organization_id
                WHERE t.digest = $1 AND t.revoked_at IS NULL
                    AND (t.expires_at IS NULL OR t.expires_at > $2)"#,
                digest.as_slice(),
                now as Timestamp
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(|row| Holder {
        caller: Caller {
            organization_id: row.organization_id,
            principal: Principal::Token(row.id),
            environment: row.environment,
            scopes: scopes(&row.scopes),
            agent_ids: agents(row.agent_ids),
            verified: row.verified,
        },
        sources: sources(row.source_addresses),
    }))
}

/// Which of these tokens, each named with its organisation, are in force at `now`. One statement.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn in_force(
    db: &Db,
    tokens: &[(OrganizationId, TokenId)],
    now: Timestamp,
) -> Result<HashSet<TokenId>> {
    let organizations: Vec<Uuid> = tokens.iter().map(|(id, _)| id.0).collect();
    let ids: Vec<Uuid> = tokens.iter().map(|(_, id)| id.0).collect();
    let rows = db
        .run(
            "look which tokens are in force",
            sqlx::query_scalar!(
                r#"/* db::tokens::in_force */ SELECT t.id AS "id: TokenId"
                FROM unnest($1::uuid[], $2::uuid[]) AS n (organization_id, id)
                JOIN tokens t ON t.organization_id = n.organization_id AND t.id = n.id
                WHERE t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $3)"#,
                &organizations,
                &ids,
                now as Timestamp
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows.into_iter().collect())
}

/// Stores a token and the act of making it. One statement.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn insert(db: &Db, scope: OrgScope, token: &NewToken, act: &Act) -> Result<()> {
    let columns = Columns::of(&token.grant);
    db.run(
        "store a token",
        sqlx::query!(
            r#"/* db::tokens::insert */ WITH made AS (
                INSERT INTO tokens (organization_id, id, name, digest, prefix, environment, scopes,
                    agent_ids, source_addresses, created_at, created_by, expires_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                RETURNING id
            )
            SELECT record_act($1, $13) AS "recorded!" FROM made"#,
            scope.id() as OrganizationId,
            token.id as TokenId,
            token.name,
            token.digest.as_slice(),
            token.prefix,
            token.grant.environment as Environment,
            &columns.scopes,
            columns.agents.as_deref(),
            columns.sources.as_deref(),
            token.created_at as Timestamp,
            token.created_by,
            token.grant.expires_at as Option<Timestamp>,
            Json(act) as _
        )
        .fetch_one(&db.pool),
    )
    .await?;
    Ok(())
}

/// A token that takes another's place.
#[derive(Debug)]
pub struct Rotation<'a> {
    pub old: TokenId,
    /// Until when the old one works at most.
    pub old_until: Timestamp,
    pub new: &'a NewToken,
}

/// Puts a new token in an old one's place, which goes on working for a while, if the old one is in
/// force and was not replaced before. One statement. The old one's digest; `None`: it was not
/// replaced.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn rotate(
    db: &Db,
    scope: OrgScope,
    rotation: &Rotation<'_>,
    act: &Act,
) -> Result<Option<Vec<u8>>> {
    let new = rotation.new;
    let columns = Columns::of(&new.grant);
    let row = db
        .run(
            "rotate a token",
            sqlx::query!(
                r#"/* db::tokens::rotate */ WITH old AS (
                    UPDATE tokens SET replaced_by = $2, expires_at = least(expires_at, $14)
                    WHERE organization_id = $1 AND id = $13 AND replaced_by IS NULL
                        AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $10)
                    RETURNING digest
                ), made AS (
                    INSERT INTO tokens (organization_id, id, name, digest, prefix, environment,
                        scopes, agent_ids, source_addresses, created_at, created_by, expires_at)
                    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 FROM old
                    RETURNING id
                )
                SELECT old.digest AS "digest!", record_act($1, $15) AS "recorded!" FROM old, made"#,
                scope.id() as OrganizationId,
                new.id as TokenId,
                new.name,
                new.digest.as_slice(),
                new.prefix,
                new.grant.environment as Environment,
                &columns.scopes,
                columns.agents.as_deref(),
                columns.sources.as_deref(),
                new.created_at as Timestamp,
                new.created_by,
                new.grant.expires_at as Option<Timestamp>,
                rotation.old as TokenId,
                rotation.old_until as Timestamp,
                Json(act) as _
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(|row| row.digest))
}

/// One token, whatever has become of it.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find(db: &Db, scope: OrgScope, id: TokenId) -> Result<Option<TokenRow>> {
    let row = db
        .run(
            "find a token by its id",
            sqlx::query_as!(
                Stored,
                r#"/* db::tokens::find */ SELECT id, name, prefix,
                    environment AS "environment: Environment", scopes, agent_ids, source_addresses,
                    created_at, created_by, expires_at, last_used_at, revoked_at,
                    replaced_by AS "replaced_by: TokenId"
                FROM tokens WHERE organization_id = $1 AND id = $2"#,
                scope.id() as OrganizationId,
                id as TokenId
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(TokenRow::from))
}

/// The tokens that are in force at `now`, newest first, at most 1,000.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(db: &Db, scope: OrgScope, now: Timestamp) -> Result<Vec<TokenRow>> {
    let rows = db
        .run(
            "list tokens",
            sqlx::query_as!(
                Stored,
                r#"/* db::tokens::list */ SELECT id, name, prefix,
                    environment AS "environment: Environment", scopes, agent_ids, source_addresses,
                    created_at, created_by, expires_at, last_used_at, revoked_at,
                    replaced_by AS "replaced_by: TokenId"
                FROM tokens
                WHERE organization_id = $1 AND revoked_at IS NULL
                    AND (expires_at IS NULL OR expires_at > $2)
                ORDER BY created_at DESC, id LIMIT 1000"#,
                scope.id() as OrganizationId,
                now as Timestamp
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows.into_iter().map(TokenRow::from).collect())
}

/// Revokes a token. Its digest; `None`: it was not in force.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn revoke(db: &Db, scope: OrgScope, id: TokenId, act: &Act) -> Result<Option<Vec<u8>>> {
    let row = db
        .run(
            "revoke a token",
            sqlx::query!(
                r#"/* db::tokens::revoke */ WITH revoked AS (
                    UPDATE tokens SET revoked_at = $3
                    WHERE organization_id = $1 AND id = $2 AND revoked_at IS NULL
                    RETURNING digest
                )
                SELECT digest AS "digest!", record_act($1, $4) AS "recorded!" FROM revoked"#,
                scope.id() as OrganizationId,
                id as TokenId,
                act.at as Timestamp,
                Json(act) as _
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(|row| row.digest))
}

/// When a token was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    pub organization_id: OrganizationId,
    pub token_id: TokenId,
    pub at: Timestamp,
}

/// Notes when tokens were last used, of all organisations at once. One statement. Rows are locked in
/// their order: nodes do this at the same moment.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn record_uses(db: &Db, uses: &[Use]) -> Result<()> {
    let organizations: Vec<Uuid> = uses.iter().map(|one| one.organization_id.0).collect();
    let tokens: Vec<Uuid> = uses.iter().map(|one| one.token_id.0).collect();
    let instants: Vec<Timestamp> = uses.iter().map(|one| one.at).collect();
    db.run(
        "note when tokens were used",
        sqlx::query!(
            r#"/* db::tokens::record_uses */ WITH used AS (
                SELECT organization_id, id, at
                FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS u(organization_id, id, at)
            ), held AS (
                SELECT t.organization_id, t.id FROM tokens t JOIN used USING (organization_id, id)
                ORDER BY t.organization_id, t.id FOR NO KEY UPDATE OF t
            )
            UPDATE tokens t SET last_used_at = greatest(t.last_used_at, used.at)
            FROM used JOIN held USING (organization_id, id)
            WHERE t.organization_id = used.organization_id AND t.id = used.id"#,
            &organizations,
            &tokens,
            &instants as _
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}
