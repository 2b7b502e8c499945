//! What can be done to phone numbers. A number is one agent's, for calls in either direction or both;
//! a call may be placed from any number of the organisation that is for it, when it is named.

use serde_json::{Value, json};

use super::{App, actor::By, provider_accounts::manage};
use crate::{
    db::{
        self,
        phone_numbers::{NumberRow, Which},
    },
    domain::{
        AgentId, Error, ErrorCode, PhoneNumberId, ProviderAccountId, Result,
        phone::Phone,
        token::{Caller, Environment},
    },
};

/// How often somebody else may be faster before a change is given up.
const MOST_ROUNDS: u32 = 16;

/// A number to add.
#[derive(Clone, Debug)]
pub struct NewNumber {
    pub number: Phone,
    pub provider_account_id: ProviderAccountId,
    pub agent_id: Option<AgentId>,
    pub inbound: bool,
    pub outbound: bool,
}

/// What is to become of a number; `None`: it stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct NumberChange {
    /// `Some(None)`: nobody's.
    pub agent_id: Option<Option<AgentId>>,
    pub inbound: Option<bool>,
    pub outbound: Option<bool>,
}

/// Adds a number of an account.
///
/// # Errors
/// `AGENT_NOT_FOUND`, `PROVIDER_ACCOUNT_NOT_FOUND`, `PHONE_NUMBER_EXISTS`, `DATABASE_UNAVAILABLE`.
pub async fn create(app: &App, by: By<'_>, caller: &Caller, new: NewNumber) -> Result<NumberRow> {
    check_agent(app, by, new.agent_id).await?;
    let no_account = || {
        Error::new(
            ErrorCode::ProviderAccountNotFound,
            "There is no such provider account",
        )
    };
    let account = manage::find(app, by, caller, new.provider_account_id).await?;
    account.ok_or_else(no_account)?;
    let row = NumberRow {
        id: PhoneNumberId(app.ambient.entropy.uuid()),
        number: new.number,
        provider_account_id: new.provider_account_id,
        agent_id: new.agent_id,
        inbound: new.inbound,
        outbound: new.outbound,
        version: 1,
        created_at: app.ambient.now(),
    };
    let detail = json!({"before": Value::Null, "after": shown(&row)});
    let act = by.actor.act(app, "phone_number.create", row.id, detail);
    if !db::phone_numbers::insert(&app.db, by.scope, &row, &act).await? {
        return Err(no_account());
    }
    Ok(row)
}

/// Changes a number. `None`: the caller sees none. What changes nothing is not recorded.
///
/// # Errors
/// `AGENT_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
pub async fn update(
    app: &App,
    by: By<'_>,
    caller: &Caller,
    id: PhoneNumberId,
    change: NumberChange,
) -> Result<Option<NumberRow>> {
    for _ in 0..MOST_ROUNDS {
        let Some(before) = find(app, by, caller, id).await? else {
            return Ok(None);
        };
        check_agent(app, by, change.agent_id.flatten()).await?;
        let mut after = NumberRow {
            agent_id: change.agent_id.unwrap_or(before.agent_id),
            inbound: change.inbound.unwrap_or(before.inbound),
            outbound: change.outbound.unwrap_or(before.outbound),
            ..before.clone()
        };
        if after == before {
            return Ok(Some(before));
        }
        let detail = json!({"before": shown(&before), "after": shown(&after)});
        let act = by.actor.act(app, "phone_number.update", id, detail);
        if db::phone_numbers::update(&app.db, by.scope, &after, &act).await? {
            after.version += 1;
            return Ok(Some(after));
        }
    }
    Err(Error::internal(
        "change a phone number",
        "lost every round to a faster change",
    ))
}

/// Removes a number; calls that live on it go on. False: the caller sees none.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn delete(app: &App, by: By<'_>, caller: &Caller, id: PhoneNumberId) -> Result<bool> {
    let Some(row) = find(app, by, caller, id).await? else {
        return Ok(false);
    };
    let detail = json!({"before": shown(&row), "after": Value::Null});
    let act = by.actor.act(app, "phone_number.delete", id, detail);
    db::phone_numbers::delete(&app.db, by.scope, id, &act).await
}

/// A number that the caller may see.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find(
    app: &App,
    by: By<'_>,
    caller: &Caller,
    id: PhoneNumberId,
) -> Result<Option<NumberRow>> {
    let found = list(app, by, caller, Some(id)).await?;
    Ok(found.into_iter().next())
}

/// The numbers that the caller may see, or the one that is `only`: a test token those of simulated
/// accounts, one that is restricted to agents theirs.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(
    app: &App,
    by: By<'_>,
    caller: &Caller,
    only: Option<PhoneNumberId>,
) -> Result<Vec<NumberRow>> {
    let which = Which {
        id: only,
        agents: by.actor.agents(),
        simulated: caller.environment == Environment::Test,
    };
    db::phone_numbers::list(&app.db, by.scope, which).await
}

async fn check_agent(app: &App, by: By<'_>, agent_id: Option<AgentId>) -> Result<()> {
    let Some(agent_id) = agent_id else {
        return Ok(());
    };
    let exists =
        by.actor.may_act_for(agent_id) && db::agents::exists(&app.db, by.scope, agent_id).await?;
    if exists {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::AgentNotFound,
        "There is no such agent",
    ))
}

/// What the audit log shows of a number.
pub(super) fn shown(row: &NumberRow) -> Value {
    json!({
        "number": row.number, "provider_account_id": row.provider_account_id,
        "agent_id": row.agent_id, "inbound": row.inbound, "outbound": row.outbound,
    })
}
