//! From a provider's name to its adapter. Made once, at start; holds the pooled connections.

use super::{
    CallControl, Callbacks, Commands, Deadlines, Listens, telnyx::Telnyx, twilio::Twilio,
    vonage::Vonage,
};
use crate::{ambient::Ambient, domain::provider::ProviderKind, outbound::Reach};

/// Every provider's adapter.
pub struct Registry {
    twilio: Twilio,
    telnyx: Telnyx,
    vonage: Vonage,
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
        })
    }

    pub fn calls(&self, kind: ProviderKind) -> &dyn CallControl {
        match kind {
            ProviderKind::Twilio => &self.twilio,
            ProviderKind::Telnyx => &self.telnyx,
            ProviderKind::Vonage => &self.vonage,
        }
    }

    /// `None`: the provider is told what a call is to do by answers.
    pub fn commands(&self, kind: ProviderKind) -> Option<&dyn Commands> {
        match kind {
            ProviderKind::Twilio | ProviderKind::Vonage => None,
            ProviderKind::Telnyx => Some(&self.telnyx),
        }
    }

    /// `None`: the provider tells everything by callbacks.
    pub fn listens(&self, kind: ProviderKind) -> Option<&dyn Listens> {
        match kind {
            ProviderKind::Twilio | ProviderKind::Telnyx | ProviderKind::Vonage => None,
        }
    }

    pub fn callbacks(&self, kind: ProviderKind) -> &dyn Callbacks {
        match kind {
            ProviderKind::Twilio => &self.twilio,
            ProviderKind::Telnyx => &self.telnyx,
            ProviderKind::Vonage => &self.vonage,
        }
    }
}
