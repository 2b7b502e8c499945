//! What handlers work with.

use std::{sync::Arc, time::Duration};

use crate::{app::App, providers::Registry, telemetry::Metrics};

/// Cheap to clone.
#[derive(Clone)]
pub struct HttpState {
    pub app: App,
    /// For the signatures of callbacks, and to turn away an incoming call that is nobody's: no
    /// handler waits for a provider.
    pub providers: Arc<Registry>,
    pub metrics: Arc<Metrics>,
    /// The URL under which providers reach us, without a trailing slash: what they sign.
    pub public_url: Arc<str>,
    pub waits: Waits,
}

/// How long requests wait for what becomes of a call.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// `terminate` and the canonical end.
    pub end: Duration,
    /// `end-call`, whose page says that propagation is asynchronous.
    pub agent_end: Duration,
    /// The drop-in dial, which tells a provider's refusal.
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
