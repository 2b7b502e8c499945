//! Which node holds which websocket to a provider: one row for each, under a lease.

use std::collections::HashSet;

use uuid::Uuid;

use super::Db;
use crate::domain::{
    CallId, LeaseToken, OrganizationId, ProviderAccountId, Result, Timestamp,
    provider::ProviderKind,
};

/// What one websocket is about: an account, or one call of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    pub organization_id: OrganizationId,
    pub provider_account_id: ProviderAccountId,
    /// `None`: the account.
    pub call_id: Option<CallId>,
}

impl Subject {
    fn name(&self) -> String {
        self.call_id.map_or_else(String::new, |id| id.to_string())
    }
}

/// The websockets that ought to be held and that nobody holds at `now`: one for each connected
/// account of `by_account`, one for each live, placed call of `by_call`. Over all organisations, at
/// most `limit`; accounts take turns, so that one with many calls keeps no other waiting.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn missing(
    db: &Db,
    by_account: &[ProviderKind],
    by_call: &[ProviderKind],
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Subject>> {
    let names = |kinds: &[ProviderKind]| -> Vec<String> {
        kinds.iter().map(|kind| kind.as_str().to_owned()).collect()
    };
    let rows = db
        .run(
            "find websockets that nobody holds",
            sqlx::query!(
                r#"/* db::listeners::missing */
                SELECT organization_id AS "organization_id!: OrganizationId",
                    account_id AS "account_id!: ProviderAccountId", call_id AS "call_id: CallId"
                FROM (
                    SELECT a.organization_id, a.id AS account_id, NULL::uuid AS call_id, 0 AS turn
                    FROM provider_accounts a
                    WHERE a.provider = ANY($1) AND a.disconnected_at IS NULL AND NOT EXISTS (
                        SELECT FROM listeners l
                        WHERE l.organization_id = a.organization_id
                            AND l.provider_account_id = a.id
                            AND l.subject = '' AND l.lease_until > $3
                    )
                    UNION ALL
                    SELECT c.organization_id, c.provider_account_id, c.id,
                        row_number() OVER (PARTITION BY c.provider_account_id ORDER BY c.created_at)
                    FROM calls c
                    JOIN provider_accounts a ON a.organization_id = c.organization_id
                        AND a.id = c.provider_account_id AND a.disconnected_at IS NULL
                    WHERE a.provider = ANY($2) AND c.ended_at IS NULL
                        AND c.provider_call_id IS NOT NULL
                        AND NOT EXISTS (
                            SELECT FROM listeners l
                            WHERE l.organization_id = c.organization_id
                                AND l.provider_account_id = c.provider_account_id
                                AND l.subject = c.id::text AND l.lease_until > $3
                        )
                ) wanted
                ORDER BY turn, random() LIMIT $4"#,
                &names(by_account),
                &names(by_call),
                now as Timestamp,
                limit
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Subject {
            organization_id: row.organization_id,
            provider_account_id: row.account_id,
            call_id: row.call_id,
        })
        .collect())
}

/// Takes the lease of a websocket until `until`. False: another node has it.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: whether it was taken is unknown.
pub async fn take(
    db: &Db,
    subject: Subject,
    lease: LeaseToken,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool> {
    let done = db
        .run(
            "take the lease of a websocket",
            sqlx::query!(
                "/* db::listeners::take */ INSERT INTO listeners AS l
                    (organization_id, provider_account_id, subject, lease, lease_until)
                VALUES ($1, $2, $3, $4, $6)
                ON CONFLICT (organization_id, provider_account_id, subject) DO UPDATE
                SET lease = EXCLUDED.lease, lease_until = EXCLUDED.lease_until
                WHERE l.lease_until <= $5",
                subject.organization_id as OrganizationId,
                subject.provider_account_id as ProviderAccountId,
                subject.name(),
                lease as LeaseToken,
                now as Timestamp,
                until as Timestamp
            )
            .execute(&db.pool),
        )
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Renews those of the leases `held` that are still theirs and ought to be held on: the account is
/// connected, the call is live. Returns what they are of; the others are to be let go of.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: nothing is known of any.
pub async fn renew(
    db: &Db,
    held: &[(Subject, LeaseToken)],
    until: Timestamp,
) -> Result<HashSet<Subject>> {
    let of = |pick: fn(&(Subject, LeaseToken)) -> Uuid| held.iter().map(pick).collect::<Vec<_>>();
    let calls: Vec<Option<Uuid>> = held
        .iter()
        .map(|(subject, _)| subject.call_id.map(|id| id.0))
        .collect();
    let rows = db
        .run(
            "renew the leases of websockets",
            sqlx::query!(
                r#"/* db::listeners::renew */ UPDATE listeners l SET lease_until = $5
                FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[])
                    AS h (organization_id, account_id, call_id, lease)
                JOIN provider_accounts a ON a.organization_id = h.organization_id
                    AND a.id = h.account_id AND a.disconnected_at IS NULL
                LEFT JOIN calls c ON c.organization_id = h.organization_id AND c.id = h.call_id
                WHERE l.organization_id = h.organization_id
                    AND l.provider_account_id = h.account_id
                    AND l.subject = coalesce(h.call_id::text, '')
                    AND l.lease = h.lease
                    AND (h.call_id IS NULL OR (c.id IS NOT NULL AND c.ended_at IS NULL))
                RETURNING l.organization_id AS "organization_id: OrganizationId",
                    l.provider_account_id AS "account_id: ProviderAccountId",
                    h.call_id AS "call_id: CallId""#,
                &of(|(subject, _)| subject.organization_id.0),
                &of(|(subject, _)| subject.provider_account_id.0),
                &calls as &[Option<Uuid>],
                &of(|(_, lease)| lease.0),
                until as Timestamp
            )
            .fetch_all(&db.pool),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Subject {
            organization_id: row.organization_id,
            provider_account_id: row.account_id,
            call_id: row.call_id,
        })
        .collect())
}

/// Gives a websocket's lease back, for another node to take at once. Nothing happens when it was
/// lost.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn release(db: &Db, subject: Subject, lease: LeaseToken) -> Result<()> {
    db.run(
        "release the lease of a websocket",
        sqlx::query!(
            "/* db::listeners::release */ DELETE FROM listeners
            WHERE organization_id = $1 AND provider_account_id = $2 AND subject = $3 AND lease = $4",
            subject.organization_id as OrganizationId,
            subject.provider_account_id as ProviderAccountId,
            subject.name(),
            lease as LeaseToken
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Forgets leases that ran out before `before`: nodes that died left them.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn purge(db: &Db, before: Timestamp) -> Result<()> {
    db.run(
        "forget leases of websockets",
        sqlx::query!(
            "/* db::listeners::purge */ DELETE FROM listeners WHERE lease_until < $1",
            before as Timestamp
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}
