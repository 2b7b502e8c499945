//! A receiver is changed, paused, enabled or disabled.

use serde_json::{Map, Value, json};

use super::{Place, check_url, get, not_found, sealed_headers};
use crate::{
    app::{App, actor::By},
    db::{
        self,
        webhook_endpoints::{Change, EndpointRow},
    },
    domain::{Result, WebhookEndpointId, webhook::headers::Headers},
};

/// What is changed of a receiver; `None`: it stays.
#[derive(Clone, Debug, Default)]
pub struct ChangedEndpoint {
    pub url: Option<String>,
    pub events: Option<Vec<String>>,
    pub timeout_seconds: Option<i32>,
    pub description: Option<String>,
    pub ordered: Option<bool>,
    /// In place of all that there were; none: none any more.
    pub headers: Option<Headers>,
    /// Deliveries are held back: events are queued all the same.
    pub paused: Option<bool>,
    /// False: no events are queued. True: whatever disabled it is forgotten.
    pub enabled: Option<bool>,
}

/// Deliveries that are due at once when their receiver is enabled; more follow their schedule.
const MOST_MADE_DUE: i32 = 10_000;

/// Changes a receiver and returns it. Safe to repeat.
///
/// # Errors
/// `VALIDATION_FAILED` (URL, headers), `WEBHOOK_ENDPOINT_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
pub async fn update(
    app: &App,
    by: By<'_>,
    place: &Place,
    id: WebhookEndpointId,
    changed: &ChangedEndpoint,
) -> Result<EndpointRow> {
    // What cannot be seen is not found, whatever else is wrong.
    get(app, by.scope, place, id).await?;
    if let Some(url) = &changed.url {
        check_url(app, url)?;
    }
    let headers = changed
        .headers
        .as_ref()
        .map(|headers| sealed_headers(app, by.scope, id, headers))
        .transpose()?;
    let change = Change {
        url: changed.url.clone(),
        settings: None,
        events: changed.events.clone(),
        timeout_seconds: changed.timeout_seconds,
        description: changed.description.clone(),
        ordered: changed.ordered,
        headers,
        paused: changed.paused,
        enabled: changed.enabled,
    };
    let (db, now) = (&app.db, app.ambient.now());
    let row = db::webhook_endpoints::update(db, by.scope, id, place.visible(), &change, now)
        .await?
        .ok_or_else(not_found)?;
    let (subject, detail) = (id.to_string(), detail(changed));
    by.actor
        .record(app, by.scope, "webhook_endpoint.update", &subject, detail)
        .await?;
    if changed.enabled == Some(true) {
        // What failed is not put off for hours any more.
        db::delivery_log::make_due(db, by.scope, id, now, MOST_MADE_DUE).await?;
    }
    if changed.enabled == Some(true) || changed.paused == Some(false) {
        // What was held back is due.
        db.wake().wake_deliveries(by.scope.id());
    }
    Ok(row)
}

/// What changed, without what may be secret: the URL's query, the headers' values.
fn detail(changed: &ChangedEndpoint) -> Value {
    let names = changed
        .headers
        .as_ref()
        .map(|headers| headers.keys().collect::<Vec<_>>());
    let members = [
        ("url", changed.url.as_ref().map(|_| json!("changed"))),
        (
            "events",
            changed.events.as_ref().map(|events| json!(events)),
        ),
        (
            "timeout_seconds",
            changed.timeout_seconds.map(|seconds| json!(seconds)),
        ),
        (
            "description",
            changed.description.as_ref().map(|_| json!("changed")),
        ),
        ("ordered", changed.ordered.map(|ordered| json!(ordered))),
        ("headers", names.map(|names| json!(names))),
        ("paused", changed.paused.map(|paused| json!(paused))),
        ("enabled", changed.enabled.map(|enabled| json!(enabled))),
    ];
    let given = members.into_iter();
    let given = given.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}
