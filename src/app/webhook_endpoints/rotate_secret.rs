//! A receiver gets a new secret.

use serde_json::json;
use time::Duration;

use super::{Place, get, new_secret, not_found};
use crate::{
    app::{App, actor::By},
    db::{self, webhook_endpoints::EndpointRow},
    domain::{Result, WebhookEndpointId, webhook::signature::SigningSecret},
};

/// Gives a receiver a new secret, which is returned here and never again. The one before signs too
/// for as long as `overlap`; of two rotations within that time, the first secret ends with the
/// second.
///
/// # Errors
/// `WEBHOOK_ENDPOINT_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
pub async fn rotate_secret(
    app: &App,
    by: By<'_>,
    place: &Place,
    id: WebhookEndpointId,
    overlap: Duration,
) -> Result<(EndpointRow, SigningSecret)> {
    let (secret, sealed) = new_secret(app, by.scope, id)?;
    let until = app.ambient.now().plus(overlap);
    let visible = place.visible();
    let done = db::webhook_endpoints::rotate_secret(&app.db, by.scope, id, visible, &sealed, until)
        .await?;
    if !done {
        return Err(not_found());
    }
    let (subject, detail) = (id.to_string(), json!({"previous_until": until}));
    let action = "webhook_endpoint.rotate_secret";
    by.actor
        .record(app, by.scope, action, &subject, detail)
        .await?;
    let row = get(app, by.scope, place, id).await?;
    Ok((row, secret))
}
