//! What a decision consists of, and how it is put together: the call as it will be, and the facts
//! that tell it. What an input does to a call is not here (`decide.rs`).

use serde::Serialize;
use serde_json::{Value, json, value::to_raw_value};

use super::{Call, CallStatus, CallView, Fact, FactType};
use crate::domain::{Timestamp, job::JobKind};

/// All that becomes of a call in one step.
#[derive(Clone, Debug)]
pub struct Change {
    /// The call afterwards.
    pub call: Call,
    pub facts: Vec<Fact>,
    /// Jobs to start, in addition to those that exist.
    pub jobs: Vec<JobKind>,
    /// Whether the jobs that exist for the call have become pointless.
    pub drop_jobs: bool,
}

/// The first fact of a new call, which `call` is changed to carry.
pub fn start(call: Call) -> Change {
    let mut draft = Draft {
        change: Change::new(call),
    };
    let created_at = draft.change.call.created_at;
    let status = draft.change.call.status;
    draft.fact(FactType::Started, status, created_at);
    draft.change.jobs.push(JobKind::DialCall);
    draft.change
}

/// The first facts of a call that came in and rings, which `call` is changed to carry.
pub fn receive(call: Call) -> Change {
    let mut draft = Draft {
        change: Change::new(call),
    };
    let created_at = draft.change.call.created_at;
    draft.fact(FactType::Started, CallStatus::Initiating, created_at);
    draft.call().status = CallStatus::Ringing;
    draft.call().ringing_at = Some(created_at);
    draft.fact(FactType::Ringing, CallStatus::Initiating, created_at);
    if draft.change.call.provider.is_commanded() {
        draft.change.jobs.push(JobKind::AnswerCall);
    }
    draft.change
}

impl Change {
    fn new(call: Call) -> Self {
        Self {
            call,
            facts: Vec::new(),
            jobs: Vec::new(),
            drop_jobs: false,
        }
    }
}

/// A change in the making.
pub(super) struct Draft {
    pub(super) change: Change,
}

impl Draft {
    pub(super) fn of(call: &Call) -> Self {
        let mut call = call.clone();
        call.version += 1;
        Self {
            change: Change::new(call),
        }
    }

    pub(super) fn call(&mut self) -> &mut Call {
        &mut self.change.call
    }

    pub(super) fn fact(&mut self, kind: FactType, from: CallStatus, at: Timestamp) {
        self.push_fact(kind, from, at, None);
    }

    pub(super) fn error_fact(
        &mut self,
        code: &str,
        message: &str,
        from: CallStatus,
        at: Timestamp,
    ) {
        self.push_fact(
            FactType::Error,
            from,
            at,
            Some(json!({"code": code, "message": message})),
        );
    }

    fn push_fact(&mut self, kind: FactType, from: CallStatus, at: Timestamp, error: Option<Value>) {
        #[derive(Serialize)]
        struct Data<'a> {
            call: CallView<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<Value>,
        }
        let call = &mut self.change.call;
        call.last_sequence += 1;
        // A view holds strings, numbers and JSON values only: writing it cannot fail.
        let Ok(data) = to_raw_value(&Data {
            call: call.view(),
            error,
        }) else {
            return;
        };
        let (sequence, to_status) = (call.last_sequence, call.status);
        self.change.facts.push(Fact {
            sequence,
            kind,
            from_status: from,
            to_status,
            at,
            data,
        });
    }
}
