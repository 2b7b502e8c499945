//! One websocket: opened, heard to its end, and what it means when there is none.
//!
//! Who holds it, and for how long, is not here.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::{AbortHandle, JoinSet};

use crate::{
    app::calls::{
        hear::{self, Hearing, Learnt},
        observe::{self, Observed},
    },
    db::{self, calls::CallRef, listeners::Subject},
    domain::{
        CallId, Error, OrgScope, Result, backoff,
        call::{Call, CallStatus, EndReason, EndState},
        provider::{Observation, Progress, Source},
    },
    jobs::{
        kinds,
        worker::{Worker, finished, log_failure},
    },
    providers::{Account, Callback, Feed, Heard, NoFeed, ProviderCall, Told},
};

/// What opening a websocket may take, whatever the provider's adapter allows.
const OPEN_WITHIN: Duration = Duration::from_secs(15);

/// The wait before a provider that refused our credentials is asked again.
const REFUSED_FOR: time::Duration = time::Duration::seconds(60);

/// A call that nobody answered and that its provider does not have this long after it came is over.
const COMES_WITHIN: time::Duration = time::Duration::seconds(60);

/// How often what was told is tried to be applied before the websocket is given up.
const APPLY_ATTEMPTS: i32 = 5;

/// Calls that are read again when an account's websocket was opened. The others are found by
/// reconciliation, when nothing was heard of them for long.
const MOST_READ_AGAIN: i64 = 5000;
const READ_AT_ONCE: usize = 8;

/// How often on end a provider must say that it has no such call: a restart of theirs may say it
/// once.
const TOLD_BEFORE_BELIEVED: u32 = 2;

/// What follows when a websocket is no more.
pub(super) enum Next {
    /// Nobody needs it any longer.
    Done,
    /// It is opened again, after as long as is said at least.
    Again(Option<time::Duration>),
    /// The provider has no such call. What that means, [`Worker::without_call`] says.
    NoSuchCall(Box<Call>),
}

/// What was before with the same websocket.
#[derive(Default)]
pub(super) struct Past {
    /// It was open.
    opened: bool,
    /// Calls are being read again.
    reading: Option<AbortHandle>,
}

impl Past {
    pub(super) fn forget(&mut self) {
        if let Some(reading) = self.reading.take() {
            reading.abort();
        }
    }

    fn replace(&mut self, reading: AbortHandle) {
        self.forget();
        self.reading = Some(reading);
    }
}

impl Worker {
    /// Opens the websocket and hears all that is told until it is no more.
    pub(super) async fn open(&self, subject: Subject, past: &mut Past) -> Result<Next> {
        let (jobs, scope) = (&self.jobs, OrgScope::assume(subject.organization_id));
        let Some(account) = jobs.account(subject.provider_account_id).await? else {
            return Ok(Next::Done);
        };
        let Some(listens) = jobs.providers.listens(account.kind) else {
            return Ok(Next::Done);
        };
        let call = match subject.call_id {
            None => None,
            Some(id) => {
                let call = db::calls::find(&jobs.app.db, scope, &CallRef::from(id)).await?;
                match call.filter(Call::is_live) {
                    Some(call) => Some(call),
                    None => return Ok(Next::Done),
                }
            }
        };
        let opening = listens.connect(&account, call.as_ref().and_then(ProviderCall::of));
        let opened = match tokio::time::timeout(OPEN_WITHIN, opening).await {
            Ok(opened) => opened,
            Err(_elapsed) => Err(NoFeed::Unavailable("timed out".to_owned())),
        };
        match (opened, call) {
            (Ok(feed), _) => {
                if subject.call_id.is_none() || past.opened {
                    past.replace(self.read_again(subject));
                }
                past.opened = true;
                self.hear_all(&account, subject.call_id, feed).await
            }
            (Err(NoFeed::NoSuchCall), Some(call)) => Ok(Next::NoSuchCall(Box::new(call))),
            (Err(no_feed), _) => {
                tracing::warn!(
                    org.id = %subject.organization_id, account.id = %subject.provider_account_id,
                    call.id = subject.call_id.map(tracing::field::display), ?no_feed,
                    "no websocket to a provider; it is tried again"
                );
                let refused = matches!(no_feed, NoFeed::Refused(_));
                Ok(Next::Again(refused.then_some(REFUSED_FOR)))
            }
        }
    }

    async fn hear_all(
        &self,
        account: &Account,
        call_id: Option<CallId>,
        mut feed: Box<dyn Feed>,
    ) -> Result<Next> {
        loop {
            match feed.next().await {
                Heard::Told(callback) => {
                    if self.apply(account, call_id, callback).await? && call_id.is_some() {
                        return Ok(Next::Done);
                    }
                }
                Heard::Closed(None) => return Ok(Next::Again(None)),
                Heard::Closed(Some(observation)) => {
                    let over = self.apply(account, call_id, closing(observation)).await?;
                    let done = over && call_id.is_some();
                    return Ok(if done { Next::Done } else { Next::Again(None) });
                }
                Heard::Broken(why) => {
                    tracing::warn!(
                        org.id = %account.organization_id, account.id = %account.id,
                        call.id = call_id.map(tracing::field::display), why,
                        "a websocket to a provider broke; it is opened again"
                    );
                    return Ok(Next::Again(None));
                }
            }
        }
    }

    /// Applies what was told, as a callback is. True: the call that it is about is over.
    async fn apply(
        &self,
        account: &Account,
        call_id: Option<CallId>,
        callback: Callback,
    ) -> Result<bool> {
        let (worker, account) = (self.clone(), account.clone());
        let tasks = &self.jobs.app.ambient.tasks;
        // To its end, also when the websocket is let go of meanwhile.
        let task = tasks.spawn(async move { worker.take_in(&account, call_id, callback).await });
        task.await
            .map_err(|error| Error::internal("apply what a provider told", error))?
    }

