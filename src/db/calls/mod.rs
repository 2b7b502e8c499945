//! Calls: recorded by [`create`], found by [`find`], changed by [`apply()`] and by nothing else.

mod apply;
mod compared;
mod effects;
mod evidence;
mod listed;
mod row;

use serde_json::Value;
use sqlx::types::Json;

pub use apply::apply;
pub use compared::{Known, Placed, known, placed};
pub use effects::{AttemptRow, AuditRow, Effects, JobRow, ReceiptRow};
pub use evidence::evidence;
pub(super) use listed::LISTED_COLUMNS;
pub use listed::Listed;

use super::{Db, audit_entries::Act};
use crate::domain::{
    AgentId, CallId, Error, ErrorCode, OrgScope, OrganizationId, ProviderAccountId, Result,
    Timestamp,
    call::{Call, Change},
};
use effects::EffectsJson;
use row::{CallRow, NewCallRow};

/// How a client names a call: by our id or by the provider's. Vonage's ids are UUIDs too, so a UUID
/// may be either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRef(String);

impl CallRef {
    /// `None` when the text cannot be the name of any call.
    pub fn parse(text: &str) -> Option<Self> {
        let plausible =
            (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        plausible.then(|| Self(text.to_owned()))
    }
}

impl From<CallId> for CallRef {
    fn from(id: CallId) -> Self {
        Self(id.to_string())
    }
}

/// Finds one call of the organisation. One statement.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find(db: &Db, scope: OrgScope, reference: &CallRef) -> Result<Option<Call>> {
    find_within(db, scope, reference, None).await
}

/// Finds a call of an account by the provider's name for it, or by ours where the provider took
/// that for its own. One statement.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find_at_provider(
    db: &Db,
    scope: OrgScope,
    account_id: ProviderAccountId,
    provider_call_id: &str,
) -> Result<Option<Call>> {
    let reference = CallRef(provider_call_id.to_owned());
    find_within(db, scope, &reference, Some(account_id)).await
}

async fn find_within(
    db: &Db,
    scope: OrgScope,
    reference: &CallRef,
    account_id: Option<ProviderAccountId>,
) -> Result<Option<Call>> {
    let id = reference.0.parse::<CallId>().ok();
    let row = db
        .run(
            "find a call",
            sqlx::query_as!(
                CallRow,
                "/* db::calls::find */ SELECT organization_id, id, agent_id, provider,
                    provider_account_id, provider_call_id, provider_host, version, last_sequence, status,
                    direction, from_number, to_number, client_reference, metadata, test,
                    max_duration_seconds, ring_timeout_seconds, dial_state, dial_started_at,
                    created_at, ringing_at, answered_at, ended_at, ended_reason, ended_side,
                    provider_cause, heard_at, wish_state, wish_requested_at, wish_reason,
                    wish_initiator, wish_note, wish_attempts, wish_retry_at, wish_confirmed_by,
                    wish_confirmed_at, rate_card_id, rate_currency, rate_price_micros,
                    rate_price_seconds, rate_increment_seconds, rate_minimum_seconds,
                    billable_millis, billed_seconds, amount_micros
                FROM calls
                WHERE organization_id = $1 AND (id = $2 OR provider_call_id = $3)
                    AND ($4::uuid IS NULL OR provider_account_id = $4)
                LIMIT 1",
                scope.id() as OrganizationId,
                id as Option<CallId>,
                reference.0,
                account_id as Option<ProviderAccountId>
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(Call::from))
}

/// A call that a name may stand for.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub organization_id: OrganizationId,
    pub id: CallId,
    pub live: bool,
}

