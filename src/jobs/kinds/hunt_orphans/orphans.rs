//! Calls that live at the provider, are ours and must not: ended, again in each round while they
//! live.

use time::Duration;
use tokio::task::JoinSet;

use super::{Round, compare::Orphan, log_panic};
use crate::{
    app::calls::record_hang_up::{self, outcome_name},
    domain::provider::HangUpOutcome,
    jobs::worker::log_failure,
    providers::ProviderCall,
};

/// The most calls that are ended in one round.
const MOST_ENDED: usize = 100;

/// How many are ended at once.
const AT_ONCE: usize = 8;

impl Round {
    /// Ends them. `Some`: the provider asks to be left alone.
    pub(super) async fn end_orphans(&self, orphans: &[Orphan]) -> Option<Duration> {
        let turn = orphans.get(..MOST_ENDED).unwrap_or(orphans);
        for some in turn.chunks(AT_ONCE) {
            let mut running = JoinSet::new();
            for orphan in some {
                let (round, orphan) = (self.clone(), orphan.clone());
                running.spawn(async move { round.end_one(&orphan).await });
            }
            let mut asked = None;
            while let Some(done) = running.join_next().await {
                match done {
                    Ok(HangUpOutcome::Retry { after }) => asked = asked.max(after),
                    Ok(_) => {}
                    Err(error) => log_panic("end an orphan", error),
                }
            }
            if asked.is_some() {
                return asked;
            }
        }
        None
    }

    async fn end_one(&self, orphan: &Orphan) -> HangUpOutcome {
        let app = &self.jobs.app;
        let started_at = app.ambient.now();
        let at_provider = ProviderCall {
            id: &orphan.call.provider_call_id,
            host: orphan.call.host.as_deref(),
            answered: false,
        };
        let provider = self.jobs.providers.calls(self.account.kind);
        let answered = provider.hang_up(&self.account, at_provider).await;
        let elapsed = app.ambient.now().since(started_at).unsigned_abs();
        let (name, outcome) = (self.account.kind.as_str(), outcome_name(&answered.outcome));
        self.jobs
            .metrics
            .provider_request(name, "hang_up", outcome, elapsed);
        self.count("orphan_ended", 1);
        tracing::warn!(
            org.id = %self.scope.id(), call.id = ?orphan.id, provider = name, outcome,
            provider_call.id = orphan.call.provider_call_id,
            provider.status = answered.answer.status, provider.code = answered.answer.code,
            "a call of ours lived at its provider after its end, or without a record; it was ended"
        );
        let asked = record_hang_up::Orphan {
            id: orphan.id,
            provider_account_id: self.account.id,
            provider_call_id: &orphan.call.provider_call_id,
        };
        let done = record_hang_up::of_orphan(app, self.scope, &asked, &answered, started_at).await;
        log_failure("record the end of an orphan", done);
        answered.outcome
    }
}
