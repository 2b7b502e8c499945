//! A receiver is changed, gets a new secret, or is disabled.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use super::{EndpointRow, Stored, Visible};
use crate::{
    crypto::sealed::Sealed,
    db::{Db, audit_entries::Act, mails::NewMail},
    domain::{
        OrgScope, OrganizationId, Result, Timestamp, WebhookEndpointId, webhook::endpoint::Channel,
    },
};

/// What is changed of a receiver; `None`: it stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub url: Option<String>,
    pub settings: Option<Value>,
    pub events: Option<Vec<String>>,
    pub timeout_seconds: Option<i32>,
    pub description: Option<String>,
    pub ordered: Option<bool>,
    /// `Some(None)`: no headers any more.
    pub headers: Option<Option<Sealed>>,
    pub paused: Option<bool>,
    /// False: disabled by its owner.
    pub enabled: Option<bool>,
}

/// Changes a receiver and returns it; `None`: there is none that may be seen.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn update(
    db: &Db,
    scope: OrgScope,
    id: WebhookEndpointId,
    visible: Visible<'_>,
    change: &Change,
    now: Timestamp,
) -> Result<Option<EndpointRow>> {
    let agents = visible.agents();
    let headers = change.headers.as_ref().and_then(Option::as_ref);
    let row = db
        .run(
            "change a webhook endpoint",
            sqlx::query_as!(
                Stored,
                "/* db::webhook_endpoints::update */ UPDATE webhook_endpoints SET
                    url = coalesce($5, url), settings = coalesce($6, settings),
                    events = coalesce($7::text[], events),
                    timeout_seconds = coalesce($8, timeout_seconds),
                    description = coalesce($9, description), ordered = coalesce($10, ordered),
                    headers_sealed = CASE WHEN $11::boolean THEN $12::bytea ELSE headers_sealed END,
                    headers_key_id = CASE WHEN $11::boolean THEN $13::text ELSE headers_key_id END,
                    paused_at = CASE $14::boolean
                        WHEN true THEN coalesce(paused_at, $16) WHEN false THEN NULL ELSE paused_at
                    END,
                    disabled_at = CASE $15::boolean
                        WHEN true THEN NULL WHEN false THEN coalesce(disabled_at, $16) ELSE disabled_at
                    END,
                    disabled_reason = CASE $15::boolean
                        WHEN true THEN NULL
                        WHEN false THEN coalesce(disabled_reason, 'Disabled by its owner')
                        ELSE disabled_reason
                    END,
                    failing_since = CASE WHEN $15::boolean THEN NULL ELSE failing_since END,
                    wants_since = CASE
                        WHEN $7::text[] IS NOT NULL OR $15::boolean THEN $16 ELSE wants_since
                    END
                WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL AND channel = $3
                    AND ($4::uuid[] IS NULL OR agent_id = ANY ($4))
                RETURNING id, channel, agent_id, url, settings, events, timeout_seconds, description,
                    ordered, secret_sealed, secret_key_id, headers_sealed, headers_key_id,
                    previous_secret_until, created_at, paused_at, disabled_at, disabled_reason,
                    failing_since",
                scope.id() as OrganizationId,
                id as WebhookEndpointId,
                visible.channel as Channel,
                agents.as_deref() as Option<&[Uuid]>,
                change.url,
                change.settings,
                change.events.as_deref(),
                change.timeout_seconds,
                change.description,
                change.ordered,
                change.headers.is_some(),
                headers.map(|sealed| sealed.bytes.as_slice()),
                headers.map(|sealed| sealed.key_id.as_str()),
                change.paused,
                change.enabled,
                now as Timestamp
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(row.map(EndpointRow::from))
}

/// Keeps other settings for a receiver, for what its channel tells by itself.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn set_settings(
    db: &Db,
    scope: OrgScope,
    id: WebhookEndpointId,
    settings: &Value,
) -> Result<()> {
    db.run(
        "keep a receiver's settings",
        sqlx::query!(
            "/* db::webhook_endpoints::set_settings */ UPDATE webhook_endpoints SET settings = $3
            WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL",
            scope.id() as OrganizationId,
            id as WebhookEndpointId,
            settings
        )
        .execute(&db.pool),
    )
    .await?;
    Ok(())
}

/// Gives a receiver a new secret; the one before signs beside it until `overlap_until`. False:
/// there is none that may be seen.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn rotate_secret(
    db: &Db,
    scope: OrgScope,
    id: WebhookEndpointId,
    visible: Visible<'_>,
    secret: &Sealed,
    overlap_until: Timestamp,
) -> Result<bool> {
    let agents = visible.agents();
    let done = db
        .run(
            "rotate a webhook endpoint's secret",
            sqlx::query!(
                "/* db::webhook_endpoints::rotate_secret */ UPDATE webhook_endpoints SET
                    previous_secret_sealed = secret_sealed, previous_secret_key_id = secret_key_id,
                    previous_secret_until = $7, secret_sealed = $5, secret_key_id = $6
                WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL AND channel = $3
                    AND ($4::uuid[] IS NULL OR agent_id = ANY ($4))",
                scope.id() as OrganizationId,
                id as WebhookEndpointId,
                visible.channel as Channel,
                agents.as_deref() as Option<&[Uuid]>,
                secret.bytes,
                secret.key_id,
                overlap_until as Timestamp
            )
            .execute(&db.pool),
        )
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Disables a receiver that has failed since `failing_before` or earlier, records that and tells of it.
/// False: it is not so any more.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn disable_failing(
    db: &Db,
    scope: OrgScope,
    id: WebhookEndpointId,
    failing_before: Timestamp,
    disabling: &Disabling<'_>,
) -> Result<bool> {
    let disabled = db
        .run(
            "disable a webhook endpoint",
            sqlx::query_scalar!(
                r#"/* db::webhook_endpoints::disable_failing */ WITH disabled AS (
                    UPDATE webhook_endpoints SET disabled_at = $4, disabled_reason = $5
                    WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL
                        AND disabled_at IS NULL AND failing_since <= $3
                    RETURNING id
                )
                SELECT record_disabling($1, $6) AS "told!" FROM disabled"#,
                scope.id() as OrganizationId,
                id as WebhookEndpointId,
                failing_before as Timestamp,
                disabling.act.at as Timestamp,
                disabling.reason,
                Json(disabling) as _
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    Ok(disabled.is_some())
}

/// How it is told that a receiver is disabled, as the SQL function `record_disabling` reads it: all of
/// it is written by the statement that disables it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Disabling<'a> {
    #[serde(skip)]
    pub reason: &'a str,
    pub event_id: Uuid,
    /// Of the event to the organisation's other receivers.
    pub event_type: &'a str,
    pub data: &'a Value,
    #[serde(serialize_with = "written")]
    pub mails: &'a [NewMail],
    /// Done at the time of the disabling.
    pub act: &'a Act,
}

