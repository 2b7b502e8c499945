//! The websocket that Asterisk tells its events over.
//!
//! Asterisk tells of the end of a channel that it dialled for us, but not of one that came in,
//! unless it is asked to: so it is, before the arrival is told.

use std::time::Duration;

use super::{
    super::{Wires, keys::AsteriskKeys as Keys},
    MAX_CALL_BYTES, event, request,
};
use crate::{
    outbound::{
        self,
        ws::{self, NotOpened},
    },
    providers::{Account, BoxFuture, Callback, Feed, Heard, NoFeed},
};

struct Events {
    socket: ws::Socket,
    bridge: Bridge,
    /// A call that came in, whose end is not sure to be told yet: kept here, for whoever waits for
    /// it may stop waiting and ask again.
    arrived: Option<(String, Callback)>,
}

/// Where the events come from.
struct Bridge {
    client: outbound::Client,
    deadline: Duration,
    account: Account,
    keys: Keys,
}

/// Opens the websocket of the account's application.
pub(in crate::providers::sip) async fn listen(
    wires: &Wires,
    account: &Account,
    keys: &Keys,
) -> Result<Box<dyn Feed>, NoFeed> {
    let http = request::events(account, keys).map_err(NoFeed::Refused)?;
    let deadline = wires.deadlines.hang_up;
    let opened = wires
        .control
        .open_websocket(http, deadline, MAX_CALL_BYTES)
        .await;
    let socket = opened.map_err(refused)?;
    Ok(Box::new(Events {
        socket,
        bridge: Bridge {
            client: wires.control.clone(),
            deadline,
            account: account.clone(),
            keys: keys.clone(),
        },
        arrived: None,
    }))
}

fn refused(why: NotOpened) -> NoFeed {
    match why {
        NotOpened::Answered(answer) if matches!(answer.status, 400 | 401 | 403) => {
            NoFeed::Refused(format!("Asterisk answers with status {}", answer.status))
        }
        NotOpened::Answered(answer) => {
            NoFeed::Unavailable(format!("Asterisk answers with status {}", answer.status))
        }
        NotOpened::Failed(failure) => NoFeed::Unavailable(failure.to_string()),
    }
}

impl Events {
    async fn hear(&mut self) -> Heard {
        loop {
            if let Some((id, _)) = &self.arrived {
                self.bridge.subscribe(id).await;
                if let Some((_, callback)) = self.arrived.take() {
                    return Heard::Told(callback);
                }
            }
            let text = match self.socket.next().await {
                ws::Heard::Text(text) => text,
                ws::Heard::Closed { .. } => return Heard::Closed(None),
                ws::Heard::Broken(why) => return Heard::Broken(why),
            };
            match event::read(&self.bridge.keys.app, &text) {
                event::Read::Told(callback) => return Heard::Told(callback),
                event::Read::Arrived(id, callback) => self.arrived = Some((id, callback)),
                event::Read::Replaced => {
                    let why = "another connection took over the application's events";
                    return Heard::Broken(why.to_owned());
                }
                event::Read::Nothing => {}
            }
        }
    }
}

impl Bridge {
    /// Has the end of the channel told. Where that fails, reading the call finds it out later.
    async fn subscribe(&self, id: &str) {
        let Ok(http) = request::subscribe(&self.account, &self.keys, id) else {
            return;
        };
        let heard = self.client.send(http, self.deadline, MAX_CALL_BYTES).await;
        if !heard.is_ok_and(|answer| (200..=299).contains(&answer.status)) {
            tracing::warn!(
                org.id = %self.account.organization_id,
                "Asterisk may not tell of the end of a call that came in"
            );
        }
    }
}

impl Feed for Events {
    fn next(&mut self) -> BoxFuture<'_, Heard> {
        Box::pin(self.hear())
    }
}
