//! Changes what may be changed of a call without a decision: metadata, and the limit of a live one.

use serde_json::{Map, Value, json};

use crate::{
    app::{App, actor::By},
    db,
    domain::{Result, call::Call},
};

/// Merges `metadata` (a null member removes its key) and sets the maximum duration, if one is given.
/// False: there is no such call any more, or the metadata would become far too large. Of metadata the
/// audit log keeps the names of the members alone.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn update(
    app: &App,
    by: By<'_>,
    call: &Call,
    metadata: Map<String, Value>,
    max_duration_seconds: Option<i32>,
) -> Result<bool> {
    let before = call.limits.max_duration_seconds;
    let detail = json!({
        "before": {"max_duration_seconds": before},
        "after": {
            "max_duration_seconds": max_duration_seconds.unwrap_or(before),
            "metadata_members": metadata.keys().collect::<Vec<_>>(),
        },
    });
    let act = by.actor.act(app, "call.update", call.id, detail);
    let metadata = Value::Object(metadata);
    let most = max_duration_seconds;
    db::calls::change_settings(&app.db, by.scope, call.id, &metadata, most, &act).await
}
