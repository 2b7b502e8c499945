//! Passwords are hashed on threads of their own, a bounded number at once, with a bounded queue: many
//! logins make logins slow, and nothing else.

use std::{sync::Arc, thread, time::Duration};

use tokio::sync::Semaphore;

use crate::{
    ambient::Ambient,
    crypto::password_hash,
    domain::{Error, ErrorCode, Result, password::Password},
};

/// Who waits for a place; whoever comes then is told to come back.
const MOST_WAITING: usize = 256;

/// How long somebody waits for a place.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long to stay away when there are too many.
const COME_BACK: time::Duration = time::Duration::seconds(5);

/// The places. Cheap to clone.
#[derive(Clone)]
pub(super) struct Hashing {
    places: Arc<Semaphore>,
    /// Places and the queue for them.
    all: Arc<Semaphore>,
}

impl Default for Hashing {
    /// Half of the processors: the others are left to everything else.
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self::with((processors / 2).max(1), MOST_WAITING)
    }
}

impl Hashing {
    fn with(places: usize, waiting: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            all: Arc::new(Semaphore::new(places + waiting)),
        }
    }

    /// # Errors
    /// `OVERLOADED`, `INTERNAL`.
    pub(super) async fn hash(&self, ambient: &Ambient, password: &Password) -> Result<String> {
        let (password, salt) = (password.clone(), ambient.entropy.bytes());
        self.run(ambient, move || password_hash::hash(&password, salt))
            .await?
    }

    /// Whether the password is that of `hash`. Without one it takes as long, and it is not.
    ///
    /// # Errors
    /// `OVERLOADED`, `INTERNAL`.
    pub(super) async fn is(
        &self,
        ambient: &Ambient,
        password: &Password,
        hash: Option<&str>,
    ) -> Result<bool> {
        let (password, salt) = (password.clone(), ambient.entropy.bytes());
        let hash = hash.map(str::to_owned);
        self.run(ambient, move || match hash {
            Some(hash) => Ok(password_hash::is(&password, &hash)),
            None => password_hash::hash(&password, salt).map(|_nobodys| false),
        })
        .await?
    }

    async fn run<T: Send + 'static>(
        &self,
        ambient: &Ambient,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let queued = Arc::clone(&self.all)
            .try_acquire_owned()
            .map_err(|_| overloaded())?;
        let place = tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or_else(overloaded)?;
        // The places go with the work, which goes on when nobody waits for it any more.
        let work = ambient.tasks.spawn_blocking(move || {
            let outcome = work();
            drop((place, queued));
            outcome
        });
        work.await
            .map_err(|error| Error::internal("hash a password", error))
    }
}

fn overloaded() -> Error {
    Error::new(
        ErrorCode::Overloaded,
        "Too many people log in at this moment; try again",
    )
    .retry_after(COME_BACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password() -> Password {
        Password::shown("correct horse battery".to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_password_is_its_hashs_and_nobodys_without_one() {
        let (ambient, hashing) = (Ambient::system(), Hashing::default());
        let hash = hashing.hash(&ambient, &password()).await.unwrap();
        assert!(
            hashing
                .is(&ambient, &password(), Some(&hash))
                .await
                .unwrap()
        );
        assert!(!hashing.is(&ambient, &password(), None).await.unwrap());
        let other = Password::shown("another one of them".to_owned()).unwrap();
        assert!(!hashing.is(&ambient, &other, Some(&hash)).await.unwrap());
    }

    #[tokio::test]
    async fn no_more_run_at_once_than_there_are_places_and_no_more_wait_than_may() {
        let (ambient, hashing) = (Ambient::system(), Hashing::with(1, 1));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let work = move || held.recv().is_err();
        let first = hashing.run(&ambient, work);
        let second = hashing.run(&ambient, || true);
        let crowd = async {
            while hashing.places.available_permits() > 0 || hashing.all.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
            let refused = hashing.run(&ambient, || true).await.unwrap_err();
            assert_eq!(refused.code, ErrorCode::Overloaded);
            assert_eq!(refused.retry_after, Some(COME_BACK));
            drop(release);
        };
        let (first, second, ()) = tokio::join!(first, second, crowd);
        assert!(first.unwrap() && second.unwrap());
        assert!(hashing.run(&ambient, || true).await.unwrap());
    }
}
