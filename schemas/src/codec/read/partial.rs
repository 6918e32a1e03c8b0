//! A record that is no event, read as far as it goes: for people who look at dead letters.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::input::{Blocks, Fault, Input};
use super::{Reader, branch};
use crate::codec::in_hex;
use crate::codec::plan::{Plan, RecordPlan, Step};
use crate::codec::shape::{RecordShape, Shape};
use crate::{Amount, Time};

/// What could be read of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    /// The fields that were read, in JSON as an event's would be; the last one may hold a part of its own fields or
    /// items. Fields that the topic's event does not have are passed over.
    pub fields: Value,
    /// Where in the value the first byte stands that was not read.
    pub position: usize,
}

/// A part that was not read whole, and what was read of it, if anything.
struct Part(Option<Value>);

impl Part {
    fn fields(read: Map<String, Value>) -> Self {
        Self((!read.is_empty()).then_some(Value::Object(read)))
    }

    fn items(read: Vec<Value>) -> Self {
        Self((!read.is_empty()).then_some(Value::Array(read)))
    }
}

impl Partial {
    /// True if there was anything to read.
    pub fn has_fields(&self) -> bool {
        self.fields.as_object().is_some_and(|fields| !fields.is_empty())
    }

    /// Reads the body that begins at `frame`, up to what is `wrong` at the latest. None if the frame is not whole.
    pub(crate) fn read(
        plan: &Plan,
        shape: &Shape,
        value: &[u8],
        frame: usize,
        wrong: Option<usize>,
    ) -> Option<Self> {
        let body = value.get(frame..)?;
        let wrong = wrong.map_or(body.len(), |at| at.saturating_sub(frame));
        let mut walk = Walk { input: Input::new(body), wrong, ended: 0 };
        let (fields, ended) = match walk.value(plan, shape) {
            Ok(fields) => (fields, walk.input.position()),
            Err(Part(part)) => (part.unwrap_or_else(|| Value::Object(Map::new())), walk.ended),
        };
        Some(Self { fields, position: frame + ended })
    }
}

/// On the way through a body.
struct Walk<'a> {
    input: Input<'a>,
    /// Nothing is read that begins here or later.
    wrong: usize,
    /// Where the first part begins that could not be read.
    ended: usize,
}

impl<'a> Walk<'a> {
    /// The next value. `shape` is what the topic's event has there.
    fn value(&mut self, plan: &'a Plan, shape: &Shape) -> Result<Value, Part> {
        let start = self.input.position();
        if start >= self.wrong && self.input.left() > 0 {
            return Err(self.end(start, Part(None)));
        }
        match (plan, shape) {
            (Plan::Record(plan), Shape::Record(shape)) => self.record(plan, shape),
            (Plan::Array(plan), Shape::Array(shape)) => self.array(plan, shape),
            (Plan::Map(plan), Shape::Map(shape)) => self.map(plan, shape),
            (Plan::Some(plan), Shape::Option { some, .. }) => self.value(plan, some),
            (Plan::Option(branches) | Plan::Union(branches), shape) => {
                let some = if let Shape::Option { some, .. } = shape { some } else { shape };
                match branch(branches, &mut self.input) {
                    Ok(None) => Ok(Value::Null),
                    Ok(Some(plan)) => self.value(plan, some),
                    Err(_) => Err(self.end(start, Part(None))),
                }
            }
            (plan, shape) => self.leaf(plan, shape).map_err(|_| self.end(start, Part(None))),
        }
    }

    fn record(&mut self, plan: &'a RecordPlan, shape: &RecordShape) -> Result<Value, Part> {
        let mut fields = Map::new();
        for step in &plan.steps {
            match step {
                Step::Read { field, name, plan } => {
                    match self.value(plan, &shape.fields[*field as usize].shape) {
                        Ok(value) => drop(fields.insert(name.to_string(), value)),
                        Err(Part(of)) => {
                            fields.extend(of.map(|of| (name.to_string(), of)));
                            return Err(Part::fields(fields));
                        }
                    }
                }
                Step::Skip { shape, .. } => {
                    let start = self.input.position();
                    if self.input.skip(shape).is_err() {
                        return Err(self.end(start, Part::fields(fields)));
                    }
                }
                // It is not in the bytes.
                Step::Default { .. } => {}
            }
        }
        Ok(Value::Object(fields))
    }

    fn array(&mut self, plan: &'a Plan, shape: &Shape) -> Result<Value, Part> {
        let (mut items, mut blocks) = (Vec::new(), Blocks::default());
        loop {
            let start = self.input.position();
            match blocks.next(&mut self.input) {
                Ok(false) => return Ok(Value::Array(items)),
                Ok(true) => {}
                Err(_) => return Err(self.end(start, Part::items(items))),
            }
            match self.value(plan, shape) {
                Ok(item) => items.push(item),
                Err(Part(of)) => {
                    items.extend(of);
                    return Err(Part::items(items));
                }
            }
        }
    }

    fn map(&mut self, plan: &'a Plan, shape: &Shape) -> Result<Value, Part> {
        let (mut entries, mut blocks) = (Map::new(), Blocks::default());
        loop {
            let start = self.input.position();
            let key = match blocks.next(&mut self.input) {
                Ok(false) => return Ok(Value::Object(entries)),
                Ok(true) => self.input.text(),
                Err(fault) => Err(fault),
            };
            let Ok(key) = key else { return Err(self.end(start, Part::fields(entries))) };
            match self.value(plan, shape) {
                Ok(value) => drop(entries.insert(key.to_owned(), value)),
                Err(Part(of)) => {
                    entries.extend(of.map(|of| (key.to_owned(), of)));
                    return Err(Part::fields(entries));
                }
            }
        }
    }

    fn leaf(&mut self, plan: &'a Plan, shape: &Shape) -> Result<Value, Fault> {
        let input = &mut self.input;
        if let Plan::Enum(symbols) = plan {
            let index = input.index(symbols.names.len(), "symbol")?;
            return Ok(Value::from(&*symbols.names[index]));
        }
        let reader = Reader { plan, input };
        Ok(match (plan, shape) {
            (Plan::Null | Plan::None, _) => Value::Null,
            (_, Shape::Time) => json(&Time::deserialize(reader)?),
            (_, Shape::Decimal) => json(&Amount::deserialize(reader)?),
            (Plan::Boolean, _) => bool::deserialize(reader)?.into(),
            (Plan::Int | Plan::Long, _) => i64::deserialize(reader)?.into(),
            (Plan::Text, _) => String::deserialize(reader)?.into(),
            (Plan::Bytes, _) => in_hex(reader.input.slice()?).into(),
            _ => f64::deserialize(reader)?.into(),
        })
    }

    /// What begins at `start` cannot be read; before it there was `read`.
    fn end(&mut self, start: usize, read: Part) -> Part {
        self.ended = start;
        read
    }
}

fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("a time and an amount have a JSON form")
}
