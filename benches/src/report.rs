//! A table of measurements, for people and as JSON.

use serde_json::{Value, json};

/// What was measured, row by row.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    bar: &'static str,
}

impl Report {
    /// Adds a row. `bar` is what we want it to reach; empty if nothing.
    pub fn row(&mut self, what: impl Into<String>, value: f64, unit: &'static str, bar: &'static str) {
        self.rows.push(Row { what: what.into(), value, unit, bar });
    }

    /// The rows of another report after these.
    pub fn append(&mut self, other: Self) {
        self.rows.extend(other.rows);
    }

    /// The value of a row.
    pub fn value(&self, what: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.what == what).map(|row| row.value)
    }

    /// As JSON: a list of {what, value, unit, bar}.
    pub fn json(&self) -> Value {
        let row = |row: &Row| json!({"what": row.what, "value": row.value, "unit": row.unit, "bar": row.bar});
        self.rows.iter().map(row).collect()
    }

    /// As a Markdown table.
    pub fn table(&self) -> String {
        let lines = self
            .rows
            .iter()
            .map(|row| format!("| {} | {} {} | {} |\n", row.what, readable(row.value), row.unit, row.bar));
        std::iter::once("| what | measured | bar |\n|---|---|---|\n".to_owned()).chain(lines).collect()
    }
}

fn readable(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => grouped(value.round() as i64),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if value < 0 { format!("-{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        assert_eq!(readable(1_234_567.0), "1,234,567");
        assert_eq!(readable(12.34), "12.3");
        assert_eq!(readable(0.5), "0.500");
    }
}
