//! A call as `calls` has it, and what of it is written.

use serde::Serialize;
use serde_json::{Value, value::RawValue};
use sqlx::{Column as _, Row as _, postgres::PgRow, types::Json};

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
pub(in crate::db) struct CallRow {
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

/// The columns of [`CallRow`], for statements that are put together.
pub(in crate::db) const COLUMNS: &str = "organization_id, id, agent_id, provider, provider_account_id, \
    provider_call_id, provider_host, version, last_sequence, status, direction, from_number, to_number, \
    client_reference, metadata, test, max_duration_seconds, ring_timeout_seconds, dial_state, \
    dial_started_at, created_at, ringing_at, answered_at, ended_at, ended_reason, ended_side, \
    provider_cause, heard_at, wish_state, wish_requested_at, wish_reason, wish_initiator, \
    wish_note, wish_attempts, wish_retry_at, wish_confirmed_by, wish_confirmed_at, rate_card_id, \
    rate_currency, rate_price_micros, rate_price_seconds, rate_increment_seconds, \
    rate_minimum_seconds, billable_millis, billed_seconds, amount_micros";

impl<'r> sqlx::FromRow<'r, PgRow> for CallRow {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        let mut cells = Cells { row, next: 0 };
        Ok(Self {
            organization_id: cells.next("organization_id")?,
            id: cells.next("id")?,
            agent_id: cells.next("agent_id")?,
            provider: cells.next("provider")?,
            provider_account_id: cells.next("provider_account_id")?,
            provider_call_id: cells.next("provider_call_id")?,
            provider_host: cells.next("provider_host")?,
            version: cells.next("version")?,
            last_sequence: cells.next("last_sequence")?,
            status: cells.next("status")?,
            direction: cells.next("direction")?,
            from_number: cells.next("from_number")?,
            to_number: cells.next("to_number")?,
            client_reference: cells.next("client_reference")?,
            metadata: cells.next("metadata")?,
            test: cells.next("test")?,
            max_duration_seconds: cells.next("max_duration_seconds")?,
            ring_timeout_seconds: cells.next("ring_timeout_seconds")?,
            dial_state: cells.next("dial_state")?,
            dial_started_at: cells.next("dial_started_at")?,
            created_at: cells.next("created_at")?,
            ringing_at: cells.next("ringing_at")?,
            answered_at: cells.next("answered_at")?,
            ended_at: cells.next("ended_at")?,
            ended_reason: cells.next("ended_reason")?,
            ended_side: cells.next("ended_side")?,
            provider_cause: cells.next("provider_cause")?,
            heard_at: cells.next("heard_at")?,
            wish_state: cells.next("wish_state")?,
            wish_requested_at: cells.next("wish_requested_at")?,
            wish_reason: cells.next("wish_reason")?,
            wish_initiator: cells.next("wish_initiator")?,
            wish_note: cells.next("wish_note")?,
            wish_attempts: cells.next("wish_attempts")?,
            wish_retry_at: cells.next("wish_retry_at")?,
            wish_confirmed_by: cells.next("wish_confirmed_by")?,
            wish_confirmed_at: cells.next("wish_confirmed_at")?,
            rate_card_id: cells.next("rate_card_id")?,
            rate_currency: cells.next("rate_currency")?,
            rate_price_micros: cells.next("rate_price_micros")?,
            rate_price_seconds: cells.next("rate_price_seconds")?,
            rate_increment_seconds: cells.next("rate_increment_seconds")?,
            rate_minimum_seconds: cells.next("rate_minimum_seconds")?,
            billable_millis: cells.next("billable_millis")?,
            billed_seconds: cells.next("billed_seconds")?,
            amount_micros: cells.next("amount_micros")?,
        })
    }
}

/// A row, read in the order of [`COLUMNS`]. A list reads thousands of cells: finding each by its
/// name and comparing its type took a third of the server's time for it.
struct Cells<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Cells<'r> {
    fn next<T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
        &mut self,
        name: &str,
    ) -> sqlx::Result<T> {
        let index = self.next;
        self.next += 1;
        debug_assert_eq!(self.row.column(index).name(), name, "COLUMNS is in order");
        if cfg!(debug_assertions) {
            self.row.try_get(index)
        } else {
            self.row.try_get_unchecked(index)
        }
    }
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

/// What of a call can change, as `apply_change` reads it.
#[derive(Serialize)]
pub(super) struct ChangedRow<'a> {
    last_sequence: i64,
    status: CallStatus,
    provider_call_id: Option<&'a str>,
    provider_host: Option<&'a str>,
    dial_state: DialState,
    dial_started_at: Option<Timestamp>,
    ringing_at: Option<Timestamp>,
    answered_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    ended_reason: Option<EndReason>,
    ended_side: Option<EndSide>,
    provider_cause: Option<&'a Value>,
    heard_at: Timestamp,
    wish_state: Option<EndState>,
    wish_requested_at: Option<Timestamp>,
    wish_reason: Option<EndReason>,
    wish_initiator: Option<&'a str>,
    wish_note: Option<&'a str>,
    wish_attempts: Option<i32>,
    wish_retry_at: Option<Timestamp>,
    wish_confirmed_by: Option<Source>,
    wish_confirmed_at: Option<Timestamp>,
    billable_millis: Option<i64>,
    billed_seconds: Option<i64>,
    amount_micros: Option<i64>,
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
