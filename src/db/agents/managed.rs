//! Agents as they are managed: made, changed by version, removed.

use serde_json::Value;
use sqlx::types::Json;

use super::read_settings;
use crate::{
    db::{Db, Removal, audit_entries::Act},
    domain::{AgentId, OrgScope, OrganizationId, Result, Timestamp, agent::AgentSettings},
};

/// An agent with its numbers.
#[derive(Clone, Debug)]
pub struct AgentRow {
    pub id: AgentId,
    pub name: String,
    pub settings: AgentSettings,
    /// Counts the changes.
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Option<Timestamp>,
    pub published_at: Option<Timestamp>,
    pub numbers: Vec<String>,
}

/// The agents of the organisation, or of `only`; oldest first, at most 1,000.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(db: &Db, scope: OrgScope, only: Option<&[AgentId]>) -> Result<Vec<AgentRow>> {
    let only: Option<Vec<uuid::Uuid>> = only.map(|ids| ids.iter().map(|id| id.0).collect());
    let rows = db
        .run(
            "list agents",
            sqlx::query!(
                r#"/* db::agents::managed::list */ SELECT a.id AS "id: AgentId", a.name, a.settings,
                    a.version, a.created_at, a.updated_at, a.published_at,
                    ARRAY(
                        SELECT n.number FROM phone_numbers n
                        WHERE n.organization_id = a.organization_id AND n.agent_id = a.id
                        ORDER BY n.created_at, n.id
                    ) AS "numbers!: Vec<String>"
                FROM agents a
                WHERE a.organization_id = $1 AND a.deleted_at IS NULL
                    AND ($2::uuid[] IS NULL OR a.id = ANY($2))
                ORDER BY a.created_at, a.id LIMIT 1000"#,
                scope.id() as OrganizationId,
                only.as_deref()
            )
            .fetch_all(&db.pool),
        )
        .await?;
    let agents = rows.into_iter().map(|row| {
        Ok(AgentRow {
            id: row.id,
            name: row.name,
            settings: read_settings(row.settings)?,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            published_at: row.published_at,
            numbers: row.numbers,
        })
    });
    agents.collect()
}

/// One agent.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find(db: &Db, scope: OrgScope, id: AgentId) -> Result<Option<AgentRow>> {
    let found = list(db, scope, Some(&[id])).await?;
    Ok(found.into_iter().next())
}

/// Stores a new agent, which takes no calls yet, with the act of making it. One statement.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn insert(
    db: &Db,
    scope: OrgScope,
    id: AgentId,
    name: &str,
    settings: &Value,
    act: &Act,
) -> Result<()> {
    db.run(
        "store an agent",
        sqlx::query!(
            r#"/* db::agents::managed::insert */ WITH made AS (
                INSERT INTO agents (organization_id, id, name, settings, created_at)
                VALUES ($1, $2, $3, $4, $5) RETURNING id
            )
            SELECT record_act($1, $6) AS "recorded!" FROM made"#,
            scope.id() as OrganizationId,
            id as AgentId,
            name,
            settings,
            act.at as Timestamp,
            Json(act) as _
        )
        .fetch_one(&db.pool),
    )
    .await?;
    Ok(())
}

/// What an agent is to be, and the version that this was decided on.
#[derive(Debug)]
pub struct AgentUpdate<'a> {
    pub id: AgentId,
    pub version: i64,
    pub name: &'a str,
    pub settings: &'a Value,
    pub published_at: Option<Timestamp>,
}

/// Changes an agent if it is still the one that was read. False: somebody was faster.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn update(db: &Db, scope: OrgScope, update: &AgentUpdate<'_>, act: &Act) -> Result<bool> {
    let row = db
        .run(
            "change an agent",
            sqlx::query!(
                r#"/* db::agents::managed::update */ WITH changed AS (
                    UPDATE agents SET name = $4, settings = $5, published_at = $6, updated_at = $7,
                        version = version + 1
                    WHERE organization_id = $1 AND id = $2 AND version = $3 AND deleted_at IS NULL
                    RETURNING id
                )
                SELECT record_act($1, $8) AS "recorded!" FROM changed"#,
                scope.id() as OrganizationId,
                update.id as AgentId,
                update.version,
                update.name,
                update.settings,
                update.published_at as Option<Timestamp>,
                act.at as Timestamp,
                Json(act) as _
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.is_some())
}

/// Removes an agent unless it has live calls; its numbers are nobody's then.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn delete(db: &Db, scope: OrgScope, id: AgentId, act: &Act) -> Result<Removal> {
    let word = db
        .run(
            "delete an agent",
            sqlx::query_scalar!(
                r#"/* db::agents::managed::delete */ SELECT delete_agent($1, $2, $3) AS "word!""#,
                scope.id() as OrganizationId,
                id as AgentId,
                Json(act) as _
            )
            .fetch_one(&db.pool),
        )
        .await?;
    Ok(Removal::of(&word))
}
