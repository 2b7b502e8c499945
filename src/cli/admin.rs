//! `onhook admin …`: what operators do to organisations.

use clap::Subcommand;
use serde_json::json;
use strum::VariantArray as _;

use super::{Failure, terminal};
use crate::{
    ambient::Ambient,
    app::{
        App, FastLane,
        organizations::{self, NewAccount, TokenGrant},
        people::{self, password, register},
    },
    boot,
    config::Config,
    domain::{
        AgentId, OrgScope, OrganizationId, RateCardId, TokenId,
        agent::{AgentSettings, Answer},
        billing::Rate,
        person::EmailAddress,
        provider::ProviderKind,
        role::Role,
        token::{Environment, Scope, TokenText},
    },
};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Found an organisation with one published agent
    CreateOrganization {
        #[arg(long)]
        name: String,
        /// What callees of its agent hear
        #[arg(long, default_value = "Hello. This call is carried by Onhook.")]
        say: String,
        /// Instead: a websocket of yours (wss://) that both directions of audio go to
        #[arg(long, value_name = "URL", conflicts_with = "say")]
        stream: Option<String>,
        /// Also make a live token with every scope
        #[arg(long)]
        token: bool,
        /// Print one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Make an API token; it is printed once and cannot be shown again
    CreateToken {
        #[arg(long)]
        organization_id: OrganizationId,
        #[arg(long, default_value = "command line")]
        name: String,
        /// For tests: reaches simulated accounts only, is never billed
        #[arg(long)]
        test: bool,
        /// Repeatable; default: every scope
        #[arg(long)]
        scope: Vec<Scope>,
        /// Repeatable: restrict the token to these agents
        #[arg(long)]
        agent_id: Vec<AgentId>,
    },
    /// Revoke an API token; in force everywhere within two seconds
    RevokeToken {
        #[arg(long)]
        organization_id: OrganizationId,
        #[arg(long)]
        token_id: TokenId,
    },
    /// Make somebody a member, with an account whose address counts as confirmed; the password is read
    /// from standard input. Who has an account keeps its password
    CreateUser {
        #[arg(long)]
        organization_id: OrganizationId,
        #[arg(long)]
        email: String,
        #[arg(long)]
        name: String,
        /// viewer, operator, admin or owner
        #[arg(long, default_value = "owner")]
        role: Role,
    },
    /// Sign access tokens with a new key from 10 seconds on; nobody is logged out
    RotateJwtKey,
    /// Connect an account at a provider; its credentials are read as JSON from standard input
    ConnectAccount {
        #[arg(long)]
        organization_id: OrganizationId,
        /// The agent that gets the number
        #[arg(long)]
        agent_id: AgentId,
        #[arg(long)]
        provider: ProviderKind,
        /// The provider's name for the account (twilio: AC…; telnyx: the connection's id; vonage: the
        /// application's id; sip: jambonz' account sid, else any name)
        #[arg(long)]
        external_id: String,
        /// The agent's number on the account, E.164
        #[arg(long)]
        number: String,
        /// Another host than the provider's own, for example a region's or a simulator's
        #[arg(long)]
        api_base_url: Option<String>,
        /// The account is a simulator's: test tokens may use it
        #[arg(long)]
        simulated: bool,
        /// Price of 60 seconds, in millionths of --currency
        #[arg(long, default_value_t = 0)]
        price_micros_per_minute: i64,
        /// ISO 4217
        #[arg(long, default_value = "USD")]
        currency: String,
    },
}

/// The operations, without anybody to carry out jobs.
pub(super) fn app(config: &Config, ambient: &Ambient) -> Result<App, Failure> {
    let (fast_lane, _nobody) = FastLane::new();
    Ok(boot::app(config, ambient, fast_lane)?)
}

