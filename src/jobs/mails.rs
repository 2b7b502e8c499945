//! Sending queued mails. A mail is claimed under a lease; its row goes once the mail server has taken
//! it. A lost answer means that it may be sent twice, with the same message id.

use std::time::Duration;

use tokio::task::JoinSet;

use super::worker::{Worker, log_failure};
use crate::{
    app::people::{mails, sessions},
    db::{self, mails::Claimed},
    domain::{LeaseToken, Result, mail},
    outbound::mail::{MailFailure, Mailer},
};

/// A mail may take so long; its lease is longer.
const DEADLINE: Duration = Duration::from_secs(40);
const LEASE: time::Duration = time::Duration::seconds(60);

/// Mails that are sent at once by a node.
const MOST: i64 = 16;

impl Worker {
    /// Sends due mails, a bounded number, and waits until that is done. Returns how many were tried.
    ///
    /// # Errors
    /// `DATABASE_UNAVAILABLE`.
    pub async fn send_mails(&self) -> Result<usize> {
        let Some(mailer) = &self.jobs.mailer else {
            return Ok(0);
        };
        let ambient = &self.jobs.app.ambient;
        let (lease, now) = (LeaseToken(ambient.entropy.uuid()), ambient.now());
        let due = db::mails::claim(&self.jobs.app.db, lease, now, now.plus(LEASE), MOST).await?;
        let mut sending = JoinSet::new();
        for mail in due {
            let (worker, mailer) = (self.clone(), mailer.clone());
            sending.spawn(async move { worker.send_mail(&mailer, &mail, lease).await });
        }
        let mut tried = 0;
        while let Some(done) = sending.join_next().await {
            log_failure("send a mail", done.unwrap_or(Ok(())));
            tried += 1;
        }
        Ok(tried)
    }

    async fn send_mail(&self, mailer: &Mailer, claimed: &Claimed, lease: LeaseToken) -> Result<()> {
        let (app, id) = (&self.jobs.app, claimed.id);
        let text = mails::open(app, id, &claimed.sealed)?;
        let sent = mailer.send(id, &text, claimed.created_at);
        let sent = tokio::time::timeout(DEADLINE, sent).await;
        match sent.unwrap_or_else(|_elapsed| Err(MailFailure::timed_out())) {
            Ok(()) => db::mails::finish(&app.db, id, lease).await,
            Err(failure) => self.not_sent(claimed, lease, &failure).await,
        }
    }

    async fn not_sent(
        &self,
        claimed: &Claimed,
        lease: LeaseToken,
        failure: &MailFailure,
    ) -> Result<()> {
        let (app, id) = (&self.jobs.app, claimed.id);
        let now = app.ambient.now();
        let age = now.since(claimed.created_at);
        let attempt = claimed.attempt;
        let over = failure.for_good || age > mail::GIVEN_UP_AFTER;
        let wait = (!over).then(|| mail::retry_after(attempt));
        let next_s = wait.map(time::Duration::whole_seconds);
        // Without a next attempt it is given up.
        tracing::warn!(mail.id = %id, attempt, %failure, next_s, "a mail was not sent");
        match wait {
            Some(wait) => db::mails::send_again(&app.db, id, lease, now.plus(wait)).await,
            None => db::mails::finish(&app.db, id, lease).await,
        }
    }

    /// Forgets what people did and is over.
    ///
    /// # Errors
    /// `DATABASE_UNAVAILABLE`.
    pub async fn forget_what_is_over(&self) -> Result<()> {
        sessions::forget_what_is_over(&self.jobs.app).await
    }
}
