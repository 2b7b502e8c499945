//! Compares the calls that live on an account with our own, both ways.
//!
//! A call that lives here and is not on the list is read at the provider ([`ghosts`]); one that
//! lives there, is ours and must not, is ended ([`orphans`]). A provider that refuses or does not
//! answer is evidence of nothing. The comparison itself is pure ([`mod@compare`]).

mod compare;
mod ghosts;
mod orphans;

use std::{sync::Arc, time::Duration};

use tokio::task::JoinError;

use crate::{
    app::calls::observe,
    db::{self, calls::CallRef},
    domain::{
        CallId, OrgScope, OrganizationId, ProviderAccountId, Result, Timestamp,
        call::DialState,
        provider::{Answered, LiveCall, LiveOutcome, Observation, Progress, Source},
    },
    jobs::{Jobs, worker::log_failure},
    providers::Account,
};
use compare::{Listed, compare, our_name};

/// The most pages that are read of a list.
const MOST_PAGES: usize = 50;

/// How long reading the whole list may take.
const LIST_WITHIN: Duration = Duration::from_secs(20);

/// The most live calls of an account that are compared in one round.
const MOST_PLACED: i64 = 50_000;

/// The longest that a provider's `Retry-After` puts the next list off.
const LONGEST_PAUSE: time::Duration = time::Duration::minutes(10);

/// What comes of a list that the provider does not have.
const UNSUPPORTED: &str = "unsupported";

/// One account in one round. Cheap to clone.
#[derive(Clone)]
struct Round {
    jobs: Jobs,
    scope: OrgScope,
    account: Arc<Account>,
    /// When the list was begun.
    begun_at: Timestamp,
}

/// A list as far as it was read.
#[derive(Default)]
struct Read {
    listed: Listed,
    known: Vec<db::calls::Known>,
    /// As [`LiveOutcome::Page::whole`].
    whole: bool,
    /// The provider asks to be left alone for this long.
    pause: Option<time::Duration>,
    /// What came of it, for metrics.
    outcome: &'static str,
}

/// Compares one account.
pub(in crate::jobs) async fn run(
    jobs: &Jobs,
    organization_id: OrganizationId,
    account_id: ProviderAccountId,
) -> Result<()> {
    let scope = OrgScope::assume(organization_id);
    let Some(account) = jobs.account(account_id).await? else {
        return Ok(());
    };
    let app = &jobs.app;
    let before = db::calls::placed(&app.db, scope, account_id, MOST_PLACED).await?;
    let round = Round {
        jobs: jobs.clone(),
        scope,
        account,
        begun_at: app.ambient.now(),
    };
    let read = round.list().await?;
    round.tell_of_list(&read);
    round.pause(read.pause).await?;
    let made = compare(&before, &read.listed, &read.known, round.begun_at);
    round.count("second_leg", made.second_legs);
    round.tell_of_strangers(made.strangers);
    for (id, call) in &made.dials_found {
        let done = round.observe_dial(*id, call).await;
        log_failure("take over a dial that was found", done);
    }
    let mut asked = round.end_orphans(&made.orphans).await;
    if asked.is_none() {
        asked = round.read_missing(&made.missing, read.whole).await;
    }
    round.pause(asked).await
}

impl Round {
    async fn list(&self) -> Result<Read> {
        let mut read = Read {
            outcome: "slow",
            ..Read::default()
        };
        match tokio::time::timeout(LIST_WITHIN, self.list_into(&mut read)).await {
            Ok(done) => done?,
            Err(_elapsed) => {}
        }
        Ok(read)
    }

