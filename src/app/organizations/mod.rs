//! What an operator does to organisations: found one, give it tokens and accounts.

use serde_json::{Value, json};

use super::{Actor, App, actor::By, phone_numbers, tokens};
use crate::{
    db::{
        self,
        organizations::OrganizationRow,
        phone_numbers::NumberRow,
        provider_accounts::{AccountRow, managed},
        tokens::NewToken,
    },
    domain::{
        AgentId, Error, ErrorCode, OrgScope, OrganizationId, PhoneNumberId, ProviderAccountId,
        RateCardId, Result, TokenId,
        agent::AgentSettings,
        billing::Rate,
        grant::Grant,
        phone::Phone,
        provider::ProviderKind,
        token::{Environment, Scope, TokenText},
    },
};

use super::provider_accounts::seal_context;

/// Who does what is here, in the audit log.
const OPERATOR: Actor = Actor::System("operator");

/// A new organisation.
#[derive(Clone, Copy, Debug)]
pub struct Founded {
    pub organization_id: OrganizationId,
    pub agent_id: AgentId,
}

/// Founds a verified organisation with one published agent.
///
/// # Errors
/// `VALIDATION_FAILED` (name), `DATABASE_UNAVAILABLE`.
pub async fn found(app: &App, name: &str, settings: &AgentSettings) -> Result<Founded> {
    if !(1..=200).contains(&name.chars().count()) {
        return Err(Error::field(
            "/name",
            "length",
            "must be 1 to 200 characters long",
        ));
    }
    let organization_id = OrganizationId(app.ambient.entropy.uuid());
    let agent_id = AgentId(app.ambient.entropy.uuid());
    let settings = serde_json::to_value(settings)
        .map_err(|error| Error::internal("write an agent's settings", error))?;
    let detail = json!({"before": Value::Null, "after": {"name": name, "agent_id": agent_id}});
    let act = OPERATOR.act(app, "organization.create", organization_id, detail);
    db::organizations::create(&app.db, organization_id, name, (agent_id, &settings), &act).await?;
    Ok(Founded {
        organization_id,
        agent_id,
    })
}

/// Gives an organisation another name.
///
/// # Errors
/// `ORGANIZATION_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
pub async fn rename(app: &App, by: By<'_>, name: &str) -> Result<OrganizationRow> {
    let (organization, before) = db::organizations::rename(&app.db, by.scope, name)
        .await?
        .ok_or_else(super::people::organization_not_found)?;
    let detail = json!({"before": {"name": before}, "after": {"name": name}});
    let subject = by.scope.id().to_string();
    by.actor
        .record(app, by.scope, "organization.update", &subject, detail)
        .await?;
    Ok(organization)
}

/// What a new token may do.
#[derive(Clone, Debug)]
pub struct TokenGrant {
    pub name: String,
    pub environment: Environment,
    pub scopes: Vec<Scope>,
    pub agent_ids: Option<Vec<AgentId>>,
}

/// Makes a token; its text is returned here and never again.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn make_token(
    app: &App,
    scope: OrgScope,
    grant: TokenGrant,
) -> Result<(TokenId, TokenText)> {
    let text = TokenText::new(grant.environment, app.ambient.entropy.bytes());
    let id = TokenId(app.ambient.entropy.uuid());
    let token = NewToken {
        id,
        name: grant.name,
        digest: app.pepper.digest(&text),
        prefix: text.prefix(),
        grant: Grant {
            environment: grant.environment,
            scopes: grant.scopes,
            agent_ids: grant.agent_ids,
            sources: None,
            expires_at: None,
        },
        created_at: app.ambient.now(),
        created_by: OPERATOR.name(),
    };
    let detail = json!({"before": Value::Null, "after": tokens::shown(&token)});
    let act = OPERATOR.act(app, "token.create", id, detail);
    db::tokens::insert(&app.db, scope, &token, &act).await?;
    Ok((id, text))
}

/// Revokes a token. False: there is none in force.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn revoke_token(app: &App, scope: OrgScope, id: TokenId) -> Result<bool> {
    let detail =
        json!({"before": {"revoked_at": null}, "after": {"revoked_at": app.ambient.now()}});
    let act = OPERATOR.act(app, "token.revoke", id, detail);
    let digest = db::tokens::revoke(&app.db, scope, id, &act).await?;
    Ok(digest.is_some())
}

/// An account at a provider, to connect.
#[derive(Clone)]
pub struct NewAccount {
    pub provider: ProviderKind,
    pub name: String,
    pub external_id: String,
    pub api_base_url: Option<String>,
    pub simulated: bool,
    /// In the provider's own form; sealed before it is stored.
    pub credentials: Value,
    /// The agent's number on the account.
    pub number: Phone,
    pub agent_id: AgentId,
    pub rate: Option<Rate>,
}

/// Connects an account and gives the agent a number on it.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn connect_account(
    app: &App,
    scope: OrgScope,
    new: NewAccount,
) -> Result<ProviderAccountId> {
    let id = ProviderAccountId(app.ambient.entropy.uuid());
    let now = app.ambient.now();
    let credentials = new.credentials.to_string();
    let context = seal_context(scope.id(), id);
    let sealed = app.keys.seal(
        credentials.as_bytes(),
        &context,
        app.ambient.entropy.as_ref(),
    )?;
    let row = AccountRow {
        organization_id: scope.id(),
        id,
        provider: new.provider,
        external_id: new.external_id,
        api_base_url: new.api_base_url,
        simulated: new.simulated,
        credentials: sealed,
    };
    let detail = json!({"before": Value::Null, "after": {
        "provider": new.provider, "external_id": row.external_id, "name": new.name,
        "api_base_url": row.api_base_url, "simulated": new.simulated,
    }});
    let act = OPERATOR.act(app, "provider_account.connect", id, detail);
    if !managed::connect(&app.db, scope, &row, &new.name, &act).await? {
        return Err(Error::new(
            ErrorCode::ProviderAccountExists,
            "This account of the provider is connected already, or was",
        ));
    }
    let number = NumberRow {
        id: PhoneNumberId(app.ambient.entropy.uuid()),
        number: new.number,
        provider_account_id: id,
        agent_id: Some(new.agent_id),
        inbound: true,
        outbound: true,
        version: 1,
        created_at: now,
    };
    let detail = json!({"before": Value::Null, "after": phone_numbers::shown(&number)});
    let act = OPERATOR.act(app, "phone_number.create", number.id, detail);
    db::phone_numbers::insert(&app.db, scope, &number, &act).await?;
    if let Some(rate) = &new.rate {
        db::organizations::add_rate_card(&app.db, scope, new.provider, rate, now).await?;
    }
    Ok(id)
}

/// The rate card of a demonstration: 0.014 USD a minute in whole minutes.
pub fn demo_rate(app: &App) -> Rate {
    Rate {
        rate_card_id: RateCardId(app.ambient.entropy.uuid()),
        currency: "USD".to_owned(),
        price_micros: 14_000,
        price_seconds: 60,
        increment_seconds: 60,
        minimum_seconds: 0,
    }
}
