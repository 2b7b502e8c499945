//! Organisations and what they are founded with.

use serde_json::Value;
use sqlx::types::Json;

use super::{Db, audit_entries::Act};
use crate::domain::{
    AgentId, OrgScope, OrganizationId, PersonId, RateCardId, Result, Timestamp, billing::Rate,
    provider::ProviderKind, role::Role,
};

/// Founds an organisation with one published agent and its settings, and records the act. One
/// statement.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn create(
    db: &Db,
    id: OrganizationId,
    name: &str,
    (agent_id, settings): (AgentId, &Value),
    act: &Act,
) -> Result<()> {
    db.run(
        "found an organisation",
        sqlx::query!(
            r#"/* db::organizations::create */ WITH organization AS (
                INSERT INTO organizations (organization_id, name, created_at, verified_at)
                VALUES ($1, $2, $5, $5) RETURNING organization_id
            ), agent AS (
                INSERT INTO agents (organization_id, id, name, settings, created_at, published_at)
                SELECT organization_id, $3, 'Default agent', $4, $5, $5 FROM organization
                RETURNING id
            )
            SELECT record_act($1, $6) AS "recorded!" FROM agent"#,
            id as OrganizationId,
            name,
            agent_id as AgentId,
            settings,
            act.at as Timestamp,
            Json(act) as _
        )
        .fetch_one(&db.pool),
    )
    .await?;
    Ok(())
}

/// Adds a rate card, in force from `now`.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn add_rate_card(
    db: &Db,
    scope: OrgScope,
    provider: ProviderKind,
    rate: &Rate,
    now: Timestamp,
) -> Result<()> {
    db.run(
        "add a rate card",
        sqlx::query!(
            "/* db::organizations::add_rate_card */ INSERT INTO rate_cards (organization_id, id,
                provider, currency, price_micros, price_seconds, increment_seconds, minimum_seconds,
                valid_from)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            scope.id() as OrganizationId,
            rate.rate_card_id as RateCardId,
            provider.as_str(),
            rate.currency,
            rate.price_micros,
            rate.price_seconds,
            rate.increment_seconds,
            rate.minimum_seconds,
            now as Timestamp
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// An organisation as its members see it.
#[derive(Clone, Debug)]
pub struct OrganizationRow {
    pub id: OrganizationId,
    pub name: String,
    pub created_at: Timestamp,
    pub verified_at: Option<Timestamp>,
}

/// The organisation itself.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find(db: &Db, scope: OrgScope) -> Result<Option<OrganizationRow>> {
    db.run(
        "read an organisation",
        sqlx::query_as!(
            OrganizationRow,
            r#"/* db::organizations::find */ SELECT organization_id AS "id: OrganizationId", name, created_at,
                verified_at AS "verified_at: Timestamp"
            FROM organizations WHERE organization_id = $1"#,
            scope.id() as OrganizationId
        )
        .fetch_optional(&db.pool),
    )
    .await
}

/// Gives the organisation another name; returns it as it is then and the name that it had.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn rename(
    db: &Db,
    scope: OrgScope,
    name: &str,
) -> Result<Option<(OrganizationRow, String)>> {
    let row = db
        .run(
            "rename an organisation",
            sqlx::query!(
                r#"/* db::organizations::rename */ WITH before AS (
                    SELECT organization_id, name FROM organizations WHERE organization_id = $1 FOR UPDATE
                )
                UPDATE organizations o SET name = $2 FROM before
                WHERE o.organization_id = before.organization_id
                RETURNING o.organization_id AS "id: OrganizationId", o.name, o.created_at,
                    o.verified_at AS "verified_at: Timestamp", before.name AS before"#,
                scope.id() as OrganizationId,
                name
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(|row| {
        let organization = OrganizationRow {
            id: row.id,
            name: row.name,
            created_at: row.created_at,
            verified_at: row.verified_at,
        };
        (organization, row.before)
    }))
}

/// An organisation that a person belongs to.
#[derive(Clone, Debug)]
pub struct OwnOrganization {
    pub id: OrganizationId,
    pub name: String,
    pub created_at: Timestamp,
    pub verified_at: Option<Timestamp>,
    pub role: Role,
}

/// The organisations that a person belongs to, the oldest first, at most 1,000. By the person, who
/// is no tenant's.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list_of_person(db: &Db, person_id: PersonId) -> Result<Vec<OwnOrganization>> {
    db.run(
        "list a person's organisations",
        sqlx::query_as!(
            OwnOrganization,
            r#"/* db::organizations::list_of_person */ SELECT o.organization_id AS "id: OrganizationId", o.name,
                o.created_at, o.verified_at AS "verified_at: Timestamp", m.role AS "role: Role"
            FROM members m JOIN organizations o ON o.organization_id = m.organization_id
            WHERE m.person_id = $1 ORDER BY o.created_at, o.organization_id LIMIT 1000"#,
            person_id as PersonId
        )
        .fetch_all(&db.pool),
    )
    .await
}
