//! How a record written with one schema becomes the type of another: settled once per writer schema.
//!
//! Avro 1.12, "Schema Resolution", for the types that our events have. Logical types must be equal, where
//! Avro would let a count of milliseconds pass for one of microseconds.

use super::default::put_default;
use super::shape::{EnumShape, FieldShape, RecordShape, Shape};

/// What to read, in the writer's order, and what to make of it.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    IntAsDouble,
    LongAsDouble,
    Bytes,
    Text,
    Enum(EnumPlan),
    Array(Box<Plan>),
    Map(Box<Plan>),
    /// Nothing is read: the writer's type is null alone.
    None,
    /// The writer's value is always there.
    Some(Box<Plan>),
    /// The writer's union, read as an option.
    Option(Box<[Branch]>),
    /// The writer's union, read as one type.
    Union(Box<[Branch]>),
    Record(RecordPlan),
}

/// One branch of a writer's union.
#[derive(Clone, Debug)]
pub(crate) enum Branch {
    Null,
    Value(Plan),
    /// A type that the reader has no place for.
    Refused(Box<str>),
}

/// A writer's enum.
#[derive(Clone, Debug)]
pub(crate) struct EnumPlan {
    /// The reader's symbol for each of the writer's; none if the reader has neither it nor a default.
    pub(crate) symbols: Box<[Option<u32>]>,
    /// The writer's names, for errors.
    pub(crate) names: Box<[Box<str>]>,
}

/// A writer's record.
#[derive(Clone, Debug)]
pub(crate) struct RecordPlan {
    /// True if the fields are the reader's, in the reader's order.
    pub(crate) exact: bool,
    pub(crate) steps: Box<[Step]>,
}

/// One step through a record.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Read { field: u32, name: Box<str>, plan: Plan },
    Skip { name: Box<str>, shape: Shape },
    Default { field: u32, name: Box<str>, bytes: Box<[u8]>, plan: Plan },
}

/// A plan, and what of the writer's values it cannot read.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) plan: Plan,
    /// Values that a writer may write and the reader must refuse: symbols, branches of a union.
    pub(crate) partial: Vec<String>,
}

/// Settles how `writer`'s records become `reader`'s.
///
/// # Errors
/// Every place where they do not fit.
pub(crate) fn resolve(writer: &Shape, reader: &Shape) -> Result<Resolved, Vec<String>> {
    let mut resolver = Resolver::default();
    let plan = match (writer, reader) {
        // The outermost name is the topic's business: a user's own schema may call it something else.
        (Shape::Record(writer), Shape::Record(reader)) => Some(Plan::Record(resolver.record(writer, reader))),
        _ => resolver.part(writer, reader),
    };
    match plan {
        Some(plan) if resolver.problems.is_empty() => Ok(Resolved { plan, partial: resolver.partial }),
        _ => Err(resolver.problems),
    }
}

#[derive(Default)]
struct Resolver {
    path: Vec<String>,
    problems: Vec<String>,
    partial: Vec<String>,
}

impl Resolver {
    fn at(&self) -> String {
        if self.path.is_empty() { "the record".into() } else { format!("`{}`", self.path.join(".")) }
    }

    fn problem(&mut self, problem: &str) -> Option<Plan> {
        let text = format!("{}: {problem}", self.at());
        self.problems.push(text);
        None
    }

    fn part(&mut self, writer: &Shape, reader: &Shape) -> Option<Plan> {
        Some(match (writer, reader) {
            (Shape::Option { null_first, some }, reader) => {
                let branches = if *null_first { [&Shape::Null, &**some] } else { [&**some, &Shape::Null] };
                return self.union(&branches, reader);
            }
            (Shape::Union(branches), reader) => {
                return self.union(&branches.iter().collect::<Vec<_>>(), reader);
            }
            (Shape::Null, Shape::Option { .. }) => Plan::None,
            (writer, Shape::Option { some, .. }) => Plan::Some(Box::new(self.part(writer, some)?)),
            (Shape::Null, Shape::Null) => Plan::Null,
            (Shape::Boolean, Shape::Boolean) => Plan::Boolean,
            (Shape::Int, Shape::Int | Shape::Long) => Plan::Int,
            (Shape::Long, Shape::Long) | (Shape::Time, Shape::Time) => Plan::Long,
            (Shape::Int, Shape::Double | Shape::Float) => Plan::IntAsDouble,
            (Shape::Long, Shape::Double | Shape::Float) => Plan::LongAsDouble,
            (Shape::Float, Shape::Double | Shape::Float) => Plan::Float,
            (Shape::Double, Shape::Double) => Plan::Double,
            (Shape::Bytes, Shape::Bytes) | (Shape::Decimal, Shape::Decimal) => Plan::Bytes,
            // Bytes that are text are text: the reader checks the UTF-8.
            (Shape::String | Shape::Uuid | Shape::Bytes, Shape::String | Shape::Uuid) => Plan::Text,
            (Shape::Enum(writer), Shape::Enum(reader)) if writer.name == reader.name => {
                Plan::Enum(self.symbols(writer, reader))
            }
            (Shape::Array(writer), Shape::Array(reader)) => Plan::Array(Box::new(self.part(writer, reader)?)),
            (Shape::Map(writer), Shape::Map(reader)) => Plan::Map(Box::new(self.part(writer, reader)?)),
            (Shape::Record(writer), Shape::Record(reader)) if writer.name == reader.name => {
                Plan::Record(self.record(writer, reader))
            }
            _ => {
                let problem =
                    format!("was written as {}, is read as {}", writer.describe(), reader.describe());
                return self.problem(&problem);
            }
        })
    }

