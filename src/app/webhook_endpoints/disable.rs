//! A receiver that failed for days gets no more events, and its organisation is told.

use serde_json::json;

use crate::{
    app::{Actor, App},
    db::{self, organization_events::NewEvent, webhook_endpoints::Disabling},
    domain::{
        OrgScope, Result, Timestamp, WebhookEndpointId,
        webhook::{endpoint::DISABLE_AFTER, event::OrganizationEvent},
    },
};

/// What the receiver's owner reads.
const REASON: &str = "Every delivery failed for five days";

/// Disables a receiver if it still fails since [`DISABLE_AFTER`]; the organisation's other receivers
/// get the event in the same statement. What waited for it is kept until it is enabled again.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn disable_failing(
    app: &App,
    scope: OrgScope,
    id: WebhookEndpointId,
    now: Timestamp,
) -> Result<()> {
    let data = json!({
        "webhook_endpoint": {"id": id, "disabled_reason": REASON, "disabled_at": now},
    });
    let disabling = Disabling {
        failing_before: now.plus(-DISABLE_AFTER),
        now,
        reason: REASON,
        event_id: app.ambient.entropy.uuid(),
        event_type: OrganizationEvent::EndpointDisabled.as_str(),
        data: &data,
    };
    if !db::webhook_endpoints::disable_failing(&app.db, scope, id, disabling).await? {
        return Ok(());
    }
    record(app, scope, id, REASON).await?;
    app.db.wake().wake_deliveries(scope.id());
    Ok(())
}

/// Tells of a receiver that was disabled because it said that it is gone: the audit log and, by an
/// event, the organisation's other receivers.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn disabled(
    app: &App,
    scope: OrgScope,
    id: WebhookEndpointId,
    reason: &str,
    now: Timestamp,
) -> Result<()> {
    let data = json!({
        "webhook_endpoint": {"id": id, "disabled_reason": reason, "disabled_at": now},
    });
    let event = NewEvent {
        id: app.ambient.entropy.uuid(),
        kind: OrganizationEvent::EndpointDisabled.as_str(),
        at: now,
        data: &data,
        endpoint_id: None,
    };
    db::organization_events::record(&app.db, scope, &event).await?;
    record(app, scope, id, reason).await?;
    app.db.wake().wake_deliveries(scope.id());
    Ok(())
}

async fn record(app: &App, scope: OrgScope, id: WebhookEndpointId, reason: &str) -> Result<()> {
    tracing::warn!(org.id = %scope.id(), endpoint.id = %id, "a receiver is disabled: {reason}");
    // Whoever writes to the organisation's members does it here.
    let actor = Actor::System("webhook_failures");
    let (subject, detail) = (id.to_string(), json!({"reason": reason}));
    let action = "webhook_endpoint.disable";
    actor.record(app, scope, action, &subject, detail).await
}
