//! Calls that live here and are not on the provider's list: read there, one by one.
//!
//! Over is what the provider shows as over. A call that it does not know is over only when its list
//! is of all that lives and nothing was heard of the call for two rounds: a wrong region, account or
//! proxy answers the same.

use time::Duration;
use tokio::task::JoinSet;

use super::{Round, log_panic};
use crate::{
    app::calls::observe,
    db::{
        self,
        calls::{CallRef, Placed},
    },
    domain::{
        Result,
        call::{Call, EndReason},
        provider::{FetchOutcome, Observation, Progress},
    },
    jobs::worker::log_failure,
    providers::ProviderCall,
};

/// The most calls that are read in one round; the others have their turn in the next ones.
const MOST_READ: usize = 100;

/// How many are read at once.
const AT_ONCE: usize = 4;

/// Two rounds: a call that was heard of since may be one that the provider's list does not show yet.
const UNHEARD_FOR: Duration = Duration::minutes(2);

/// What came of one call.
enum Finding {
    /// Done with it.
    Settled,
    /// The provider takes no more questions now.
    LeaveAlone(Option<Duration>),
}

impl Round {
    /// Reads the calls that were missing on the list. `Some`: the provider asks to be left alone.
    pub(super) async fn read_missing(&self, missing: &[Placed], whole: bool) -> Option<Duration> {
        let mut turn = missing.to_vec();
        if turn.len() > MOST_READ {
            // Those that cannot be read must not keep the others from their turn.
            let bytes: [u8; size_of::<usize>()] = self.jobs.app.ambient.entropy.bytes();
            let from = usize::from_le_bytes(bytes) % turn.len();
            turn.rotate_left(from);
            turn.truncate(MOST_READ);
        }
        for some in turn.chunks(AT_ONCE) {
            let mut running = JoinSet::new();
            for placed in some {
                let (round, placed) = (self.clone(), placed.clone());
                running.spawn(async move { round.read_one(&placed, whole).await });
            }
            let mut asked = None;
            while let Some(done) = running.join_next().await {
                match done {
                    Ok(Ok(Finding::Settled)) => {}
                    Ok(Ok(Finding::LeaveAlone(after))) => asked = Some(asked.flatten().max(after)),
                    Ok(Err(error)) => {
                        log_failure::<()>("read a call that is not listed", Err(error));
                    }
                    Err(error) => log_panic("read a call that is not listed", error),
                }
            }
            if let Some(after) = asked {
                return after;
            }
        }
        None
    }

    async fn read_one(&self, placed: &Placed, whole: bool) -> Result<Finding> {
        let app = &self.jobs.app;
        let call = db::calls::find(&app.db, self.scope, &CallRef::from(placed.id)).await?;
        // What was heard since the list was begun goes on by itself.
        let Some(call) = call.filter(|call| call.is_live() && call.heard_at <= self.begun_at)
        else {
            return Ok(Finding::Settled);
        };
        let Some(at_provider) = ProviderCall::of(&call) else {
            return Ok(Finding::Settled);
        };
        let provider = self.jobs.providers.calls(self.account.kind);
        match provider.fetch(&self.account, at_provider).await.outcome {
            FetchOutcome::Found(observation) => self.found(call, observation).await?,
            FetchOutcome::NotFound => self.not_found(call, whole).await?,
            FetchOutcome::Unsupported => {}
            FetchOutcome::Unavailable { after } => return Ok(Finding::LeaveAlone(after)),
            FetchOutcome::Refused => return Ok(Finding::LeaveAlone(None)),
        }
        Ok(Finding::Settled)
    }

    async fn found(&self, call: Call, mut observation: Observation) -> Result<()> {
        if let Progress::Ended { reason, .. } = &mut observation.progress {
            *reason = Some(EndReason::ReconciledGone);
        }
        let call = observe::fetched(&self.jobs.app, self.scope, call, &observation).await?;
        self.tell(&call, "ghost_ended");
        Ok(())
    }

    async fn not_found(&self, call: Call, whole: bool) -> Result<()> {
        let app = &self.jobs.app;
        let heard_at = call.heard_at;
        let unheard = app.ambient.now().since(heard_at) > UNHEARD_FOR;
        if whole && unheard {
            let call = observe::gone(app, self.scope, call, heard_at).await?;
            self.tell(&call, "ghost_gone");
            return Ok(());
        }
        self.count("ghost_unproven", 1);
        tracing::warn!(
            org.id = %self.scope.id(), call.id = %call.id, provider = self.account.kind.as_str(),
            "a live call is neither on its provider's list nor known there, which proves nothing"
        );
        Ok(())
    }

    fn tell(&self, call: &Call, finding: &'static str) {
        if call.is_live() {
            return;
        }
        self.count(finding, 1);
        // Whoever makes the call terminal counts its end.
        if let Some((latency, state)) = call.end_latency() {
            let metrics = &self.jobs.metrics;
            metrics.end(call.provider.as_str(), state, latency);
        }
        tracing::warn!(
            org.id = %self.scope.id(), call.id = %call.id, provider = self.account.kind.as_str(),
            finding, "a call had ended at its provider without a report"
        );
    }
}
