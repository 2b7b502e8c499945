//! The simulator's listener: which face a request is for, and the control API under `/_sim`.
//!
//! The control API belongs to whoever runs the simulation. It answers JSON; an error is
//! `{"error": "…"}` and says what would have been right.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{Method, body::Bytes};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    SimulatedAccount,
    call::{CallbackTarget, Order},
    exchange::{ActRefused, PartyAct},
    fault::FaultOrder,
    listener::{self, Asked, Handled, Reply},
    openai,
    script::ScriptChange,
    sip,
    switchboard::Switchboard,
    telnyx, twilio, vonage,
};
use crate::{
    ambient::Ambient,
    domain::provider::ProviderKind,
    outbound::{Client, Options, Reach},
};

const ROUTES: &str = "GET /_sim/calls, GET /_sim/calls/{id}, \
    POST /_sim/calls/{id}/answer|hangup|busy|no-answer|fail, POST /_sim/inbound, \
    POST /_sim/faults, POST /_sim/faults/release, \
    POST /_sim/script, POST /_sim/accounts, POST /_sim/sockets/break, GET /_sim/stats, DELETE /_sim";

/// Listens, lets the accounts in, and serves in the background.
pub(super) async fn start(
    listen: SocketAddr,
    ambient: Ambient,
    accounts: Vec<SimulatedAccount>,
) -> io::Result<(SocketAddr, Arc<Switchboard>)> {
    let client = Client::new(Options {
        reach: Reach::PublicAndLoopback,
        connect_timeout: Duration::from_secs(5),
        idle_per_host: 64,
    })
    .map_err(io::Error::other)?;
    let board = Arc::new(Switchboard::new(ambient.clone(), client));
    for account in accounts {
        board.with(|exchange| exchange.admit(account));
    }
    let serving = Arc::clone(&board);
    let address = listener::serve(listen, &ambient, move |asked| {
        answer(Arc::clone(&serving), asked)
    })
    .await?;
    board.listens_at(address);
    Ok((address, board))
}

async fn answer(board: Arc<Switchboard>, asked: Asked) -> Handled {
    let Some((provider, path)) = face(&asked.path) else {
        return Handled::Answer(control(&board, &asked));
    };
    let path = path.to_owned();
    match provider {
        ProviderKind::Twilio => twilio::answer(board, asked, path).await,
        ProviderKind::Telnyx => telnyx::answer(board, asked, path).await,
        ProviderKind::Vonage => vonage::answer(board, asked, path).await,
        ProviderKind::Sip => sip::answer(board, asked, path).await,
        ProviderKind::Openai => openai::answer(board, asked, path).await,
    }
}

/// The provider whose face a path is below, and the path relative to it.
fn face(path: &str) -> Option<(ProviderKind, &str)> {
    let below = path.strip_prefix('/')?;
    let name = below.split('/').next()?;
    let provider = name.parse().ok()?;
    Some((provider, below.strip_prefix(name)?))
}

fn control(board: &Arc<Switchboard>, asked: &Asked) -> Reply {
    let path = asked.path.trim_end_matches('/');
    let mut segments = path.split('/').skip(1);
    let route = (
        segments.next().unwrap_or_default(),
        segments.next().unwrap_or_default(),
        segments.next().unwrap_or_default(),
        segments.next().unwrap_or_default(),
        segments.next(),
    );
    match (&asked.method, route) {
        (&Method::GET, ("_sim", "calls", "", "", None)) => board.with(|exchange| {
            let calls = exchange.shown();
            Reply::json(200, &json!({ "calls": calls }))
        }),
        (&Method::GET, ("_sim", "calls", id, "", None)) => show(board, id),
        (&Method::POST, ("_sim", "calls", id, act, None)) => take_part(board, id, act, &asked.body),
        (&Method::POST, ("_sim", "inbound", "", "", None)) => call_in(board, &asked.body),
        (&Method::POST, ("_sim", "faults", "", "", None)) => order_fault(board, &asked.body),
        (&Method::POST, ("_sim", "faults", "release", "", None)) => {
            board.release(true);
            Reply::empty(204)
        }
        (&Method::POST, ("_sim", "script", "", "", None)) => change_script(board, &asked.body),
        (&Method::POST, ("_sim", "accounts", "", "", None)) => admit(board, &asked.body),
        (&Method::POST, ("_sim", "sockets", "break", "", None)) => {
            board.break_sockets();
            Reply::empty(204)
        }
        (&Method::GET, ("_sim", "stats", "", "", None)) => Reply::json(200, &board.stats()),
        (&Method::DELETE, ("_sim", "", "", "", None)) => {
            board.with(super::exchange::Exchange::forget);
            board.reset_stats();
            Reply::empty(204)
        }
        _ => refuse(404, &format!("no such route; there are: {ROUTES}")),
    }
}

