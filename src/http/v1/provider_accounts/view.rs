//! The JSON of a provider account.

use serde::Serialize;

use crate::{
    db::provider_accounts::managed::ManagedAccount,
    domain::{ProviderAccountId, Timestamp, provider::ProviderKind},
};

/// An account at a provider; never its credentials.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ProviderAccount)]
pub(in crate::http) struct AccountView<'a> {
    id: ProviderAccountId,
    provider: ProviderKind,
    /// The provider's name for the account.
    #[schema(example = "AC0f0e0d0c0b0a09080706050403020100")]
    external_id: &'a str,
    name: &'a str,
    /// Where its API is; null: the provider's own host.
    api_base_url: Option<&'a str>,
    /// A simulator's, which test tokens may use.
    simulated: bool,
    /// What to configure at the provider: where it reports and asks what to do with incoming calls.
    #[schema(
        example = "https://calls.example.com/callbacks/twilio/1f0e0d0c-0b0a-4908-8706-050403020100"
    )]
    callback_url: String,
    created_at: Timestamp,
    /// When the credentials were last replaced; null: never.
    rotated_at: Option<Timestamp>,
    /// To within some seconds; null: never.
    last_callback_at: Option<Timestamp>,
}

impl<'a> AccountView<'a> {
    pub(super) fn of(account: &'a ManagedAccount, public_url: &str) -> Self {
        Self {
            id: account.id,
            provider: account.provider,
            external_id: &account.external_id,
            name: &account.name,
            api_base_url: account.api_base_url.as_deref(),
            simulated: account.simulated,
            callback_url: callback_url(account, public_url),
            created_at: account.created_at,
            rotated_at: account.rotated_at,
            last_callback_at: account.last_callback_at,
        }
    }
}

/// Where the account's provider reports, as it sees us.
pub(super) fn callback_url(account: &ManagedAccount, public_url: &str) -> String {
    let provider = account.provider.as_str();
    format!("{public_url}/callbacks/{provider}/{}", account.id)
}
