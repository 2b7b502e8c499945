//! Who holds the websocket of which application, and which channels were subscribed to.
//!
//! An application has one listener: the next takes its place.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::simulator::{switchboard::Switchboard, websocket::Session};

/// The listeners of every application.
#[derive(Default)]
pub(in crate::simulator) struct Listeners(Mutex<Known>);

#[derive(Default)]
struct Known {
    by_app: HashMap<String, (u64, UnboundedSender<String>)>,
    subscribed: HashSet<String>,
    came: u64,
}

impl Listeners {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers the application, in place of whoever listened before.
    fn register(&self, app: &str) -> (u64, UnboundedReceiver<String>) {
        let (sender, receiver) = unbounded_channel();
        let mut known = self.known();
        known.came += 1;
        let number = known.came;
        let before = known.by_app.insert(app.to_owned(), (number, sender));
        if let Some((_, sender)) = before {
            let replaced = json!({ "type": "ApplicationReplaced", "application": app });
            // Whoever is gone need not know.
            drop(sender.send(replaced.to_string()));
        }
        (number, receiver)
    }

    /// Unregisters the application, if the listener of that number still has it.
    fn leave(&self, app: &str, number: u64) {
        let mut known = self.known();
        if known.by_app.get(app).is_some_and(|(has, _)| *has == number) {
            known.by_app.remove(app);
        }
    }

    pub(super) fn is_registered(&self, app: &str) -> bool {
        self.known().by_app.contains_key(app)
    }

    pub(super) fn subscribe(&self, channel: &str) {
        self.known().subscribed.insert(channel.to_owned());
    }

    pub(super) fn is_subscribed(&self, channel: &str) -> bool {
        self.known().subscribed.contains(channel)
    }

    /// Says `text` to the application's listener. False: there is none.
    pub(super) fn say(&self, app: &str, text: &str) -> bool {
        let known = self.known();
        let listener = known.by_app.get(app);
        listener.is_some_and(|(_, sender)| sender.send(text.to_owned()).is_ok())
    }
}

/// Registers the application, and says over the socket what there is to say until it ends.
pub(super) fn session(board: &Arc<Switchboard>, app: &str) -> Session {
    let (board, app) = (Arc::clone(board), app.to_owned());
    let (number, mut inbox) = board.ari.register(&app);
    let place = Place { board, app, number };
    Box::new(move |mut socket| {
        Box::pin(async move {
            loop {
                tokio::select! {
                    said = inbox.recv() => {
                        let Some(text) = said else { return };
                        if !socket.say(text).await {
                            return;
                        }
                    }
                    heard = socket.hear() => if heard.is_none() { return },
                    () = place.board.sockets_break() => return,
                }
            }
        })
    })
}

/// An application's registration, given up when the socket is gone, however that comes.
struct Place {
    board: Arc<Switchboard>,
    app: String,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.board.ari.leave(&self.app, self.number);
    }
}
