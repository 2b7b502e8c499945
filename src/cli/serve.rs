//! `onhook serve`: one node, as the environment says.

use super::Failure;
use crate::{
    ambient::Ambient,
    boot::{self, Node, Patience, Settings, Stop},
    config::Config,
    jobs::Loops,
    telemetry::log,
};

pub(super) async fn run(config: Config, ambient: Ambient) -> Result<(), Failure> {
    log::install(config.log.format, &config.log.filter);
    warn_of_open_doors(&config);
    let tasks = ambient.tasks.clone();
    let node = Node::start(Settings {
        config,
        ambient,
        loops: Loops::All,
        patience: Patience::default(),
    })
    .await?;
    announce(&node);
    let why = boot::stop_of(&tasks).await?;
    boot::stop(node).await?;
    match why {
        Stop::Asked => Ok(()),
        Stop::Crashed => Err("a background task panicked; see the log".into()),
    }
}

fn warn_of_open_doors(config: &Config) {
    let doors = [
        (
            config.providers.allow_loopback,
            "ONHOOK_OUTBOUND_ALLOW_LOOPBACK is on: for development and tests only",
        ),
        (
            config.http.local_organization.is_some(),
            "ONHOOK_LOCAL_ORGANIZATION is set: requests of this machine need no token",
        ),
    ];
    for (_, what) in doors.iter().filter(|(open, _)| *open) {
        tracing::warn!("{what}");
    }
}

fn announce(node: &Node) {
    tracing::info!(address = %node.address, operators = %node.operator_address, "serving");
}
