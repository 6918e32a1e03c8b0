//! Records that a family is asked about: rows of a file, or a list of objects.

use serde_json::{Map, Value};
use tapewatch_schemas::{Amount, Time};

use super::question::{Answer, Question, Unanswered, wrong};
use crate::topic_name;

/// One record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Where it stands: `fills.csv:3`, or `fills[2]`.
    pub(super) place: String,
    /// What stands between the place and the name of a field.
    joint: &'static str,
    /// Without those that are empty.
    fields: Map<String, Value>,
}

impl Question<'_> {
    /// The records under a name, with no fields but these.
    pub(super) fn records(&self, name: &str, known: &[&str]) -> Answer<Vec<Record>> {
        let expected = "a list of objects, or {csv}: a file whose first line names the fields";
        let records = match self.value(name) {
            Some(Value::Array(list)) => of_list(name, list)?,
            Some(Value::Object(reference)) => match reference.get("csv") {
                Some(Value::String(file)) if reference.len() == 1 => self.of_rows(file)?,
                _ => return Err(wrong(name, expected, &Value::Object(reference.clone()))),
            },
            Some(other) => return Err(wrong(name, expected, other)),
            None => return Err(Unanswered::Missing { name: name.into(), expected: expected.into() }),
        };
        if records.is_empty() {
            return Err(Unanswered::Refused { place: name.into(), why: "there is no record in it".into() });
        }
        for record in &records {
            if let Some(other) = record.fields.keys().find(|field| !known.contains(&field.as_str())) {
                let near = topic_name::nearest(other, known.iter().copied());
                let near = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
                let (place, all) = (record.place.clone(), known.join(", "));
                let why = format!("there is no field `{other}`{near}; a record has {all}");
                return Err(Unanswered::Refused { place, why });
            }
        }
        Ok(records)
    }

    fn of_rows(&self, file: &str) -> Answer<Vec<Record>> {
        let table = self.tables.get(file)?;
        let mut records = Vec::new();
        for (place, cells) in table.records() {
            let filled = cells.filter(|(_, cell)| !cell.is_empty());
            let fields = filled.map(|(name, cell)| (name.to_owned(), Value::from(cell))).collect();
            records.push(Record { place, joint: ": column ", fields });
        }
        Ok(records)
    }
}

fn of_list(name: &str, list: &[Value]) -> Answer<Vec<Record>> {
    let record = |(at, value): (usize, &Value)| {
        let place = format!("{name}[{at}]");
        let Value::Object(fields) = value else { return Err(wrong(&place, "an object", value)) };
        let given = fields.iter().filter(|(_, value)| !value.is_null());
        let fields = given.map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(Record { place, joint: ".", fields })
    };
    list.iter().enumerate().map(record).collect()
}

impl Record {
    /// What a field is called where it is wrong.
    fn named(&self, field: &str) -> String {
        match self.joint {
            "." => format!("{}.{field}", self.place),
            joint => format!("{}{joint}`{field}`", self.place),
        }
    }

    fn wrong(&self, field: &str, expected: &str, found: &Value) -> Unanswered {
        wrong(&self.named(field), expected, found)
    }

    /// That a field must be there.
    pub(super) fn wanted<T>(&self, field: &str, expected: &str, value: Option<T>) -> Answer<T> {
        let missing = || Unanswered::Missing { name: self.named(field), expected: expected.into() };
        value.ok_or_else(missing)
    }

    /// A text, if it is there.
    pub(super) fn text(&self, field: &str) -> Answer<Option<&str>> {
        match self.fields.get(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(field, "a text", other)),
        }
    }

    /// One of several, if it is there.
    pub(super) fn one_of<T: Copy>(&self, field: &str, choices: &[(&str, T)]) -> Answer<Option<T>> {
        let Some(value) = self.fields.get(field) else { return Ok(None) };
        let chosen = choices.iter().find(|(name, _)| value.as_str() == Some(name));
        let names = || choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        chosen
            .map(|(_, one)| Some(*one))
            .ok_or_else(|| self.wrong(field, &format!("one of {}", names()), value))
    }

    /// An amount, if it is there.
    pub(super) fn amount(&self, field: &str) -> Answer<Option<Amount>> {
        self.fields.get(field).map(|value| amount(&self.named(field), value)).transpose()
    }

    /// An amount that must be there.
    pub(super) fn amount_of(&self, field: &str) -> Answer<Amount> {
        self.wanted(field, AN_AMOUNT, self.amount(field)?)
    }

    /// A time, if it is there.
    pub(super) fn time(&self) -> Answer<Option<Time>> {
        let Some(value) = self.fields.get("time") else { return Ok(None) };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let expected = "RFC 3339 with an offset such as 2026-05-02T12:00:00Z, or microseconds since 1970";
        Time::parse(&text).map(Some).map_err(|_| self.wrong("time", expected, value))
    }
}

const AN_AMOUNT: &str = "a number with at most 16 digits before the point and 12 behind it";

/// A number as it is written, to its last digit.
pub(super) fn amount(name: &str, value: &Value) -> Answer<Amount> {
    let text = match value {
        Value::String(text) => text.clone(),
        // Without an exponent, and with no more digits than tell it from other doubles.
        Value::Number(number) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
        Value::Number(number) => number.to_string(),
        other => return Err(wrong(name, AN_AMOUNT, other)),
    };
    text.parse().map_err(|_| wrong(name, AN_AMOUNT, value))
}
