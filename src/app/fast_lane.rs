//! From the operation that wrote an intention to the worker beside it, in memory.
//!
//! The job is already in the database, leased to this node: whoever is lost here is found again
//! when the lease runs out. So the lane may be full, and nothing waits for it.

use tokio::sync::mpsc;

use crate::domain::{call::Call, job::LeasedJob};

const CAPACITY: usize = 4096;

/// A job of this node with the call as it was just written.
#[derive(Debug)]
pub struct FastLaneJob {
    pub job: LeasedJob,
    pub call: Box<Call>,
}

/// The sending end; the worker holds the other.
#[derive(Clone, Debug)]
pub struct FastLane(mpsc::Sender<FastLaneJob>);

impl FastLane {
    pub fn new() -> (Self, mpsc::Receiver<FastLaneJob>) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (Self(sender), receiver)
    }

    /// Hands jobs over; what does not fit waits for its lease to run out.
    pub(super) fn send(&self, jobs: Vec<LeasedJob>, call: &Call) {
        for job in jobs {
            let job = FastLaneJob {
                job,
                call: Box::new(call.clone()),
            };
            if self.0.try_send(job).is_err() {
                tracing::warn!(call.id = %call.id, "fast lane full: the job waits for its lease");
            }
        }
    }
}
