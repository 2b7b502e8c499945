//! A receiver that failed for days, or said that it is gone, gets no more events: the organisation's other
//! receivers are told by an event, its owners and admins by mail.

use serde_json::{Value, json};

use crate::{
    app::{Actor, App, people::mails},
    db::{
        self,
        audit_entries::Act,
        mails::NewMail,
        webhook_deliveries::Attempt,
        webhook_endpoints::{Concerned, Disabling},
    },
    domain::{
        OrgScope, Result, WebhookEndpointId,
        mail::{Occasion, ReceiverDisabled},
        person::EmailAddress,
        webhook::{
            endpoint::{Channel, DISABLE_AFTER, server},
            event::OrganizationEvent,
        },
    },
};

/// What the receiver's owner reads.
const REASON: &str = "Every delivery failed for five days";

/// Disables a receiver if it still fails since [`DISABLE_AFTER`]; what tells of it is written by the
/// same statement. What waited for it is kept until it is enabled again.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`, `INTERNAL`.
pub async fn disable_failing(app: &App, scope: OrgScope, id: WebhookEndpointId) -> Result<()> {
    let told = Told::of(app, scope, id, REASON).await?;
    let disabling = told.disabling(app, REASON);
    let since = told.act.at.plus(-DISABLE_AFTER);
    if db::webhook_endpoints::disable_failing(&app.db, scope, id, since, &disabling).await? {
        is_disabled(app, scope, id, REASON);
    }
    Ok(())
}

/// Records an attempt that was answered with what says that the receiver is gone: it is disabled, what
/// waited for it is given up, and what tells of it is written by the same statement.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`, `INTERNAL`.
pub async fn record_gone(
    app: &App,
    scope: OrgScope,
    attempt: &Attempt,
    reason: &str,
) -> Result<()> {
    let id = attempt.endpoint_id;
    let told = Told::of(app, scope, id, reason).await?;
    let disabling = told.disabling(app, reason);
    if db::webhook_deliveries::record_gone(&app.db, scope, attempt, &disabling).await? {
        is_disabled(app, scope, id, reason);
    }
    Ok(())
}

fn is_disabled(app: &App, scope: OrgScope, id: WebhookEndpointId, reason: &str) {
    tracing::warn!(org.id = %scope.id(), endpoint.id = %id, "a receiver is disabled: {reason}");
    app.db.wake().wake_deliveries(scope.id());
}

/// What tells of a receiver that is to be disabled.
struct Told {
    act: Act,
    data: Value,
    mails: Vec<NewMail>,
}

impl Told {
    async fn of(app: &App, scope: OrgScope, id: WebhookEndpointId, reason: &str) -> Result<Self> {
        let actor = Actor::System("webhook_failures");
        let act = actor.act(
            app,
            "webhook_endpoint.disable",
            id,
            json!({"reason": reason}),
        );
        let data = json!({
            "webhook_endpoint": {"id": id, "disabled_reason": reason, "disabled_at": act.at},
        });
        let concerned = if app.mail.is_sent {
            db::webhook_endpoints::concerned(&app.db, scope, id).await?
        } else {
            None
        };
        let mails = match concerned {
            Some(concerned) => mails(app, id, &act, reason, &concerned)?,
            None => Vec::new(),
        };
        Ok(Self { act, data, mails })
    }

    fn disabling<'a>(&'a self, app: &App, reason: &'a str) -> Disabling<'a> {
        Disabling {
            reason,
            event_id: app.ambient.entropy.uuid(),
            event_type: OrganizationEvent::EndpointDisabled.as_str(),
            data: &self.data,
            mails: &self.mails,
            act: &self.act,
        }
    }
}

/// A mail to each whom it concerns.
fn mails(
    app: &App,
    id: WebhookEndpointId,
    act: &Act,
    reason: &str,
    concerned: &Concerned,
) -> Result<Vec<NewMail>> {
    let (place, replays) = match concerned.channel {
        Channel::Webhook => ("webhook-endpoints", true),
        Channel::Telegram | Channel::Gateway => ("notices", false),
    };
    let resource = format!("{}/api/v1/{place}/{id}", app.mail.public_url);
    let receiver = ReceiverDisabled {
        organization: &concerned.organization,
        server: &server(&concerned.url),
        reason,
        at: act.at,
        resource: &resource,
        replays,
    };
    let emails = concerned.emails.iter();
    emails
        .filter_map(|email| email.parse::<EmailAddress>().ok())
        .map(|email| mails::sealed(app, &email, Occasion::ReceiverDisabled(receiver)))
        .collect()
}
