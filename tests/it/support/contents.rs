//! Everything that a database holds, to see whether anything changed.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use super::database::TestDatabase;

/// Each table's name with its number of rows and a digest of them.
pub async fn contents(database: &TestDatabase) -> BTreeMap<String, (i64, String)> {
    let mut owner = database.as_owner().await;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
            .fetch_all(&mut owner)
            .await
            .expect("the tables' names");
    assert!(tables.len() > 10, "{tables:?}");
    let mut contents = BTreeMap::new();
    for table in tables {
        // No parameter can stand for a name; these came from the catalogue.
        let digest = AssertSqlSafe(format!(
            "SELECT count(*), md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), ''))
            FROM {table} t"
        ));
        let found = sqlx::query_as(digest)
            .fetch_one(&mut owner)
            .await
            .expect("a digest");
        contents.insert(table, found);
    }
    contents
}
