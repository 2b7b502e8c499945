//! A call as a list shows it: read from the row without being copied, and without what is not
//! shown. A list reads dozens of rows of dozens of cells, most of them empty.

use std::borrow::Cow;

use serde_json::{Value, value::RawValue};
use sqlx::{Column as _, Row as _, postgres::PgRow, types::Json};

use crate::domain::{
    CallId, Error, OrgScope, OrganizationId, Result, Timestamp,
    call::{
        CallStatus, CallView, CostView, EndReason, EndSide, EndState, EndView, Limits, ROUNDING,
    },
};

/// What of a call is shown, in the order in which it is read.
pub(in crate::db) const LISTED_COLUMNS: &str = "id, agent_id, provider, provider_account_id, \
    provider_call_id, last_sequence, status, direction, from_number, to_number, client_reference, \
    metadata, max_duration_seconds, ring_timeout_seconds, created_at, ringing_at, answered_at, \
    ended_at, ended_reason, ended_side, provider_cause, wish_state, wish_requested_at, \
    wish_reason, wish_initiator, wish_note, wish_attempts, wish_confirmed_by, wish_confirmed_at, \
    amount_micros, rate_currency, billable_millis, billed_seconds, rate_price_micros, \
    rate_price_seconds, rate_increment_seconds, rate_minimum_seconds";

/// A row of a list.
pub struct Listed {
    row: PgRow,
    organization_id: OrganizationId,
}

/// How it came to an end, when it did.
struct Ended {
    at: Option<Timestamp>,
    reason: Option<EndReason>,
    side: Option<EndSide>,
    cause: Option<Value>,
}

impl Listed {
    pub(in crate::db) fn new(row: PgRow, scope: OrgScope) -> Self {
        Self {
            row,
            organization_id: scope.id(),
        }
    }

    /// The public form of the call, as [`crate::domain::call::Call::view`] has it.
    ///
    /// # Errors
    /// When the row holds what this version does not know.
    pub fn view(&self) -> Result<CallView<'_>> {
        self.read()
            .map_err(|error| Error::internal("read a listed call", error))
    }

    fn read(&self) -> sqlx::Result<CallView<'_>> {
        let mut cells = Cells::of(&self.row);
        let id: CallId = cells.next("id")?;
        let (agent_id, provider) = (cells.next("agent_id")?, cells.next("provider")?);
        let provider_account_id = cells.next("provider_account_id")?;
        let call_sid: Option<&str> = cells.next("provider_call_id")?;
        let last_sequence = cells.next("last_sequence")?;
        let status: CallStatus = cells.next("status")?;
        let direction = cells.next("direction")?;
        let (from, to) = (cells.next("from_number")?, cells.next("to_number")?);
        let client_reference = cells.next("client_reference")?;
        let metadata: Json<&RawValue> = cells.next("metadata")?;
        let limits = Limits {
            max_duration_seconds: cells.next("max_duration_seconds")?,
            ring_timeout_seconds: cells.next("ring_timeout_seconds")?,
        };
        let (created_at, ringing_at) = (cells.next("created_at")?, cells.next("ringing_at")?);
        let answered_at: Option<Timestamp> = cells.next("answered_at")?;
        let ended = Ended::read(&mut cells)?;
        let (ended_at, ended_reason) = (ended.at, ended.reason);
        let end = end(&mut cells, ended, status)?;
        Ok(CallView {
            id,
            call_sid: call_sid.map_or_else(|| Cow::Owned(id.to_string()), Cow::Borrowed),
            organization_id: self.organization_id,
            agent_id,
            status,
            direction,
            from,
            to,
            provider,
            provider_account_id,
            client_reference,
            metadata: metadata.0,
            created_at,
            ringing_at,
            answered_at,
            ended_at,
            duration_seconds: ended_at.map(|at| {
                let connected = answered_at.map(|answered_at| at.since(answered_at));
                connected.unwrap_or_default().whole_seconds()
            }),
            ended_reason,
            limits,
            end,
            cost: cost(&mut cells)?,
            last_sequence,
        })
    }
}

impl Ended {
    fn read(cells: &mut Cells<'_>) -> sqlx::Result<Self> {
        let at: Option<Timestamp> = cells.next("ended_at")?;
        if at.is_none() {
            cells.skip(3);
            return Ok(Self {
                at,
                reason: None,
                side: None,
                cause: None,
            });
        }
        Ok(Self {
            at,
            reason: cells.next("ended_reason")?,
            side: cells.next("ended_side")?,
            cause: cells.next("provider_cause")?,
        })
    }
}

fn end<'r>(
    cells: &mut Cells<'r>,
    ended: Ended,
    status: CallStatus,
) -> sqlx::Result<Option<EndView<'r>>> {
    let state: Option<EndState> = cells.next("wish_state")?;
    let mut end = EndView {
        state,
        requested_at: None,
        reason: ended.reason,
        initiator: None,
        note: None,
        side: ended.side,
        attempts: 0,
        confirmed_by: None,
        confirmed_at: None,
        provider_cause: ended.cause.map(Cow::Owned),
    };
    if state.is_none() {
        cells.skip(7);
        return Ok(status.is_terminal().then_some(end));
    }
    end.requested_at = cells.next("wish_requested_at")?;
    end.reason = cells.next("wish_reason")?;
    end.initiator = cells.next("wish_initiator")?;
    end.note = cells.next("wish_note")?;
    end.attempts = cells.next("wish_attempts")?;
    end.confirmed_by = cells.next("wish_confirmed_by")?;
    end.confirmed_at = cells.next("wish_confirmed_at")?;
    Ok(Some(end))
}

fn cost<'r>(cells: &mut Cells<'r>) -> sqlx::Result<Option<CostView<'r>>> {
    let Some(amount_micros) = cells.next("amount_micros")? else {
        return Ok(None);
    };
    Ok(Some(CostView {
        amount_micros,
        currency: cells.next("rate_currency")?,
        billable_milliseconds: cells.next("billable_millis")?,
        billed_seconds: cells.next("billed_seconds")?,
        price_micros: cells.next("rate_price_micros")?,
        price_seconds: cells.next("rate_price_seconds")?,
        increment_seconds: cells.next("rate_increment_seconds")?,
        minimum_seconds: cells.next("rate_minimum_seconds")?,
        rounding: ROUNDING,
    }))
}

/// A row, read in the order in which its columns were asked for. A list reads thousands of cells:
/// finding each by its name and comparing its type took a third of the server's time for it.
struct Cells<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Cells<'r> {
    fn of(row: &'r PgRow) -> Self {
        Self { row, next: 0 }
    }

    /// Passes over cells that are empty.
    fn skip(&mut self, count: usize) {
        self.next += count;
    }

    /// The next cell. Its name is checked in debug builds only.
    fn next<T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
        &mut self,
        name: &str,
    ) -> sqlx::Result<T> {
        let index = self.next;
        self.next += 1;
        debug_assert_eq!(self.row.column(index).name(), name, "out of order");
        if cfg!(debug_assertions) {
            self.row.try_get(index)
        } else {
            self.row.try_get_unchecked(index)
        }
    }
}
