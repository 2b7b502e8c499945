//! Lists of calls: filters and paging. The only place where a statement is put together;
//! what has no filter has a statement of its own.

use sqlx::{Postgres, QueryBuilder};

use super::{
    Db,
    calls::{LISTED_COLUMNS, Listed},
};
use crate::domain::{
    AgentId, CallId, OrgScope, OrganizationId, Result, Timestamp,
    call::{CallStatus, Direction, EndReason},
    page::Cursor,
    phone::Phone,
    provider::ProviderKind,
};

/// Which calls. Everything that is given must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub status: StatusFilter,
    pub agent_id: Option<AgentId>,
    /// The only agents the caller may see; `None`: all.
    pub visible_agents: Option<Vec<AgentId>>,
    /// Whether the caller may see test calls alone.
    pub test_only: bool,
    pub direction: Option<Direction>,
    pub provider: Option<ProviderKind>,
    pub to: Option<String>,
    pub from: Option<String>,
    pub created_after: Option<Timestamp>,
    pub created_before: Option<Timestamp>,
    pub ended_reason: Option<EndReason>,
    /// Each must be a top-level member of the metadata with that text.
    pub metadata: Vec<(String, String)>,
}

/// Which statuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StatusFilter {
    #[default]
    Any,
    /// Every status that is not terminal.
    Ongoing,
    OneOf(Vec<CallStatus>),
}

/// Where in the list a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Newest,
    After(Cursor),
    Skip(i64),
}

/// At most `limit` calls, newest first. One statement, an index scan without a sort.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(
    db: &Db,
    scope: OrgScope,
    filter: &Filter,
    start: Start,
    limit: i64,
) -> Result<Vec<Listed>> {
    let mut statement = statement(scope, filter, start, limit);
    let rows = db
        .run("list calls", statement.build().fetch_all(&db.pool))
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Listed::new(row, scope))
        .collect())
}

/// A live call, as the session routes list it.
#[derive(Clone, Debug)]
pub struct ActiveCall {
    pub id: CallId,
    pub status: CallStatus,
    pub direction: Direction,
    pub other_party: Phone,
}

/// The live calls of the organisation, of `visible_agents` where that is given, test calls alone
/// where `test_only` says so; newest first, at most `limit`. One statement over the index of live calls.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn active(
    db: &Db,
    scope: OrgScope,
    (visible_agents, test_only): (Option<&[AgentId]>, bool),
    limit: i64,
) -> Result<Vec<ActiveCall>> {
    let agents: Option<Vec<uuid::Uuid>> =
        visible_agents.map(|ids| ids.iter().map(|id| id.0).collect());
    db.run(
        "list active calls",
        sqlx::query_as!(
            ActiveCall,
            r#"/* db::call_list::active */ SELECT id AS "id: CallId",
                status AS "status: CallStatus", direction AS "direction: Direction",
                CASE direction WHEN 'outbound' THEN to_number ELSE from_number END
                    AS "other_party!: Phone"
            FROM calls
            WHERE organization_id = $1 AND ended_at IS NULL
                AND ($2::uuid[] IS NULL OR agent_id = ANY($2)) AND (test OR NOT $4)
            ORDER BY created_at DESC, id DESC LIMIT $3"#,
            scope.id() as OrganizationId,
            agents.as_deref(),
            limit,
            test_only
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// How many calls the filter lets through. One statement.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn count(db: &Db, scope: OrgScope, filter: &Filter) -> Result<i64> {
    let mut statement = count_statement(scope, filter);
    db.run(
        "count calls",
        statement.build_query_scalar().fetch_one(&db.pool),
    )
    .await
}

/// How many calls the filter lets through, by status. One statement.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn count_by_status(
    db: &Db,
    scope: OrgScope,
    filter: &Filter,
) -> Result<Vec<(CallStatus, i64)>> {
    let mut statement = count_by_status_statement(scope, filter);
    db.run(
        "count calls by status",
        statement.build_query_as().fetch_all(&db.pool),
    )
    .await
}

/// How PostgreSQL would carry out [`list`]: for the test that holds its shape.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn explain(
    db: &Db,
    scope: OrgScope,
    filter: &Filter,
    start: Start,
    limit: i64,
) -> Result<Vec<String>> {
    let mut explained = QueryBuilder::new("EXPLAIN (COSTS OFF) ");
    push_list(&mut explained, scope, filter, start, limit);
    db.run(
        "explain the list",
        explained.build_query_scalar().fetch_all(&db.pool),
    )
    .await
}

