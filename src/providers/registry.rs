//! From a provider's name to its adapter. Made once, at start; holds the pooled connections.

use std::sync::Arc;

use strum::VariantArray as _;

use super::{
    Account, CallControl, Callbacks, Commands, CredentialsProblem, Deadlines, Listens,
    ProviderCall, StoredAccount, Subject, openai::Openai, opened::Opened, sip::Sip, telnyx::Telnyx,
    twilio::Twilio, vonage::Vonage,
};
use crate::{ambient::Ambient, domain::provider::ProviderKind, outbound::Reach};

/// Every provider's adapter.
pub struct Registry {
    twilio: Twilio,
    telnyx: Telnyx,
    vonage: Vonage,
    sip: Sip,
    openai: Openai,
    opened: Opened,
}

impl Registry {
    /// `reach` decides whether an account's API may be on loopback, as a simulator's is; `ambient` is
    /// for adapters whose requests carry a time or something random.
    ///
    /// # Errors
    /// When the system's trust anchors cannot be read.
    pub fn new(
        reach: Reach,
        deadlines: Deadlines,
        ambient: &Ambient,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            twilio: Twilio::new(reach, deadlines)?,
            telnyx: Telnyx::new(reach, deadlines)?,
            vonage: Vonage::new(reach, deadlines, ambient.clone())?,
            sip: Sip::new(reach, deadlines)?,
            openai: Openai::new(reach, deadlines)?,
            opened: Opened::default(),
        })
    }

    /// The account with its credentials read, from memory while nothing of it has changed.
    ///
    /// # Errors
    /// As [`Credentials::parse`](super::Credentials::parse).
    pub async fn account(
        &self,
        stored: StoredAccount<'_>,
    ) -> Result<Arc<Account>, CredentialsProblem> {
        self.opened.read(stored).await
    }

    pub fn calls(&self, kind: ProviderKind) -> &dyn CallControl {
        match kind {
            ProviderKind::Twilio => &self.twilio,
            ProviderKind::Telnyx => &self.telnyx,
            ProviderKind::Vonage => &self.vonage,
            ProviderKind::Sip => &self.sip,
            ProviderKind::Openai => &self.openai,
        }
    }

    /// `None`: the provider is told what a call is to do by answers.
    pub fn commands(&self, kind: ProviderKind) -> Option<&dyn Commands> {
        match kind {
            ProviderKind::Twilio | ProviderKind::Vonage => None,
            ProviderKind::Telnyx => Some(&self.telnyx),
            ProviderKind::Sip => Some(&self.sip),
            ProviderKind::Openai => Some(&self.openai),
        }
    }

    /// `None`: the provider tells everything by callbacks.
    pub fn listens(&self, kind: ProviderKind) -> Option<&dyn Listens> {
        match kind {
            ProviderKind::Twilio | ProviderKind::Telnyx | ProviderKind::Vonage => None,
            ProviderKind::Sip => Some(&self.sip),
            ProviderKind::Openai => Some(&self.openai),
        }
    }

    /// The providers that are listened to about `subject`.
    pub fn listened_to(&self, subject: Subject) -> Vec<ProviderKind> {
        let about = |kind: &ProviderKind| {
            let listens = self.listens(*kind);
            listens.is_some_and(|listens| listens.subject() == subject)
        };
        ProviderKind::VARIANTS
            .iter()
            .copied()
            .filter(about)
            .collect()
    }

    /// Has a provider that is commanded turn an incoming call away. Once: a caller for whom it fails
    /// hears the provider's own silence and gives up.
    pub async fn turn_away(&self, account: &Account, call: ProviderCall<'_>) {
        let Some(commands) = self.commands(account.kind) else {
            return;
        };
        let rejected = commands.reject(account, call).await;
        tracing::info!(
            org.id = %account.organization_id, outcome = ?rejected.outcome,
            "turned an incoming call away"
        );
    }

    pub fn callbacks(&self, kind: ProviderKind) -> &dyn Callbacks {
        match kind {
            ProviderKind::Twilio => &self.twilio,
            ProviderKind::Telnyx => &self.telnyx,
            ProviderKind::Vonage => &self.vonage,
            ProviderKind::Sip => &self.sip,
            ProviderKind::Openai => &self.openai,
        }
    }
}
