//! What each kind of job does.

pub(super) mod deliver_telegram;
pub(super) mod deliver_webhook;
pub(super) mod dial_call;
pub(super) mod hang_up_call;
pub(super) mod hunt_orphans;
pub(super) mod instruct_call;
pub(super) mod reconcile_calls;