    /// Reads page by page. What was read before something went wrong is kept: it lives, whatever
    /// the rest may be.
    async fn list_into(&self, read: &mut Read) -> Result<()> {
        let provider = self.jobs.providers.calls(self.account.kind);
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let Answered { outcome, .. } =
                provider.list_live(&self.account, cursor.as_deref()).await;
            match outcome {
                LiveOutcome::Page { calls, next, whole } => {
                    read.whole = whole;
                    read.known.extend(self.known(&calls).await?);
                    read.listed.calls.extend(calls);
                    if next.is_none() {
                        read.listed.complete = true;
                        read.outcome = "listed";
                        return Ok(());
                    }
                    cursor = next;
                }
                LiveOutcome::Unsupported => {
                    read.outcome = UNSUPPORTED;
                    return Ok(());
                }
                LiveOutcome::Unavailable { after } => {
                    read.outcome = "unavailable";
                    read.pause = after;
                    return Ok(());
                }
                LiveOutcome::Refused => {
                    read.outcome = "refused";
                    return Ok(());
                }
            }
        }
        read.outcome = "too_long";
        Ok(())
    }

    /// Our records of the calls on a page. After it was read: a call is recorded before the provider
    /// hears of it, so none of ours is missed.
    async fn known(&self, calls: &[LiveCall]) -> Result<Vec<db::calls::Known>> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<String> = calls
            .iter()
            .map(|call| call.provider_call_id.clone())
            .collect();
        let ids: Vec<CallId> = calls.iter().filter_map(our_name).collect();
        let db = &self.jobs.app.db;
        db::calls::known(db, self.scope, self.account.id, &names, &ids).await
    }

    /// A dial whose answer is not recorded is alive: it learns the provider's name for it.
    async fn observe_dial(&self, id: CallId, found: &LiveCall) -> Result<()> {
        let app = &self.jobs.app;
        let call = db::calls::find(&app.db, self.scope, &CallRef::from(id)).await?;
        let Some(call) = call.filter(|call| call.is_live() && call.dial != DialState::Placed)
        else {
            return Ok(());
        };
        let observation = Observation {
            provider_call_id: found.provider_call_id.clone(),
            progress: Progress::Placed,
            at: found.since,
            source: Source::Listing,
            host: found.host.clone(),
        };
        let call = observe::fetched(app, self.scope, call, &observation).await?;
        observe::apply_parked(app, self.scope, call).await?;
        self.count("dial_found", 1);
        tracing::info!(org.id = %self.scope.id(), call.id = %id, "a lost dial is on the list of live calls");
        Ok(())
    }

    /// Leaves the account alone for as long as the provider asks.
    async fn pause(&self, asked: Option<time::Duration>) -> Result<()> {
        let Some(asked) = asked else { return Ok(()) };
        let app = &self.jobs.app;
        let until = app.ambient.now().plus(asked.min(LONGEST_PAUSE));
        db::provider_accounts::postpone_list(&app.db, self.scope, self.account.id, until).await
    }

    fn tell_of_list(&self, read: &Read) {
        let elapsed = self.jobs.app.ambient.now().since(self.begun_at);
        let provider = self.account.kind.as_str();
        self.jobs
            .metrics
            .provider_request(provider, "list", read.outcome, elapsed.unsigned_abs());
        if !read.listed.complete && read.outcome != UNSUPPORTED {
            tracing::warn!(
                org.id = %self.scope.id(), provider, provider_account.id = %self.account.id,
                outcome = read.outcome, "the live calls of an account could not be listed whole"
            );
        }
    }

    fn tell_of_strangers(&self, count: u64) {
        if count == 0 {
            return;
        }
        self.count("stranger", count);
        tracing::info!(
            org.id = %self.scope.id(), provider = self.account.kind.as_str(),
            provider_account.id = %self.account.id, count,
            "calls that are not provably ours live on an account; they are left alone"
        );
    }

    fn count(&self, finding: &'static str, count: u64) {
        if count == 0 {
            return;
        }
        let provider = self.account.kind.as_str();
        self.jobs.metrics.reconciled(provider, finding, count);
    }
}

/// A panic of a task is a panic of the round.
fn log_panic(what: &str, error: JoinError) {
    if error.is_panic() {
        std::panic::resume_unwind(error.into_panic());
    }
    tracing::error!(what, "was stopped; it is tried again");
}