fn written<S: Serializer>(
    mails: &[NewMail],
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(mails.iter().map(|mail| {
        let sealed = STANDARD.encode(&mail.sealed.bytes);
        json!({"id": mail.id, "sealed": sealed, "key_id": mail.sealed.key_id})
    }))
}

/// Who is to know that a receiver is disabled, and what they are told of it.
#[derive(Clone, Debug)]
pub struct Concerned {
    pub organization: String,
    pub channel: Channel,
    pub url: String,
    /// Confirmed addresses of owners and admins, at most 100.
    pub emails: Vec<String>,
}

/// Who is to know that a receiver is disabled; `None`: there is no such receiver.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn concerned(
    db: &Db,
    scope: OrgScope,
    id: WebhookEndpointId,
) -> Result<Option<Concerned>> {
    db.run(
        "find whom a webhook endpoint concerns",
        sqlx::query_as!(
            Concerned,
            r#"/* db::webhook_endpoints::concerned */ SELECT o.name AS organization,
                e.channel AS "channel: Channel", e.url, ARRAY(
                    SELECT p.email FROM members m JOIN people p ON p.id = m.person_id
                    WHERE m.organization_id = $1 AND m.role IN ('owner', 'admin')
                        AND p.email_verified_at IS NOT NULL
                    ORDER BY m.created_at, m.person_id LIMIT 100
                ) AS "emails!"
            FROM webhook_endpoints e JOIN organizations o ON o.organization_id = $1
            WHERE e.organization_id = $1 AND e.id = $2 AND e.deleted_at IS NULL"#,
            scope.id() as OrganizationId,
            id as WebhookEndpointId
        )
        .fetch_optional(&db.pool),
    )
    .await
}