    fn union(&mut self, writer: &[&Shape], reader: &Shape) -> Option<Plan> {
        let (inner, optional) = match reader {
            Shape::Option { some, .. } => (&**some, true),
            other => (other, false),
        };
        let mut branches = Vec::with_capacity(writer.len());
        let mut refused = Vec::new();
        for branch in writer {
            if optional && **branch == Shape::Null {
                branches.push(Branch::Null);
                continue;
            }
            let before = self.problems.len();
            match self.part(branch, inner) {
                Some(plan) if self.problems.len() == before => branches.push(Branch::Value(plan)),
                _ => {
                    refused.extend(self.problems.drain(before..));
                    branches.push(Branch::Refused(branch.describe().into()));
                }
            }
        }
        if branches.iter().all(|branch| matches!(branch, Branch::Refused(_))) {
            self.problems.extend(refused);
            return None;
        }
        self.partial.extend(refused);
        let branches = branches.into_boxed_slice();
        Some(if optional { Plan::Option(branches) } else { Plan::Union(branches) })
    }

    fn symbols(&mut self, writer: &EnumShape, reader: &EnumShape) -> EnumPlan {
        let mut symbols = Vec::with_capacity(writer.symbols.len());
        for symbol in &writer.symbols {
            let found = reader.symbols.iter().position(|known| known == symbol).or(reader.default);
            if found.is_none() {
                self.partial
                    .push(format!("{}: the reader has no symbol `{symbol}` and no default", self.at()));
            }
            symbols.push(found.map(|index| index as u32));
        }
        let names = writer.symbols.iter().map(|symbol| symbol.as_str().into()).collect();
        EnumPlan { symbols: symbols.into_boxed_slice(), names }
    }

    fn record(&mut self, writer: &RecordShape, reader: &RecordShape) -> RecordPlan {
        let mut found = vec![false; reader.fields.len()];
        let mut steps = Vec::with_capacity(writer.fields.len());
        for field in &writer.fields {
            match position_of(field, reader).filter(|index| !found[*index]) {
                Some(index) => {
                    found[index] = true;
                    let target = &reader.fields[index];
                    self.path.push(target.name.clone());
                    let plan = self.part(&field.shape, &target.shape).unwrap_or(Plan::Null);
                    self.path.pop();
                    steps.push(Step::Read { field: index as u32, name: target.name.as_str().into(), plan });
                }
                None => {
                    steps.push(Step::Skip { name: field.name.as_str().into(), shape: field.shape.clone() });
                }
            }
        }
        for (index, field) in reader.fields.iter().enumerate().filter(|(index, _)| !found[*index]) {
            self.path.push(field.name.clone());
            steps.extend(self.lacking(index as u32, field));
            self.path.pop();
        }
        let exact = steps.len() == reader.fields.len()
            && steps
                .iter()
                .enumerate()
                .all(|(index, step)| matches!(step, Step::Read { field, .. } if *field as usize == index));
        RecordPlan { exact, steps: steps.into_boxed_slice() }
    }

    fn lacking(&mut self, index: u32, field: &FieldShape) -> Option<Step> {
        let Some(default) = &field.default else {
            self.problem("the writer lacks it, and it has no default");
            return None;
        };
        let mut bytes = Vec::new();
        if let Err(problem) = put_default(&field.shape, default, &mut bytes) {
            self.problem(&problem);
            return None;
        }
        let plan = self.part(&field.shape, &field.shape)?;
        Some(Step::Default {
            field: index,
            name: field.name.as_str().into(),
            bytes: bytes.into_boxed_slice(),
            plan,
        })
    }
}

/// The reader's field for a writer's: of the same name, else one with an alias of that name.
fn position_of(writer: &FieldShape, reader: &RecordShape) -> Option<usize> {
    let named = reader.fields.iter().position(|field| field.name == writer.name);
    named.or_else(|| reader.fields.iter().position(|field| field.aliases.contains(&writer.name)))
}
