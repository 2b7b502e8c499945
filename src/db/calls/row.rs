//! A call as `calls` has it, and what of it is written.

use serde::Serialize;
use serde_json::{Value, value::RawValue};
use sqlx::types::Json;

use crate::domain::{
    AgentId, CallId, OrganizationId, ProviderAccountId, RateCardId, Timestamp,
    billing::{Cost, Rate},
    call::{
        Call, CallStatus, DialState, Direction, EndReason, EndSide, EndState, Limits, Metadata,
        Wish,
    },
    phone::Phone,
    provider::{ProviderKind, Source},
};

/// A row of `calls`, column by column.
pub(super) struct CallRow {
    pub(super) organization_id: OrganizationId,
    pub(super) id: CallId,
    pub(super) agent_id: AgentId,
    pub(super) provider: ProviderKind,
    pub(super) provider_account_id: ProviderAccountId,
    pub(super) provider_call_id: Option<String>,
    pub(super) provider_host: Option<String>,
    pub(super) version: i64,
    pub(super) last_sequence: i64,
    pub(super) status: CallStatus,
    pub(super) direction: Direction,
    pub(super) from_number: Phone,
    pub(super) to_number: Phone,
    pub(super) client_reference: Option<String>,
    pub(super) metadata: Json<Box<RawValue>>,
    pub(super) test: bool,
    pub(super) max_duration_seconds: i32,
    pub(super) ring_timeout_seconds: i32,
    pub(super) dial_state: DialState,
    pub(super) dial_started_at: Option<Timestamp>,
    pub(super) created_at: Timestamp,
    pub(super) ringing_at: Option<Timestamp>,
    pub(super) answered_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) ended_reason: Option<EndReason>,
    pub(super) ended_side: Option<EndSide>,
    pub(super) provider_cause: Option<Value>,
    pub(super) heard_at: Timestamp,
    pub(super) wish_state: Option<EndState>,
    pub(super) wish_requested_at: Option<Timestamp>,
    pub(super) wish_reason: Option<EndReason>,
    pub(super) wish_initiator: Option<String>,
    pub(super) wish_note: Option<String>,
    pub(super) wish_attempts: Option<i32>,
    pub(super) wish_retry_at: Option<Timestamp>,
    pub(super) wish_confirmed_by: Option<Source>,
    pub(super) wish_confirmed_at: Option<Timestamp>,
    pub(super) rate_card_id: Option<RateCardId>,
    pub(super) rate_currency: Option<String>,
    pub(super) rate_price_micros: Option<i64>,
    pub(super) rate_price_seconds: Option<i32>,
    pub(super) rate_increment_seconds: Option<i32>,
    pub(super) rate_minimum_seconds: Option<i32>,
    pub(super) billable_millis: Option<i64>,
    pub(super) billed_seconds: Option<i64>,
    pub(super) amount_micros: Option<i64>,
}

impl From<CallRow> for Call {
    fn from(row: CallRow) -> Self {
        let wish = row.wish();
        let (rate, cost) = (row.rate(), row.cost());
        Self {
            organization_id: row.organization_id,
            id: row.id,
            agent_id: row.agent_id,
            provider: row.provider,
            provider_account_id: row.provider_account_id,
            provider_call_id: row.provider_call_id,
            provider_host: row.provider_host,
            version: row.version,
            last_sequence: row.last_sequence,
            status: row.status,
            direction: row.direction,
            from: row.from_number,
            to: row.to_number,
            client_reference: row.client_reference,
            metadata: row.metadata.0.into(),
            test: row.test,
            limits: Limits {
                max_duration_seconds: row.max_duration_seconds,
                ring_timeout_seconds: row.ring_timeout_seconds,
            },
            dial: row.dial_state,
            dial_started_at: row.dial_started_at,
            created_at: row.created_at,
            ringing_at: row.ringing_at,
            answered_at: row.answered_at,
            ended_at: row.ended_at,
            ended_reason: row.ended_reason,
            ended_side: row.ended_side,
            provider_cause: row.provider_cause,
            wish,
            rate,
            cost,
            heard_at: row.heard_at,
        }
    }
}

impl CallRow {
    fn wish(&self) -> Option<Wish> {
        Some(Wish {
            state: self.wish_state?,
            requested_at: self.wish_requested_at?,
            reason: self.wish_reason?,
            initiator: self.wish_initiator.clone()?,
            note: self.wish_note.clone(),
            attempts: self.wish_attempts?,
            retry_at: self.wish_retry_at,
            confirmed_by: self.wish_confirmed_by,
            confirmed_at: self.wish_confirmed_at,
        })
    }

    fn rate(&self) -> Option<Rate> {
        Some(Rate {
            rate_card_id: self.rate_card_id?,
            currency: self.rate_currency.clone()?,
            price_micros: self.rate_price_micros?,
            price_seconds: self.rate_price_seconds?,
            increment_seconds: self.rate_increment_seconds?,
            minimum_seconds: self.rate_minimum_seconds?,
        })
    }

    fn cost(&self) -> Option<Cost> {
        Some(Cost {
            billable_millis: self.billable_millis?,
            billed_seconds: self.billed_seconds?,
            amount_micros: self.amount_micros?,
        })
    }
}

