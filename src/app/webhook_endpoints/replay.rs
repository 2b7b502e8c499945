//! Sending again: one delivery, those of a time, or all that were given up.

use serde_json::json;

use super::{Place, get, get_enabled};
use crate::{
    app::{App, actor::By},
    db::{
        self,
        delivery_log::{DeliveryKey, Range, Replayed},
    },
    domain::{Error, ErrorCode, Result, WebhookEndpointId},
};

/// Deliveries that one request queues anew at most.
const MOST: i32 = 10_000;

/// What is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Every event that the receiver wants, delivered or not, queued for it then or not.
    Everything,
    /// What was given up.
    Failed,
}

/// Sends one delivery again. One that is under way stays so.
///
/// # Errors
/// `WEBHOOK_ENDPOINT_NOT_FOUND`, `WEBHOOK_ENDPOINT_DISABLED`, `WEBHOOK_DELIVERY_NOT_FOUND`,
/// `DATABASE_UNAVAILABLE`.
pub async fn resend(
    app: &App,
    by: By<'_>,
    place: &Place,
    id: WebhookEndpointId,
    key: Option<DeliveryKey>,
) -> Result<DeliveryKey> {
    // What cannot be seen is not found, whatever else is wrong.
    get(app, by.scope, place, id).await?;
    let not_found = || {
        Error::new(
            ErrorCode::WebhookDeliveryNotFound,
            "There is no such delivery to this webhook endpoint",
        )
    };
    let key = key.ok_or_else(not_found)?;
    let known = db::delivery_log::find(&app.db, by.scope, id, key).await?;
    known.ok_or_else(not_found)?;
    get_enabled(app, by.scope, place, id).await?;
    let now = app.ambient.now();
    if !db::delivery_log::resend(&app.db, by.scope, id, key, now).await? {
        return Err(not_found());
    }
    app.db.wake().wake_deliveries(by.scope.id());
    Ok(key)
}

/// Sends again what belongs to a time, at most 10,000 at once: what is returned says from when on to
/// ask for the rest.
///
/// # Errors
/// `WEBHOOK_ENDPOINT_NOT_FOUND`, `WEBHOOK_ENDPOINT_DISABLED`, `DATABASE_UNAVAILABLE`.
pub async fn replay(
    app: &App,
    by: By<'_>,
    place: &Place,
    id: WebhookEndpointId,
    what: Again,
    range: Range,
) -> Result<Replayed> {
    get_enabled(app, by.scope, place, id).await?;
    let (db, scope, now) = (&app.db, by.scope, app.ambient.now());
    let done = match what {
        Again::Everything => db::delivery_log::replay(db, scope, id, range, now, MOST).await?,
        Again::Failed => db::delivery_log::replay_failed(db, scope, id, range, now, MOST).await?,
    };
    let detail = json!({
        "from": range.from, "to": range.to, "failed_only": what == Again::Failed,
        "count": done.count,
    });
    let (action, subject) = ("webhook_endpoint.replay", id.to_string());
    by.actor
        .record(app, scope, action, &subject, detail)
        .await?;
    db.wake().wake_deliveries(scope.id());
    Ok(done)
}
