//! Applies what a provider reported.

use serde_json::Value;

use super::{Applied, change};
use crate::{
    app::App,
    db::{
        self,
        calls::{CallRef, ReceiptRow},
    },
    domain::{
        CallId, OrgScope, ProviderAccountId, Result,
        call::{Call, Input},
        provider::Observation,
    },
};

/// A provider's callback, verified and read.
#[derive(Clone, Debug)]
pub struct Report {
    pub provider_account_id: ProviderAccountId,
    /// The same for every repetition of the callback.
    pub receipt_key: String,
    /// `None`: it tells nothing about the call's progress.
    pub observation: Option<Observation>,
    /// The callback as it arrived, for the inbox.
    pub body: Value,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    Applied,
    /// Known, late, or without news: recorded, nothing changed.
    Stale,
    /// This account has no such call.
    UnknownCall,
}

/// Applies a callback about the call that we named `call_id`. Durable when this returns; repeating
/// it changes nothing.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: the provider should send it again.
pub async fn report(
    app: &App,
    scope: OrgScope,
    call_id: CallId,
    report: &Report,
) -> Result<Observed> {
    let call = db::calls::find(&app.db, scope, &CallRef::from(call_id)).await?;
    let Some(call) = call.filter(|call| call.provider_account_id == report.provider_account_id)
    else {
        return Ok(Observed::UnknownCall);
    };
    let receipt = ReceiptRow {
        provider_account_id: report.provider_account_id,
        receipt_key: report.receipt_key.clone(),
        body: report.body.clone(),
    };
    if let Some(observation) = &report.observation {
        let applied = change(
            app,
            scope,
            call,
            &Input::Observed(observation),
            |_, effects| {
                effects.receipt = Some(receipt.clone());
            },
        )
        .await?;
        if matches!(applied, Applied::Changed(_)) {
            return Ok(Observed::Applied);
        }
    }
    let now = app.ambient.now();
    db::callback_receipts::insert_stale(&app.db, scope, call_id, &receipt, now).await?;
    Ok(Observed::Stale)
}

/// Applies what reading the call at its provider showed.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn fetched(
    app: &App,
    scope: OrgScope,
    call: Call,
    observation: &Observation,
) -> Result<Call> {
    let applied = change(app, scope, call, &Input::Observed(observation), |_, _| {}).await?;
    Ok(applied.call())
}
