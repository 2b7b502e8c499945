//! What handlers work with.

use std::{ops::Deref, sync::Arc, time::Duration};

use crate::{
    app::App,
    crypto::admin_token::AdminToken,
    domain::{OrganizationId, proxies::TrustedProxies},
    providers::Registry,
    telemetry::Metrics,
};

/// One pointer: the routes' services are cloned for every request, and their state with them.
#[derive(Clone)]
pub struct HttpState(Arc<HttpParts>);

/// What an [`HttpState`] is made of.
pub struct HttpParts {
    pub app: App,
    /// For the signatures of callbacks, and to turn away an incoming call that is nobody's: no
    /// handler waits for a provider.
    pub providers: Arc<Registry>,
    pub metrics: Arc<Metrics>,
    /// The URL under which providers reach us, without a trailing slash: what they sign.
    pub public_url: Arc<str>,
    pub waits: Waits,
    /// `None`: the operator's routes are not there.
    pub admin_token: Option<AdminToken>,
    /// Who acts without a token on the session routes, in local mode.
    pub local_organization: Option<OrganizationId>,
    /// Who may say for whom a request is relayed.
    pub trusted_proxies: TrustedProxies,
}

impl HttpState {
    pub fn new(parts: HttpParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for HttpState {
    type Target = HttpParts;

    fn deref(&self) -> &HttpParts {
        &self.0
    }
}

/// How long requests wait for what becomes of a call.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// `terminate`, the sessions' end and the canonical one.
    pub end: Duration,
    /// `end-call`, whose page says that propagation is asynchronous.
    pub agent_end: Duration,
    /// The drop-in dials, which tell a provider's refusal.
    pub dial: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            end: Duration::from_secs(5),
            agent_end: Duration::from_secs(2),
            dial: Duration::from_secs(2),
        }
    }
}
