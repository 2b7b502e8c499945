//! A receiver is deleted.

use serde_json::json;

use super::Place;
use crate::{
    app::{App, actor::By},
    db,
    domain::{Result, WebhookEndpointId},
};

/// Deletes a receiver. False: the caller sees none.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn delete(app: &App, by: By<'_>, place: &Place, id: WebhookEndpointId) -> Result<bool> {
    let now = app.ambient.now();
    let visible = place.visible();
    let deleted = db::webhook_endpoints::delete(&app.db, by.scope, id, visible, now).await?;
    if deleted {
        let subject = id.to_string();
        let detail = json!({"before": {"deleted_at": null}, "after": {"deleted_at": now}});
        by.actor
            .record(app, by.scope, "webhook_endpoint.delete", &subject, detail)
            .await?;
    }
    Ok(deleted)
}
