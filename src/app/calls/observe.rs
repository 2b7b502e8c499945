//! Applies what a provider reported.

use serde_json::Value;

use super::{
    Applied, change,
    end::{self, EndRequest},
};
use crate::{
    app::{Actor, App, actor::By},
    db::{
        self,
        calls::{CallRef, ReceiptRow},
    },
    domain::{
        CallId, OrgScope, ProviderAccountId, Result, Timestamp,
        call::{Call, EndReason, Input},
        provider::Observation,
    },
};

/// A provider's callback, verified and read.
#[derive(Clone, Debug)]
pub struct Report {
    pub provider_account_id: ProviderAccountId,
    /// The same for every repetition of the callback.
    pub receipt_key: String,
    pub news: News,
    /// The callback as it arrived, for the inbox.
    pub body: Value,
}

/// What a report tells.
#[derive(Clone, Debug)]
pub enum News {
    /// How a call is doing.
    Progress(Observation),
    /// A call has done all that it was told to.
    Finished {
        /// The provider's name for it.
        provider_call_id: String,
    },
    Nothing,
}

impl News {
    fn provider_call_id(&self) -> Option<&str> {
        match self {
            Self::Progress(observation) => Some(&observation.provider_call_id),
            Self::Finished { provider_call_id } => Some(provider_call_id),
            Self::Nothing => None,
        }
    }
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    /// The call afterwards.
    Applied(Box<Call>),
    /// Known, late, or without news: recorded, nothing changed. The call, where one is known.
    Stale(Option<Box<Call>>),
    /// About a call that is not known yet: it is applied when it is.
    Parked,
    /// This account has no such call.
    UnknownCall,
}

/// Applies a callback about the call that we named `call_id`, or, when it came without a name of
/// ours, about the call that it names itself. Durable when this returns; repeating it changes
/// nothing.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: the provider should send it again.
pub async fn report(
    app: &App,
    scope: OrgScope,
    call_id: Option<CallId>,
    report: &Report,
) -> Result<Observed> {
    let receipt = ReceiptRow {
        provider_account_id: report.provider_account_id,
        receipt_key: report.receipt_key.clone(),
        body: report.body.clone(),
    };
    let now = app.ambient.now();
    let Some(call) = find(app, scope, call_id, report).await? else {
        if call_id.is_some() {
            return Ok(Observed::UnknownCall);
        }
        let News::Progress(observation) = &report.news else {
            db::callback_receipts::insert_stale(&app.db, scope, None, &receipt, now).await?;
            return Ok(Observed::Stale(None));
        };
        db::callback_receipts::park(&app.db, scope, &receipt, observation, now).await?;
        // The call may have become known since it was looked for, and nobody looks again soon.
        if let Some(call) = find(app, scope, call_id, report).await? {
            apply_parked(app, scope, call).await?;
        }
        return Ok(Observed::Parked);
    };
    let call_id = call.id;
    let call = match &report.news {
        News::Progress(observation) => {
            match apply(app, scope, call, observation, &receipt).await? {
                Applied::Changed(change) => return Ok(Observed::Applied(Box::new(change.call))),
                Applied::Unchanged(call, _) => call,
            }
        }
        News::Finished { .. } => {
            finish(app, scope, &call).await?;
            Box::new(call)
        }
        News::Nothing => Box::new(call),
    };
    db::callback_receipts::insert_stale(&app.db, scope, Some(call_id), &receipt, now).await?;
    Ok(Observed::Stale(Some(call)))
}

async fn find(
    app: &App,
    scope: OrgScope,
    call_id: Option<CallId>,
    report: &Report,
) -> Result<Option<Call>> {
    let account_id = report.provider_account_id;
    let Some(call_id) = call_id else {
        let Some(id) = report.news.provider_call_id() else {
            return Ok(None);
        };
        if let Some(call) = db::calls::find_at_provider(&app.db, scope, account_id, id).await? {
            return Ok(Some(call));
        }
        // Where a dial names its call by our id, its reports may be faster than its answer.
        let Ok(named) = id.parse::<CallId>() else {
            return Ok(None);
        };
        let call = db::calls::find(&app.db, scope, &CallRef::from(named)).await?;
        return Ok(call.filter(|call| {
            call.provider_account_id == account_id && call.provider_call_id.is_none()
        }));
    };
    let call = db::calls::find(&app.db, scope, &CallRef::from(call_id)).await?;
    Ok(call.filter(|call| call.provider_account_id == account_id))
}

async fn apply(
    app: &App,
    scope: OrgScope,
    call: Call,
    observation: &Observation,
    receipt: &ReceiptRow,
) -> Result<Applied> {
    let input = Input::Observed(observation);
    change(app, scope, call, &input, |_, effects| {
        effects.receipt = Some(receipt.clone());
    })
    .await
}

/// Applies the reports that waited for `call` to become known, and returns it as it is then.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: those that are left wait on.
pub async fn apply_parked(app: &App, scope: OrgScope, mut call: Call) -> Result<Call> {
    let Some(provider_call_id) = call.provider_call_id.clone() else {
        return Ok(call);
    };
    let account_id = call.provider_account_id;
    let parked =
        db::callback_receipts::parked(&app.db, scope, account_id, &provider_call_id).await?;
    for waiting in parked {
        let (id, receipt) = (call.id, waiting.receipt);
        call = match apply(app, scope, call, &waiting.observation, &receipt).await? {
            Applied::Changed(change) => change.call,
            Applied::Unchanged(call, _) => {
                db::callback_receipts::settle(&app.db, scope, id, &receipt).await?;
                *call
            }
        };
    }
    Ok(call)
}

/// Ends a call that has done all that it was told to.
async fn finish(app: &App, scope: OrgScope, call: &Call) -> Result<()> {
    let actor = Actor::System("instructions");
    let by = By {
        scope,
        actor: &actor,
    };
    let request = EndRequest {
        reason: EndReason::AgentHangup,
        note: None,
        if_status: Vec::new(),
        received_at: app.ambient.now(),
    };
    end::end(app, by, &CallRef::from(call.id), None, &request).await?;
    Ok(())
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

/// Applies that the provider has the call no more, by its list of all that lives and by reading it.
/// Nothing changes when something was heard of the call since `unheard_since`.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn gone(
    app: &App,
    scope: OrgScope,
    call: Call,
    unheard_since: Timestamp,
) -> Result<Call> {
    let input = Input::Gone { unheard_since };
    Ok(change(app, scope, call, &input, |_, _| {}).await?.call())
}
