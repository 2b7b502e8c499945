//! What can be done to accounts at providers. Whoever asks has tried the credentials at the provider
//! in between ([`plan`] or [`plan_rotation`], then [`connect`] or [`rotate`]), with nothing of ours
//! held meanwhile.

use serde_json::{Value, json};

use super::{OpenAccount, seal_context};
use crate::{
    app::{App, actor::By, agents::manage::unrestricted},
    db::{
        Removal,
        provider_accounts::{
            AccountRow,
            managed::{self, ManagedAccount},
        },
    },
    domain::{
        Error, ErrorCode, ProviderAccountId, Result,
        provider::ProviderKind,
        token::{Caller, Environment},
        webhook::endpoint::url_problem,
    },
};

/// An account to connect.
pub struct NewAccount {
    pub provider: ProviderKind,
    pub name: String,
    pub external_id: String,
    pub api_base_url: Option<String>,
    pub simulated: bool,
    /// JSON in the provider's own form.
    pub credentials: Vec<u8>,
}

/// The account as it will be, for whoever tries its credentials.
///
/// # Errors
/// `ACCOUNT_NOT_VERIFIED`, `TOKEN_RESTRICTED`, `VALIDATION_FAILED` (where its API is; a simulated
/// account where there are none, or a real one for a test token), `PROVIDER_ACCOUNT_EXISTS`,
/// `DATABASE_UNAVAILABLE`.
pub async fn plan(app: &App, by: By<'_>, caller: &Caller, new: &NewAccount) -> Result<OpenAccount> {
    unrestricted(by.actor)?;
    verified(caller)?;
    if caller.environment == Environment::Test && !new.simulated {
        return Err(Error::field(
            "/simulated",
            "not_simulated",
            "must be true: a test token reaches no real account",
        ));
    }
    check_place(app, new.simulated, new.api_base_url.as_deref())?;
    let named = managed::find_named(&app.db, by.scope, new.provider, &new.external_id).await?;
    let id = match named {
        Some((_, true)) => return Err(exists()),
        Some((id, false)) => id,
        None => ProviderAccountId(app.ambient.entropy.uuid()),
    };
    Ok(OpenAccount::with_credentials(
        by.scope,
        (id, new.provider),
        new.external_id.clone(),
        new.api_base_url.clone(),
        new.credentials.clone(),
    ))
}

/// Connects the account that was planned.
///
/// # Errors
/// `PROVIDER_ACCOUNT_EXISTS`, `DATABASE_UNAVAILABLE`.
pub async fn connect(
    app: &App,
    by: By<'_>,
    new: &NewAccount,
    planned: &OpenAccount,
) -> Result<ManagedAccount> {
    let context = seal_context(by.scope.id(), planned.id);
    let entropy = app.ambient.entropy.as_ref();
    let row = AccountRow {
        organization_id: by.scope.id(),
        id: planned.id,
        provider: new.provider,
        external_id: new.external_id.clone(),
        api_base_url: new.api_base_url.clone(),
        simulated: new.simulated,
        credentials: app.keys.seal(&new.credentials, &context, entropy)?,
    };
    let mut account = ManagedAccount {
        id: planned.id,
        provider: new.provider,
        external_id: new.external_id.clone(),
        name: new.name.clone(),
        api_base_url: new.api_base_url.clone(),
        simulated: new.simulated,
        created_at: app.ambient.now(),
        rotated_at: None,
        last_callback_at: None,
    };
    let detail = json!({"before": Value::Null, "after": shown(&account)});
    let act = by
        .actor
        .act(app, "provider_account.connect", account.id, detail);
    account.created_at = act.at;
    if !managed::connect(&app.db, by.scope, &row, &new.name, &act).await? {
        return Err(exists());
    }
    app.accounts.forget(planned.id).await;
    Ok(account)
}

/// The account with new credentials, for whoever tries them. `None`: the caller sees none.
/// `api_base_url` is where its API is from now on, if that is given.
///
/// # Errors
/// `ACCOUNT_NOT_VERIFIED`, `VALIDATION_FAILED`, `DATABASE_UNAVAILABLE`.
pub async fn plan_rotation(
    app: &App,
    by: By<'_>,
    caller: &Caller,
    id: ProviderAccountId,
    api_base_url: Option<&str>,
) -> Result<Option<ManagedAccount>> {
    let Some(mut account) = find(app, by, caller, id).await? else {
        return Ok(None);
    };
    verified(caller)?;
    if let Some(url) = api_base_url {
        check_place(app, account.simulated, Some(url))?;
        account.api_base_url = Some(url.to_owned());
    }
    Ok(Some(account))
}

