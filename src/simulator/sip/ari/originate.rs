//! Places a channel.

use std::{sync::Arc, time::Duration};

use super::{channel, guarded, message, parameter};
use crate::{
    domain::phone::Phone,
    simulator::{
        call::{Order, Record, State},
        fault::Operation,
        listener::{Handled, Reply},
        report::{CallbackTarget, Event},
        sip::SIP,
        switchboard::Switchboard,
    },
};

/// Seconds that a channel rings when that is not said.
const USUAL_TIMEOUT: u64 = 30;

pub(super) async fn originate(board: &Arc<Switchboard>, app: &str, query: &str) -> Handled {
    board.count(Operation::Create);
    let named = parameter(query, "channelId");
    let report_to = named.as_ref().map(|id| format!("ari:{id}"));
    board.with(|exchange| exchange.hear_create(report_to.as_deref()));
    guarded(board, Operation::Create, || {
        let Some(endpoint) = parameter(query, "endpoint") else {
            return message(400, "Endpoint must be specified");
        };
        let Some((technology, resource)) = endpoint.split_once('/') else {
            return message(400, "Invalid endpoint specified");
        };
        let to = resource.strip_suffix("@trunk").map(str::to_owned);
        let Some(to) = to.filter(|_| technology == "PJSIP") else {
            return Reply::json(500, &serde_json::json!({ "error": "Allocation failed" }));
        };
        let now = board.now();
        let id = named
            .clone()
            .unwrap_or_else(|| super::channel_id(board.ambient.entropy.bytes(), now));
        let lives = |call: &Record| !call.state.is_over();
        if board.with(|exchange| exchange.find(app, &id).is_some_and(lives)) {
            return message(409, "Channel with given unique ID already exists");
        }
        let registered =
            parameter(query, "app").as_deref() == Some(app) && board.ari.is_registered(app);
        let order = order(app, query, id, to, registered, report_to.clone());
        board.with(|exchange| {
            let call = exchange.place(order, now);
            if !registered {
                exchange.command(app, &call.id, |line, effects| {
                    line.end(State::Failed, None, now, effects);
                });
            }
            Reply::json(200, &channel::shown(&call))
        })
    })
    .await
}

fn order(
    app: &str,
    query: &str,
    id: String,
    to: String,
    registered: bool,
    report_to: Option<String>,
) -> Order {
    let timeout = parameter(query, "timeout").and_then(|text| text.parse().ok());
    let caller = parameter(query, "callerId").unwrap_or_default();
    let url = report_to.unwrap_or_else(|| super::EVENTS.to_owned());
    Order {
        provider: SIP,
        id,
        account: app.to_owned(),
        to,
        from: caller
            .parse::<Phone>()
            .map_or(caller, |it| it.reveal().to_owned()),
        callback: registered.then(|| CallbackTarget {
            url,
            by_get: false,
            wanted: vec![
                Event::Initiated,
                Event::Ringing,
                Event::Answered,
                Event::Completed,
            ],
        }),
        ring_timeout: Duration::from_secs(timeout.unwrap_or(USUAL_TIMEOUT)),
        // By a channel variable there, which this imitation does not read.
        time_limit: Duration::from_hours(24),
        runnable: true,
        client_state: parameter(query, "appArgs"),
        command_id: None,
    }
}
