//! A schema in the form that the codec walks: references put in place, logical types made plain.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{DecimalSchema, InnerDecimalSchema, Name, RecordSchema, UnionSchema, UuidSchema};

use crate::amount::{PRECISION, SCALE};

/// A schema with all its types may hold no more parts than this: references are put in place, and a small
/// text could otherwise unfold without end.
const MAX_PARTS: usize = 20_000;

/// One part of a schema.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    /// `timestamp-micros`.
    Time,
    /// `decimal(28,12)` over bytes.
    Decimal,
    /// `uuid` over a string.
    Uuid,
    /// So many bytes.
    Fixed(usize),
    /// A logical type that no event of ours has: it can be skipped, not read.
    Foreign(&'static str, Box<Shape>),
    Enum(EnumShape),
    Array(Box<Shape>),
    Map(Box<Shape>),
    /// A union of null and one other.
    Option {
        null_first: bool,
        some: Box<Shape>,
    },
    /// Any other union.
    Union(Vec<Shape>),
    Record(RecordShape),
}

/// An enum.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EnumShape {
    pub(crate) name: String,
    pub(crate) symbols: Vec<String>,
    pub(crate) default: Option<usize>,
}

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RecordShape {
    pub(crate) name: String,
    pub(crate) fields: Vec<FieldShape>,
}

/// A record's field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldShape {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) shape: Shape,
    pub(crate) default: Option<serde_json::Value>,
}

impl Shape {
    /// Compiles a parsed schema.
    pub(crate) fn of(schema: &Schema) -> Result<Self, String> {
        Compiler::default().part(schema)
    }

    /// The fewest bytes that a value takes.
    pub(crate) fn least_bytes(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Float => 4,
            Self::Double => 8,
            Self::Fixed(size) => *size,
            Self::Foreign(_, base) => base.least_bytes(),
            Self::Record(record) => record.fields.iter().map(|field| field.shape.least_bytes()).sum(),
            _ => 1,
        }
    }

    /// What it is, for people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Boolean => "boolean".into(),
            Self::Int => "int".into(),
            Self::Long => "long".into(),
            Self::Float => "float".into(),
            Self::Double => "double".into(),
            Self::Bytes => "bytes".into(),
            Self::String => "string".into(),
            Self::Time => "timestamp-micros".into(),
            Self::Decimal => format!("decimal({PRECISION},{SCALE})"),
            Self::Uuid => "uuid".into(),
            Self::Fixed(size) => format!("fixed({size})"),
            Self::Foreign(logical, base) => format!("{logical} ({})", base.describe()),
            Self::Enum(shape) => format!("enum {}", shape.name),
            Self::Array(items) => format!("array of {}", items.describe()),
            Self::Map(values) => format!("map of {}", values.describe()),
            Self::Option { some, .. } => format!("null or {}", some.describe()),
            Self::Union(branches) => {
                format!("union of {}", branches.iter().map(Self::describe).collect::<Vec<_>>().join(", "))
            }
            Self::Record(record) => format!("record {}", record.name),
        }
    }
}

#[derive(Default)]
struct Compiler<'s> {
    names: HashMap<&'s Name, &'s Schema>,
    open: Vec<&'s Name>,
    parts: usize,
}