/// The calls that the operator may mean, over all organisations: live ones first, then the newest;
/// at most 20. One statement, which asks each organisation's indexes, because none spans tenants: some tens of
/// microseconds for each organisation.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find_in_any_organization(db: &Db, reference: &CallRef) -> Result<Vec<Candidate>> {
    let id = reference.0.parse::<CallId>().ok();
    db.run(
        "find a call in any organisation",
        sqlx::query_as!(
            Candidate,
            r#"/* db::calls::find_in_any_organization */
            SELECT c.organization_id AS "organization_id!: OrganizationId", c.id AS "id!: CallId",
                c.ended_at IS NULL AS "live!"
            FROM organizations o
            CROSS JOIN LATERAL (
                (SELECT organization_id, id, created_at, ended_at FROM calls
                WHERE organization_id = o.organization_id AND id = $1)
                UNION ALL
                (SELECT organization_id, id, created_at, ended_at FROM calls
                WHERE organization_id = o.organization_id AND provider_call_id = $2
                    AND id IS DISTINCT FROM $1)
            ) c
            ORDER BY c.ended_at IS NULL DESC, c.created_at DESC LIMIT 20"#,
            id as Option<CallId>,
            reference.0
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// Records a new call with its first fact and what accompanies it, if its agent and its account are
/// still there. One statement.
///
/// # Errors
/// `AGENT_NOT_FOUND` (the agent was deleted, or the account disconnected, since they were read),
/// `DUPLICATE_REFERENCE`, `IDEMPOTENCY_IN_PROGRESS` (the key exists), `DATABASE_UNAVAILABLE`.
pub async fn create(db: &Db, scope: OrgScope, change: &Change, effects: &Effects) -> Result<()> {
    let call = NewCallRow::from(&change.call);
    let done = db
        .run(
            "record a call",
            sqlx::query!(
                "/* db::calls::create */ SELECT create_call($1, $2, $3) WHERE may_be_recorded($1, $4, $5)",
                scope.id() as OrganizationId,
                Json(&call) as _,
                Json(&EffectsJson::of(change, effects)) as _,
                change.call.agent_id as AgentId,
                change.call.provider_account_id as ProviderAccountId
            )
            .execute(&db.pool),
        )
        .await?;
    if done.rows_affected() == 0 {
        return Err(gone());
    }
    db.wake.changed(&change.call, true);
    Ok(())
}

fn gone() -> Error {
    Error::new(
        ErrorCode::AgentNotFound,
        "The agent was deleted or its account disconnected a moment ago",
    )
}

/// What became of a call that was to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing {
    Placed,
    /// As many calls of the organisation live as may.
    OrganizationFull,
    /// As many calls of the agent live as may.
    AgentFull,
}

/// As [`create`], if the organisation and the agent may have one more live call. The live calls
/// themselves are counted, by the statement that writes this one, so that no two can take the last
/// place. `most` is for an organisation that has no limit of its own; `None`: any number. One
/// statement, or two when few places are left.
///
/// # Errors
/// As [`create`].
pub async fn place(
    db: &Db,
    scope: OrgScope,
    change: &Change,
    effects: &Effects,
    most: Option<u32>,
) -> Result<Placing> {
    let call = NewCallRow::from(&change.call);
    let effects = EffectsJson::of(change, effects);
    let most = most.and_then(|most| i32::try_from(most).ok());
    let mut alone = false;
    loop {
        let outcome = db
            .run(
                "place a call",
                sqlx::query_scalar!(
                    r#"/* db::calls::place */ SELECT CASE WHEN may_be_recorded($1, $6, $7)
                        THEN place_call($1, $2, $3, $4, $5) ELSE 'gone' END AS "outcome!""#,
                    scope.id() as OrganizationId,
                    Json(&call) as _,
                    Json(&effects) as _,
                    most,
                    alone,
                    change.call.agent_id as AgentId,
                    change.call.provider_account_id as ProviderAccountId
                )
                .fetch_one(&db.pool),
            )
            .await?;
        return Ok(match outcome.as_str() {
            "gone" => return Err(gone()),
            "organization_full" => Placing::OrganizationFull,
            "agent_full" => Placing::AgentFull,
            "nearly_full" if !alone => {
                alone = true;
                continue;
            }
            _ => {
                db.wake.changed(&change.call, true);
                Placing::Placed
            }
        });
    }
}

/// Merges metadata (a null member removes its key) and changes the maximum duration of a live
/// call. False: there is no such call, or the metadata would become far too large: whoever asks has
/// measured it, and this holds when several ask at once.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn change_settings(
    db: &Db,
    scope: OrgScope,
    call_id: CallId,
    metadata: &Value,
    max_duration_seconds: Option<i32>,
    act: &Act,
) -> Result<bool> {
    // PostgreSQL measures its own text of it, which has a space after each comma and colon.
    let most = i32::try_from(2 * crate::domain::call::MAX_METADATA_BYTES).unwrap_or(i32::MAX);
    db.run(
        "change a call's settings",
        sqlx::query_scalar!(
            r#"/* db::calls::change_settings */
            SELECT CASE WHEN changed THEN record_act($1, $6) ELSE false END AS "changed!"
            FROM change_call_settings($1, $2, $3, $4, $5) AS changed"#,
            scope.id() as OrganizationId,
            call_id as CallId,
            metadata,
            max_duration_seconds,
            most,
            Json(act) as _
        )
        .fetch_one(&db.pool),
    )
    .await
}

