//! Records a call and the intention to dial. The row is committed before any provider hears of it.

use serde_json::{Value, json};
use time::Duration;

use crate::{
    app::{
        App,
        actor::By,
        agents,
        idempotency::{Key, StoredAnswer},
        provider_accounts::circuit,
    },
    db::{
        self,
        agents::DialPlan,
        calls::{Effects, JobRow, Placing},
    },
    domain::{
        AgentId, AuditEntryId, CallId, Error, ErrorCode, JobId, LeaseToken, LedgerEntryId,
        ProviderAccountId, Result, Timestamp,
        call::{self, Call, CallStatus, DialState, Direction, Limits, Metadata},
        job::{JobKind, LeasedJob},
        phone::Phone,
    },
};

/// When to try again to place a call where too many live.
const PLACE_MAY_BE_FREE_IN: Duration = Duration::seconds(5);

/// A call to place.
#[derive(Clone, Debug)]
pub struct NewCall {
    /// `None`: the only one that can be meant (`app::agents::only`).
    pub agent_id: Option<AgentId>,
    pub to: Phone,
    pub from: Option<Phone>,
    pub provider_account_id: Option<ProviderAccountId>,
    pub metadata: Value,
    /// `None`: the agent's.
    pub limits: Option<Limits>,
    /// Dial this much later; zero: at once.
    pub delay: Duration,
    pub client_reference: Option<String>,
    /// The caller's token is for tests: simulated accounts only, never billed.
    pub test: bool,
}

/// How an idempotency key and the answer to keep with it come to the operation.
pub struct KeepAnswer<'a> {
    pub key: &'a Key,
    /// The answer, which must not depend on what the provider will say.
    pub answer: &'a (dyn Fn(&Call) -> StoredAnswer + Sync),
}

/// Records the call; the dial follows at once, or when its delay has passed. `None`: the caller
/// sees no such agent.
///
/// # Errors
/// `VALIDATION_FAILED` (no number to call from), `INVALID_REQUEST` (no agent is named, and none can
/// be told), `AGENT_NOT_PUBLISHED`, `DESTINATION_NOT_ALLOWED`, `DRAINING`, `CONCURRENCY_LIMIT`,
/// `DUPLICATE_REFERENCE`, `IDEMPOTENCY_IN_PROGRESS` (the key exists: replay), `PROVIDER_ERROR` (the
/// account's credentials are refused), `DATABASE_UNAVAILABLE`.
pub async fn start(
    app: &App,
    by: By<'_>,
    new: &NewCall,
    keep: Option<KeepAnswer<'_>>,
) -> Result<Option<Call>> {
    if app.is_draining() {
        return Err(Error::new(
            ErrorCode::Draining,
            "This node is shutting down and takes no new calls; try again",
        )
        .retry_after(Duration::seconds(1)));
    }
    let agent_id = match new.agent_id {
        Some(agent_id) => agent_id,
        None => agents::only(app, by).await?,
    };
    if !by.actor.may_act_for(agent_id) {
        return Ok(None);
    }
    let now = app.ambient.now();
    let plan = db::agents::find_dial_plan(
        &app.db,
        by.scope,
        agent_id,
        new.provider_account_id,
        new.from.as_ref(),
        now,
    )
    .await?;
    let Some(plan) = plan else { return Ok(None) };
    let call = draft(app, by, (agent_id, new), plan, now)?;
    if new.delay <= Duration::ZERO {
        not_refused(app, by, &call).await?;
    }
    let change = call::start(call);
    let mut effects = Effects::at(now, LedgerEntryId(app.ambient.ordered_uuid()));
    let job = dial_job(app, &change.call, new.delay, now, &mut effects);
    let detail = json!({
        "before": null,
        "after": {
            "agent_id": agent_id,
            "provider_account_id": change.call.provider_account_id,
            "client_reference": new.client_reference,
            "test": new.test,
        },
    });
    let audit_id = AuditEntryId(app.ambient.ordered_uuid());
    effects.audit = Some(by.actor.audit(audit_id, "call.create", detail));
    if let Some(keep) = keep {
        let answer = (keep.answer)(&change.call);
        effects.idempotency = Some(keep.key.with_answer(app, by.scope, &answer)?);
    }
    let most = app.most_live_calls;
    match db::calls::place(&app.db, by.scope, &change, &effects, most).await? {
        Placing::Placed => {}
        Placing::OrganizationFull => return Err(full("the organisation")),
        Placing::AgentFull => return Err(full("the agent")),
    }
    app.fast_lane.send(job.into_iter().collect(), &change.call);
    Ok(Some(change.call))
}

