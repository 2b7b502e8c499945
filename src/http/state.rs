//! What handlers work with.

use std::{sync::Arc, time::Duration};

use crate::{
    app::App, crypto::admin_token::AdminToken, domain::OrganizationId, providers::Registry,
    telemetry::Metrics,
};

/// Cheap to clone.
#[derive(Clone)]
pub struct HttpState {
    pub app: App,
    /// For the signatures of callbacks only: no handler talks to a provider.
    pub providers: Arc<Registry>,
    pub metrics: Arc<Metrics>,
    /// The URL under which providers reach us, without a trailing slash: what they sign.
    pub public_url: Arc<str>,
    pub waits: Waits,
    /// `None`: the operator's routes are not there.
    pub admin_token: Option<AdminToken>,
    /// Who acts without a token on the session routes, in local mode.
    pub local_organization: Option<OrganizationId>,
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
