//! Durable intentions: what is to be done for a call, whoever does it and however often it fails.

use serde::{Deserialize, Serialize};
use time::Duration;

use super::{CallId, JobId, LeaseToken, OrganizationId, Timestamp};

/// How long a node may work on a job before another may take it. Longer than any provider
/// deadline (dial: 10 s is the longest and has its own lease).
pub const HANG_UP_LEASE: Duration = Duration::seconds(10);

/// The lease of a dial, whose provider deadline is 10 s.
pub const DIAL_LEASE: Duration = Duration::seconds(15);

/// What is to be done.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
    sqlx::Type,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum JobKind {
    /// Ask the provider to place the call, or find out whether an earlier request did.
    DialCall,
    /// Ask the provider to end the call, and again until there is evidence.
    HangUpCall,
    /// Ask the provider to answer a call that came in.
    AnswerCall,
    /// Tell the provider what an answered call is to do.
    InstructCall,
}

impl JobKind {
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    pub fn lease(self) -> Duration {
        match self {
            Self::DialCall => DIAL_LEASE,
            Self::HangUpCall | Self::AnswerCall | Self::InstructCall => HANG_UP_LEASE,
        }
    }
}

/// A job that this node holds the lease of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedJob {
    pub organization_id: OrganizationId,
    pub id: JobId,
    pub kind: JobKind,
    pub call_id: CallId,
    /// From 1; counts the times that the job was taken.
    pub attempt: i32,
    pub lease: LeaseToken,
}

/// What becomes of a leased job when its result is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEnd {
    Finish,
    RunAgainAt(Timestamp),
}
