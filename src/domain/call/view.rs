//! The public JSON of a call: the same in answers, events and streams.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::{Call, CallStatus, Direction, EndReason, EndSide, EndState, Limits};
use crate::domain::{
    AgentId, CallId, OrganizationId, ProviderAccountId, Timestamp,
    provider::{ProviderKind, Source},
};

/// How amounts are rounded.
pub const ROUNDING: &str = "half_up";

/// A phone call.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Call)]
pub struct CallView<'a> {
    /// Our id (UUID version 4).
    pub id: CallId,
    /// The provider's id, or ours while there is none. Every route takes either.
    #[schema(example = "CA3f1c9f3b5b2e4f6aa1d0c2b4e6f80a12")]
    pub call_sid: Cow<'a, str>,
    pub organization_id: OrganizationId,
    pub agent_id: AgentId,
    pub status: CallStatus,
    pub direction: Direction,
    /// E.164.
    #[schema(example = "+15550100")]
    pub from: &'a str,
    /// E.164.
    #[schema(example = "+15550101")]
    pub to: &'a str,
    pub provider: ProviderKind,
    pub provider_account_id: ProviderAccountId,
    /// Your own name for the call; unique in the organisation.
    pub client_reference: Option<&'a str>,
    #[schema(value_type = Object)]
    pub metadata: &'a RawValue,
    pub created_at: Timestamp,
    pub ringing_at: Option<Timestamp>,
    pub answered_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Whole seconds from the answer to the end; null while the call is live.
    pub duration_seconds: Option<i64>,
    pub ended_reason: Option<EndReason>,
    pub limits: Limits,
    pub end: Option<EndView<'a>>,
    pub cost: Option<CostView<'a>>,
    /// The number of the newest event of this call.
    pub last_sequence: i64,
}

/// How the call ended, or how far a wish to end it has come.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = End)]
pub struct EndView<'a> {
    /// Null: nobody of ours asked for the end.
    pub state: Option<EndState>,
    pub requested_at: Option<Timestamp>,
    pub reason: Option<EndReason>,
    /// Who asked: `token:<id>` or `system:<what>`.
    pub initiator: Option<&'a str>,
    pub note: Option<&'a str>,
    pub side: Option<EndSide>,
    /// Requests to hang up whose outcome is known.
    pub attempts: i32,
    pub confirmed_by: Option<Source>,
    pub confirmed_at: Option<Timestamp>,
    /// What the provider said, verbatim.
    #[schema(value_type = Option<Object>)]
    pub provider_cause: Option<Cow<'a, Value>>,
}

/// What the call costs.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Cost)]
pub struct CostView<'a> {
    /// Millionths of the currency's unit.
    #[schema(example = 14_000)]
    pub amount_micros: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: &'a str,
    /// Milliseconds from the answer to the end as the provider reports it, never past the moment
    /// at which a wish to end was accepted.
    pub billable_milliseconds: i64,
    /// The billable time in whole increments, at least the minimum.
    pub billed_seconds: i64,
    /// The price of `price_seconds` seconds, in micros.
    pub price_micros: i64,
    pub price_seconds: i32,
    pub increment_seconds: i32,
    pub minimum_seconds: i32,
    /// Always `half_up`: `billed_seconds` × `price_micros` ÷ `price_seconds`, rounded once.
    #[schema(example = "half_up")]
    pub rounding: &'static str,
}

/// The termination receipt.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = CallEnd)]
pub struct CallEndView<'a> {
    pub call_id: CallId,
    /// `ended`: this wish ended it, `already_ended`: it was over before, `ending`: under way.
    #[schema(example = "ended")]
    pub outcome: &'static str,
    pub status: CallStatus,
    pub ended_at: Option<Timestamp>,
    pub ended_reason: Option<EndReason>,
    pub end: Option<EndView<'a>>,
    /// Milliseconds from the wish to the evidence that the call is over.
    pub latency_milliseconds: Option<i64>,
}

impl Call {
    /// The public form of the call.
    pub fn view(&self) -> CallView<'_> {
        CallView {
            id: self.id,
            call_sid: self.call_sid(),
            organization_id: self.organization_id,
            agent_id: self.agent_id,
            status: self.status,
            direction: self.direction,
            from: self.from.reveal(),
            to: self.to.reveal(),
            provider: self.provider,
            provider_account_id: self.provider_account_id,
            client_reference: self.client_reference.as_deref(),
            metadata: self.metadata.text(),
            created_at: self.created_at,
            ringing_at: self.ringing_at,
            answered_at: self.answered_at,
            ended_at: self.ended_at,
            duration_seconds: self.duration_seconds(),
            ended_reason: self.ended_reason,
            limits: self.limits,
            end: self.end_view(),
            cost: self.cost_view(),
            last_sequence: self.last_sequence,
        }
    }

    /// The receipt of the call's end; `already` when the asker found it over.
    pub fn end_receipt(&self, already: bool) -> CallEndView<'_> {
        let outcome = match (self.is_live(), already) {
            (true, _) => "ending",
            (false, true) => "already_ended",
            (false, false) => "ended",
        };
        let latency = self.wish.as_ref().and_then(|wish| {
            let confirmed_at = wish.confirmed_at?;
            i64::try_from(confirmed_at.since(wish.requested_at).whole_milliseconds()).ok()
        });
        CallEndView {
            call_id: self.id,
            outcome,
            status: self.status,
            ended_at: self.ended_at,
            ended_reason: self.ended_reason,
            end: self.end_view(),
            latency_milliseconds: latency,
        }
    }

    fn end_view(&self) -> Option<EndView<'_>> {
        let wish = self.wish.as_ref();
        if wish.is_none() && self.is_live() {
            return None;
        }
        Some(EndView {
            state: wish.map(|wish| wish.state),
            requested_at: wish.map(|wish| wish.requested_at),
            reason: wish.map(|wish| wish.reason).or(self.ended_reason),
            initiator: wish.map(|wish| wish.initiator.as_str()),
            note: wish.and_then(|wish| wish.note.as_deref()),
            side: self.ended_side,
            attempts: wish.map_or(0, |wish| wish.attempts),
            confirmed_by: wish.and_then(|wish| wish.confirmed_by),
            confirmed_at: wish.and_then(|wish| wish.confirmed_at),
            provider_cause: self.provider_cause.as_ref().map(Cow::Borrowed),
        })
    }

    fn cost_view(&self) -> Option<CostView<'_>> {
        let (cost, rate) = (self.cost.as_ref()?, self.rate.as_ref()?);
        Some(CostView {
            amount_micros: cost.amount_micros,
            currency: &rate.currency,
            billable_milliseconds: cost.billable_millis,
            billed_seconds: cost.billed_seconds,
            price_micros: rate.price_micros,
            price_seconds: rate.price_seconds,
            increment_seconds: rate.increment_seconds,
            minimum_seconds: rate.minimum_seconds,
            rounding: ROUNDING,
        })
    }
}
