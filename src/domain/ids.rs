//! Typed identifiers: a call's id cannot be handed to a function that wants an agent's.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            sqlx::Type, utoipa::ToSchema,
        )]
        #[serde(transparent)]
        #[sqlx(transparent)]
        #[schema(value_type = Uuid)]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// A tenant: one customer company.
    OrganizationId;
    /// A voice agent, which places and takes calls.
    AgentId;
    /// A phone call, as we name it (UUID version 4).
    CallId;
    /// An API token; never the token itself.
    TokenId;
    /// An account at a provider, with its credentials.
    ProviderAccountId;
    /// A phone number of an organisation.
    PhoneNumberId;
    /// A price list, pinned on calls when they are created.
    RateCardId;
    /// A durable intention.
    JobId;
    /// The fence of a lease: whoever holds the newest may finish the job.
    LeaseToken;
    /// One line of the ledger.
    LedgerEntryId;
    /// A customer's receiver of events.
    WebhookEndpointId;
    /// One line of the audit log.
    AuditEntryId;
    /// Somebody who can log in; belongs to any number of organisations.
    PersonId;
    /// One login of a person, with the refresh tokens that followed from it.
    SessionId;
    /// An offer to join an organisation.
    InvitationId;
    /// A mail that is to be sent.
    MailId;
}