impl<'s> Compiler<'s> {
    fn part(&mut self, schema: &'s Schema) -> Result<Shape, String> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(format!("the schema has more than {MAX_PARTS} parts"));
        }
        if let Schema::Ref { name } = schema {
            if self.open.contains(&name) {
                return Err(format!("`{name}` contains itself; recursive schemas cannot be read"));
            }
            let found = *self.names.get(name).ok_or_else(|| format!("`{name}` is not defined"))?;
            return self.named(found);
        }
        if let Some(name) = schema.name() {
            self.names.insert(name, schema);
            return self.named(schema);
        }
        Ok(match schema {
            Schema::Null => Shape::Null,
            Schema::Boolean => Shape::Boolean,
            Schema::Int => Shape::Int,
            Schema::Long => Shape::Long,
            Schema::Float => Shape::Float,
            Schema::Double => Shape::Double,
            Schema::Bytes => Shape::Bytes,
            Schema::String => Shape::String,
            Schema::TimestampMicros => Shape::Time,
            Schema::Uuid(UuidSchema::String) => Shape::Uuid,
            Schema::Decimal(decimal) => decimal_shape(decimal),
            Schema::Array(array) => Shape::Array(self.items(&array.items, "array")?),
            // A map's keys take a byte each, so its values may take none.
            Schema::Map(map) => Shape::Map(Box::new(self.part(&map.types)?)),
            Schema::Union(union) => return self.union(union),
            other => return foreign(other),
        })
    }

    fn named(&mut self, schema: &'s Schema) -> Result<Shape, String> {
        let name = schema.name().ok_or("a reference to a type without a name")?;
        self.open.push(name);
        let shape = match schema {
            Schema::Record(record) => self.record(record),
            Schema::Enum(shape) => Ok(Shape::Enum(EnumShape {
                name: shape.name.name().to_owned(),
                symbols: shape.symbols.clone(),
                default: shape
                    .default
                    .as_ref()
                    .and_then(|default| shape.symbols.iter().position(|symbol| symbol == default)),
            })),
            Schema::Fixed(fixed) => Ok(Shape::Fixed(fixed.size)),
            Schema::Decimal(decimal) => Ok(decimal_shape(decimal)),
            other => foreign(other),
        };
        self.open.pop();
        shape
    }

    fn record(&mut self, record: &'s RecordSchema) -> Result<Shape, String> {
        let mut fields = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            let shape =
                self.part(&field.schema).map_err(|problem| format!("field `{}`: {problem}", field.name))?;
            fields.push(FieldShape {
                name: field.name.clone(),
                aliases: field.aliases.clone(),
                shape,
                default: field.default.clone(),
            });
        }
        Ok(Shape::Record(RecordShape { name: record.name.name().to_owned(), fields }))
    }

    fn items(&mut self, items: &'s Schema, what: &str) -> Result<Box<Shape>, String> {
        let shape = self.part(items)?;
        // Otherwise nine bytes could announce 2⁶³ items, and all would be there.
        if shape.least_bytes() == 0 {
            return Err(format!("an {what} of {}, which takes no bytes, has no bound", shape.describe()));
        }
        Ok(Box::new(shape))
    }

    fn union(&mut self, union: &'s UnionSchema) -> Result<Shape, String> {
        let mut branches = Vec::new();
        for branch in union.variants() {
            branches.push(self.part(branch)?);
        }
        match branches.as_slice() {
            [Shape::Null, some] => Ok(Shape::Option { null_first: true, some: Box::new(some.clone()) }),
            [some, Shape::Null] => Ok(Shape::Option { null_first: false, some: Box::new(some.clone()) }),
            _ => Ok(Shape::Union(branches)),
        }
    }
}

fn decimal_shape(decimal: &DecimalSchema) -> Shape {
    let ours = decimal.precision == PRECISION as usize && decimal.scale == SCALE as usize;
    match &decimal.inner {
        InnerDecimalSchema::Bytes if ours => Shape::Decimal,
        InnerDecimalSchema::Bytes => Shape::Foreign("another decimal", Box::new(Shape::Bytes)),
        InnerDecimalSchema::Fixed(fixed) => Shape::Foreign("decimal", Box::new(Shape::Fixed(fixed.size))),
    }
}

fn foreign(schema: &Schema) -> Result<Shape, String> {
    let (logical, base) = match schema {
        Schema::BigDecimal => ("big-decimal", Shape::Bytes),
        Schema::Uuid(UuidSchema::Bytes) => ("uuid", Shape::Bytes),
        Schema::Uuid(UuidSchema::Fixed(fixed)) => ("uuid", Shape::Fixed(fixed.size)),
        Schema::Date => ("date", Shape::Int),
        Schema::TimeMillis => ("time-millis", Shape::Int),
        Schema::TimeMicros => ("time-micros", Shape::Long),
        Schema::TimestampMillis => ("timestamp-millis", Shape::Long),
        Schema::TimestampNanos => ("timestamp-nanos", Shape::Long),
        Schema::LocalTimestampMillis => ("local-timestamp-millis", Shape::Long),
        Schema::LocalTimestampMicros => ("local-timestamp-micros", Shape::Long),
        Schema::LocalTimestampNanos => ("local-timestamp-nanos", Shape::Long),
        Schema::Duration(fixed) => ("duration", Shape::Fixed(fixed.size)),
        other => return Err(format!("{:?} cannot be read", apache_avro::schema::SchemaKind::from(other))),
    };
    Ok(Shape::Foreign(logical, Box::new(base)))
}
