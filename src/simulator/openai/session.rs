//! The websocket beside a call: it begins with `session.created` and is closed when the call ends.
//!
//! The code of the closing is this imitation's choice: that of a closing in order.

use std::{pin::pin, sync::Arc};

use serde_json::json;

use super::{OPENAI, with_usual_body};
use crate::simulator::{
    call::State,
    fault::Operation,
    listener::{Handled, Reply},
    switchboard::Switchboard,
    websocket::Socket,
};

const CLOSED_IN_ORDER: u16 = 1000;

pub(super) async fn open(board: &Arc<Switchboard>, account: &str, query: &str) -> Handled {
    board.count(Operation::Socket);
    let id = url::form_urlencoded::parse(query.as_bytes())
        .find_map(|(name, value)| (name == "call_id").then(|| value.into_owned()))
        .unwrap_or_default();
    let act = || {
        if is_up(board, account, &id) {
            Reply::empty(101)
        } else {
            Reply::empty(404)
        }
    };
    // Without a body, as theirs is.
    let usual = |reply: Reply| match reply.status {
        404 => reply,
        _ => with_usual_body(reply),
    };
    let handled = board
        .under_fault(OPENAI, Operation::Socket, act, usual)
        .await;
    let (board, account) = (Arc::clone(board), account.to_owned());
    handled.with_socket(Box::new(|socket| {
        Box::pin(converse(board, account, id, socket))
    }))
}

async fn converse(board: Arc<Switchboard>, account: String, id: String, mut socket: Socket) {
    let mut breaks = pin!(board.sockets_break());
    let created = json!({
        "type": "session.created",
        "event_id": format!("event_{}", board.ambient.entropy.uuid().simple()),
        "session": { "type": "realtime", "object": "realtime.session", "id": id },
    });
    if !socket.say(created.to_string()).await {
        return;
    }
    loop {
        // Made before looking, so that no move is missed.
        let moved = board.moved();
        if !is_up(&board, &account, &id) {
            socket.close(CLOSED_IN_ORDER, "").await;
            return;
        }
        tokio::select! {
            () = moved => {}
            () = &mut breaks => return,
            heard = socket.hear() => if heard.is_none() { return },
        }
    }
}

fn is_up(board: &Arc<Switchboard>, account: &str, id: &str) -> bool {
    board.look(|exchange| {
        let call = exchange.find(account, id);
        call.is_some_and(|call| call.state == State::InProgress)
    })
}
