//! What differs between providers where calls are placed in a test: names, and nothing more.

use onhook::domain::provider::ProviderKind;

/// How a test's account at a provider looks.
#[derive(Clone, Copy, Debug)]
pub struct Face {
    /// The provider's name for the account.
    pub external_id: &'static str,
    /// The name of a call that never was, in the provider's form.
    pub unknown_call: &'static str,
}

pub fn face(provider: ProviderKind) -> Face {
    match provider {
        ProviderKind::Twilio => Face {
            external_id: "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            unknown_call: "CA00000000000000000000000000000000",
        },
        ProviderKind::Telnyx => Face {
            external_id: "1494404757140276705",
            unknown_call: "v3:AAAAAAAAAAAAAAAAAAAAAA",
        },
        ProviderKind::Vonage => Face {
            external_id: "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab",
            unknown_call: "00000000-0000-4000-8000-000000000000",
        },
        ProviderKind::Openai => Face {
            external_id: "proj_aaaaaaaaaaaaaaaaaaaaaaaa",
            unknown_call: "rtc_00000000000000000000000000000000",
        },
    }
}
