//! From Avro's binary form to a Rust type, following a plan.
//!
//! Nothing is allocated by a length that the bytes announce: text and bytes are slices of the input, and an
//! announced count is at most the number of bytes that are left.

mod input;
pub(super) mod partial;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor, value::BorrowedStrDeserializer,
};
use serde::forward_to_deserialize_any;

use super::plan::{Branch, EnumPlan, Plan, RecordPlan, Step};
use input::Blocks;
pub(crate) use input::{Fault, Input, Place, Wrong};

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
    let start = input.position();
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
        let start = self.input.position();
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
                    let start = self.input.position();
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
        let start = self.input.position();
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
        let start = self.input.position();
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
        let start = self.input.position();
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
        let start = self.input.position();
        self.count += 1;
        let key = self.input.text().map_err(|fault| fault.within(&format!("[{}]", self.count - 1), start))?;
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let start = self.input.position();
        seed.deserialize(Reader { plan: self.plan, input: self.input })
            .map_err(|fault| fault.within(&format!("[{}]", self.count - 1), start))
    }
}