/// What of a call can change, in the order of `apply_change`'s parameters.
#[derive(Serialize)]
pub(super) struct ChangedRow<'a> {
    pub(super) last_sequence: i64,
    pub(super) status: CallStatus,
    pub(super) provider_call_id: Option<&'a str>,
    pub(super) provider_host: Option<&'a str>,
    pub(super) dial_state: DialState,
    pub(super) dial_started_at: Option<Timestamp>,
    pub(super) ringing_at: Option<Timestamp>,
    pub(super) answered_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) ended_reason: Option<EndReason>,
    pub(super) ended_side: Option<EndSide>,
    pub(super) provider_cause: Option<&'a Value>,
    pub(super) heard_at: Timestamp,
    pub(super) wish_state: Option<EndState>,
    pub(super) wish_requested_at: Option<Timestamp>,
    pub(super) wish_reason: Option<EndReason>,
    pub(super) wish_initiator: Option<&'a str>,
    pub(super) wish_note: Option<&'a str>,
    pub(super) wish_attempts: Option<i32>,
    pub(super) wish_retry_at: Option<Timestamp>,
    pub(super) wish_confirmed_by: Option<Source>,
    pub(super) wish_confirmed_at: Option<Timestamp>,
    pub(super) billable_millis: Option<i64>,
    pub(super) billed_seconds: Option<i64>,
    pub(super) amount_micros: Option<i64>,
}

impl<'a> From<&'a Call> for ChangedRow<'a> {
    fn from(call: &'a Call) -> Self {
        let wish = call.wish.as_ref();
        Self {
            last_sequence: call.last_sequence,
            status: call.status,
            provider_call_id: call.provider_call_id.as_deref(),
            provider_host: call.provider_host.as_deref(),
            dial_state: call.dial,
            dial_started_at: call.dial_started_at,
            ringing_at: call.ringing_at,
            answered_at: call.answered_at,
            ended_at: call.ended_at,
            ended_reason: call.ended_reason,
            ended_side: call.ended_side,
            provider_cause: call.provider_cause.as_ref(),
            heard_at: call.heard_at,
            wish_state: wish.map(|wish| wish.state),
            wish_requested_at: wish.map(|wish| wish.requested_at),
            wish_reason: wish.map(|wish| wish.reason),
            wish_initiator: wish.map(|wish| wish.initiator.as_str()),
            wish_note: wish.and_then(|wish| wish.note.as_deref()),
            wish_attempts: wish.map(|wish| wish.attempts),
            wish_retry_at: wish.and_then(|wish| wish.retry_at),
            wish_confirmed_by: wish.and_then(|wish| wish.confirmed_by),
            wish_confirmed_at: wish.and_then(|wish| wish.confirmed_at),
            billable_millis: call.cost.map(|cost| cost.billable_millis),
            billed_seconds: call.cost.map(|cost| cost.billed_seconds),
            amount_micros: call.cost.map(|cost| cost.amount_micros),
        }
    }
}

/// A whole new row.
#[derive(Serialize)]
pub(super) struct NewCallRow<'a> {
    id: CallId,
    agent_id: AgentId,
    provider: ProviderKind,
    provider_account_id: ProviderAccountId,
    version: i64,
    direction: Direction,
    from_number: &'a str,
    to_number: &'a str,
    client_reference: Option<&'a str>,
    metadata: &'a Metadata,
    test: bool,
    max_duration_seconds: i32,
    ring_timeout_seconds: i32,
    created_at: Timestamp,
    rate_card_id: Option<RateCardId>,
    rate_currency: Option<&'a str>,
    rate_price_micros: Option<i64>,
    rate_price_seconds: Option<i32>,
    rate_increment_seconds: Option<i32>,
    rate_minimum_seconds: Option<i32>,
    #[serde(flatten)]
    changing: ChangedRow<'a>,
}

impl<'a> From<&'a Call> for NewCallRow<'a> {
    fn from(call: &'a Call) -> Self {
        let rate = call.rate.as_ref();
        Self {
            id: call.id,
            agent_id: call.agent_id,
            provider: call.provider,
            provider_account_id: call.provider_account_id,
            version: call.version,
            direction: call.direction,
            from_number: call.from.reveal(),
            to_number: call.to.reveal(),
            client_reference: call.client_reference.as_deref(),
            metadata: &call.metadata,
            test: call.test,
            max_duration_seconds: call.limits.max_duration_seconds,
            ring_timeout_seconds: call.limits.ring_timeout_seconds,
            created_at: call.created_at,
            rate_card_id: rate.map(|rate| rate.rate_card_id),
            rate_currency: rate.map(|rate| rate.currency.as_str()),
            rate_price_micros: rate.map(|rate| rate.price_micros),
            rate_price_seconds: rate.map(|rate| rate.price_seconds),
            rate_increment_seconds: rate.map(|rate| rate.increment_seconds),
            rate_minimum_seconds: rate.map(|rate| rate.minimum_seconds),
            changing: ChangedRow::from(call),
        }
    }
}