pub(super) async fn run(
    command: Command,
    config: &Config,
    ambient: &Ambient,
) -> Result<(), Failure> {
    let app = app(config, ambient)?;
    match command {
        Command::CreateOrganization {
            name,
            say,
            stream,
            token,
            json,
        } => {
            let answer = match stream {
                Some(url) => Answer::Stream { url },
                None => Answer::Say { text: say },
            };
            create_organization(&app, &name, answer, token, json).await
        }
        Command::CreateToken {
            organization_id,
            name,
            test,
            scope,
            agent_id,
        } => {
            let scope = if scope.is_empty() {
                Scope::VARIANTS.to_vec()
            } else {
                scope
            };
            let grant = TokenGrant {
                name,
                environment: if test {
                    Environment::Test
                } else {
                    Environment::Live
                },
                scopes: scope,
                agent_ids: (!agent_id.is_empty()).then_some(agent_id),
            };
            let organization = OrgScope::assume(organization_id);
            let (token_id, text) = organizations::make_token(&app, organization, grant).await?;
            terminal::say(&json!({"token_id": token_id, "token": text.reveal()}).to_string());
            Ok(())
        }
        Command::RevokeToken {
            organization_id,
            token_id,
        } => {
            let organization = OrgScope::assume(organization_id);
            if !organizations::revoke_token(&app, organization, token_id).await? {
                return Err("there is no such token in force".into());
            }
            terminal::say("The token is revoked.");
            Ok(())
        }
        Command::CreateUser {
            organization_id,
            email,
            name,
            role,
        } => {
            let organization = OrgScope::assume(organization_id);
            create_user(&app, organization, (&email, name), role).await
        }
        Command::RotateJwtKey => {
            people::rotate_key(&app).await?;
            terminal::say("Access tokens are signed with a new key from 10 seconds on.");
            Ok(())
        }
        command @ Command::ConnectAccount { .. } => connect_account(&app, command).await,
    }
}

async fn create_user(
    app: &App,
    organization: OrgScope,
    (email, name): (&str, String),
    role: Role,
) -> Result<(), Failure> {
    let email: EmailAddress = email.parse()?;
    let text = std::io::read_to_string(std::io::stdin())?;
    let password = text.trim_end_matches(['\r', '\n']).to_owned();
    let password = password::chosen("/password", password, Some(&email))?;
    let person = register::ByOperator {
        email,
        name,
        password,
    };
    let made = register::by_operator(app, organization, &person, role).await?;
    terminal::say(&json!({"person_id": made}).to_string());
    Ok(())
}

async fn create_organization(
    app: &App,
    name: &str,
    answer: Answer,
    token: bool,
    as_json: bool,
) -> Result<(), Failure> {
    let settings = AgentSettings {
        answer,
        ..AgentSettings::default()
    };
    let founded = organizations::found(app, name, &settings).await?;
    let token = if token {
        let grant = TokenGrant {
            name: "first token".to_owned(),
            environment: Environment::Live,
            scopes: Scope::VARIANTS.to_vec(),
            agent_ids: None,
        };
        let scope = OrgScope::assume(founded.organization_id);
        Some(organizations::make_token(app, scope, grant).await?.1)
    } else {
        None
    };
    let (organization_id, agent_id) = (founded.organization_id, founded.agent_id);
    let token = token.as_ref().map(TokenText::reveal);
    if as_json {
        let line =
            json!({"organization_id": organization_id, "agent_id": agent_id, "token": token});
        terminal::say(&line.to_string());
    } else {
        terminal::say(&format!(
            "organization_id  {organization_id}\nagent_id         {agent_id}"
        ));
        if let Some(token) = token {
            terminal::say(&format!("token            {token}   (not shown again)"));
        }
    }
    Ok(())
}

async fn connect_account(app: &App, command: Command) -> Result<(), Failure> {
    let Command::ConnectAccount {
        organization_id,
        agent_id,
        provider,
        external_id,
        number,
        api_base_url,
        simulated,
        price_micros_per_minute,
        currency,
    } = command
    else {
        return Ok(());
    };
    let text = std::io::read_to_string(std::io::stdin())?;
    crate::providers::Credentials::parse(provider, text.as_bytes())?;
    let rate = Rate {
        rate_card_id: RateCardId(app.ambient.entropy.uuid()),
        currency,
        price_micros: price_micros_per_minute,
        price_seconds: 60,
        increment_seconds: 60,
        minimum_seconds: 0,
    };
    let account = NewAccount {
        provider,
        name: external_id.clone(),
        external_id,
        api_base_url,
        simulated,
        credentials: serde_json::from_str(&text)?,
        number: number.parse()?,
        agent_id,
        rate: Some(rate),
    };
    let scope = OrgScope::assume(organization_id);
    let id = organizations::connect_account(app, scope, account).await?;
    terminal::say(&json!({"provider_account_id": id}).to_string());
    Ok(())
}
