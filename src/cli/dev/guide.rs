//! What `onhook dev` prints: how to place and end the first call, and each webhook as it arrives.

use std::path::Path;

use tokio::sync::mpsc::UnboundedReceiver;

use super::demo::Card;
use crate::{ambient::Tasks, cli::terminal::say, simulator::Delivery};

pub(super) fn print(card: &Card, data_dir: &Path) {
    let (url, token, agent) = (&card.base_url, &card.token, card.agent_id);
    say(&format!(
        "\
Onhook is up: {url}   documentation: {url}/docs
Its addresses and keys are in {}; Ctrl-C stops everything.

Place a call (the simulated phone rings after 100 ms and is answered after 300 ms):

  curl -X POST {url}/api/v1/agents/{agent}/call \\
    -H 'Authorization: Bearer {token}' \\
    -H 'Content-Type: application/json' -d '{{\"to\": \"+15550101\"}}'

End it, with the id of the answer:

  curl -X POST {url}/api/v1/calls/ID/terminate -H 'Authorization: Bearer {token}'

or, as an agent's call:

  curl -X POST {url}/api/v1/agents/{agent}/end-call \\
    -H 'Authorization: Bearer {token}' \\
    -H 'Content-Type: application/json' -d '{{\"call_sid\": \"ID\"}}'

On this machine these need no token:

  curl -X POST {url}/api/call -d '{{\"to\": \"+15550101\"}}'
  curl {url}/api/calls
  curl -X POST {url}/api/calls/ID/end

What the provider knows: {}/_sim/calls    What arrived as webhooks: {}/received
",
        data_dir.join("dev.json").display(),
        card.simulator_url,
        card.webhook_receiver_url,
    ));
}

/// Prints a line for each webhook that arrives, until the tasks are told to stop: the receiver never
/// hangs up.
pub(super) async fn announce(mut arrived: UnboundedReceiver<Delivery>, tasks: Tasks) {
    loop {
        let delivery = tokio::select! {
            () = tasks.stopping() => return,
            delivery = arrived.recv() => delivery,
        };
        let Some(delivery) = delivery else {
            return;
        };
        let signature = if delivery.signature_valid {
            "valid"
        } else {
            "INVALID"
        };
        let field = |pointer: &str| {
            delivery
                .body
                .pointer(pointer)
                .and_then(|value| value.as_str())
                .unwrap_or("-")
                .to_owned()
        };
        say(&format!(
            "webhook {:<34} call {} {:<12} signature {signature}",
            delivery.kind.as_deref().unwrap_or("-"),
            field("/call_id"),
            field("/data/call/status"),
        ));
    }
}
