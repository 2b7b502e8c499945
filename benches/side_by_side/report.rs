//! Figures of the rounds, their medians, and what is concluded: a table and a document.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    Result, machine,
    rows::{Gate, ROWS, Row},
    say,
};

/// One figure of one round.
#[derive(Clone, Copy, Debug)]
struct Figure {
    value: f64,
    /// Somebody else used the machine meanwhile.
    disturbed: bool,
}

/// Every figure, by row.
#[derive(Default)]
pub(crate) struct Report(BTreeMap<&'static str, Vec<Figure>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Reached,
    Missed,
    /// Too few undisturbed samples.
    Inconclusive,
    Told,
}

impl Report {
    /// Notes a figure.
    pub(crate) fn add(&mut self, row: &'static str, value: f64, disturbed: bool) {
        let figures = self.0.entry(row).or_default();
        figures.push(Figure { value, disturbed });
    }

    /// Whether every gated row has as many undisturbed samples as are wanted.
    pub(crate) fn is_conclusive(&self, wanted: usize) -> bool {
        ROWS.iter().all(|row| {
            row.gate == Gate::Reported
                || !self.0.contains_key(row.id)
                || self.undisturbed(row).len() >= wanted
        })
    }

    /// Prints the table and writes the document; whether no gate is missed.
    pub(crate) fn conclude(&self, wanted: usize, at: &str, path: &std::path::Path) -> Result<bool> {
        say(&format!(
            "\n{:<14} {:<54} {:>10} {:>6} {:>8}  {}",
            "row", "what", "median", "unit", "gate", "samples: verdict"
        ));
        let mut rows = Vec::new();
        let mut missed = false;
        for row in ROWS {
            let verdict = self.verdict(row, wanted);
            missed |= verdict == Verdict::Missed;
            say(&self.line(row, verdict));
            rows.push(self.document(row, verdict));
        }
        let document = json!({
            "at": at,
            "processors": machine::processors(),
            "most_by_others": machine::MOST_BY_OTHERS,
            "rows": rows,
        });
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        std::fs::write(path, serde_json::to_vec_pretty(&document)?)?;
        Ok(!missed)
    }

    fn undisturbed(&self, row: &Row) -> Vec<f64> {
        let figures = self.0.get(row.id).map(Vec::as_slice).unwrap_or_default();
        let good = figures.iter().filter(|figure| !figure.disturbed);
        good.map(|figure| figure.value).collect()
    }

    fn all(&self, row: &Row) -> Vec<f64> {
        let figures = self.0.get(row.id).map(Vec::as_slice).unwrap_or_default();
        figures.iter().map(|figure| figure.value).collect()
    }

    /// The median of the undisturbed samples, else of all.
    fn median(&self, row: &Row) -> Option<f64> {
        median(self.undisturbed(row)).or_else(|| median(self.all(row)))
    }

    fn verdict(&self, row: &Row, wanted: usize) -> Verdict {
        let enough = self.undisturbed(row).len() >= wanted;
        match (row.gate, self.median(row)) {
            (Gate::Reported, _) => Verdict::Told,
            (_, Some(_)) if !enough => Verdict::Inconclusive,
            (Gate::AtLeast(least), Some(value)) if value >= least => Verdict::Reached,
            (Gate::AtMost(most), Some(value)) if value <= most => Verdict::Reached,
            (_, Some(_)) => Verdict::Missed,
            (_, None) => Verdict::Inconclusive,
        }
    }

    fn line(&self, row: &Row, verdict: Verdict) -> String {
        let gate = match row.gate {
            Gate::AtLeast(least) => format!("≥ {least}"),
            Gate::AtMost(most) => format!("≤ {most}"),
            Gate::Reported => String::new(),
        };
        let value = self.median(row).map_or_else(|| "–".to_owned(), shown);
        let (good, all) = (self.undisturbed(row).len(), self.all(row).len());
        let verdict = match verdict {
            Verdict::Reached => "reached",
            Verdict::Missed => "MISSED",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Told => "",
        };
        let (id, what, unit) = (row.id, row.what, row.unit);
        format!("{id:<14} {what:<54} {value:>10} {unit:>6} {gate:>8}  {good}/{all} {verdict}")
    }

    fn document(&self, row: &Row, verdict: Verdict) -> Value {
        let (gate, bound) = match row.gate {
            Gate::AtLeast(least) => ("at_least", Some(least)),
            Gate::AtMost(most) => ("at_most", Some(most)),
            Gate::Reported => ("none", None),
        };
        json!({
            "row": row.id,
            "what": row.what,
            "unit": row.unit,
            "gate": gate,
            "bound": bound,
            "median": self.median(row),
            "samples": self.all(row),
            "undisturbed": self.undisturbed(row).len(),
            "verdict": format!("{verdict:?}").to_lowercase(),
        })
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    values.get(middle - 1).map(|lower| lower.midpoint(upper))
}

fn shown(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 1000.0 => 0,
        size if size >= 10.0 => 1,
        _ => 3,
    };
    format!("{value:.decimals$}")
}
