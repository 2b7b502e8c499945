//! Whether a provider takes an account's credentials: a request that changes nothing.
//!
//! Whoever asks waits for the provider, within a bound, and holds no connection to the database
//! meanwhile.

use std::time::Duration;

use crate::{
    app::provider_accounts::OpenAccount,
    domain::{
        Error, ErrorCode, Result,
        diagnosis::Probe,
        provider::{Answered, LiveOutcome, ProviderAnswer, ProviderKind},
    },
    http::{HttpState, extract::wrong},
    providers::{Account, Credentials, ProviderCall},
};

/// How long the provider is waited for.
const ASK_WITHIN: Duration = Duration::from_secs(4);

/// A call that no provider has: asked to end it, a provider that lists no calls says whether it
/// takes the credentials.
const NO_CALL: &str = "rtc_0f0e0d0c0b0a09080706050403020100";

/// Reads credentials.
///
/// # Errors
/// `VALIDATION_FAILED`: they are not in the provider's form.
pub(super) fn read(provider: ProviderKind, credentials: &[u8]) -> Result<Credentials> {
    Credentials::parse(provider, credentials)
        .map_err(|problem| wrong("/credentials", "invalid", problem.to_string()))
}

/// The account, ready to be used.
///
/// # Errors
/// As [`read`]; `VALIDATION_FAILED`: the credentials are another account's.
pub(super) fn account(open: &OpenAccount) -> Result<Account> {
    let credentials = read(open.provider, &open.credentials)?;
    credentials
        .belong_to(&open.external_id)
        .map_err(|ought| wrong("/external_id", "invalid", ought))?;
    Ok(Account {
        id: open.id,
        organization_id: open.organization_id,
        kind: open.provider,
        external_id: open.external_id.clone(),
        api_base_url: open.api_base_url.clone(),
        credentials,
    })
}

/// Tries the credentials.
pub(super) async fn probe(state: &HttpState, account: &Account) -> Probe {
    let started_at = state.app.ambient.now();
    let asked = tokio::time::timeout(ASK_WITHIN, ask(state, account)).await;
    let late = || Probe::Unavailable("no answer within 4 seconds".to_owned());
    let probe = asked.unwrap_or_else(|_elapsed| late());
    let elapsed = state.app.ambient.now().since(started_at).unsigned_abs();
    let outcome = match probe {
        Probe::Accepted => "accepted",
        Probe::Refused(_) | Probe::NotOpened => "refused",
        Probe::Unavailable(_) => "unavailable",
    };
    state
        .metrics
        .provider_request(account.kind.as_str(), "check", outcome, elapsed);
    probe
}

/// # Errors
/// `PROVIDER_ERROR` (the credentials are refused), `PROVIDER_UNAVAILABLE`.
pub(super) async fn must_be_accepted(state: &HttpState, account: &Account) -> Result<()> {
    let title = account.kind.title();
    match probe(state, account).await {
        Probe::Accepted => Ok(()),
        Probe::Refused(_) | Probe::NotOpened => Err(Error::new(
            ErrorCode::ProviderError,
            format!("{title} refuses these credentials; nothing was stored"),
        )),
        Probe::Unavailable(why) => Err(Error::new(
            ErrorCode::ProviderUnavailable,
            format!("{title} could not say whether it takes these credentials ({why}); nothing was stored; try again"),
        )
        .retry_after(time::Duration::seconds(1))),
    }
}

async fn ask(state: &HttpState, account: &Account) -> Probe {
    let calls = state.providers.calls(account.kind);
    let Answered { outcome, answer } = calls.list_live(account, None).await;
    match outcome {
        LiveOutcome::Page { .. } => Probe::Accepted,
        LiveOutcome::Refused => Probe::Refused(answer.status),
        // A bridge lists the calls of an application that it knows once a node listens, not before.
        LiveOutcome::Unavailable { .. } if answer.status != Some(404) => {
            Probe::Unavailable(said(&answer))
        }
        LiveOutcome::Unsupported | LiveOutcome::Unavailable { .. } => {
            let ended = calls.hang_up(account, ProviderCall::named(NO_CALL)).await;
            match ended.answer.status {
                Some(_) if ended.answer.refuses_credentials() => {
                    Probe::Refused(ended.answer.status)
                }
                Some(status) if status < 500 => Probe::Accepted,
                _ => Probe::Unavailable(said(&ended.answer)),
            }
        }
    }
}

/// What there was instead of an answer that tells something, for the account's owner.
fn said(answer: &ProviderAnswer) -> String {
    match (answer.status, &answer.message) {
        (Some(status), _) => format!("HTTP {status}"),
        (None, Some(message)) => message.clone(),
        (None, None) => "no answer".to_owned(),
    }
}