/// Replaces the credentials, and where the API is, by those of `account`, which were tried.
/// False: it was disconnected meanwhile.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn rotate(
    app: &App,
    by: By<'_>,
    account: &ManagedAccount,
    credentials: &[u8],
) -> Result<bool> {
    let context = seal_context(by.scope.id(), account.id);
    let entropy = app.ambient.entropy.as_ref();
    let sealed = app.keys.seal(credentials, &context, entropy)?;
    let detail = json!({
        "before": {"rotated_at": account.rotated_at},
        "after": {"rotated_at": app.ambient.now(), "api_base_url": account.api_base_url},
    });
    let act = by
        .actor
        .act(app, "provider_account.rotate", account.id, detail);
    let written = (&sealed, account.api_base_url.as_deref());
    let rotated = managed::rotate(&app.db, by.scope, account.id, written, &act).await?;
    app.accounts.forget(account.id).await;
    Ok(rotated)
}

/// Disconnects an account. False: the caller sees none.
///
/// # Errors
/// `PROVIDER_ACCOUNT_IN_USE` (calls live on it), `DATABASE_UNAVAILABLE`.
pub async fn disconnect(
    app: &App,
    by: By<'_>,
    caller: &Caller,
    id: ProviderAccountId,
) -> Result<bool> {
    let Some(account) = find(app, by, caller, id).await? else {
        return Ok(false);
    };
    let detail = json!({"before": shown(&account), "after": Value::Null});
    let act = by.actor.act(app, "provider_account.disconnect", id, detail);
    let removal = managed::disconnect(&app.db, by.scope, id, &act).await?;
    app.accounts.forget(id).await;
    match removal {
        Removal::Done => Ok(true),
        Removal::Missing => Ok(false),
        Removal::InUse => Err(Error::new(
            ErrorCode::ProviderAccountInUse,
            "Calls live on the account; end them or wait until they are over",
        )),
    }
}

/// An account that the caller may see: a test token the simulated ones, one that is restricted to
/// agents none.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find(
    app: &App,
    by: By<'_>,
    caller: &Caller,
    id: ProviderAccountId,
) -> Result<Option<ManagedAccount>> {
    let found = list(app, by, caller, Some(id)).await?;
    Ok(found.into_iter().next())
}

/// The accounts that the caller may see, or the one that is `only`.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(
    app: &App,
    by: By<'_>,
    caller: &Caller,
    only: Option<ProviderAccountId>,
) -> Result<Vec<ManagedAccount>> {
    if by.actor.is_restricted() {
        return Ok(Vec::new());
    }
    let only_simulated = caller.environment == Environment::Test;
    managed::list(&app.db, by.scope, only, only_simulated).await
}

/// Whether an account's API may be there.
fn check_place(app: &App, simulated: bool, api_base_url: Option<&str>) -> Result<()> {
    if simulated && !app.allow_loopback {
        return Err(Error::field(
            "/simulated",
            "no_simulator",
            "must be false: this server runs with no simulator",
        ));
    }
    if simulated && api_base_url.is_none() {
        return Err(Error::field(
            "/api_base_url",
            "required",
            "is required for a simulated account: where its simulator is",
        ));
    }
    let problem = api_base_url.and_then(|url| url_problem(url, app.allow_loopback));
    match problem {
        Some(problem) => Err(Error::field("/api_base_url", "url", problem)),
        None => Ok(()),
    }
}

fn verified(caller: &Caller) -> Result<()> {
    if caller.verified {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::AccountNotVerified,
        "Verify your account before you connect providers",
    ))
}

fn exists() -> Error {
    Error::new(
        ErrorCode::ProviderAccountExists,
        "This account of the provider is connected already; rotate its credentials instead",
    )
}

/// What the audit log shows of an account.
fn shown(account: &ManagedAccount) -> Value {
    json!({
        "provider": account.provider, "external_id": account.external_id, "name": account.name,
        "api_base_url": account.api_base_url, "simulated": account.simulated,
    })
}