/// Too many calls live. How soon one ends is anybody's guess.
fn full(whose: &str) -> Error {
    Error::new(
        ErrorCode::ConcurrencyLimit,
        format!(
            "As many calls of {whose} live as may at once; end one, or try again when one is over"
        ),
    )
    .retry_after(PLACE_MAY_BE_FREE_IN)
}

/// A provider that refuses the account's credentials would refuse the call too.
async fn not_refused(app: &App, by: By<'_>, call: &Call) -> Result<()> {
    let account = call.provider_account_id;
    circuit::follow_credentials(app, by.scope, account).await?;
    if app.circuits.may_dial(account, app.ambient.now()) {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::ProviderError,
        format!(
            "{} refuses the credentials of the account, and no call was placed; mend the account and try again",
            call.provider.as_str()
        ),
    )
    .retry_after(circuit::PROBE_EVERY))
}

/// The dial's job: this node's at once, or anybody's when the delay has passed.
fn dial_job(
    app: &App,
    call: &Call,
    delay: Duration,
    now: Timestamp,
    effects: &mut Effects,
) -> Option<LeasedJob> {
    let kind = JobKind::DialCall;
    let job = LeasedJob {
        organization_id: call.organization_id,
        id: JobId(app.ambient.ordered_uuid()),
        kind,
        call_id: call.id,
        attempt: 1,
        lease: LeaseToken(app.ambient.entropy.uuid()),
    };
    let at_once = delay <= Duration::ZERO;
    effects.jobs = vec![JobRow {
        id: job.id,
        kind,
        due_at: now.plus(if at_once { kind.lease() } else { delay }),
        attempt: i32::from(at_once),
        lease: at_once.then_some(job.lease),
    }];
    at_once.then_some(job)
}

fn draft(
    app: &App,
    by: By<'_>,
    (agent_id, new): (AgentId, &NewCall),
    plan: DialPlan,
    now: Timestamp,
) -> Result<Call> {
    if !plan.published {
        return Err(Error::new(
            ErrorCode::AgentNotPublished,
            "The agent is not published and takes no new calls; publish it first",
        ));
    }
    if !plan.settings.may_call(&new.to) {
        return Err(Error::new(
            ErrorCode::DestinationNotAllowed,
            "The agent may not call this number: its allowed_destinations hold no prefix of it",
        ));
    }
    let (Some(account), Some(from)) = (plan.account, plan.from) else {
        return Err(Error::field(
            "/from",
            "no_number",
            "must be a number of your organisation on the account to dial through; or assign a number to the agent",
        ));
    };
    if !account.provider.places_calls() {
        return Err(Error::field(
            "/provider_account_id",
            "takes_calls_only",
            "must be an account that places calls: this one's provider only takes them. Name another account, or a number of one as from",
        ));
    }
    if new.test && !account.simulated {
        return Err(Error::field(
            "/provider_account_id",
            "not_simulated",
            "must be a simulated account: a test token reaches no real one",
        ));
    }
    let at_once = new.delay <= Duration::ZERO;
    Ok(Call {
        organization_id: by.scope.id(),
        id: CallId(app.ambient.entropy.uuid()),
        agent_id,
        provider: account.provider,
        provider_account_id: account.id,
        provider_call_id: None,
        provider_host: None,
        version: 1,
        last_sequence: 0,
        status: CallStatus::Initiating,
        direction: Direction::Outbound,
        from,
        to: new.to.clone(),
        client_reference: new.client_reference.clone(),
        metadata: Metadata::from(&new.metadata),
        test: new.test,
        limits: new.limits.unwrap_or(plan.settings.limits),
        // The accepting node dials at once; whoever else finds the job looks before it dials.
        dial: if at_once {
            DialState::InFlight
        } else {
            DialState::Queued
        },
        dial_started_at: at_once.then_some(now),
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
    })
}
