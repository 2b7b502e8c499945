//! Every SQL text that the program can send, with what it hands over as parameters; and what the
//! functions of the migrations do.

use onhook::{
    db::call_list::{self, Filter, Start, StatusFilter},
    domain::{
        OrgScope, OrganizationId,
        call::{CallStatus, Direction, EndReason},
        page::Cursor,
        provider::ProviderKind,
    },
};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::support::{database, source};

/// One SQL text.
pub(super) struct Statement {
    /// `db::calls::find`, or `function apply_change`.
    pub(super) name: String,
    pub(super) sql: String,
    /// What is handed over as `$1`, `$2`, …, as source text; `None`: put together while it runs.
    pub(super) arguments: Option<Vec<String>>,
}

/// What every statement's text begins with.
const MARK: &str = "/* db::";

/// The statements in the source of `db`, those that are put together among them.
pub(super) fn of_program() -> Vec<Statement> {
    let mut statements = Vec::new();
    for source in source::tree() {
        if source.path.starts_with("src/db/") && !source.is_test {
            let tokens: TokenStream = source.text.parse().expect("a source file");
            collect(&tokens, &mut statements);
        }
    }
    // Their texts end in the middle: they are put together below.
    statements.retain(|statement| !statement.name.starts_with("db::call_list::list"));
    statements.retain(|statement| !statement.name.starts_with("db::call_list::count"));
    statements.extend(of_lists());
    statements
}

/// Finds the marked texts, each with what follows it in the same brackets.
fn collect(tokens: &TokenStream, statements: &mut Vec<Statement>) {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let is_word = |at: Option<usize>, word: &str| {
        let token = at.and_then(|at| tokens.get(at));
        matches!(token, Some(TokenTree::Ident(ident)) if ident == word)
    };
    for (at, token) in tokens.iter().enumerate() {
        match token {
            // What tests write is no statement of the program.
            TokenTree::Group(_)
                if is_word(at.checked_sub(1), "tests") && is_word(at.checked_sub(2), "mod") => {}
            TokenTree::Group(group) => collect(&group.stream(), statements),
            TokenTree::Literal(literal) => {
                let Ok(syn::Lit::Str(text)) = syn::parse_str(&literal.to_string()) else {
                    continue;
                };
                let sql = text.value();
                let Some(name) = name_of(&sql) else { continue };
                let rest = tokens.get(at + 1..).unwrap_or_default();
                let arguments = split(rest);
                let arguments = (!arguments.is_empty()).then_some(arguments);
                statements.push(Statement {
                    name,
                    sql,
                    arguments,
                });
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

fn name_of(sql: &str) -> Option<String> {
    let rest = sql.strip_prefix("/* ")?;
    sql.starts_with(MARK).then(|| {
        let name = rest.split(" */").next().unwrap_or_default();
        name.to_owned()
    })
}

/// `, a, b as C` as `a` and `b as C`.
fn split(tokens: &[TokenTree]) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let mut angles = 0_i32;
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ',' && angles == 0 => {
                arguments.push(String::new());
                continue;
            }
            TokenTree::Punct(punct) if punct.as_char() == '<' => angles += 1,
            TokenTree::Punct(punct) if punct.as_char() == '>' => angles -= 1,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {}
            _ => {}
        }
        if let Some(argument) = arguments.last_mut() {
            argument.push_str(&token.to_string());
            argument.push(' ');
        }
    }
    arguments.retain(|argument| !argument.is_empty());
    arguments
}

/// The lists' statements with no filter, with each alone, and with all.
fn of_lists() -> Vec<Statement> {
    let scope = OrgScope::assume(OrganizationId(uuid::Uuid::from_u128(1)));
    let now = "2026-11-21T09:30:00Z".parse().expect("a time");
    let all = Filter {
        status: StatusFilter::OneOf(vec![CallStatus::Completed]),
        agent_id: Some(
            "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
                .parse()
                .expect("an id"),
        ),
        visible_agents: Some(Vec::new()),
        test_only: true,
        direction: Some(Direction::Inbound),
        provider: Some(ProviderKind::Twilio),
        to: Some("+15550101".to_owned()),
        from: Some("+15550100".to_owned()),
        created_after: Some(now),
        created_before: Some(now),
        ended_reason: Some(EndReason::Busy),
        metadata: vec![("order".to_owned(), "1001".to_owned())],
    };
    let ongoing = Filter {
        status: StatusFilter::Ongoing,
        ..Filter::default()
    };
    let cursor = Start::After(Cursor {
        created_at: now,
        id: "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
            .parse()
            .expect("an id"),
        filter: 0,
    });
    let mut statements = Vec::new();
    for filter in [Filter::default(), ongoing, all] {
        for start in [Start::Newest, cursor, Start::Skip(10)] {
            for sql in call_list::texts(scope, &filter, start) {
                let name = name_of(&sql).expect("a marked statement");
                statements.push(Statement {
                    name,
                    sql,
                    arguments: None,
                });
            }
        }
    }
    statements
}

/// The parts of the functions of the migrations that are SQL, from a migrated database.
pub(super) async fn of_functions(database: &database::TestDatabase) -> Vec<Statement> {
    let functions: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT p.proname::text, l.lanname::text, p.prosrc FROM pg_proc p
        JOIN pg_language l ON l.oid = p.prolang
        WHERE p.pronamespace = 'public'::regnamespace ORDER BY p.proname",
    )
    .fetch_all(&mut database.as_owner().await)
    .await
    .expect("the functions");
    let mut statements = Vec::new();
    for (name, language, body) in functions {
        let parts = match language.as_str() {
            "sql" => vec![body],
            _ => parts_of(&body),
        };
        statements.extend(parts.into_iter().map(|sql| Statement {
            name: format!("function {name}"),
            sql,
            arguments: None,
        }));
    }
    statements
}

