//! Of one SQL statement: which tenant's tables it reads or writes without their rows being those of
//! one organisation that the statement is given.
//!
//! A table is *bound* when every row of it that the statement can see or change has the
//! organisation of a parameter: by `organization_id = $1`, or by an equality with a bound table's
//! `organization_id`, in what must hold (`WHERE`, `ON`), not under `OR`. The other side of a
//! `LEFT JOIN` is bound by its `ON`, the first side is not. What is inserted must be written with
//! the parameter, or with the column of something bound. A function of ours must be given the
//! parameter first. What is not understood counts as not bound.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sqlparser::{
    ast::{
        BinaryOperator, Delete, Expr, FromTable, FunctionArg, FunctionArgExpr, FunctionArguments,
        Insert, Join, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem, SetExpr,
        Statement, TableAlias, TableFactor, TableObject, TableWithJoins, Update,
        UpdateTableFromKind, Value, Visit,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use super::parts::{Inside, last, meets_its_own, reads_only};

pub(super) const COLUMN: &str = "organization_id";
/// What stands for the organisation in the functions of the migrations.
const ARGUMENT: &str = "p_organization_id";
/// The node that is bound from the start.
const GIVEN: usize = 0;

/// The tables and functions that the analysis knows of.
#[derive(Debug)]
pub(super) struct Schema {
    /// Tables with an organisation.
    pub(super) tables: HashSet<String>,
    /// Our functions, whose first argument is the organisation.
    pub(super) functions: HashSet<String>,
}

/// What was found out about a statement.
#[derive(Debug)]
pub(super) struct Finding {
    /// What is not bound, in words; empty: everything is.
    pub(super) loose: Vec<String>,
    /// Whether what is not bound is at least of one and the same organisation, row by row.
    pub(super) together: bool,
    /// The numbers of the parameters that bind.
    pub(super) parameters: BTreeSet<usize>,
    /// How many tenant's tables and functions of ours it names.
    pub(super) named: usize,
}

/// Looks at one statement.
///
/// # Panics
/// When it cannot be parsed, or is of a kind that nobody thought about.
pub(super) fn analyse(schema: &Schema, sql: &str) -> Finding {
    // The parser knows two of the four strengths of row locks, which mean nothing here.
    let sql = sql
        .replace("FOR NO KEY UPDATE", "FOR UPDATE")
        .replace("FOR KEY SHARE", "FOR SHARE");
    let parsed = Parser::parse_sql(&PostgreSqlDialect {}, &sql);
    let statements = parsed.unwrap_or_else(|error| panic!("{error}: {sql}"));
    let mut analysis = Analysis {
        schema,
        links: Vec::new(),
        unions: Vec::new(),
        nodes: 1,
        relations: Vec::new(),
        loose: Vec::new(),
        parameters: BTreeMap::new(),
        frames: Vec::new(),
    };
    for statement in &statements {
        analysis.statement(statement);
    }
    analysis.finish()
}

/// The columns that something puts out: a name, and the node where it is an organisation.
type Columns = Vec<(String, Option<usize>)>;

/// What names mean inside one query.
#[derive(Default)]
struct Frame {
    /// By alias; `None`: has no organisation.
    relations: Vec<(String, Option<usize>)>,
    /// Common table expressions.
    named: Vec<(String, Option<usize>)>,
}

/// What an equality binds.
#[derive(Clone, Copy)]
enum Binds {
    Both,
    /// The joined side of a `LEFT JOIN`, if it has an organisation.
    Only(Option<usize>),
}

struct Analysis<'a> {
    schema: &'a Schema,
    /// The second is bound if the first is.
    links: Vec<(usize, usize)>,
    /// The first is bound if all of the others are.
    unions: Vec<(usize, Vec<usize>)>,
    nodes: usize,
    /// Every tenant's table that is named, and its node.
    relations: Vec<(String, usize)>,
    loose: Vec<String>,
    /// The node of each parameter that stands where an organisation could.
    parameters: BTreeMap<usize, usize>,
    frames: Vec<Frame>,
}

