//! Who waits for what on this node. Memory only: other nodes, and this one after a crash, find
//! everything by reading.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, watch};

use crate::domain::{CallId, OrganizationId, call::Call};

/// A call as its last change on this node left it; none yet: unchanged since it is watched.
type LastChange = Option<Arc<Call>>;

/// Announces changes that this node has committed.
#[derive(Clone, Default)]
pub struct Wake {
    calls: Arc<Mutex<HashMap<CallId, watch::Sender<LastChange>>>>,
    deliveries: Arc<Due>,
}

/// Whose deliveries may be due, each organisation once however often it is named.
#[derive(Default)]
struct Due {
    organizations: Mutex<BTreeSet<OrganizationId>>,
    named: Notify,
}

/// A subscription to one call's changes; ends when dropped.
pub struct CallWatch {
    receiver: watch::Receiver<LastChange>,
    call_id: CallId,
    wake: Wake,
}

impl Wake {
    /// Subscribes to the changes of a call. Subscribe first, then change or read.
    pub fn watch(&self, call_id: CallId) -> CallWatch {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = calls
            .entry(call_id)
            .or_insert_with(|| watch::Sender::new(None));
        CallWatch {
            receiver: sender.subscribe(),
            call_id,
            wake: self.clone(),
        }
    }

    /// How many wait on this node for what becomes of the call.
    pub fn watching(&self, call_id: CallId) -> usize {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.get(&call_id).map_or(0, watch::Sender::receiver_count)
    }

    /// Completes when deliveries may have become due on this node.
    pub async fn deliveries(&self) {
        self.deliveries.named.notified().await;
    }

    /// The organisations whose deliveries may have become due since this was asked last.
    pub fn take_deliveries(&self) -> BTreeSet<OrganizationId> {
        std::mem::take(&mut *self.due())
    }

    /// Says that deliveries of an organisation may have become due.
    pub fn wake_deliveries(&self, organization_id: OrganizationId) {
        self.due().insert(organization_id);
        self.deliveries.named.notify_one();
    }

    fn due(&self) -> std::sync::MutexGuard<'_, BTreeSet<OrganizationId>> {
        let organizations = &self.deliveries.organizations;
        organizations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces a change that is committed, unless a later one was; `facts`: with something to
    /// deliver.
    pub fn changed(&self, call: &Call, facts: bool) {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = calls.get(&call.id) {
            // Announcements overtake each other.
            sender.send_if_modified(|last| {
                let newer = last.as_ref().is_none_or(|last| last.version < call.version);
                if newer {
                    *last = Some(Arc::new(call.clone()));
                }
                newer
            });
        }
        drop(calls);
        if facts {
            self.wake_deliveries(call.organization_id);
        }
    }
}

impl CallWatch {
    /// The call as the next change on this node left it.
    pub async fn changed(&mut self) -> Arc<Call> {
        loop {
            if self.receiver.changed().await.is_err() {
                // The sender lives in the map as long as a watch does.
                std::future::pending::<()>().await;
            }
            if let Some(call) = self.receiver.borrow_and_update().clone() {
                return call;
            }
        }
    }
}

impl Drop for CallWatch {
    fn drop(&mut self) {
        let mut calls = self
            .wake
            .calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last = calls
            .get(&self.call_id)
            .is_some_and(|sender| sender.receiver_count() <= 1);
        if last {
            calls.remove(&self.call_id);
        }
    }
}