/// The statements of this file that are put together, as they are sent: for the test that reads
/// every statement.
pub fn texts(scope: OrgScope, filter: &Filter, start: Start) -> [String; 3] {
    let text = |statement: QueryBuilder<Postgres>| statement.into_string();
    [
        text(statement(scope, filter, start, 1)),
        text(count_statement(scope, filter)),
        text(count_by_status_statement(scope, filter)),
    ]
}

fn statement(scope: OrgScope, filter: &Filter, start: Start, limit: i64) -> QueryBuilder<Postgres> {
    let mut statement = QueryBuilder::new("/* db::call_list::list */ ");
    push_list(&mut statement, scope, filter, start, limit);
    statement
}

fn count_statement(scope: OrgScope, filter: &Filter) -> QueryBuilder<Postgres> {
    let mut statement = QueryBuilder::new("/* db::call_list::count */ SELECT count(*) FROM calls");
    push_where(&mut statement, scope, filter);
    statement
}

fn count_by_status_statement(scope: OrgScope, filter: &Filter) -> QueryBuilder<Postgres> {
    let mut statement = QueryBuilder::new(
        "/* db::call_list::count_by_status */ SELECT status, count(*) FROM calls",
    );
    push_where(&mut statement, scope, filter);
    statement.push(" GROUP BY status ORDER BY status");
    statement
}

fn push_list(
    statement: &mut QueryBuilder<Postgres>,
    scope: OrgScope,
    filter: &Filter,
    start: Start,
    limit: i64,
) {
    statement
        .push("SELECT ")
        .push(LISTED_COLUMNS)
        .push(" FROM calls");
    push_where(statement, scope, filter);
    if let Start::After(cursor) = start {
        statement
            .push(" AND (created_at, id) < (")
            .push_bind(cursor.created_at);
        statement.push(", ").push_bind(cursor.id).push(")");
    }
    statement
        .push(" ORDER BY created_at DESC, id DESC LIMIT ")
        .push_bind(limit);
    if let Start::Skip(skip) = start {
        statement.push(" OFFSET ").push_bind(skip);
    }
}

fn push_where(statement: &mut QueryBuilder<Postgres>, scope: OrgScope, filter: &Filter) {
    statement
        .push(" WHERE organization_id = ")
        .push_bind(scope.id());
    match &filter.status {
        StatusFilter::Any => {}
        StatusFilter::Ongoing => {
            statement.push(" AND ended_at IS NULL");
        }
        StatusFilter::OneOf(statuses) => {
            if statuses.iter().all(|status| !status.is_terminal()) {
                statement.push(" AND ended_at IS NULL");
            }
            let names: Vec<&'static str> = statuses.iter().map(|status| status.as_str()).collect();
            statement
                .push(" AND status = ANY(")
                .push_bind(names)
                .push(")");
        }
    }
    if let Some(agent_id) = filter.agent_id {
        statement.push(" AND agent_id = ").push_bind(agent_id);
    }
    if let Some(agents) = &filter.visible_agents {
        let agents: Vec<uuid::Uuid> = agents.iter().map(|agent| agent.0).collect();
        statement
            .push(" AND agent_id = ANY(")
            .push_bind(agents)
            .push(")");
    }
    if filter.test_only {
        statement.push(" AND test");
    }
    if let Some(direction) = filter.direction {
        statement.push(" AND direction = ").push_bind(direction);
    }
    if let Some(provider) = filter.provider {
        statement.push(" AND provider = ").push_bind(provider);
    }
    if let Some(to) = &filter.to {
        statement.push(" AND to_number = ").push_bind(to.clone());
    }
    if let Some(from) = &filter.from {
        statement
            .push(" AND from_number = ")
            .push_bind(from.clone());
    }
    if let Some(after) = filter.created_after {
        statement.push(" AND created_at > ").push_bind(after);
    }
    if let Some(before) = filter.created_before {
        statement.push(" AND created_at < ").push_bind(before);
    }
    if let Some(reason) = filter.ended_reason {
        statement.push(" AND ended_reason = ").push_bind(reason);
    }
    for (key, value) in &filter.metadata {
        statement.push(" AND metadata ->> ").push_bind(key.clone());
        statement.push(" = ").push_bind(value.clone());
    }
}
