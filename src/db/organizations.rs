//! Organisations and what they are founded with.

use serde_json::Value;

use super::Db;
use crate::domain::{
    AgentId, OrgScope, OrganizationId, PhoneNumberId, ProviderAccountId, RateCardId, Result,
    Timestamp, billing::Rate, phone::Phone, provider::ProviderKind,
};

/// Founds an organisation with one published agent. One statement.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn create(
    db: &Db,
    id: OrganizationId,
    name: &str,
    agent_id: AgentId,
    settings: &Value,
    now: Timestamp,
) -> Result<()> {
    db.run(
        "found an organisation",
        sqlx::query!(
            "/* db::organizations::create */ WITH organization AS (
                INSERT INTO organizations (organization_id, name, created_at, verified_at)
                VALUES ($1, $2, $5, $5) RETURNING organization_id
            )
            INSERT INTO agents (organization_id, id, name, settings, created_at, published_at)
            SELECT organization_id, $3, 'Default agent', $4, $5, $5 FROM organization",
            id as OrganizationId,
            name,
            agent_id as AgentId,
            settings,
            now as Timestamp
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// A number on an account, for an agent.
#[derive(Clone, Debug)]
pub struct NewPhoneNumber<'a> {
    pub id: PhoneNumberId,
    pub number: &'a Phone,
    pub provider_account_id: ProviderAccountId,
    pub agent_id: AgentId,
    pub created_at: Timestamp,
}

/// Gives an agent a number on an account.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn add_phone_number(db: &Db, scope: OrgScope, new: &NewPhoneNumber<'_>) -> Result<()> {
    db.run(
        "add a phone number",
        sqlx::query!(
            "/* db::organizations::add_phone_number */ INSERT INTO phone_numbers (organization_id,
                id, number, provider_account_id, agent_id, created_at)
            VALUES ($1, $2, $3, $4, $5, $6)",
            scope.id() as OrganizationId,
            new.id as PhoneNumberId,
            new.number.reveal(),
            new.provider_account_id as ProviderAccountId,
            new.agent_id as AgentId,
            new.created_at as Timestamp
        )
        .execute(&db.pool),
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
