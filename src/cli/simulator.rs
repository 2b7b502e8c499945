//! `onhook simulator`: the imitation of the providers alone, for trying out a server.

use std::net::SocketAddr;

use super::{Failure, terminal::say};
use crate::{ambient::Ambient, boot, simulator::Simulator};

pub(super) async fn run(listen: SocketAddr, ambient: Ambient) -> Result<(), Failure> {
    let simulator = Simulator::start(listen, ambient.clone(), Vec::new())
        .await
        .map_err(|error| format!("cannot simulate on {listen}: {error}"))?;
    say(&format!("simulating at {}", simulator.base_url()));
    boot::stop_of(&ambient.tasks).await?;
    ambient.tasks.stop();
    Ok(())
}
