//! What can be done to API tokens.
//!
//! Nobody gives away more than he has: what a maker's token may do is read anew for each making, and
//! rotating hands out a token, so that it asks for as much.

use serde_json::{Value, json};
use time::Duration;

use super::{
    App,
    actor::{self, By},
    callers,
};
use crate::{
    db::{
        self,
        tokens::{NewToken, Rotation, TokenRow},
    },
    domain::{
        AgentId, Error, ErrorCode, Result, Timestamp, TokenId,
        grant::{Grant, Sources, is_visible},
        token::{Caller, Environment, Scope, TokenText},
    },
};

/// How long an old token works beside the new one, where nothing else is asked for.
pub const DEFAULT_OVERLAP: Duration = Duration::hours(24);
/// The longest.
pub const MAX_OVERLAP: Duration = Duration::days(30);

/// A token to make. What is left out is the maker's own.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub name: String,
    pub environment: Option<Environment>,
    pub scopes: Vec<Scope>,
    pub agent_ids: Option<Vec<AgentId>>,
    pub sources: Option<Sources>,
    pub expires_at: Option<Timestamp>,
}

/// Makes a token; its text is returned here and never again.
///
/// # Errors
/// `ACCOUNT_NOT_VERIFIED`, `GRANT_EXCEEDED`, `AGENT_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
pub async fn create(
    app: &App,
    by: By<'_>,
    caller: &Caller,
    wanted: Wanted,
) -> Result<(TokenRow, TokenText)> {
    verified(caller)?;
    let own = own_grant(app, by, caller).await?;
    let grant = Grant {
        environment: wanted.environment.unwrap_or(own.environment),
        scopes: wanted.scopes,
        agent_ids: wanted.agent_ids.or_else(|| own.agent_ids.clone()),
        sources: wanted.sources.or_else(|| own.sources.clone()),
        expires_at: wanted.expires_at.or(own.expires_at),
    };
    // Agents first: those that the maker may not act for look like those that there are not.
    for agent_id in grant.agent_ids.iter().flatten() {
        let exists = by.actor.may_act_for(*agent_id)
            && db::agents::exists(&app.db, by.scope, *agent_id).await?;
        if !exists {
            return Err(Error::new(
                ErrorCode::AgentNotFound,
                "There is no such agent",
            ));
        }
    }
    not_more_than(&own, &grant)?;
    let (token, text) = draft(app, by, wanted.name, grant);
    let detail = json!({"before": Value::Null, "after": shown(&token)});
    let act = by.actor.act(app, "token.create", token.id, detail);
    db::tokens::insert(&app.db, by.scope, &token, &act).await?;
    Ok((row(token), text))
}

/// Puts a new token with the same rights in an old one's place; the old one works for `overlap` more.
/// Its text is returned here and never again. `None`: the caller sees no such token.
///
/// # Errors
/// `ACCOUNT_NOT_VERIFIED`, `GRANT_EXCEEDED`, `TOKEN_NOT_IN_FORCE`, `DATABASE_UNAVAILABLE`.
pub async fn rotate(
    app: &App,
    by: By<'_>,
    caller: &Caller,
    id: TokenId,
    overlap: Duration,
) -> Result<Option<(TokenRow, TokenText)>> {
    verified(caller)?;
    let Some(old) = find(app, by, caller, id).await? else {
        return Ok(None);
    };
    let now = app.ambient.now();
    if !old.is_in_force(now) || old.replaced_by.is_some() {
        return Err(not_in_force());
    }
    not_more_than(&own_grant(app, by, caller).await?, &old.grant)?;
    let (token, text) = draft(app, by, old.name, old.grant);
    let old_until = now.plus(overlap);
    let detail = json!({
        "before": {"replaced_by": null},
        "after": {"replaced_by": token.id, "expires_at": old_until},
    });
    let act = by.actor.act(app, "token.rotate", id, detail);
    let rotation = Rotation {
        old: id,
        old_until,
        new: &token,
    };
    let digest = db::tokens::rotate(&app.db, by.scope, &rotation, &act).await?;
    // Somebody was faster.
    let digest = digest.ok_or_else(not_in_force)?;
    app.callers.forget(&digest).await;
    Ok(Some((row(token), text)))
}

