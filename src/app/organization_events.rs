//! What happens to an organisation and to none of its calls, as its receivers are told.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use super::App;
use crate::{
    db::{self, organization_events::NewEvent},
    domain::{OrgScope, Result, Timestamp, webhook::event::OrganizationEvent},
};

/// Tells of something that several nodes find out, each by itself: once an hour for each subject,
/// whoever is first.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn tell_hourly(
    app: &App,
    scope: OrgScope,
    kind: OrganizationEvent,
    subject: Uuid,
    data: &Value,
) -> Result<()> {
    let at = app.ambient.now();
    let event = NewEvent {
        id: hourly_id(kind, subject, at),
        kind: kind.as_str(),
        at,
        data,
        endpoint_id: None,
    };
    if db::organization_events::record(&app.db, scope, &event).await? {
        app.db.wake().wake_deliveries(scope.id());
    }
    Ok(())
}

/// The same for the same type, subject and hour.
fn hourly_id(kind: OrganizationEvent, subject: Uuid, at: Timestamp) -> Uuid {
    let hour = at.unix_seconds().div_euclid(3600);
    let text = format!("{}/{subject}/{hour}", kind.as_str());
    let digest = Sha256::digest(text.as_bytes());
    let bytes = digest.iter().copied().chain([0; 16]);
    let mut id = [0; 16];
    id.iter_mut()
        .zip(bytes)
        .for_each(|(slot, byte)| *slot = byte);
    Builder::from_custom_bytes(id).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_same_hour_is_the_same() {
        let id = |subject, seconds: i64| {
            let at = Timestamp::from_unix_millis(seconds * 1000);
            hourly_id(
                OrganizationEvent::CredentialsRefused,
                Uuid::from_u128(subject),
                at,
            )
        };
        assert_eq!(id(1, 3600), id(1, 7199));
        assert_ne!(id(1, 3600), id(1, 7200));
        assert_ne!(id(1, 3600), id(2, 3600));
    }
}
