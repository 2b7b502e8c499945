//! Accounts that were used lately, their credentials read.
//!
//! Reading a private key takes longer than the rest of a request, and what an adapter derives from
//! credentials (a signed token) is worth keeping as long as they hold. An account is read anew as
//! soon as anything of it is not what was read last, so none is used longer than it is given to us.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;

use super::{Account, Credentials, CredentialsProblem};
use crate::domain::{OrganizationId, ProviderAccountId, provider::ProviderKind};

/// The most accounts that are kept; one with an RSA key takes about 8 kB.
const MOST: u64 = 10_000;

/// An account that nobody used for so long is forgotten.
const IDLE: Duration = Duration::from_mins(10);

/// An account as it is stored, unsealed.
#[derive(Clone, Copy)]
pub struct StoredAccount<'a> {
    pub id: ProviderAccountId,
    pub organization_id: OrganizationId,
    pub kind: ProviderKind,
    pub external_id: &'a str,
    pub api_base_url: Option<&'a str>,
    /// JSON in the provider's own form.
    pub credentials: &'a Arc<[u8]>,
}

/// What was read, and from what.
struct Read {
    from: Arc<[u8]>,
    account: Arc<Account>,
}

impl Read {
    fn is_of(&self, stored: &StoredAccount<'_>) -> bool {
        let account = &self.account;
        account.organization_id == stored.organization_id
            && account.kind == stored.kind
            && account.external_id == stored.external_id
            && account.api_base_url.as_deref() == stored.api_base_url
            && (Arc::ptr_eq(&self.from, stored.credentials) || self.from == *stored.credentials)
    }
}

/// The accounts of this node.
pub(super) struct Opened(Cache<ProviderAccountId, Arc<Read>>);

impl Default for Opened {
    fn default() -> Self {
        let cache = Cache::builder().max_capacity(MOST).time_to_idle(IDLE);
        Self(cache.build())
    }
}

impl Opened {
    pub(super) async fn read(
        &self,
        stored: StoredAccount<'_>,
    ) -> Result<Arc<Account>, CredentialsProblem> {
        let known = self.0.get(&stored.id).await;
        if let Some(read) = known.filter(|read| read.is_of(&stored)) {
            return Ok(Arc::clone(&read.account));
        }
        let account = Arc::new(Account {
            id: stored.id,
            organization_id: stored.organization_id,
            kind: stored.kind,
            external_id: stored.external_id.to_owned(),
            api_base_url: stored.api_base_url.map(str::to_owned),
            credentials: Credentials::parse(stored.kind, stored.credentials)?,
        });
        let read = Arc::new(Read {
            from: Arc::clone(stored.credentials),
            account: Arc::clone(&account),
        });
        self.0.insert(stored.id, read).await;
        Ok(account)
    }
}
