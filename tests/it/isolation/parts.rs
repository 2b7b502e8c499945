//! Parts of SQL that the analysis asks about: what an expression contains, what a statement does.

use std::ops::ControlFlow;

use sqlparser::ast::{
    ConflictTarget, Expr, Function, Insert, ObjectName, OnInsert, Query, SetExpr, Visitor,
};

use super::analysis::COLUMN;

/// Whether a conflict can only be with a row of the same organisation.
pub(super) fn meets_its_own(insert: &Insert) -> bool {
    let Some(OnInsert::OnConflict(conflict)) = &insert.on else {
        return insert.on.is_none();
    };
    match &conflict.conflict_target {
        Some(ConflictTarget::Columns(columns)) => {
            columns.first().is_some_and(|column| column.value == COLUMN)
        }
        // Nothing is changed then, and nothing told of the row.
        None => true,
        Some(ConflictTarget::OnConstraint(_)) => false,
    }
}

pub(super) fn reads_only(body: &SetExpr) -> bool {
    match body {
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) => false,
        SetExpr::Query(query) => reads_only(&query.body),
        SetExpr::SetOperation { left, right, .. } => reads_only(left) && reads_only(right),
        _ => true,
    }
}

pub(super) fn last(name: &ObjectName) -> String {
    let part = name.0.last().and_then(|part| part.as_ident());
    part.map(|ident| ident.value.clone()).unwrap_or_default()
}

/// The outermost queries and the calls outside them.
#[derive(Default)]
pub(super) struct Inside {
    depth: usize,
    pub(super) queries: Vec<Query>,
    pub(super) calls: Vec<Function>,
}

impl Visitor for Inside {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            self.queries.push(query.clone());
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let (0, Expr::Function(call)) = (self.depth, expr) {
            self.calls.push(call.clone());
        }
        ControlFlow::Continue(())
    }
}
