//! What is true: values and rules. No I/O, no async, no clock, no SQL statement, no HTTP.
//!
//! A [`call::Call`] is the record of one phone call. Everything that can happen to it is a
//! [`call::Input`]; [`call::decide`] turns the call, the input and the present instant into a
//! [`call::Change`] (what becomes of the call, the facts that are published, the jobs that carry
//! the change further, the ledger entry) or says why nothing changes. The layers above read a
//! call, ask for the decision and apply it whole.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod agent;
pub mod backoff;
pub mod billing;
pub mod call;
pub mod diagnosis;
pub mod error;
pub mod grant;
pub mod ids;
pub mod job;
pub mod mail;
pub mod membership;
pub mod notice;
pub mod page;
pub mod password;
pub mod person;
pub mod phone;
pub mod position;
pub mod provider;
pub mod proxies;
pub mod role;
pub mod secret_text;
pub mod session;
pub mod tenant;
pub mod throttle;
pub mod timestamp;
pub mod token;
pub mod webhook;

pub use error::{Error, ErrorCode};
pub use ids::{
    AgentId, AuditEntryId, CallId, InvitationId, JobId, LeaseToken, LedgerEntryId, MailId,
    OrganizationId, PersonId, PhoneNumberId, ProviderAccountId, RateCardId, SessionId, TokenId,
    WebhookEndpointId,
};
pub use tenant::OrgScope;
pub use timestamp::Timestamp;

/// Shorthand for results that carry the domain's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;