/// The provider's ids of the calls that were placed from and to the numbers of `call`, through its
/// account, since `since`: what a look-up must not take for it. At most 1,000.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn provider_ids(
    db: &Db,
    scope: OrgScope,
    call: &Call,
    since: Timestamp,
) -> Result<Vec<String>> {
    db.run(
        "find calls between two numbers",
        sqlx::query_scalar!(
            r#"/* db::calls::provider_ids */ SELECT provider_call_id AS "id!" FROM calls
            WHERE organization_id = $1 AND provider_account_id = $2 AND from_number = $3
                AND to_number = $4 AND created_at >= $5::timestamptz - interval '1 day'
                AND provider_call_id IS NOT NULL
            ORDER BY created_at DESC LIMIT 1000"#,
            scope.id() as OrganizationId,
            call.provider_account_id as ProviderAccountId,
            call.from.reveal(),
            call.to.reveal(),
            since as Timestamp
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// Live calls whose truth must be asked again: without evidence since `quiet_since`, or past a
/// limit of theirs at `now`. Over all organisations, at most `limit`, in no order: calls that cannot
/// be read must not keep the others from being looked at.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn overdue(
    db: &Db,
    quiet_since: Timestamp,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(OrganizationId, CallId)>> {
    let rows = db
        .run(
            "find overdue calls",
            sqlx::query!(
                "/* db::calls::overdue */ SELECT organization_id, id FROM calls
                WHERE ended_at IS NULL AND dial_state <> 'queued' AND (
                    heard_at < $1
                    OR answered_at + max_duration_seconds * interval '1 second' <= $2
                )
                ORDER BY random() LIMIT $3",
                quiet_since as Timestamp,
                now as Timestamp,
                limit
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.organization_id, row.id))
        .collect())
}

/// Live calls of an account that were placed and that nothing was heard of since `heard_before`,
/// the longest unheard first.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn unheard(
    db: &Db,
    scope: OrgScope,
    account_id: ProviderAccountId,
    heard_before: Timestamp,
    limit: i64,
) -> Result<Vec<CallId>> {
    db.run(
        "find an account's live calls",
        sqlx::query_scalar!(
            "/* db::calls::unheard */ SELECT id FROM calls
            WHERE organization_id = $1 AND provider_account_id = $2 AND ended_at IS NULL
                AND provider_call_id IS NOT NULL AND heard_at < $3
            ORDER BY heard_at LIMIT $4",
            scope.id() as OrganizationId,
            account_id as ProviderAccountId,
            heard_before as Timestamp,
            limit
        )
        .fetch_all(&db.pool),
    )
    .await
}
