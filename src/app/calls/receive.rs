//! Records a call that came in, before the provider is told what to do with it.

use serde_json::{Value, json};

use super::{change, lease_jobs, observe};
use crate::{
    app::App,
    db::{
        self,
        agents::InboundPlan,
        calls::{Effects, ReceiptRow},
    },
    domain::{
        CallId, ErrorCode, LedgerEntryId, OrgScope, ProviderAccountId, Result,
        agent::AgentSettings,
        call::{self, Call, CallStatus, DialState, Direction, Input, Metadata},
        phone::Phone,
        provider::{Observation, Progress, Source},
    },
};

/// A call that came in, verified and read.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub provider_account_id: ProviderAccountId,
    /// The same for every repetition of the callback.
    pub receipt_key: String,
    pub provider_call_id: String,
    /// As the provider writes them.
    pub from: String,
    pub to: String,
    pub host: Option<String>,
    /// Whether our answer to the callback answers the call.
    pub answered_by_reply: bool,
    /// The callback as it arrived, for the inbox.
    pub body: Value,
}

impl Arrival {
    fn receipt(&self) -> ReceiptRow {
        ReceiptRow {
            provider_account_id: self.provider_account_id,
            receipt_key: self.receipt_key.clone(),
            body: self.body.clone(),
        }
    }
}

/// What becomes of a call that came in.
#[derive(Clone, Debug)]
pub enum Received {
    /// It is the agent's: to be answered as its settings say.
    Taken {
        call: Box<Call>,
        settings: AgentSettings,
    },
    /// Nobody has the number on this account, its agent takes no calls, or the call is over.
    NotTaken,
}

/// Records the call that `arrival` tells of, for the agent whose number was called, and applies the
/// reports that were faster. Durable when this returns; the same arrival again finds the same call.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: the provider should ask again.
pub async fn receive(app: &App, scope: OrgScope, arrival: &Arrival) -> Result<Received> {
    let account_id = arrival.provider_account_id;
    let now = app.ambient.now();
    let plan = match Phone::in_address(&arrival.to) {
        Some(to) => db::agents::find_inbound_plan(&app.db, scope, account_id, &to, now)
            .await?
            .map(|plan| (plan, to)),
        None => None,
    };
    let Some((plan, to)) = plan else {
        let receipt = arrival.receipt();
        db::callback_receipts::insert_stale(&app.db, scope, None, &receipt, now).await?;
        return Ok(Received::NotTaken);
    };
    let settings = plan.settings.clone();
    let call = match known(app, scope, arrival).await? {
        Some(call) => call,
        None => match record(app, scope, arrival, draft(app, scope, arrival, plan, to)).await? {
            Some(call) => call,
            // The same arrival, at the same moment.
            None => match known(app, scope, arrival).await? {
                Some(call) => call,
                None => return Ok(Received::NotTaken),
            },
        },
    };
    let call = observe::apply_parked(app, scope, call).await?;
    if !call.is_live() {
        return Ok(Received::NotTaken);
    }
    let call = if arrival.answered_by_reply && call.wish.is_none() {
        let answered = Observation {
            provider_call_id: arrival.provider_call_id.clone(),
            progress: Progress::Answered,
            at: None,
            source: Source::Callback,
            host: None,
        };
        let input = Input::Observed(&answered);
        change(app, scope, call, &input, |_, _| {}).await?.call()
    } else {
        call
    };
    Ok(Received::Taken {
        call: Box::new(call),
        settings,
    })
}

/// What the agent of `call` has it do.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn settings(app: &App, scope: OrgScope, call: &Call) -> Result<AgentSettings> {
    let settings = db::agents::find_settings(&app.db, scope, call.agent_id).await?;
    Ok(settings.unwrap_or_default())
}

async fn known(app: &App, scope: OrgScope, arrival: &Arrival) -> Result<Option<Call>> {
    let (account_id, id) = (arrival.provider_account_id, &arrival.provider_call_id);
    db::calls::find_at_provider(&app.db, scope, account_id, id).await
}

/// `None`: somebody recorded the same call meanwhile.
async fn record(app: &App, scope: OrgScope, arrival: &Arrival, call: Call) -> Result<Option<Call>> {
    let now = call.created_at;
    let change = call::receive(call);
    let mut effects = Effects::at(now, LedgerEntryId(app.ambient.ordered_uuid()));
    let jobs = lease_jobs(app, scope, &change, now, &mut effects);
    effects.receipt = Some(arrival.receipt());
    match db::calls::create(&app.db, scope, &change, &effects).await {
        Ok(()) => {
            app.fast_lane.send(jobs, &change.call);
            Ok(Some(change.call))
        }
        Err(error) if error.code == ErrorCode::DuplicateReference => Ok(None),
        Err(error) => Err(error),
    }
}

fn draft(app: &App, scope: OrgScope, arrival: &Arrival, plan: InboundPlan, to: Phone) -> Call {
    let now = app.ambient.now();
    Call {
        organization_id: scope.id(),
        id: CallId(app.ambient.entropy.uuid()),
        agent_id: plan.agent_id,
        provider: plan.provider,
        provider_account_id: arrival.provider_account_id,
        provider_call_id: Some(arrival.provider_call_id.clone()),
        provider_host: arrival.host.clone(),
        version: 1,
        last_sequence: 0,
        status: CallStatus::Initiating,
        direction: Direction::Inbound,
        from: Phone::of_caller(&arrival.from),
        to,
        client_reference: None,
        metadata: Metadata::from(&json!({})),
        test: false,
        limits: plan.settings.limits,
        dial: DialState::Placed,
        dial_started_at: Some(now),
        created_at: now,
        ringing_at: None,
        answered_at: None,
        ended_at: None,
        ended_reason: None,
        ended_side: None,
        provider_cause: None,
        wish: None,
        rate: plan.rate,
        cost: None,
        heard_at: now,
    }
}
