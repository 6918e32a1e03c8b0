//! What a family is asked: inputs and parameters, as a reference case or the command line gives them.

use serde_json::{Map, Value};
use tapewatch_monitors::kernels::{Horizon, Sample, SampleError, Tail};

use super::figure;
use super::table::{TableError, Tables};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    #[error("{name} is missing: expected {expected}")]
    Missing { name: String, expected: String },
    #[error("{name}: expected {expected}, found {found}")]
    Wrong { name: String, expected: String, found: String },
    #[error("{place}: {why}")]
    Refused { place: String, why: String },
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("{name}: {source}")]
    Of { name: String, source: SampleError },
    #[error(transparent)]
    Sample(#[from] SampleError),
}

/// Inputs and parameters by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) inputs: &'a Map<String, Value>,
    pub(super) params: &'a Map<String, Value>,
    pub(super) tables: &'a Tables,
}

pub(super) type Answer<T> = Result<T, Unanswered>;

impl Question<'_> {
    /// What was given under a name.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.params.get(name).or_else(|| self.inputs.get(name))
    }

    fn wanted(&self, name: &str, expected: &str) -> Answer<&Value> {
        self.value(name).ok_or_else(|| Unanswered::Missing { name: name.into(), expected: expected.into() })
    }

    /// A number, if it was given.
    pub(super) fn number_if(&self, name: &str) -> Answer<Option<f64>> {
        self.value(name).map(|value| number(name, value)).transpose()
    }

    /// A number that must be given.
    pub(super) fn number(&self, name: &str) -> Answer<f64> {
        number(name, self.wanted(name, "a number")?)
    }

    /// A number with a default.
    pub(super) fn number_or(&self, name: &str, default: f64) -> Answer<f64> {
        Ok(self.number_if(name)?.unwrap_or(default))
    }

    /// A whole number, if it was given.
    pub(super) fn count_if(&self, name: &str) -> Answer<Option<u64>> {
        self.value(name).map(|value| count(name, value)).transpose()
    }

    /// A whole number that must be given.
    pub(super) fn count(&self, name: &str) -> Answer<u64> {
        count(name, self.wanted(name, "a whole number of at least 0")?)
    }

    /// A text, if it was given.
    pub(super) fn text_if(&self, name: &str) -> Answer<Option<&str>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| wrong(name, "a text", value))
    }

    /// A text that must be given.
    pub(super) fn text(&self, name: &str, expected: &str) -> Answer<&str> {
        self.wanted(name, expected)?;
        Ok(self.text_if(name)?.unwrap_or_default())
    }

    /// Numbers that must be given: a list, or a single one.
    pub(super) fn numbers(&self, name: &str) -> Answer<Vec<f64>> {
        let value = self.wanted(name, "a list of numbers")?;
        match value {
            Value::Array(values) => numbers(name, values),
            single => Ok(vec![number(name, single)?]),
        }
    }

    /// The tails that are asked for, 5 and 1 % by default, each with the per cent of its level (95, 99).
    pub(super) fn tails(&self) -> Answer<Vec<(Tail, String)>> {
        let alphas = if self.value("alpha").is_some() { self.numbers("alpha")? } else { vec![0.05, 0.01] };
        let tail = |alpha: &f64| Ok((Tail::new(*alpha)?, figure::percent(1.0 - alpha)));
        alphas.iter().map(tail).collect()
    }

    /// Over how many steps of the series the figures are, one by default.
    pub(super) fn horizon(&self) -> Answer<Horizon> {
        let Some(value) = self.value("horizon") else { return Ok(Horizon::ONE) };
        let steps = value.as_u64().and_then(|steps| u16::try_from(steps).ok());
        let expected = format!("a whole number from 1 to {}", Horizon::MOST);
        steps.and_then(Horizon::new).ok_or_else(|| wrong("horizon", &expected, value))
    }

    /// The single tail that is asked for.
    pub(super) fn tail(&self, default: f64) -> Answer<Tail> {
        Ok(Tail::new(self.number_or("alpha", default)?)?)
    }

    /// A series: a list of numbers, or a column of a file with what is made of it.
    pub(super) fn series(&self, name: &str) -> Answer<Vec<f64>> {
        let value = self.wanted(name, SERIES)?;
        let values = match value {
            Value::Array(values) => numbers(name, values)?,
            Value::Object(reference) => self.column(name, reference)?,
            other => return Err(wrong(name, SERIES, other)),
        };
        Sample::new(&values).map_err(|source| Unanswered::Of { name: name.into(), source })?;
        Ok(values)
    }

    /// Several series: lists of numbers under `name`, or the columns `cols` of the file `csv`.
    pub(super) fn panel(&self, name: &str) -> Answer<Vec<Vec<f64>>> {
        let Some(value) = self.value(name) else {
            return self
                .texts("cols")?
                .iter()
                .map(|column| self.column(column, &self.of_file(column)?))
                .collect();
        };
        let expected = "a list of lists of numbers, one a series";
        let lists = value.as_array().ok_or_else(|| wrong(name, expected, value))?;
        let list = |list: &Value| numbers(name, list.as_array().ok_or_else(|| wrong(name, expected, list))?);
        lists.iter().map(list).collect()
    }

    /// The column of the file `csv` whose name is given under `name`, or the list of numbers given there: a day's
    /// value each, and first that of the day before them. Rows are of the days that have a day before.
    pub(super) fn days(&self, name: &str) -> Answer<Vec<f64>> {
        let Some(Value::String(column)) = self.value(name) else { return self.series(name) };
        let mut reference = self.of_file(column)?;
        let rows = reference.remove("rows");
        let values = self.column(name, &reference)?;
        let Some(rows) = rows else { return Ok(values) };
        let days = part(name, &values[1.min(values.len())..], &rows)?.len();
        // Where the part begins among the days, the day before it stands among all values.
        let from = rows[0].as_u64().unwrap_or_default() as usize;
        Ok(values[from..=from + days].to_vec())
    }

    /// A row of the file `csv`, without the column that names it.
    pub(super) fn row(&self, row: u64) -> Answer<Vec<f64>> {
        let file = self.text("csv", "the name of a file in the data folder")?;
        Ok(self.tables.get(file)?.row(usize::try_from(row).unwrap_or(usize::MAX))?)
    }

    fn texts(&self, name: &str) -> Answer<Vec<String>> {
        let expected = "a list of names of columns";
        let value = self.wanted(name, expected)?;
        let list = value.as_array().ok_or_else(|| wrong(name, expected, value))?;
        list.iter().map(|v| v.as_str().map(str::to_owned).ok_or_else(|| wrong(name, expected, v))).collect()
    }

    /// The reference that the inputs are, where they name a file themselves, to one of its columns.
    fn of_file(&self, column: &str) -> Answer<Map<String, Value>> {
        let file = self.text("csv", "the name of a file in the data folder")?;
        let mut reference = Map::from_iter([("csv".into(), file.into()), ("col".into(), column.into())]);
        for name in ["transform", "rows", "round"] {
            if let Some(value) = self.inputs.get(name) {
                reference.insert(name.into(), value.clone());
            }
        }
        Ok(reference)
    }

    fn column(&self, name: &str, reference: &Map<String, Value>) -> Answer<Vec<f64>> {
        let known = ["csv", "col", "transform", "rows", "round"];
        if let Some(other) = reference.keys().find(|key| !known.contains(&key.as_str())) {
            let expected = "a reference of csv, col, transform, rows and round";
            return Err(Unanswered::Wrong {
                name: name.into(),
                expected: expected.into(),
                found: format!("`{other}`"),
            });
        }
        let text = |key: &str, expected: &str| match reference.get(key) {
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(other) => Err(wrong(&format!("{name}.{key}"), expected, other)),
            None => Err(Unanswered::Missing { name: format!("{name}.{key}"), expected: expected.into() }),
        };
        let table = self.tables.get(text("csv", "the name of a file in the data folder")?)?;
        let mut values = table.column(text("col", "the name of a column")?)?;
        if reference.contains_key("transform") {
            values = transformed(name, &values, text("transform", TRANSFORMS)?)?;
        }
        if let Some(rows) = reference.get("rows") {
            values = part(name, &values, rows)?.to_vec();
        }
        if let Some(places) = reference.get("round") {
            let scale = power_of_ten(count(&format!("{name}.round"), places)?);
            values.iter_mut().for_each(|value| *value = (*value * scale).round_ties_even() / scale);
        }
        Ok(values)
    }
}

