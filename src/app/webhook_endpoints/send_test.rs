//! An event that a receiver's owner asks for, to see one arrive.

use serde_json::json;

use super::{Place, get_enabled};
use crate::{
    app::{App, actor::By},
    db::{self, delivery_log::DeliveryKey, organization_events::NewEvent},
    domain::{CallId, Result, WebhookEndpointId, webhook::event::OrganizationEvent},
};

/// Queues a `webhook.test` for one receiver, and returns which delivery it is.
///
/// # Errors
/// `WEBHOOK_ENDPOINT_NOT_FOUND`, `WEBHOOK_ENDPOINT_DISABLED`, `DATABASE_UNAVAILABLE`.
pub async fn send_test(
    app: &App,
    by: By<'_>,
    place: &Place,
    id: WebhookEndpointId,
) -> Result<DeliveryKey> {
    get_enabled(app, by.scope, place, id).await?;
    let event_id = app.ambient.entropy.uuid();
    let data = json!({"webhook_endpoint": {"id": id}});
    let event = NewEvent {
        id: event_id,
        kind: OrganizationEvent::Test.as_str(),
        at: app.ambient.now(),
        data: &data,
        endpoint_id: Some(id),
    };
    db::organization_events::record(&app.db, by.scope, &event).await?;
    app.db.wake().wake_deliveries(by.scope.id());
    Ok(DeliveryKey {
        call_id: CallId(event_id),
        sequence: 0,
    })
}
