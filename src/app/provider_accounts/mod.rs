//! Accounts at providers, opened.

pub mod circuit;
pub mod heard;
pub mod manage;

use std::{
    fmt,
    hash::{DefaultHasher, Hasher as _},
    sync::Arc,
    time::Duration,
};

use moka::future::Cache;

use super::App;
use crate::{
    db,
    domain::{OrgScope, OrganizationId, ProviderAccountId, Result, provider::ProviderKind},
};

/// How long an account is used after it was changed or disconnected by another node.
const REMEMBERED: Duration = Duration::from_secs(5);
const MOST_REMEMBERED: u64 = 10_000;

/// An account with its credentials in clear: for the adapter that talks to the provider.
pub struct OpenAccount {
    pub organization_id: OrganizationId,
    pub id: ProviderAccountId,
    pub provider: ProviderKind,
    pub external_id: String,
    pub api_base_url: Option<String>,
    /// JSON in the provider's own form.
    pub credentials: Arc<[u8]>,
    /// Tells these credentials, at this host, from others within the process.
    pub(super) fingerprint: u64,
}

impl OpenAccount {
    /// An account with credentials that are not stored, to try them.
    pub fn with_credentials(
        scope: OrgScope,
        (id, provider): (ProviderAccountId, ProviderKind),
        external_id: String,
        api_base_url: Option<String>,
        credentials: Vec<u8>,
    ) -> Self {
        Self {
            fingerprint: fingerprint(&credentials, api_base_url.as_deref()),
            organization_id: scope.id(),
            id,
            provider,
            external_id,
            api_base_url,
            credentials: credentials.into(),
        }
    }
}

impl fmt::Debug for OpenAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenAccount({} {})", self.provider.as_str(), self.id)
    }
}

/// Accounts used lately.
#[derive(Clone)]
pub struct Accounts(Cache<ProviderAccountId, Arc<OpenAccount>>);

impl Accounts {
    async fn remembered(&self, id: ProviderAccountId) -> Option<Arc<OpenAccount>> {
        self.0.get(&id).await
    }

    /// What is remembered of the account holds no longer on this node. Others go by it for as long as
    /// they remember it, or until the provider refuses it.
    pub async fn forget(&self, id: ProviderAccountId) {
        self.0.invalidate(&id).await;
    }
}

impl Default for Accounts {
    fn default() -> Self {
        Self(
            Cache::builder()
                .time_to_live(REMEMBERED)
                .max_capacity(MOST_REMEMBERED)
                .build(),
        )
    }
}

/// What credentials are bound to when they are sealed.
pub fn seal_context(organization_id: OrganizationId, id: ProviderAccountId) -> String {
    format!("provider_accounts/{organization_id}/{id}")
}

/// Opens an account; `None`: there is none, or it is disconnected.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`; `INTERNAL` when its key is missing.
pub async fn open(app: &App, id: ProviderAccountId) -> Result<Option<Arc<OpenAccount>>> {
    if let Some(account) = app.accounts.remembered(id).await {
        return Ok(Some(account));
    }
    let Some(row) = db::provider_accounts::find(&app.db, id).await? else {
        return Ok(None);
    };
    let context = seal_context(row.organization_id, row.id);
    let credentials = app.keys.open(&row.credentials, &context)?;
    let account = Arc::new(OpenAccount {
        fingerprint: fingerprint(&credentials, row.api_base_url.as_deref()),
        organization_id: row.organization_id,
        id: row.id,
        provider: row.provider,
        external_id: row.external_id,
        api_base_url: row.api_base_url,
        credentials: credentials.into(),
    });
    app.accounts.0.insert(id, Arc::clone(&account)).await;
    Ok(Some(account))
}

fn fingerprint(credentials: &[u8], api_base_url: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(credentials);
    hasher.write(api_base_url.unwrap_or_default().as_bytes());
    hasher.finish()
}
