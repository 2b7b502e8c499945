//! API tokens, found by their digest.

use std::str::FromStr;

use super::Db;
use crate::domain::{
    AgentId, OrgScope, OrganizationId, Result, Timestamp, TokenId,
    token::{Caller, Environment, Principal, Scope},
};

/// A token to store: its digest and what it may do.
#[derive(Debug)]
pub struct NewToken {
    pub id: TokenId,
    pub name: String,
    pub digest: [u8; 32],
    pub prefix: String,
    pub environment: Environment,
    pub scopes: Vec<Scope>,
    pub agent_ids: Option<Vec<AgentId>>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// Who holds the token with this digest: `None` when there is none that is in force at `now`.
/// The one look-up without an organisation: it establishes which one is calling.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find_caller(db: &Db, digest: &[u8; 32], now: Timestamp) -> Result<Option<Caller>> {
    let row = db
        .run(
            "find a token",
            sqlx::query!(
                r#"/* db::tokens::find_caller */ SELECT t.organization_id, t.id,
                    t.environment AS "environment: Environment", t.scopes, t.agent_ids,
                    o.verified_at IS NOT NULL AS "verified!"
                FROM tokens t JOIN organizations o ON o.organization_id = t.organization_id
                WHERE t.digest = $1 AND t.revoked_at IS NULL
                    AND (t.expires_at IS NULL OR t.expires_at > $2)"#,
                digest.as_slice(),
                now as Timestamp
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(|row| Caller {
        organization_id: row.organization_id,
        principal: Principal::Token(row.id),
        environment: row.environment,
        // A scope that this version does not know grants nothing.
        scopes: row
            .scopes
            .iter()
            .filter_map(|name| Scope::from_str(name).ok())
            .collect(),
        agent_ids: row
            .agent_ids
            .map(|ids| ids.into_iter().map(AgentId).collect()),
        verified: row.verified,
    }))
}

/// Stores a token.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn insert(db: &Db, scope: OrgScope, token: &NewToken) -> Result<()> {
    let scopes: Vec<String> = token
        .scopes
        .iter()
        .map(|scope| scope.as_str().to_owned())
        .collect();
    let agents: Option<Vec<uuid::Uuid>> = token
        .agent_ids
        .as_ref()
        .map(|ids| ids.iter().map(|id| id.0).collect());
    db.run(
        "store a token",
        sqlx::query!(
            "/* db::tokens::insert */ INSERT INTO tokens (organization_id, id, name, digest, prefix,
                environment, scopes, agent_ids, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            scope.id() as OrganizationId,
            token.id as TokenId,
            token.name,
            token.digest.as_slice(),
            token.prefix,
            token.environment as Environment,
            &scopes,
            agents.as_deref(),
            token.created_at as Timestamp,
            token.expires_at as Option<Timestamp>
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Revokes a token; true when it was in force.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn revoke(db: &Db, scope: OrgScope, id: TokenId, now: Timestamp) -> Result<bool> {
    let done = db
        .run(
            "revoke a token",
            sqlx::query!(
                "/* db::tokens::revoke */ UPDATE tokens SET revoked_at = $3
                WHERE organization_id = $1 AND id = $2 AND revoked_at IS NULL",
                scope.id() as OrganizationId,
                id as TokenId,
                now as Timestamp
            )
            .execute(&db.pool),
        )
        .await?;
    Ok(done.rows_affected() == 1)
}
