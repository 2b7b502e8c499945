//! Agents, and what a new call of one needs to know.

pub mod managed;

use serde_json::Value;
use sqlx::types::Json;

use super::Db;
use crate::domain::{
    AgentId, Error, OrgScope, OrganizationId, ProviderAccountId, Result, Timestamp,
    agent::AgentSettings, billing::Rate, phone::Phone, provider::ProviderKind,
};

/// All that is needed to record a call of an agent.
#[derive(Debug)]
pub struct DialPlan {
    pub published: bool,
    pub settings: AgentSettings,
    /// The account to dial through: the one asked for, else the one of the number.
    pub account: Option<DialAccount>,
    /// The number to call from: the one asked for, else the agent's first on the account.
    pub from: Option<Phone>,
    pub rate: Option<Rate>,
}

/// An account that a call can be placed through.
#[derive(Clone, Copy, Debug)]
pub struct DialAccount {
    pub id: ProviderAccountId,
    pub provider: ProviderKind,
    pub simulated: bool,
}

/// Reads what a call of `agent_id` needs, in one statement; `None`: no such agent.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find_dial_plan(
    db: &Db,
    scope: OrgScope,
    agent_id: AgentId,
    account_id: Option<ProviderAccountId>,
    from: Option<&Phone>,
    now: Timestamp,
) -> Result<Option<DialPlan>> {
    let row = db
        .run(
            "read what a call needs",
            sqlx::query!(
                r#"/* db::agents::find_dial_plan */
                SELECT a.published_at IS NOT NULL AS "published!", a.settings,
                    n.number AS "number?: Phone",
                    p.id AS "account_id?: ProviderAccountId",
                    p.provider AS "provider?: ProviderKind",
                    p.simulated AS "simulated?",
                    to_jsonb(r) AS "rate?: Json<Rate>"
                FROM agents a
                LEFT JOIN LATERAL (
                    SELECT number, provider_account_id FROM phone_numbers n
                    WHERE n.organization_id = a.organization_id AND n.outbound
                        AND ($3::uuid IS NULL OR n.provider_account_id = $3)
                        AND (n.number = $4 OR ($4::text IS NULL AND n.agent_id = a.id))
                    ORDER BY n.created_at LIMIT 1
                ) n ON true
                LEFT JOIN provider_accounts p ON p.organization_id = a.organization_id
                    AND p.id = n.provider_account_id AND p.disconnected_at IS NULL
                LEFT JOIN LATERAL (
                    SELECT id AS rate_card_id, currency, price_micros, price_seconds,
                        increment_seconds, minimum_seconds
                    FROM rate_cards r
                    WHERE r.organization_id = a.organization_id AND r.provider = p.provider
                        AND r.valid_from <= $5
                    ORDER BY r.valid_from DESC LIMIT 1
                ) r ON true
                WHERE a.organization_id = $1 AND a.id = $2 AND a.deleted_at IS NULL"#,
                scope.id() as OrganizationId,
                agent_id as AgentId,
                account_id as Option<ProviderAccountId>,
                from.map(Phone::reveal),
                now as Timestamp
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    row.map(|row| {
        Ok(DialPlan {
            published: row.published,
            settings: read_settings(row.settings)?,
            account: dial_account(row.account_id, row.provider, row.simulated),
            from: row.number,
            rate: row.rate.map(|Json(rate)| rate),
        })
    })
    .transpose()
}

/// All that is needed to record a call that came in.
#[derive(Debug)]
pub struct InboundPlan {
    pub agent_id: AgentId,
    pub settings: AgentSettings,
    pub provider: ProviderKind,
    pub rate: Option<Rate>,
}

/// Reads what a call to `number` of an account needs, in one statement; `None`: nobody takes it,
/// because the organisation has no such number there, or no published agent for it.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find_inbound_plan(
    db: &Db,
    scope: OrgScope,
    account_id: ProviderAccountId,
    number: &Phone,
    now: Timestamp,
) -> Result<Option<InboundPlan>> {
    let row = db
        .run(
            "read what an incoming call needs",
            sqlx::query!(
                r#"/* db::agents::find_inbound_plan */
                SELECT a.id AS "agent_id: AgentId", a.settings, p.provider AS "provider: ProviderKind",
                    to_jsonb(r) AS "rate?: Json<Rate>"
                FROM phone_numbers n
                JOIN provider_accounts p ON p.organization_id = n.organization_id
                    AND p.id = n.provider_account_id AND p.disconnected_at IS NULL
                JOIN agents a ON a.organization_id = n.organization_id AND a.id = n.agent_id
                    AND a.published_at IS NOT NULL
                LEFT JOIN LATERAL (
                    SELECT id AS rate_card_id, currency, price_micros, price_seconds,
                        increment_seconds, minimum_seconds
                    FROM rate_cards r
                    WHERE r.organization_id = a.organization_id AND r.provider = p.provider
                        AND r.valid_from <= $4
                    ORDER BY r.valid_from DESC LIMIT 1
                ) r ON true
                WHERE n.organization_id = $1 AND n.provider_account_id = $2 AND n.number = $3
                    AND n.inbound"#,
                scope.id() as OrganizationId,
                account_id as ProviderAccountId,
                number.reveal(),
                now as Timestamp
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    row.map(|row| {
        Ok(InboundPlan {
            agent_id: row.agent_id,
            settings: read_settings(row.settings)?,
            provider: row.provider,
            rate: row.rate.map(|Json(rate)| rate),
        })
    })
    .transpose()
}

/// All that is needed to record a call that other software placed.
#[derive(Debug)]
pub struct AdoptionPlan {
    pub settings: AgentSettings,
    /// `None`: the organisation has no such account, or it is disconnected.
    pub account: Option<DialAccount>,
    pub rate: Option<Rate>,
}

/// Reads what a call of `agent_id` on an account needs, in one statement; `None`: no such agent.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find_adoption_plan(
    db: &Db,
    scope: OrgScope,
    agent_id: AgentId,
    account_id: ProviderAccountId,
    now: Timestamp,
) -> Result<Option<AdoptionPlan>> {
    let row = db
        .run(
            "read what an adopted call needs",
            sqlx::query!(
                r#"/* db::agents::find_adoption_plan */
                SELECT a.settings, p.id AS "account_id?: ProviderAccountId",
                    p.provider AS "provider?: ProviderKind", p.simulated AS "simulated?",
                    to_jsonb(r) AS "rate?: Json<Rate>"
                FROM agents a
                LEFT JOIN provider_accounts p ON p.organization_id = a.organization_id
                    AND p.id = $3 AND p.disconnected_at IS NULL
                LEFT JOIN LATERAL (
                    SELECT id AS rate_card_id, currency, price_micros, price_seconds,
                        increment_seconds, minimum_seconds
                    FROM rate_cards r
                    WHERE r.organization_id = a.organization_id AND r.provider = p.provider
                        AND r.valid_from <= $4
                    ORDER BY r.valid_from DESC LIMIT 1
                ) r ON true
                WHERE a.organization_id = $1 AND a.id = $2 AND a.deleted_at IS NULL"#,
                scope.id() as OrganizationId,
                agent_id as AgentId,
                account_id as ProviderAccountId,
                now as Timestamp
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    row.map(|row| {
        Ok(AdoptionPlan {
            settings: read_settings(row.settings)?,
            account: dial_account(row.account_id, row.provider, row.simulated),
            rate: row.rate.map(|Json(rate)| rate),
        })
    })
    .transpose()
}

/// An agent's settings; `None`: no such agent.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find_settings(
    db: &Db,
    scope: OrgScope,
    agent_id: AgentId,
) -> Result<Option<AgentSettings>> {
    let settings = db
        .run(
            "read an agent's settings",
            sqlx::query_scalar!(
                "/* db::agents::find_settings */ SELECT settings FROM agents
                WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL",
                scope.id() as OrganizationId,
                agent_id as AgentId
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    settings.map(read_settings).transpose()
}

/// Whether there is such an agent.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn exists(db: &Db, scope: OrgScope, agent_id: AgentId) -> Result<bool> {
    db.run(
        "look for an agent",
        sqlx::query_scalar!(
            r#"/* db::agents::exists */ SELECT EXISTS (
                SELECT FROM agents
                WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL
            ) AS "exists!""#,
            scope.id() as OrganizationId,
            agent_id as AgentId
        )
        .fetch_one(&db.pool),
    )
    .await
}

/// The published agents of the organisation, of `only` where that is given; the oldest first, at
/// most `limit`.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn published(
    db: &Db,
    scope: OrgScope,
    only: Option<&[AgentId]>,
    limit: i64,
) -> Result<Vec<AgentId>> {
    let only: Option<Vec<uuid::Uuid>> = only.map(|ids| ids.iter().map(|id| id.0).collect());
    db.run(
        "find published agents",
        sqlx::query_scalar!(
            r#"/* db::agents::published */ SELECT id AS "id: AgentId" FROM agents
            WHERE organization_id = $1 AND published_at IS NOT NULL
                AND ($2::uuid[] IS NULL OR id = ANY($2))
            ORDER BY created_at, id LIMIT $3"#,
            scope.id() as OrganizationId,
            only.as_deref(),
            limit
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// The account of a plan's row; all three columns are there or none is.
fn dial_account(
    id: Option<ProviderAccountId>,
    provider: Option<ProviderKind>,
    simulated: Option<bool>,
) -> Option<DialAccount> {
    Some(DialAccount {
        id: id?,
        provider: provider?,
        simulated: simulated?,
    })
}

fn read_settings(settings: Value) -> Result<AgentSettings> {
    serde_json::from_value(settings)
        .map_err(|error| Error::internal("read an agent's settings", error))
}