    async fn take_in(
        &self,
        account: &Account,
        call_id: Option<CallId>,
        callback: Callback,
    ) -> Result<bool> {
        let jobs = &self.jobs;
        let scope = OrgScope::assume(account.organization_id);
        let hearing = Hearing {
            provider_account_id: account.id,
            receipt_key: callback.receipt_key,
            told: callback.told,
            body: callback.raw,
        };
        let mut attempt = 1;
        let learnt = loop {
            // Nobody tells it again: a database that is away for a moment must not lose it.
            match hear::hear(&jobs.app, scope, call_id, hearing.clone()).await {
                Ok(learnt) => break learnt,
                Err(error) if attempt == APPLY_ATTEMPTS => return Err(error),
                Err(error) => log_failure::<()>("apply what a provider told", Err(error)),
            }
            let wait = backoff::after(attempt, None, jobs.app.ambient.entropy.unit());
            tokio::time::sleep(wait.unsigned_abs()).await;
            attempt += 1;
        };
        let provider = account.kind.as_str();
        let (outcome, over) = match learnt {
            // The job that answers it was written with it.
            Learnt::Incoming { .. } => ("incoming", false),
            Learnt::NotTaken {
                provider_call_id,
                host,
            } => {
                let call = ProviderCall {
                    host: host.as_deref(),
                    ..ProviderCall::named(&provider_call_id)
                };
                jobs.providers.turn_away(account, call).await;
                ("rejected", false)
            }
            Learnt::Observed(Observed::Applied(call)) => {
                if let Some((latency, confirmed_by)) = call.end_latency() {
                    jobs.metrics.end(provider, confirmed_by, latency);
                }
                ("applied", !call.is_live())
            }
            Learnt::Observed(Observed::Stale(call)) => {
                ("stale", call.is_some_and(|call| !call.is_live()))
            }
            Learnt::Observed(Observed::Parked) => ("parked", false),
            Learnt::Observed(Observed::UnknownCall) => ("unknown", false),
        };
        jobs.metrics.callback(provider, outcome);
        Ok(over)
    }

    /// What it means that the provider has no such call, said `times` times on end. True: the call
    /// is over.
    ///
    /// Of a call that was answered the websocket had been open, with the same credentials. One that
    /// nobody answered may be about to be: that it is not there is evidence when the provider has
    /// accepted to end it, or when it should have been there long ago.
    pub(super) async fn without_call(&self, call: &Call, times: u32) -> Result<bool> {
        let app = &self.jobs.app;
        let accepted = call
            .wish
            .as_ref()
            .is_some_and(|wish| matches!(wish.state, EndState::Accepted | EndState::Unconfirmed));
        let answered = call.answered_at.is_some();
        let late = app.ambient.now().since(call.created_at) >= COMES_WITHIN;
        let Some(id) = &call.provider_call_id else {
            return Ok(false);
        };
        if times < TOLD_BEFORE_BELIEVED || !(answered || accepted || late) {
            return Ok(false);
        }
        let observation = Observation {
            provider_call_id: id.clone(),
            progress: Progress::Ended {
                status: match (answered, accepted) {
                    (true, _) => CallStatus::Completed,
                    (false, true) => CallStatus::Canceled,
                    (false, false) => CallStatus::Failed,
                },
                connected_seconds: None,
                reason: Some(EndReason::ReconciledGone),
                cause: json!({"websocket": "no such call"}),
            },
            at: None,
            source: Source::Socket,
            host: None,
        };
        let scope = OrgScope::assume(call.organization_id);
        let call = observe::fetched(app, scope, call.clone(), &observation).await?;
        if let Some((latency, confirmed_by)) = call.end_latency() {
            let provider = call.provider.as_str();
            self.jobs.metrics.end(provider, confirmed_by, latency);
        }
        Ok(!call.is_live())
    }

    /// Reads the calls again that the websocket is about: nobody knows what was told before it was
    /// opened.
    fn read_again(&self, subject: Subject) -> AbortHandle {
        let worker = self.clone();
        let tasks = &self.jobs.app.ambient.tasks;
        let reading = tasks.spawn(async move {
            let read = worker.read_calls(subject).await;
            log_failure("read the calls of a websocket again", read);
        });
        reading.abort_handle()
    }

    async fn read_calls(&self, subject: Subject) -> Result<()> {
        let (jobs, organization_id) = (&self.jobs, subject.organization_id);
        let mut calls = if let Some(call_id) = subject.call_id {
            vec![call_id]
        } else {
            let (app, scope) = (&jobs.app, OrgScope::assume(organization_id));
            let (account, now) = (subject.provider_account_id, app.ambient.now());
            db::calls::unheard(&app.db, scope, account, now, MOST_READ_AGAIN).await?
        };
        let mut running = JoinSet::new();
        while let Some(call_id) = calls.pop() {
            if running.len() >= READ_AT_ONCE {
                running.join_next().await;
            }
            let jobs = jobs.clone();
            running.spawn(async move {
                let read = kinds::reconcile_calls::run(&jobs, organization_id, call_id).await;
                log_failure("read a call again", read);
            });
        }
        finished(running).await;
        Ok(())
    }
}

/// A closing that is evidence, in the form of everything else that is told.
fn closing(observation: Observation) -> Callback {
    let raw = match &observation.progress {
        Progress::Ended { cause, .. } => cause.clone(),
        Progress::Placed | Progress::Ringing | Progress::Answered => Value::Null,
    };
    Callback {
        receipt_key: format!("closed:{}", observation.provider_call_id),
        told: Told::Progress(observation),
        asks: false,
        sequence: None,
        raw,
    }
}
