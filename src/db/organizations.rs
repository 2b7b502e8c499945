//! Organisations and what they are founded with.

use serde_json::Value;
use sqlx::types::Json;

use super::{Db, audit_entries::Act};
use crate::domain::{
    AgentId, OrgScope, OrganizationId, RateCardId, Result, Timestamp, billing::Rate,
    provider::ProviderKind,
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
