//! What holds at every provider alike: who may end a call and what is told of it, what is refused of
//! what claims to come from one, and what is repaired when nothing comes.

mod ends;
mod lost_callbacks;
mod refused_callbacks;

use onhook::domain::provider::ProviderKind;

/// A SIP bridge is jambonz here; the other bridges have tests of their own (`flows_sip`).
const EVERY: [ProviderKind; 5] = [
    ProviderKind::Twilio,
    ProviderKind::Telnyx,
    ProviderKind::Vonage,
    ProviderKind::Sip,
    ProviderKind::Openai,
];
