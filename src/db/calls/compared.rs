//! What a comparison with the provider's list of live calls needs to know of ours.

use crate::{
    db::Db,
    domain::{CallId, OrgScope, OrganizationId, ProviderAccountId, Result, Timestamp},
};

/// A live call that the provider has by our account of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub id: CallId,
    pub provider_call_id: String,
}

/// A call of the account, live or over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub id: CallId,
    pub provider_call_id: Option<String>,
    pub provider_host: Option<String>,
    pub live: bool,
    /// Of a call that is over: when that was recorded.
    pub heard_at: Timestamp,
}

/// The live calls of an account that were placed, those without evidence for longest first.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn placed(
    db: &Db,
    scope: OrgScope,
    account_id: ProviderAccountId,
    limit: i64,
) -> Result<Vec<Placed>> {
    db.run(
        "find the live calls of an account",
        sqlx::query_as!(
            Placed,
            r#"/* db::calls::placed */ SELECT id AS "id: CallId",
                provider_call_id AS "provider_call_id!"
            FROM calls
            WHERE organization_id = $1 AND provider_account_id = $2 AND ended_at IS NULL
                AND provider_call_id IS NOT NULL
            ORDER BY heard_at LIMIT $3"#,
            scope.id() as OrganizationId,
            account_id as ProviderAccountId,
            limit
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// The calls of an account that have one of these names, the provider's or ours.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn known(
    db: &Db,
    scope: OrgScope,
    account_id: ProviderAccountId,
    provider_call_ids: &[String],
    ids: &[CallId],
) -> Result<Vec<Known>> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
    db.run(
        "find calls by the provider's names",
        sqlx::query_as!(
            Known,
            r#"/* db::calls::known */ SELECT id AS "id: CallId", provider_call_id, provider_host,
                ended_at IS NULL AS "live!",
                heard_at AS "heard_at: Timestamp"
            FROM calls
            WHERE organization_id = $1 AND provider_account_id = $2
                AND (provider_call_id = ANY($3) OR id = ANY($4))"#,
            scope.id() as OrganizationId,
            account_id as ProviderAccountId,
            provider_call_ids,
            &ids
        )
        .fetch_all(&db.pool),
    )
    .await
}
