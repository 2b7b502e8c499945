//! The leases of the websockets to providers: one node holds each, and another takes over.

use onhook::{
    db::listeners::{self, Subject},
    domain::{LeaseToken, provider::ProviderKind},
};
use time::Duration;

use crate::support::app::TestApp;

const BY_ACCOUNT: [ProviderKind; 1] = [ProviderKind::Twilio];

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_held_by_one_until_it_lets_go_or_its_lease_runs_out() {
    let app = TestApp::by_hand().await;
    let (db, now) = (&app.app.db, app.ambient.now());
    let subject = Subject {
        organization_id: app.tenant.organization_id,
        provider_account_id: app.tenant.account_id,
        call_id: None,
    };
    let new_lease = || LeaseToken(app.ambient.entropy.uuid());
    let (one, other) = (new_lease(), new_lease());
    let later = |seconds| now.plus(Duration::seconds(seconds));
    let missing = async |at| {
        let all = listeners::missing(db, &BY_ACCOUNT, &[], at, 100).await;
        all.expect("subjects").contains(&subject)
    };
    let take = async |lease, at, until| {
        let taken = listeners::take(db, subject, lease, at, until).await;
        taken.expect("an answer")
    };

    assert!(missing(now).await);
    assert!(take(one, now, later(20)).await);
    assert!(!missing(later(19)).await);
    assert!(!take(other, later(19), later(39)).await);

    let held = [(subject, one)];
    let renewed = listeners::renew(db, &held, later(30))
        .await
        .expect("leases");
    assert!(renewed.contains(&subject));
    assert!(!take(other, later(25), later(45)).await);

    // Out of its time it is whoever's comes first, and the first holder's no more.
    assert!(missing(later(30)).await);
    assert!(take(other, later(30), later(50)).await);
    let renewed = listeners::renew(db, &held, later(60))
        .await
        .expect("leases");
    assert!(renewed.is_empty());
    listeners::release(db, subject, one)
        .await
        .expect("released");
    assert!(!missing(later(40)).await);

    listeners::release(db, subject, other)
        .await
        .expect("released");
    assert!(missing(later(40)).await);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_ought_to_be_held_is_renewed() {
    let app = TestApp::by_hand().await;
    let (db, now) = (&app.app.db, app.ambient.now());
    let id = app.place_answered().await;
    let subject = Subject {
        organization_id: app.tenant.organization_id,
        provider_account_id: app.tenant.account_id,
        call_id: Some(id.parse().expect("an id")),
    };
    let lease = LeaseToken(app.ambient.entropy.uuid());
    let until = now.plus(Duration::seconds(20));
    let by_call = listeners::missing(db, &[], &BY_ACCOUNT, now, 100).await;
    assert_eq!(by_call.expect("subjects"), [subject]);
    assert!(
        listeners::take(db, subject, lease, now, until)
            .await
            .expect("taken")
    );
    let held = [(subject, lease)];
    let renewed = listeners::renew(db, &held, until).await.expect("leases");
    assert!(renewed.contains(&subject));

    // Over is over.
    let path = format!("/api/v1/calls/{id}/terminate");
    assert_eq!(app.client.post_nothing(&path).await.status, 200);
    let renewed = listeners::renew(db, &held, until).await.expect("leases");
    assert!(renewed.is_empty());
    listeners::purge(db, until.plus(Duration::seconds(1)))
        .await
        .expect("purged");
    let of_account = listeners::missing(db, &[], &BY_ACCOUNT, now, 100).await;
    assert_eq!(of_account.expect("subjects"), []);
    app.stop().await;
}
