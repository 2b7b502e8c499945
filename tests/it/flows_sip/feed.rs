//! The websocket by itself: what opens it, what ends it, and that dropping whoever waits loses
//! nothing.

use std::time::Duration;

use onhook::{
    ambient::Ambient,
    domain::{OrganizationId, ProviderAccountId, provider::ProviderKind},
    outbound::Reach,
    providers::{Account, Credentials, Deadlines, Feed, Heard, NoFeed, Registry, Subject, Told},
    simulator::SimulatedAccount,
};
use serde_json::{Value, json};

use super::call_in;
use crate::support::app::TestApp;

struct Bridge {
    registry: Registry,
    account: Account,
}

/// A simulated account that the node does not know, so that nobody else listens to it.
fn bridge(app: &TestApp, name: &str, change: impl FnOnce(&mut Value)) -> Bridge {
    let simulated = SimulatedAccount {
        provider: ProviderKind::Sip,
        external_id: name.to_owned(),
        secret: app.ambient.entropy.uuid().to_string(),
        incoming_url: None,
    };
    let mut credentials = simulated.credentials();
    change(&mut credentials);
    let account = Account {
        id: ProviderAccountId(uuid::Uuid::nil()),
        organization_id: OrganizationId(uuid::Uuid::nil()),
        kind: ProviderKind::Sip,
        external_id: name.to_owned(),
        api_base_url: Some(format!("{}/sip", app.simulator.base_url())),
        credentials: Credentials::parse(ProviderKind::Sip, credentials.to_string().as_bytes())
            .expect("credentials"),
    };
    app.simulator.admit(simulated);
    let deadlines = Deadlines {
        connect: Duration::from_secs(2),
        hang_up: Duration::from_secs(4),
        dial: Duration::from_secs(8),
    };
    let registry =
        Registry::new(Reach::PublicAndLoopback, deadlines, &Ambient::system()).expect("a registry");
    Bridge { registry, account }
}

impl Bridge {
    async fn open(&self) -> Result<Box<dyn Feed>, NoFeed> {
        let listens = self.registry.listens(ProviderKind::Sip).expect("listens");
        assert_eq!(listens.subject(), Subject::Account);
        listens.connect(&self.account, None).await
    }

    fn wants(&self) -> bool {
        let listens = self.registry.listens(ProviderKind::Sip).expect("listens");
        listens.wants(&self.account)
    }
}

async fn next(feed: &mut Box<dyn Feed>) -> Heard {
    let heard = tokio::time::timeout(Duration::from_secs(10), feed.next()).await;
    heard.expect("something is heard")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_asterisk_is_listened_to() {
    let app = TestApp::by_hand().await;
    assert!(bridge(&app, "pbx", |_| {}).wants());
    for name in ["6a1b2c3d-0000-4000-8000-000000000001", "own-bridge"] {
        let bridge = bridge(&app, name, |_| {});
        assert!(!bridge.wants(), "{name}");
        assert!(
            matches!(bridge.open().await, Err(NoFeed::Refused(_))),
            "{name}"
        );
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_and_trouble_is_worth_another_try() {
    let app = TestApp::by_hand().await;
    let wrong = bridge(&app, "pbx", |credentials| {
        credentials["password"] = "x".into();
    });
    assert!(matches!(wrong.open().await, Err(NoFeed::Refused(_))));
    let right = bridge(&app, "pbx", |_| {});
    for how in [
        json!({"respond": {"status": 503}}),
        json!({"reset": "before"}),
    ] {
        super::fault(&app, "socket", 1, how).await;
        assert!(matches!(right.open().await, Err(NoFeed::Unavailable(_))));
    }
    assert!(right.open().await.is_ok());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_breaks_or_loses_its_place_is_broken() {
    let app = TestApp::by_hand().await;
    let bridge = bridge(&app, "pbx", |_| {});
    let mut first = bridge.open().await.expect("a feed");
    let mut second = bridge.open().await.expect("another feed");
    let replaced = next(&mut first).await;
    assert!(
        matches!(&replaced, Heard::Broken(why) if why.contains("took over")),
        "{replaced:?}"
    );
    assert_eq!(
        app.sim.post_nothing("/_sim/sockets/break").await.status,
        204
    );
    assert!(matches!(next(&mut second).await, Heard::Broken(_)));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_waiting_misses_nothing() {
    let app = TestApp::by_hand().await;
    let bridge = bridge(&app, "pbx", |_| {});
    let mut feed = bridge.open().await.expect("a feed");
    let channel = call_in(&app, "pbx", "+15550130").await;
    // Asked for moments at a time, which may end while the subscription is under way.
    let told = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let moment = Duration::from_micros(200);
            if let Ok(heard) = tokio::time::timeout(moment, feed.next()).await {
                return heard;
            }
        }
    });
    let Heard::Told(callback) = told.await.expect("it is told") else {
        panic!("not told");
    };
    let Told::Incoming(call) = callback.told else {
        panic!("not an arrival: {callback:?}");
    };
    assert_eq!(call.provider_call_id, channel);
    assert_eq!(call.to, "+15550130");
    super::party(&app, &channel, "hangup", &json!({})).await;
    let ended = next(&mut feed).await;
    assert!(
        matches!(&ended, Heard::Told(callback) if callback.raw["type"] == "ChannelDestroyed"),
        "its end is told, for it was asked for: {ended:?}"
    );
    app.stop().await;
}
