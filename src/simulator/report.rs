//! What a simulated call reports, to whom, and what became of it on the way.

use serde::Serialize;
use strum::VariantArray as _;

use super::call::Record;
use crate::domain::Timestamp;

/// What a customer can ask to be told of. `Completed` is every end, however it came.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(super) enum Event {
    Initiated,
    Ringing,
    Answered,
    Completed,
    /// A call came in, and the customer is asked or told.
    Arrived,
    /// A sentence that the customer wanted spoken has been.
    Spoken,
    /// Somebody answered, and the customer is asked what the call is to do.
    Asks,
}

/// Where reports go, and which.
#[derive(Clone, Debug)]
pub(super) struct CallbackTarget {
    pub(super) url: String,
    /// Report by GET with the parameters in the address, instead of by POST.
    pub(super) by_get: bool,
    pub(super) wanted: Vec<Event>,
}

impl CallbackTarget {
    /// Every report, by POST.
    pub(super) fn everything_to(url: String) -> Self {
        Self {
            url,
            by_get: false,
            wanted: Event::VARIANTS.to_vec(),
        }
    }
}

/// A move of a call that its customer asked to be told of.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) event: Event,
    /// The order of the call's reports, from 0.
    pub(super) sequence: u32,
    pub(super) at: Timestamp,
    /// The call as it was then.
    pub(super) call: Record,
}

/// A report on its way, as the control API shows it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Delivered {
    pub(super) event: Event,
    pub(super) sequence: u32,
    pub(super) copy: CopyKind,
    /// The HTTP status of each attempt; `null`: no answer.
    pub(super) answers: Vec<Option<u16>>,
}

/// Which of the copies of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CopyKind {
    True,
    Duplicate,
    Forged,
    Dropped,
}
