//! The composition root: everything that starts or stops as a whole.
//!
//! Start: database pools (no connection yet), operations, jobs, listeners, in this order; a node
//! that cannot listen starts nothing. Stop: new dials are refused, listeners close and finish their
//! requests, loops end, leases that were not begun are given back, pools close. A second signal
//! stops at once: everything accepted is durable and found again.
//!
//! What an operation may do is decided elsewhere; here is only what runs.

mod connections;
mod node;
pub mod private_postgres;
mod signals;
mod write_deadline;

pub(crate) use node::app;
pub use node::{Node, Patience, Settings};
pub use signals::{Stop, stop, stop_of};
