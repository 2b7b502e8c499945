//! Connections to the database: kept between statements, sound after whatever happens to one.

use std::time::Duration;

use onhook::db::{self, Db, Options};
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::task::JoinSet;

use crate::support::{
    database::{self, TestDatabase},
    wait::wait_for,
};

/// Connections of requests, in this file.
const FEW: u32 = 3;

fn connected(database: &TestDatabase) -> Db {
    let options = Options {
        request_connections: FEW,
        acquire_timeout: Duration::from_mins(1),
        statement_timeout: Duration::from_mins(1),
        ..Options::default()
    };
    Db::new(&database.url, &options).expect("a URL")
}

/// The server's processes for the connections of the node, oldest first.
async fn backends(owner: &mut PgConnection) -> Vec<i32> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'onhook' ORDER BY backend_start";
    sqlx::query_scalar(sql)
        .fetch_all(owner)
        .await
        .expect("the activity")
}

async fn run(owner: &mut PgConnection, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql)
        .execute(owner)
        .await
        .expect("the statement runs");
}

#[tokio::test]
async fn one_connection_serves_statement_after_statement() {
    let database = database::fresh().await;
    let mut owner = database.as_owner().await;
    let db = connected(&database);
    for _ in 0..20 {
        db::now(&db).await.expect("the time");
    }
    assert_eq!(backends(&mut owner).await.len(), 1);
    assert_eq!(db.connections()[0], ("requests", 1, 1));
    db.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_never_more_connections_than_allowed_and_everybody_gets_one() {
    let database = database::fresh().await;
    let mut owner = database.as_owner().await;
    let db = connected(&database);
    let mut asking = JoinSet::new();
    for _ in 0..200 {
        let db = db.clone();
        asking.spawn(async move { db::now(&db).await });
    }
    while let Some(answer) = asking.join_next().await {
        answer.expect("no panic").expect("the time");
    }
    let open = backends(&mut owner).await.len();
    assert!((1..=3).contains(&open), "{open}");
    db.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_dropped_midway_leaves_a_sound_connection_or_none() {
    let database = database::fresh().await;
    let mut owner = database.as_owner().await;
    let db = connected(&database);
    let now = db::now(&db).await.expect("the time");
    for _ in 0..FEW {
        run(&mut owner, "BEGIN; LOCK TABLE tokens").await;
        let mut asking = JoinSet::new();
        let asker = db.clone();
        asking.spawn(async move { db::tokens::find_caller(&asker, &[0; 32], now).await });
        let blocked = || async {
            let mut other = database.as_owner().await;
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'onhook'
                AND datname = current_database() AND wait_event_type = 'Lock'";
            sqlx::query_scalar::<_, i64>(sql)
                .fetch_one(&mut other)
                .await
                .expect("the activity")
        };
        wait_for("the statement to wait", blocked, |waiting| *waiting == 1).await;
        asking.shutdown().await;
        run(&mut owner, "ROLLBACK").await;
    }
    for _ in 0..20 {
        db::now(&db).await.expect("the time");
    }
    db.close().await;
}

#[tokio::test]
async fn after_the_server_hung_up_only_one_statement_fails() {
    let database = database::fresh().await;
    let mut owner = database.as_owner().await;
    let db = connected(&database);
    let (one, two, three) = tokio::join!(db::now(&db), db::now(&db), db::now(&db));
    for answer in [one, two, three] {
        answer.expect("the time");
    }
    let before = backends(&mut owner).await;
    assert_eq!(before.len(), 3);
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'onhook'";
    run(&mut owner, sql).await;
    let left = || async { backends(&mut database.as_owner().await).await.len() };
    wait_for("the server to hang up", left, |left| *left == 0).await;

    assert!(db::now(&db).await.is_err());
    for _ in 0..10 {
        db::now(&db).await.expect("the time");
    }
    db.close().await;
}

#[tokio::test]
async fn closing_leaves_no_connection() {
    let database = database::fresh().await;
    let mut owner = database.as_owner().await;
    let db = connected(&database);
    db::now(&db).await.expect("the time");
    db.close().await;
    let left = || async { backends(&mut database.as_owner().await).await.len() };
    wait_for("every connection to be closed", left, |left| *left == 0).await;
    assert!(db::now(&db).await.is_err());
    assert_eq!(backends(&mut owner).await, Vec::<i32>::new());
}