const SERIES: &str = "a list of numbers, or {csv, col, transform, rows, round}";
const TRANSFORMS: &str = "simple_return, abs_return or squared_return_x1e4";

/// What a column of prices is made into.
fn transformed(name: &str, values: &[f64], transform: &str) -> Answer<Vec<f64>> {
    let of = |change: fn(f64) -> f64| values.windows(2).map(|pair| change(pair[1] / pair[0] - 1.0)).collect();
    Ok(match transform {
        "simple_return" => of(|r| r),
        "abs_return" => of(f64::abs),
        "squared_return_x1e4" => of(|r| r * r * 1e4),
        other => {
            let name = format!("{name}.transform");
            return Err(Unanswered::Wrong { name, expected: TRANSFORMS.into(), found: format!("`{other}`") });
        }
    })
}

/// Rows [from, to) of a series.
fn part<'v>(name: &str, values: &'v [f64], rows: &Value) -> Answer<&'v [f64]> {
    let bounds = rows.as_array().and_then(|rows| match rows.as_slice() {
        [from, to] => Some((from.as_u64()? as usize)..(to.as_u64()? as usize)),
        _ => None,
    });
    bounds.and_then(|bounds| values.get(bounds)).ok_or_else(|| {
        let expected = format!("[from, to) within the {} values that there are", values.len());
        wrong(&format!("{name}.rows"), &expected, rows)
    })
}

