//! From Avro's binary form to a Rust type, following a plan.
//!
//! Nothing is allocated by a length that the bytes announce: text and bytes are slices of the input, and an
//! announced count is at most the number of bytes that are left.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor, value::BorrowedStrDeserializer,
};
use serde::forward_to_deserialize_any;

use super::plan::{Branch, EnumPlan, Plan, RecordPlan, Step};
use super::shape::Shape;

/// Bytes, and how far they are read.
pub(crate) struct Input<'de> {
    bytes: &'de [u8],
    at: usize,
}

/// What is wrong with the bytes.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// They end too early.
    Truncated,
    /// What they say cannot be.
    Value(String),
}

/// What is wrong, and where.
#[derive(Debug)]
pub(crate) struct Fault(Box<Place>);

#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) wrong: Wrong,
    /// Bytes from the start of the body.
    pub(crate) position: Option<usize>,
    /// Field names, the innermost first.
    pub(crate) path: Vec<String>,
}

impl Fault {
    #[cold]
    fn new(wrong: Wrong, position: usize) -> Self {
        Self(Box::new(Place { wrong, position: Some(position), path: Vec::new() }))
    }

    #[cold]
    fn value(position: usize, problem: impl Into<String>) -> Self {
        Self::new(Wrong::Value(problem.into()), position)
    }

    /// Within a field that begins at `position`.
    #[cold]
    fn within(mut self, name: &str, position: usize) -> Self {
        self.0.position.get_or_insert(position);
        self.0.path.push(name.to_owned());
        self
    }

    /// Where it is.
    pub(crate) fn into_place(self) -> Place {
        *self.0
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.wrong {
            Wrong::Truncated => f.write_str("the bytes end too early"),
            Wrong::Value(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(Place { wrong: Wrong::Value(message.to_string()), position: None, path: Vec::new() }))
    }
}

impl<'de> Input<'de> {
    pub(crate) fn new(bytes: &'de [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes are read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are not.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, count: usize) -> Result<&'de [u8], Fault> {
        match self.bytes[self.at..].get(..count) {
            Some(taken) => {
                self.at += count;
                Ok(taken)
            }
            None => Err(Fault::new(Wrong::Truncated, self.bytes.len())),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("take gives as many bytes as asked for"))
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        match self.bytes.get(self.at) {
            Some(byte) => {
                self.at += 1;
                Ok(*byte)
            }
            None => Err(Fault::new(Wrong::Truncated, self.bytes.len())),
        }
    }

    fn long(&mut self) -> Result<i64, Fault> {
        let start = self.at;
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(Fault::value(start, "an integer of more than 64 bits"))
    }

    fn int(&mut self) -> Result<i32, Fault> {
        let start = self.at;
        let value = self.long()?;
        i32::try_from(value).map_err(|_| Fault::value(start, format!("{value} is not of 32 bits")))
    }

    fn length(&mut self) -> Result<usize, Fault> {
        let start = self.at;
        let length = self.long()?;
        usize::try_from(length).map_err(|_| Fault::value(start, format!("a length of {length}")))
    }

    fn slice(&mut self) -> Result<&'de [u8], Fault> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<&'de str, Fault> {
        let bytes = self.slice()?;
        std::str::from_utf8(bytes).map_err(|error| {
            Fault::value(self.at - bytes.len() + error.valid_up_to(), "text that is not UTF-8")
        })
    }

    fn boolean(&mut self) -> Result<bool, Fault> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Fault::value(self.at - 1, format!("{other} is neither true (1) nor false (0)"))),
        }
    }

    /// An index below `count`.
    fn index(&mut self, count: usize, of: &str) -> Result<usize, Fault> {
        let start = self.at;
        let value = self.long()?;
        usize::try_from(value)
            .ok()
            .filter(|index| *index < count)
            .ok_or_else(|| Fault::value(start, format!("{of} {value} of {count}")))
    }

    /// Passes over a value.
    fn skip(&mut self, shape: &Shape) -> Result<(), Fault> {
        match shape {
            Shape::Null => {}
            Shape::Boolean => drop(self.boolean()?),
            Shape::Int => drop(self.int()?),
            Shape::Long | Shape::Time => drop(self.long()?),
            Shape::Float => drop(self.take(4)?),
            Shape::Double => drop(self.take(8)?),
            Shape::Bytes | Shape::Decimal => drop(self.slice()?),
            Shape::String | Shape::Uuid => drop(self.text()?),
            Shape::Fixed(size) => drop(self.take(*size)?),
            Shape::Foreign(_, base) => self.skip(base)?,
            Shape::Enum(shape) => drop(self.index(shape.symbols.len(), "symbol")?),
            Shape::Array(items) => {
                let mut blocks = Blocks::default();
                while blocks.next(self)? {
                    self.skip(items)?;
                }
            }
            Shape::Map(values) => {
                let mut blocks = Blocks::default();
                while blocks.next(self)? {
                    self.text()?;
                    self.skip(values)?;
                }
            }
            Shape::Option { null_first, some } => {
                if (self.index(2, "branch")? == 0) != *null_first {
                    self.skip(some)?;
                }
            }
            Shape::Union(branches) => {
                let index = self.index(branches.len(), "branch")?;
                self.skip(&branches[index])?;
            }
            Shape::Record(record) => {
                for field in &record.fields {
                    let start = self.at;
                    self.skip(&field.shape).map_err(|fault| fault.within(&field.name, start))?;
                }
            }
        }
        Ok(())
    }
}