/// Revokes a token; one that is revoked already stays so. False: the caller sees none.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn revoke(app: &App, by: By<'_>, caller: &Caller, id: TokenId) -> Result<bool> {
    let Some(token) = find(app, by, caller, id).await? else {
        return Ok(false);
    };
    let at = app.ambient.now();
    let detail = json!({
        "before": {"revoked_at": token.revoked_at}, "after": {"revoked_at": at},
    });
    let act = by.actor.act(app, "token.revoke", id, detail);
    if let Some(digest) = db::tokens::revoke(&app.db, by.scope, id, &act).await? {
        app.callers.forget(&digest).await;
    }
    Ok(true)
}

/// A token that the caller may see.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find(app: &App, by: By<'_>, caller: &Caller, id: TokenId) -> Result<Option<TokenRow>> {
    let token = db::tokens::find(&app.db, by.scope, id).await?;
    Ok(token.filter(|token| may_see(caller, token)))
}

/// Whether the caller may see the token.
pub fn may_see(caller: &Caller, token: &TokenRow) -> bool {
    let own = (caller.environment, caller.agent_ids.as_deref());
    let theirs = (token.grant.environment, token.grant.agent_ids.as_deref());
    is_visible(own, theirs)
}

/// All that whoever asks has himself, as it is now.
async fn own_grant(app: &App, by: By<'_>, caller: &Caller) -> Result<Grant> {
    let Some(id) = caller.token_id() else {
        let caller = actor::as_it_is_now(app, caller, Scope::TokensWrite).await?;
        return Ok(Grant::of(&caller));
    };
    let own = db::tokens::find(&app.db, by.scope, id).await?;
    let own = own.filter(|own| own.is_in_force(app.ambient.now()));
    Ok(own.ok_or_else(callers::unauthenticated)?.grant)
}

fn verified(caller: &Caller) -> Result<()> {
    if caller.verified {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::AccountNotVerified,
        "Verify your account before you make tokens",
    ))
}

fn not_more_than(own: &Grant, wanted: &Grant) -> Result<()> {
    let problems = own.excess(wanted);
    if problems.is_empty() {
        return Ok(());
    }
    let error = Error::new(
        ErrorCode::GrantExceeded,
        "A token cannot be given more than whoever makes it has; errors names what is too much",
    );
    Err(error.about(problems))
}

fn not_in_force() -> Error {
    Error::new(
        ErrorCode::TokenNotInForce,
        "The token is revoked, expired or rotated already; make a new one",
    )
}

fn draft(app: &App, by: By<'_>, name: String, grant: Grant) -> (NewToken, TokenText) {
    let text = TokenText::new(grant.environment, app.ambient.entropy.bytes());
    let token = NewToken {
        id: TokenId(app.ambient.entropy.uuid()),
        name,
        digest: app.pepper.digest(&text),
        prefix: text.prefix(),
        grant,
        created_at: app.ambient.now(),
        created_by: by.actor.name(),
    };
    (token, text)
}

fn row(token: NewToken) -> TokenRow {
    TokenRow {
        id: token.id,
        name: token.name,
        prefix: token.prefix,
        grant: token.grant,
        created_at: token.created_at,
        created_by: Some(token.created_by),
        last_used_at: None,
        revoked_at: None,
        replaced_by: None,
    }
}

/// What the audit log shows of a token.
pub(super) fn shown(token: &NewToken) -> Value {
    let scopes = token.grant.scopes.iter().map(|scope| scope.as_str());
    json!({
        "name": token.name,
        "prefix": token.prefix,
        "environment": token.grant.environment,
        "scopes": scopes.collect::<Vec<_>>(),
        "agent_ids": token.grant.agent_ids,
        "source_addresses": token.grant.sources.as_ref().map(Sources::texts),
        "expires_at": token.grant.expires_at,
    })
}