fn power_of_ten(places: u64) -> f64 {
    (0..places.min(300)).fold(1.0, |scale, _| scale * 10.0)
}

fn number(name: &str, value: &Value) -> Answer<f64> {
    value.as_f64().ok_or_else(|| wrong(name, "a number", value))
}

fn count(name: &str, value: &Value) -> Answer<u64> {
    value.as_u64().ok_or_else(|| wrong(name, "a whole number of at least 0", value))
}

fn numbers(name: &str, values: &[Value]) -> Answer<Vec<f64>> {
    values.iter().enumerate().map(|(place, value)| number(&format!("{name}[{place}]"), value)).collect()
}

pub(super) fn wrong(name: &str, expected: &str, found: &Value) -> Unanswered {
    let mut found = found.to_string();
    if found.len() > 60 {
        found = found.chars().take(57).chain("...".chars()).collect();
    }
    Unanswered::Wrong { name: name.into(), expected: expected.into(), found }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn ask(inputs: Value) -> Answer<Vec<f64>> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("p.csv"), "day,p\na,1.0\nb,2.0\nc,1.0\nd,1.125\n").unwrap();
        let tables = Tables::new(folder.path().into());
        let (inputs, params) = (inputs.as_object().unwrap().clone(), Map::new());
        Question { inputs: &inputs, params: &params, tables: &tables }.series("x")
    }

    #[test]
    fn a_column_is_transformed_then_cut_then_rounded() {
        let of = |more: Value| {
            let mut reference = json!({"csv": "p.csv", "col": "p"});
            reference.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            ask(json!({"x": reference}))
        };
        assert_eq!(of(json!({})).unwrap(), [1.0, 2.0, 1.0, 1.125]);
        assert_eq!(of(json!({"transform": "simple_return"})).unwrap(), [1.0, -0.5, 0.125]);
        assert_eq!(of(json!({"transform": "abs_return", "rows": [1, 3]})).unwrap(), [0.5, 0.125]);
        assert_eq!(of(json!({"transform": "squared_return_x1e4", "rows": [0, 1]})).unwrap(), [1e4]);
        // Half to even: 0.125 is 0.12, and 1.125 is 1.12.
        assert_eq!(of(json!({"round": 2})).unwrap(), [1.0, 2.0, 1.0, 1.12]);
        let said = |more: Value| of(more).unwrap_err().to_string();
        assert_eq!(
            said(json!({"rows": [0, 9]})),
            "x.rows: expected [from, to) within the 4 values that there are, found [0,9]"
        );
        assert!(said(json!({"transform": "log_return"})).contains("found `log_return`"));
        assert!(said(json!({"lag": 1})).contains("found `lag`"));
        assert!(said(json!({"rows": [0, 0]})).contains("at least 1"), "{}", said(json!({"rows": [0, 0]})));
    }

    #[test]
    fn a_list_is_taken_as_it_is() {
        assert_eq!(ask(json!({"x": [1, -0.5]})).unwrap(), [1.0, -0.5]);
        let said = |inputs| ask(inputs).unwrap_err().to_string();
        assert_eq!(said(json!({"x": [1, "a"]})), "x[1]: expected a number, found \"a\"");
        assert!(said(json!({})).starts_with("x is missing: expected a list of numbers, or"));
    }
}
