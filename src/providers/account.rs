//! An account at a provider, opened: the only place where its credentials are in clear.
//!
//! Nothing here is printed or serialised. `Debug` shows that there are credentials, never which.

use std::fmt;

use serde_json::Value;

use super::{openai, sip, telnyx, twilio, vonage};
use crate::domain::{OrganizationId, ProviderAccountId, provider::ProviderKind};

/// An account at a provider, ready to be used.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: ProviderAccountId,
    pub organization_id: OrganizationId,
    pub kind: ProviderKind,
    /// The provider's name for the account.
    pub external_id: String,
    /// Where its API is, for a region or a simulator; `None`: the provider's own.
    pub api_base_url: Option<String>,
    pub credentials: Credentials,
}

/// What an account proves itself with.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    Twilio(twilio::Keys),
    Telnyx(telnyx::Keys),
    Vonage(vonage::Keys),
    Sip(sip::Keys),
    Openai(openai::Keys),
}

/// What is wrong with credentials. Holds no part of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CredentialsProblem(pub String);

impl Credentials {
    /// Reads the JSON object that was sealed, in the form that the provider's folder documents.
    ///
    /// # Errors
    /// Which member is wrong and how; never its value.
    pub fn parse(kind: ProviderKind, bytes: &[u8]) -> Result<Self, CredentialsProblem> {
        // The parser's own error may quote what it read.
        let Ok(Value::Object(members)) = serde_json::from_slice(bytes) else {
            return Err(CredentialsProblem("must be a JSON object".to_owned()));
        };
        match kind {
            ProviderKind::Twilio => twilio::Keys::parse(&members).map(Self::Twilio),
            ProviderKind::Telnyx => telnyx::Keys::parse(&members).map(Self::Telnyx),
            ProviderKind::Vonage => vonage::Keys::parse(&members).map(Self::Vonage),
            ProviderKind::Sip => sip::Keys::parse(&members).map(Self::Sip),
            ProviderKind::Openai => openai::Keys::parse(&members).map(Self::Openai),
        }
    }

    /// Whether these can be the credentials of the account that the provider calls so.
    ///
    /// # Errors
    /// What the external id ought to be.
    pub fn belong_to(&self, external_id: &str) -> Result<(), &'static str> {
        let (belong, ought) = match self {
            Self::Twilio(_) => (
                twilio::Keys::may_be_of(external_id),
                "must be Twilio's account SID, AC…",
            ),
            Self::Telnyx(keys) => (
                keys.connection_id() == external_id,
                "must be the connection_id of the credentials",
            ),
            Self::Vonage(keys) => (
                keys.application_id() == external_id,
                "must be the application_id of the credentials",
            ),
            Self::Sip(keys) => (
                keys.account_sid().is_none_or(|sid| sid == external_id),
                "must be the account_sid of the credentials",
            ),
            Self::Openai(_) => (true, ""),
        };
        if belong { Ok(()) } else { Err(ought) }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}
