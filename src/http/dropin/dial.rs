//! What both drop-in dials do: wait a moment for a provider that refuses.

use std::sync::Arc;

use crate::{
    app::calls::wait,
    domain::{
        OrgScope,
        call::{Call, CallStatus, DialState},
    },
    http::HttpState,
};

/// Waits, bounded, until the provider has the call or has refused it; true: refused.
pub(super) async fn is_refused(state: &HttpState, scope: OrgScope, call: Call) -> bool {
    let mut watch = state.app.db.wake().watch(call.id);
    let settled = |call: &Call| call.dial == DialState::Placed || !call.is_live();
    let (app, bound) = (&state.app, state.waits.dial);
    let call = wait::until(app, scope, Arc::new(call), &mut watch, bound, settled).await;
    call.status == CallStatus::Failed && call.dial != DialState::Placed
}