fn show(board: &Arc<Switchboard>, id: &str) -> Reply {
    board
        .with(|exchange| Some(Reply::json(200, &exchange.shown_one(id)?)))
        .unwrap_or_else(|| refuse(404, "no such call"))
}

/// What may be said beside an act of the called party.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActDetails {
    /// The SIP status that the network gives for the failure.
    sip_code: Option<u16>,
}

fn take_part(board: &Arc<Switchboard>, id: &str, act: &str, body: &Bytes) -> Reply {
    let Ok(act) = act.parse::<PartyAct>() else {
        return refuse(404, "a call takes answer, hangup, busy, no-answer or fail");
    };
    let details = match read::<ActDetails>(body) {
        Ok(details) => details,
        Err(reply) => return reply,
    };
    let now = board.now();
    match board.with(|exchange| exchange.act(id, act, details.sip_code, now)) {
        Ok(()) => show(board, id),
        Err(refused @ ActRefused::NoSuchCall) => refuse(404, &refused.to_string()),
        Err(refused @ ActRefused::Is(_)) => {
            let allowed = "queued and ringing take answer, busy, no-answer, fail; \
                in-progress takes hangup, fail; a call that is over takes nothing";
            refuse(409, &format!("{refused}: {allowed}"))
        }
    }
}

fn order_fault(board: &Arc<Switchboard>, body: &Bytes) -> Reply {
    let fault = match read_whole::<FaultOrder>(body) {
        Ok(order) => order.into_fault(),
        Err(reply) => return reply,
    };
    match fault {
        Ok(fault) => {
            board.release(false);
            board.with(|exchange| {
                exchange.faults.add(fault);
                Reply::json(201, &json!({ "waiting": exchange.faults.len() }))
            })
        }
        Err(text) => refuse(400, &text),
    }
}

fn change_script(board: &Arc<Switchboard>, body: &Bytes) -> Reply {
    match read::<ScriptChange>(body) {
        Ok(change) => board.with(|exchange| {
            change.apply(&mut exchange.script);
            Reply::json(200, &exchange.script)
        }),
        Err(reply) => reply,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    provider: ProviderKind,
    external_id: String,
    secret: String,
    incoming_url: Option<String>,
}

/// A call that comes in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IncomingOrder {
    provider: ProviderKind,
    /// The provider's name for the account; not needed where there is only one.
    account: Option<String>,
    /// The number that is called.
    to: String,
    from: String,
}

fn call_in(board: &Arc<Switchboard>, body: &Bytes) -> Reply {
    let wanted = match read_whole::<IncomingOrder>(body) {
        Ok(wanted) => wanted,
        Err(reply) => return reply,
    };
    let bytes: [u8; 16] = board.ambient.entropy.bytes();
    let now = board.now();
    board.with(|exchange| {
        let reachable = exchange.reachable(wanted.provider, wanted.account.as_deref());
        let Some((account, url)) = reachable else {
            return refuse(
                409,
                "name an account that has an incoming_url: POST /_sim/accounts sets it",
            );
        };
        let order = Order {
            provider: wanted.provider,
            id: match wanted.provider {
                ProviderKind::Twilio => twilio::call_id(bytes),
                ProviderKind::Telnyx => telnyx::call_id(bytes),
                ProviderKind::Vonage => vonage::call_id(bytes),
                ProviderKind::Sip => sip::call_id(account, bytes, now),
                ProviderKind::Openai => openai::call_id(bytes),
            },
            account: account.to_owned(),
            to: wanted.to,
            from: wanted.from,
            callback: Some(CallbackTarget::everything_to(url.to_owned())),
            ring_timeout: Duration::from_mins(1),
            time_limit: Duration::from_hours(4),
            runnable: true,
            client_state: None,
            command_id: None,
        };
        Reply::json(201, &exchange.arrive(order, now))
    })
}

fn admit(board: &Arc<Switchboard>, body: &Bytes) -> Reply {
    let account = match read_whole::<NewAccount>(body) {
        Ok(account) => account,
        Err(reply) => return reply,
    };
    let account = SimulatedAccount {
        provider: account.provider,
        external_id: account.external_id,
        secret: account.secret,
        incoming_url: account.incoming_url,
    };
    let shown = json!({
        "provider": account.provider,
        "external_id": account.external_id,
        "credentials": account.credentials(),
    });
    board.with(|exchange| exchange.admit(account));
    Reply::json(201, &shown)
}

/// Reads a body that may be left out.
fn read<T: DeserializeOwned + Default>(body: &Bytes) -> Result<T, Reply> {
    if body.is_empty() {
        Ok(T::default())
    } else {
        read_whole(body)
    }
}

fn read_whole<T: DeserializeOwned>(body: &Bytes) -> Result<T, Reply> {
    serde_json::from_slice(body).map_err(|error| refuse(400, &error.to_string()))
}

fn refuse(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({ "error": text }))
}
