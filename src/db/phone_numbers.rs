//! Numbers at providers, and the agents that use them.

use sqlx::types::Json;

use super::{Db, audit_entries::Act};
use crate::domain::{
    AgentId, OrgScope, OrganizationId, PhoneNumberId, ProviderAccountId, Result, Timestamp,
    phone::Phone,
};

/// A number of an organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberRow {
    pub id: PhoneNumberId,
    pub number: Phone,
    pub provider_account_id: ProviderAccountId,
    /// Whose it is; `None`: nobody takes its calls.
    pub agent_id: Option<AgentId>,
    /// Whether calls to it are taken.
    pub inbound: bool,
    /// Whether calls are placed from it.
    pub outbound: bool,
    /// Counts the changes.
    pub version: i64,
    pub created_at: Timestamp,
}

/// Which numbers; everything that is given must hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Which<'a> {
    pub id: Option<PhoneNumberId>,
    /// Only those of these agents.
    pub agents: Option<&'a [AgentId]>,
    /// Only those of simulated accounts.
    pub simulated: bool,
}

/// The numbers of the organisation, oldest first, at most 1,000.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(db: &Db, scope: OrgScope, which: Which<'_>) -> Result<Vec<NumberRow>> {
    let agents: Option<Vec<uuid::Uuid>> =
        which.agents.map(|ids| ids.iter().map(|id| id.0).collect());
    db.run(
        "list phone numbers",
        sqlx::query_as!(
            NumberRow,
            r#"/* db::phone_numbers::list */ SELECT n.id, n.number,
                n.provider_account_id, n.agent_id, n.inbound, n.outbound, n.version, n.created_at
            FROM phone_numbers n
            JOIN provider_accounts a ON a.organization_id = n.organization_id
                AND a.id = n.provider_account_id
            WHERE n.organization_id = $1 AND ($2::uuid IS NULL OR n.id = $2)
                AND ($3::uuid[] IS NULL OR n.agent_id = ANY($3))
                AND (a.simulated OR NOT $4)
            ORDER BY n.created_at, n.id LIMIT 1000"#,
            scope.id() as OrganizationId,
            which.id as Option<PhoneNumberId>,
            agents.as_deref(),
            which.simulated
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// Stores a number, if its account is connected, with the act. One statement. False: it is not.
///
/// # Errors
/// `PHONE_NUMBER_EXISTS`, `DATABASE_UNAVAILABLE`.
pub async fn insert(db: &Db, scope: OrgScope, new: &NumberRow, act: &Act) -> Result<bool> {
    let row = db
        .run(
            "add a phone number",
            sqlx::query!(
                r#"/* db::phone_numbers::insert */ WITH added AS (
                    INSERT INTO phone_numbers (organization_id, id, number, provider_account_id,
                        agent_id, inbound, outbound, created_at)
                    SELECT $1, $2, $3, a.id, $5, $6, $7, $8 FROM provider_accounts a
                    WHERE a.organization_id = $1 AND a.id = $4 AND a.disconnected_at IS NULL
                    RETURNING id
                )
                SELECT record_act($1, $9) AS "recorded!" FROM added"#,
                scope.id() as OrganizationId,
                new.id as PhoneNumberId,
                new.number.reveal(),
                new.provider_account_id as ProviderAccountId,
                new.agent_id as Option<AgentId>,
                new.inbound,
                new.outbound,
                new.created_at as Timestamp,
                Json(act) as _
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.is_some())
}

/// Changes whose a number is and what it is for, if it is still at `row.version`, with the act.
/// False: somebody was faster.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn update(db: &Db, scope: OrgScope, row: &NumberRow, act: &Act) -> Result<bool> {
    let done = db
        .run(
            "change a phone number",
            sqlx::query!(
                r#"/* db::phone_numbers::update */ WITH changed AS (
                    UPDATE phone_numbers
                    SET agent_id = $4, inbound = $5, outbound = $6, version = version + 1
                    WHERE organization_id = $1 AND id = $2 AND version = $3
                    RETURNING id
                )
                SELECT record_act($1, $7) AS "recorded!" FROM changed"#,
                scope.id() as OrganizationId,
                row.id as PhoneNumberId,
                row.version,
                row.agent_id as Option<AgentId>,
                row.inbound,
                row.outbound,
                Json(act) as _
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(done.is_some())
}

/// Removes a number, with the act. One statement. False: there is none.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn delete(db: &Db, scope: OrgScope, id: PhoneNumberId, act: &Act) -> Result<bool> {
    let row = db
        .run(
            "remove a phone number",
            sqlx::query!(
                r#"/* db::phone_numbers::delete */ WITH removed AS (
                    DELETE FROM phone_numbers WHERE organization_id = $1 AND id = $2 RETURNING id
                )
                SELECT record_act($1, $3) AS "recorded!" FROM removed"#,
                scope.id() as OrganizationId,
                id as PhoneNumberId,
                Json(act) as _
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.is_some())
}