impl Analysis<'_> {
    fn node(&mut self) -> usize {
        self.nodes += 1;
        self.nodes - 1
    }

    fn equal(&mut self, one: usize, other: usize) {
        self.links.extend([(one, other), (other, one)]);
    }

    fn finish(self) -> Finding {
        let from_given = self.reached(GIVEN, false);
        let mut loose = self.loose.clone();
        let unbound: Vec<&(String, usize)> = self
            .relations
            .iter()
            .filter(|(_, node)| !from_given.contains(node))
            .collect();
        loose.extend(unbound.iter().map(|(name, _)| name.clone()));
        let together = unbound.iter().any(|(_, start)| {
            let reached = self.reached(*start, true);
            unbound.iter().all(|(_, node)| reached.contains(node))
        });
        Finding {
            loose,
            together: together || unbound.is_empty(),
            parameters: self
                .parameters
                .iter()
                .filter(|(_, node)| self.links.iter().any(|(from, _)| from == *node))
                .map(|(number, _)| *number)
                .collect(),
            named: self.relations.len(),
        }
    }

    /// Every node that is bound when this one is; of a `UNION`, when it is in each part, or with
    /// `row_by_row` in one.
    fn reached(&self, start: usize, row_by_row: bool) -> HashSet<usize> {
        let mut reached = HashSet::from([start]);
        loop {
            let before = reached.len();
            for (from, to) in &self.links {
                if reached.contains(from) {
                    reached.insert(*to);
                }
            }
            for (node, parts) in &self.unions {
                let mut bound = parts.iter().map(|part| reached.contains(part));
                if bound.clone().all(|is| is) || (row_by_row && bound.any(|is| is)) {
                    reached.insert(*node);
                }
            }
            if reached.len() == before {
                return reached;
            }
        }
    }

    fn statement(&mut self, statement: &Statement) -> Columns {
        match statement {
            Statement::Query(query) => self.query(query),
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
            other => panic!("nobody thought about {other}"),
        }
    }

    /// What the query puts out. A filter on that binds what is inside too, if the query only reads.
    fn query(&mut self, query: &Query) -> Columns {
        self.frames.push(Frame::default());
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let columns = self.query(&cte.query);
            let node = self.exported(&columns, reads_only(&cte.query.body));
            self.frame()
                .named
                .push((cte.alias.name.value.clone(), node));
        }
        let columns = self.body(&query.body);
        self.frames.pop();
        columns
    }

    fn body(&mut self, body: &SetExpr) -> Columns {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                let (left, right) = (self.body(left), self.body(right));
                let pairs = left.into_iter().zip(right);
                pairs
                    .map(|((name, one), (_, other))| (name, self.either(one, other)))
                    .collect()
            }
            SetExpr::Values(values) => {
                let rows: Vec<Vec<Option<usize>>> = values
                    .rows
                    .iter()
                    .map(|row| row.content.iter().map(|value| self.value(value)).collect())
                    .collect();
                let first = rows.first().cloned().unwrap_or_default();
                let single = rows.len() == 1;
                let nodes = first.into_iter().map(|node| node.filter(|_| single));
                nodes.map(|node| (String::new(), node)).collect()
            }
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement) => self.statement(statement),
            other => panic!("nobody thought about {other}"),
        }
    }

    /// A column of a `UNION`.
    fn either(&mut self, one: Option<usize>, other: Option<usize>) -> Option<usize> {
        let (one, other) = (one?, other?);
        let node = self.node();
        self.unions.push((node, vec![one, other]));
        self.links.extend([(node, one), (node, other)]);
        Some(node)
    }

    fn select(&mut self, select: &Select) -> Columns {
        self.frames.push(Frame::default());
        for from in &select.from {
            self.table_with_joins(from);
        }
        if let Some(selection) = &select.selection {
            self.condition(selection, Binds::Both);
        }
        self.look_into(&select.selection);
        self.look_into(&select.group_by);
        self.look_into(&select.having);
        let columns = self.projection(&select.projection);
        self.frames.pop();
        columns
    }

    fn table_with_joins(&mut self, from: &TableWithJoins) {
        self.factor(&from.relation);
        for join in &from.joins {
            self.join(join);
        }
    }

    fn join(&mut self, join: &Join) {
        let joined = self.factor(&join.relation);
        let (constraint, binds) = match &join.join_operator {
            JoinOperator::Join(on) | JoinOperator::Inner(on) | JoinOperator::CrossJoin(on) => {
                (on, Binds::Both)
            }
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (on, Binds::Only(joined)),
            other => panic!("nobody thought about {other:?}"),
        };
        match constraint {
            JoinConstraint::On(condition) => {
                self.condition(condition, binds);
                self.look_into(condition);
            }
            JoinConstraint::Using(columns) => self.using(columns, joined),
            JoinConstraint::None => {}
            JoinConstraint::Natural => panic!("nobody thought about {constraint:?}"),
        }
    }

    /// Joins by columns of the same name: whatever was named before has the same organisation.
    fn using(&mut self, columns: &[ObjectName], joined: Option<usize>) {
        let Some(joined) = joined else { return };
        if columns.iter().any(|column| last(column) == COLUMN) {
            let before = self.frame().relations.clone();
            for other in before.into_iter().filter_map(|(_, node)| node) {
                self.equal(other, joined);
            }
        }
    }

    /// Adds what is named in `FROM`; its node, where it has an organisation.
    fn factor(&mut self, factor: &TableFactor) -> Option<usize> {
        let (alias, node) = match factor {
            TableFactor::Table {
                name, alias, args, ..
            } => {
                let name = last(name);
                let node = match args {
                    Some(_) => self.rows_of_a_function(factor, alias.as_ref()),
                    None => self.table(&name),
                };
                let shown = alias.as_ref().map(|alias| alias.name.value.clone());
                (shown.unwrap_or(name), node)
            }
            TableFactor::Derived {
                subquery, alias, ..
            } => {
                let columns = self.query(subquery);
                let node = self.exported(&columns, reads_only(&subquery.body));
                let alias = alias.as_ref().map(|alias| alias.name.value.clone());
                (alias.unwrap_or_default(), node)
            }
            TableFactor::Function { alias, .. } | TableFactor::UNNEST { alias, .. } => {
                let node = self.rows_of_a_function(factor, alias.as_ref());
                let alias = alias.as_ref().map(|alias| alias.name.value.clone());
                (alias.unwrap_or_default(), node)
            }
            other => panic!("nobody thought about {other}"),
        };
        self.frame().relations.push((alias, node));
        node
    }

    /// The organisation of rows that a function makes, such as `unnest(…) AS t (organization_id)`.
    fn rows_of_a_function(
        &mut self,
        factor: &TableFactor,
        alias: Option<&TableAlias>,
    ) -> Option<usize> {
        self.look_into(factor);
        let columns = alias.into_iter().flat_map(|alias| &alias.columns);
        let mut columns = columns.map(|column| column.name.value.as_str());
        columns.any(|column| column == COLUMN).then(|| self.node())
    }

    /// A table or a common table expression by its name.
    fn table(&mut self, name: &str) -> Option<usize> {
        let frames = self.frames.iter().rev();
        let mut named = frames.flat_map(|frame| &frame.named);
        if let Some((_, node)) = named.find(|(named, _)| named == name) {
            return *node;
        }
        self.schema.tables.contains(name).then(|| {
            let node = self.node();
            self.relations.push((name.to_owned(), node));
            node
        })
    }

    /// The organisation that a query puts out, as those see it who read from the query.
    fn exported(&mut self, columns: &Columns, reads_only: bool) -> Option<usize> {
        let (_, inner) = columns.iter().find(|(name, _)| name == COLUMN)?;
        let (inner, outer) = ((*inner)?, self.node());
        self.links.push((inner, outer));
        if reads_only {
            self.links.push((outer, inner));
        }
        Some(outer)
    }

    fn projection(&mut self, items: &[SelectItem]) -> Columns {
        let mut columns = Columns::new();
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let name = match expr {
                        Expr::Identifier(name) => name.value.clone(),
                        Expr::CompoundIdentifier(names) => names
                            .last()
                            .map(|name| name.value.clone())
                            .unwrap_or_default(),
                        _ => String::new(),
                    };
                    let node = self.value(expr);
                    columns.push((name, node));
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    // `"organization_id!: OrganizationId"` is how sqlx is told a type.
                    let name = alias
                        .value
                        .split(['!', '?', ':'])
                        .next()
                        .unwrap_or_default();
                    let node = self.value(expr);
                    columns.push((name.to_owned(), node));
                }
                _ => {
                    let nodes = self.frame().relations.clone();
                    let nodes = nodes.into_iter().filter(|(_, node)| node.is_some());
                    columns.extend(nodes.map(|(_, node)| (COLUMN.to_owned(), node)));
                }
            }
        }
        columns
    }

    /// Looks into an expression, and says which organisation it is.
    fn value(&mut self, expr: &Expr) -> Option<usize> {
        self.look_into(expr);
        self.resolve(expr)
    }

    fn insert(&mut self, insert: &Insert) -> Columns {
        let TableObject::TableName(name) = &insert.table else {
            panic!("nobody thought about {}", insert.table);
        };
        let name = last(name);
        let source = insert.source.as_ref().map(|source| self.query(source));
        self.frames.push(Frame::default());
        let table = self.table(&name);
        let alias = insert
            .table_alias
            .as_ref()
            .map(|alias| alias.alias.value.clone());
        self.frame().relations.push((alias.unwrap_or(name), table));
        if let Some(table) = table {
            let at = insert
                .columns
                .iter()
                .position(|column| last(column) == COLUMN);
            let written = at.and_then(|at| source.as_ref()?.get(at)?.1);
            self.links.extend(written.map(|written| (written, table)));
            if !meets_its_own(insert) {
                self.loose
                    .push("a conflict with another organisation's row".to_owned());
            }
        }
        self.look_into(&insert.on);
        let columns = self.projection(insert.returning.as_deref().unwrap_or_default());
        self.frames.pop();
        columns
    }

    fn update(&mut self, update: &Update) -> Columns {
        self.frames.push(Frame::default());
        self.table_with_joins(&update.table);
        match &update.from {
            Some(UpdateTableFromKind::AfterSet(from)) => {
                for from in from {
                    self.table_with_joins(from);
                }
            }
            None => {}
            Some(other) => panic!("nobody thought about {other:?}"),
        }
        if let Some(selection) = &update.selection {
            self.condition(selection, Binds::Both);
        }
        if update
            .assignments
            .iter()
            .any(|set| set.target.to_string() == COLUMN)
        {
            self.loose
                .push("a row is given to another organisation".to_owned());
        }
        self.look_into(&update.selection);
        self.look_into(&update.assignments);
        let columns = self.projection(update.returning.as_deref().unwrap_or_default());
        self.frames.pop();
        columns
    }

    fn delete(&mut self, delete: &Delete) -> Columns {
        self.frames.push(Frame::default());
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let using = delete.using.iter().flatten();
        for table in from.iter().chain(using) {
            self.table_with_joins(table);
        }
        if let Some(selection) = &delete.selection {
            self.condition(selection, Binds::Both);
        }
        self.look_into(&delete.selection);
        let columns = self.projection(delete.returning.as_deref().unwrap_or_default());
        self.frames.pop();
        columns
    }

    /// What must hold.
    fn condition(&mut self, expr: &Expr, binds: Binds) {
        match expr {
            Expr::Nested(expr) => self.condition(expr, binds),
            Expr::BinaryOp { left, op, right } if *op == BinaryOperator::And => {
                self.condition(left, binds);
                self.condition(right, binds);
            }
            Expr::BinaryOp { left, op, right } if *op == BinaryOperator::Eq => {
                match (&**left, &**right) {
                    (Expr::Tuple(left), Expr::Tuple(right)) => {
                        for (left, right) in left.iter().zip(right) {
                            self.equality(left, right, binds);
                        }
                    }
                    _ => self.equality(left, right, binds),
                }
            }
            _ => {}
        }
    }

    fn equality(&mut self, left: &Expr, right: &Expr, binds: Binds) {
        // A parameter binds only where it meets an organisation.
        let (Some(left), Some(right)) = (self.resolve(left), self.resolve(right)) else {
            return;
        };
        match binds {
            Binds::Both => self.equal(left, right),
            Binds::Only(joined) => {
                if Some(left) == joined {
                    self.links.push((right, left));
                }
                if Some(right) == joined {
                    self.links.push((left, right));
                }
            }
        }
    }

    /// The organisation that an expression is, if it is one.
    fn resolve(&mut self, expr: &Expr) -> Option<usize> {
        match expr {
            Expr::Nested(expr) | Expr::Cast { expr, .. } => self.resolve(expr),
            Expr::Value(value) => {
                let Value::Placeholder(name) = &value.value else {
                    return None;
                };
                let number = name.strip_prefix('$')?.parse().ok()?;
                if let Some(node) = self.parameters.get(&number) {
                    return Some(*node);
                }
                let node = self.node();
                self.links.push((GIVEN, node));
                self.parameters.insert(number, node);
                Some(node)
            }
            Expr::Identifier(name) if name.value == ARGUMENT => Some(GIVEN),
            Expr::Identifier(name) if name.value == COLUMN => self
                .frames
                .iter()
                .rev()
                .find_map(|frame| frame.relations.iter().find_map(|(_, node)| *node)),
            Expr::CompoundIdentifier(names) => {
                let [relation, column] = names.as_slice() else {
                    return None;
                };
                if column.value != COLUMN {
                    return None;
                }
                // What a conflict is with is of the same organisation: see `meets_its_own`.
                let mut relations = self.frames.iter().rev().flat_map(|frame| &frame.relations);
                relations.find(|(name, _)| *name == relation.value)?.1
            }
            _ => None,
        }
    }

    /// Analyses the queries inside an expression, and the calls of our functions.
    fn look_into(&mut self, part: &impl Visit) {
        let mut inside = Inside::default();
        let flow = part.visit(&mut inside);
        assert!(flow.is_continue());
        for query in &inside.queries {
            self.query(query);
        }
        for call in &inside.calls {
            let name = last(&call.name);
            if !self.schema.functions.contains(&name) {
                continue;
            }
            let node = self.node();
            self.relations.push((format!("{name}()"), node));
            let first = match &call.args {
                FunctionArguments::List(list) => list.args.first(),
                _ => None,
            };
            if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) = first
                && let Some(given) = self.resolve(first)
            {
                self.links.push((given, node));
            }
        }
    }

    fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("inside a query")
    }
}