/// How much of an array or map is left.
#[derive(Default)]
struct Blocks {
    left: usize,
    ended: bool,
}

impl Blocks {
    /// True if there is one more item.
    fn next(&mut self, input: &mut Input<'_>) -> Result<bool, Fault> {
        if self.left == 0 && !self.ended {
            let start = input.at;
            let count = input.long()?;
            if count < 0 {
                // The block's size in bytes follows, for those who skip.
                input.length()?;
            }
            self.left = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            self.ended = count == 0;
            if self.left > input.left() {
                return Err(Fault::value(
                    start,
                    format!("{} items announced, {} bytes left", self.left, input.left()),
                ));
            }
        }
        let more = self.left > 0;
        self.left = self.left.saturating_sub(1);
        Ok(more)
    }
}

/// Reads one value by its plan.
///
/// The plan lives as long as the bytes, since defaults are read from it as if they were input.
pub(crate) struct Reader<'b, 'de> {
    pub(crate) plan: &'de Plan,
    pub(crate) input: &'b mut Input<'de>,
}

impl<'de> Deserializer<'de> for Reader<'_, 'de> {
    type Error = Fault;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Self { plan, input } = self;
        match plan {
            Plan::Null => visitor.visit_unit(),
            Plan::Boolean => visitor.visit_bool(input.boolean()?),
            Plan::Int => visitor.visit_i32(input.int()?),
            Plan::Long => visitor.visit_i64(input.long()?),
            Plan::Float => visitor.visit_f64(f64::from(f32::from_le_bytes(input.array()?))),
            Plan::Double => visitor.visit_f64(f64::from_le_bytes(input.array()?)),
            Plan::IntAsDouble => visitor.visit_f64(f64::from(input.int()?)),
            Plan::LongAsDouble => visitor.visit_f64(input.long()? as f64),
            Plan::Bytes => visitor.visit_borrowed_bytes(input.slice()?),
            Plan::Text => visitor.visit_borrowed_str(input.text()?),
            Plan::Enum(plan) => visitor.visit_enum(Symbol { plan, input }),
            Plan::Array(items) => {
                visitor.visit_seq(Items { plan: items, blocks: Blocks::default(), count: 0, input })
            }
            Plan::Map(values) => {
                visitor.visit_map(Items { plan: values, blocks: Blocks::default(), count: 0, input })
            }
            Plan::None => visitor.visit_none(),
            Plan::Some(plan) => visitor.visit_some(Reader { plan, input }),
            Plan::Option(branches) => match branch(branches, input)? {
                None => visitor.visit_none(),
                Some(plan) => visitor.visit_some(Reader { plan, input }),
            },
            Plan::Union(branches) => match branch(branches, input)? {
                None => visitor.visit_unit(),
                Some(plan) => Reader { plan, input }.deserialize_any(visitor),
            },
            Plan::Record(RecordPlan { exact: true, steps }) => {
                visitor.visit_seq(Exact { steps: steps.iter(), input })
            }
            Plan::Record(RecordPlan { steps, .. }) => {
                visitor.visit_map(Mapped { steps: steps.iter(), now: None, input })
            }
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The plan of the branch that is there; none for null.
fn branch<'a>(branches: &'a [Branch], input: &mut Input<'_>) -> Result<Option<&'a Plan>, Fault> {
    let start = input.at;
    match &branches[input.index(branches.len(), "branch")?] {
        Branch::Null => Ok(None),
        Branch::Value(plan) => Ok(Some(plan)),
        Branch::Refused(what) => {
            Err(Fault::value(start, format!("the writer wrote {what}, the reader has no place for it")))
        }
    }
}

/// A record whose fields are the reader's in the reader's order.
struct Exact<'b, 'de> {
    steps: std::slice::Iter<'de, Step>,
    input: &'b mut Input<'de>,
}

impl<'de> SeqAccess<'de> for Exact<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(Step::Read { name, plan, .. }) = self.steps.next() else { return Ok(None) };
        let start = self.input.at;
        match seed.deserialize(Reader { plan, input: self.input }) {
            Ok(value) => Ok(Some(value)),
            Err(fault) => Err(fault.within(name, start)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.steps.len())
    }
}

/// A record in the writer's order, what it lacks last. Fields are named by their number.
struct Mapped<'b, 'de> {
    steps: std::slice::Iter<'de, Step>,
    now: Option<&'de Step>,
    input: &'b mut Input<'de>,
}

impl<'de> MapAccess<'de> for Mapped<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        for step in self.steps.by_ref() {
            match step {
                Step::Skip { name, shape } => {
                    let start = self.input.at;
                    self.input.skip(shape).map_err(|fault| fault.within(name, start))?;
                }
                Step::Read { field, .. } | Step::Default { field, .. } => {
                    self.now = Some(step);
                    return seed.deserialize(field.into_deserializer()).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let start = self.input.at;
        match self.now.take() {
            Some(Step::Read { name, plan, .. }) => seed
                .deserialize(Reader { plan, input: self.input })
                .map_err(|fault| fault.within(name, start)),
            Some(Step::Default { name, bytes, plan, .. }) => {
                let mut input = Input::new(bytes);
                seed.deserialize(Reader { plan, input: &mut input })
                    .map_err(|fault| fault.within(name, start))
            }
            _ => Err(de::Error::custom("a value without its field")),
        }
    }
}

struct Symbol<'b, 'de> {
    plan: &'de EnumPlan,
    input: &'b mut Input<'de>,
}

impl<'de> EnumAccess<'de> for Symbol<'_, 'de> {
    type Error = Fault;
    type Variant = Unit;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Unit), Fault> {
        let start = self.input.at;
        let index = self.input.index(self.plan.symbols.len(), "symbol")?;
        match self.plan.symbols[index] {
            Some(symbol) => Ok((seed.deserialize(symbol.into_deserializer())?, Unit)),
            None => {
                Err(Fault::value(start, format!("the reader does not know `{}`", self.plan.names[index])))
            }
        }
    }
}

/// Enums of ours carry nothing.
struct Unit;

impl<'de> VariantAccess<'de> for Unit {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Fault> {
        Err(de::Error::custom("an Avro enum carries no value"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(de::Error::custom("an Avro enum carries no value"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Fault> {
        Err(de::Error::custom("an Avro enum carries no value"))
    }
}

struct Items<'b, 'de> {
    plan: &'de Plan,
    blocks: Blocks,
    count: usize,
    input: &'b mut Input<'de>,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        if !self.blocks.next(self.input)? {
            return Ok(None);
        }
        let start = self.input.at;
        self.count += 1;
        match seed.deserialize(Reader { plan: self.plan, input: self.input }) {
            Ok(value) => Ok(Some(value)),
            Err(fault) => Err(fault.within(&format!("[{}]", self.count - 1), start)),
        }
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        if !self.blocks.next(self.input)? {
            return Ok(None);
        }
        let start = self.input.at;
        self.count += 1;
        let key = self.input.text().map_err(|fault| fault.within(&format!("[{}]", self.count - 1), start))?;
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let start = self.input.at;
        seed.deserialize(Reader { plan: self.plan, input: self.input })
            .map_err(|fault| fault.within(&format!("[{}]", self.count - 1), start))
    }
}