/// The SQL of a PL/pgSQL body: its statements, and the conditions of its `IF`s as queries.
fn parts_of(body: &str) -> Vec<String> {
    let lines = body
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    let body = lines.collect::<Vec<_>>().join("\n");
    let code = body.split_once("\nBEGIN").map_or("", |(_, code)| code);
    let mut parts = Vec::new();
    for piece in code.split(';') {
        let mut rest = piece.trim();
        loop {
            let word = rest.split_whitespace().next().unwrap_or_default();
            match word {
                "IF" | "ELSIF" | "WHILE" => {
                    let ends = if word == "WHILE" { " LOOP" } else { " THEN" };
                    let Some((condition, after)) = rest.split_once(ends) else {
                        panic!("no end of the condition: {rest}");
                    };
                    let condition = condition.trim_start().trim_start_matches(word);
                    if !condition.contains("FOUND") {
                        parts.push(format!("SELECT {condition}"));
                    }
                    rest = after.trim_start();
                }
                "FOR" => {
                    let rows = rest.split_once(" IN").map_or("", |(_, rows)| rows);
                    let Some((query, after)) = rows.split_once("LOOP") else {
                        panic!("no end of the rows: {rest}");
                    };
                    parts.push(query.to_owned());
                    rest = after.trim_start();
                }
                "ELSE" | "BEGIN" | "LOOP" => rest = rest.trim_start_matches(word).trim_start(),
                _ => break,
            }
        }
        let word = rest.split_whitespace().next().unwrap_or_default();
        match word {
            "INSERT" | "UPDATE" | "DELETE" | "SELECT" | "WITH" => parts.push(without_into(rest)),
            "PERFORM" => parts.push(rest.replacen("PERFORM", "SELECT", 1)),
            "RETURN" => {
                let value = rest.trim_start_matches("RETURN").trim_start();
                let value = value.trim_start_matches("QUERY").trim_start();
                if value.starts_with("SELECT") || value.starts_with("WITH") {
                    parts.push(value.to_owned());
                } else if !value.is_empty() && value != "FOUND" {
                    parts.push(format!("SELECT {value}"));
                }
            }
            _ => {
                if let Some((_, value)) = rest.split_once(":=") {
                    parts.push(format!("SELECT {value}"));
                }
            }
        }
    }
    parts
}

/// `… INTO v_a, v_b …` without the variables it is written to.
fn without_into(sql: &str) -> String {
    let mut words: Vec<&str> = sql.split_whitespace().collect();
    let at = words
        .windows(2)
        .position(|pair| pair.first() == Some(&"INTO") && pair[1].starts_with("v_"));
    if let Some(at) = at {
        let mut end = at + 1;
        while words.get(end).is_some_and(|word| word.ends_with(',')) {
            end += 1;
        }
        words.drain(at..=end);
    }
    words.join(" ")
}
