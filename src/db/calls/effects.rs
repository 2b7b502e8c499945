//! What accompanies a change of a call, in the form that `write_effects` reads.

use std::ops::Not;

use serde::Serialize;
use serde_json::Value;

use crate::{
    db::idempotency::NewKey,
    domain::{
        AuditEntryId, JobId, LeaseToken, LedgerEntryId, ProviderAccountId, RateCardId, Timestamp,
        billing::{Cost, Meter},
        call::{Change, Fact},
        job::JobKind,
    },
};

/// What accompanies a change: who did it, which job it ends, which callback it answers.
#[derive(Clone, Debug)]
pub struct Effects {
    pub at: Timestamp,
    pub jobs: Vec<JobRow>,
    pub finish_job: Option<(JobId, LeaseToken)>,
    pub run_job_again: Option<(JobId, LeaseToken, Timestamp)>,
    pub attempt: Option<AttemptRow>,
    pub usage_entry_id: LedgerEntryId,
    pub receipt: Option<ReceiptRow>,
    pub audit: Option<AuditRow>,
    pub idempotency: Option<NewKey>,
}

impl Effects {
    /// Nothing beside the change itself, at the instant `at`.
    pub fn at(at: Timestamp, usage_entry_id: LedgerEntryId) -> Self {
        Self {
            at,
            jobs: Vec::new(),
            finish_job: None,
            run_job_again: None,
            attempt: None,
            usage_entry_id,
            receipt: None,
            audit: None,
            idempotency: None,
        }
    }
}

/// A job to insert; with a lease it belongs to this node at once.
#[derive(Clone, Debug, Serialize)]
pub struct JobRow {
    pub id: JobId,
    pub kind: JobKind,
    pub due_at: Timestamp,
    pub attempt: i32,
    pub lease: Option<LeaseToken>,
}

/// A request to hang up and its answer.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptRow {
    pub id: uuid::Uuid,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub outcome: &'static str,
    pub provider_status: Option<i32>,
    pub provider_code: Option<String>,
    pub provider_message: Option<String>,
}

/// A provider's callback, by which the change came about.
#[derive(Clone, Debug, Serialize)]
pub struct ReceiptRow {
    pub provider_account_id: ProviderAccountId,
    pub receipt_key: String,
    pub body: Value,
}

/// Who did it, from where.
#[derive(Clone, Debug, Serialize)]
pub struct AuditRow {
    pub id: AuditEntryId,
    pub actor: String,
    pub action: &'static str,
    pub address: Option<String>,
    pub request_id: Option<String>,
    pub detail: Value,
}

/// [`Change`] and [`Effects`] as `write_effects` reads them: what is not to be done is left out.
#[derive(Serialize)]
pub(super) struct EffectsJson<'a> {
    at: Timestamp,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    facts: &'a [Fact],
    #[serde(skip_serializing_if = "Not::not")]
    drop_jobs: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    jobs: &'a [JobRow],
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_job: Option<FinishJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_job_again: Option<RunAgainJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<&'a AttemptRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<&'a ReceiptRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<&'a AuditRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency: Option<&'a NewKey>,
}

#[derive(Serialize)]
struct FinishJson {
    id: JobId,
    lease: LeaseToken,
}

#[derive(Serialize)]
struct RunAgainJson {
    id: JobId,
    lease: LeaseToken,
    due_at: Timestamp,
}

#[derive(Serialize)]
struct UsageJson<'a> {
    id: LedgerEntryId,
    meter: Meter,
    rate_card_id: RateCardId,
    currency: &'a str,
    #[serde(flatten)]
    cost: Cost,
}

impl<'a> EffectsJson<'a> {
    pub(super) fn of(change: &'a Change, effects: &'a Effects) -> Self {
        let call = &change.call;
        let billed = call.rate.as_ref().zip(call.cost).filter(|_| !call.test);
        Self {
            at: effects.at,
            facts: &change.facts,
            drop_jobs: change.drop_jobs,
            jobs: &effects.jobs,
            finish_job: effects
                .finish_job
                .map(|(id, lease)| FinishJson { id, lease }),
            run_job_again: effects
                .run_job_again
                .map(|(id, lease, due_at)| RunAgainJson { id, lease, due_at }),
            attempt: effects.attempt.as_ref(),
            usage: billed.map(|(rate, cost)| UsageJson {
                id: effects.usage_entry_id,
                meter: Meter::CallTime,
                rate_card_id: rate.rate_card_id,
                currency: &rate.currency,
                cost,
            }),
            receipt: effects.receipt.as_ref(),
            audit: effects.audit.as_ref(),
            idempotency: effects.idempotency.as_ref(),
        }
    }
}
