//! What people do with their accounts: register, confirm, log in, go on, log out, change passwords.
//!
//! Strangers call all of it, so nothing here tells whether an address has an account: the same steps
//! are taken and the same bytes answered, and mails tell the rest to the owner of the address.

mod access;
mod hashing;
pub mod log_in;
pub mod mails;
pub mod password;
pub mod register;
pub mod sessions;

use std::{net::IpAddr, sync::Arc, time::Duration};

use moka::future::Cache;
use serde_json::json;

use super::App;
use crate::{
    db::{self, calls::AuditRow},
    domain::{
        AuditEntryId, Error, ErrorCode, PersonId, Result, SessionId, membership::Standing,
        person::EmailAddress, throttle::Rate,
    },
};

pub(super) use access::identify_anew;
pub use access::{
    PersonByToken, identify, key_context, organization_not_found, recognise, rotate_key,
};

/// As long as tokens are remembered: what was ended is in force on every node by then.
const REMEMBERED: Duration = Duration::from_secs(2);
const MOST_REMEMBERED: u64 = 100_000;

/// What this node keeps for people: how many passwords are hashed at once, the keys of access tokens,
/// sessions seen lately. Cheap to clone.
#[derive(Clone)]
pub struct People {
    hashing: hashing::Hashing,
    keys: access::Keys,
    standings: Cache<(SessionId, PersonId), Arc<Standing>>,
}

impl Default for People {
    fn default() -> Self {
        Self {
            hashing: hashing::Hashing::default(),
            keys: access::Keys::default(),
            standings: Cache::builder()
                .time_to_live(REMEMBERED)
                .max_capacity(MOST_REMEMBERED)
                .build(),
        }
    }
}

/// Where a request without an account comes from.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub address: Option<IpAddr>,
    pub request_id: String,
}

impl Visitor {
    /// Who shares one count of tries: an IPv4 address, and of IPv6 the /64 that one customer has.
    fn counted_as(&self) -> String {
        match self.address.map(|address| address.to_canonical()) {
            None => "unknown".to_owned(),
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        }
    }

    /// The entry that records what a person did.
    pub(super) fn entry(
        &self,
        id: AuditEntryId,
        person_id: PersonId,
        action: &'static str,
    ) -> AuditRow {
        AuditRow {
            id,
            actor: format!("person:{person_id}"),
            action,
            address: self.address.map(|address| address.to_string()),
            request_id: Some(self.request_id.clone()),
            detail: json!({}),
        }
    }

    /// Records what a person did, in every organisation that the person belongs to.
    async fn record(&self, app: &App, person_id: PersonId, action: &'static str) -> Result<()> {
        let entry = self.entry(AuditEntryId(app.ambient.ordered_uuid()), person_id, action);
        db::audit_entries::insert_of_person(&app.db, person_id, &entry, app.ambient.now()).await
    }
}

/// Counts a try under each name and whom it is about.
///
/// # Errors
/// `RATE_LIMITED`, `DATABASE_UNAVAILABLE`.
async fn count_try(app: &App, tries: &[(&str, &[&str], Rate)]) -> Result<()> {
    let tries: Vec<_> = tries
        .iter()
        .map(|(name, whom, rate)| (app.pepper.digest_count(name, whom), *rate))
        .collect();
    match db::throttles::try_once(&app.db, &tries, app.ambient.now()).await? {
        None => Ok(()),
        Some(wait) => Err(Error::new(
            ErrorCode::RateLimited,
            "Too many tries; wait as long as Retry-After says",
        )
        .retry_after(wait)),
    }
}

/// Counts a mail to an address.
///
/// # Errors
/// `RATE_LIMITED`, `DATABASE_UNAVAILABLE`.
pub(super) async fn count_mail(app: &App, email_key: &str, rate: Rate) -> Result<()> {
    count_try(app, &[("mail", &[email_key], rate)]).await
}

/// Where the mails of the account with this address go: to the address as its owner wrote it, since
/// another spelling may be another mailbox. The same look-up whether there is an account or not.
async fn mailbox(app: &App, typed: &EmailAddress) -> Result<EmailAddress> {
    let known = db::people::find_by_email(&app.db, typed).await?;
    let known = known.and_then(|person| person.email.parse().ok());
    Ok(known.unwrap_or_else(|| typed.clone()))
}

/// What is known of a person is asked anew by the next request to this node.
pub(super) async fn forget_standing(app: &App, person: &PersonByToken) {
    let key = (person.session_id, person.person_id);
    app.people.standings.invalidate(&key).await;
}

/// The answer to a link that is unknown, used or too old: all alike.
fn link_invalid() -> Error {
    Error::new(
        ErrorCode::LinkInvalid,
        "The token is unknown, used or too old; ask for a new mail",
    )
}

/// # Errors
/// `MAIL_NOT_CONFIGURED`.
pub(super) fn needs_mail(app: &App) -> Result<()> {
    if app.mail.is_sent {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::MailNotConfigured,
        "This server sends no mail; its operator sets ONHOOK_MAIL_URL, or makes accounts with onhook admin",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_alone_and_a_customers_ipv6_network_as_one() {
        let counted = |text: &str| {
            let address = text.parse().ok();
            let request_id = String::new();
            Visitor {
                address,
                request_id,
            }
            .counted_as()
        };
        assert_eq!(counted("192.0.2.1"), "192.0.2.1");
        assert_eq!(counted("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(counted("2001:db8:1:2:3::4"), counted("2001:db8:1:2::5"));
        assert_ne!(counted("2001:db8:1:2::5"), counted("2001:db8:1:3::5"));
    }
}
