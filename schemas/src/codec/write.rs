//! From a Rust type to Avro's binary form, walking the schema beside it.

mod parts;

use std::fmt;

use serde::ser::{self, Impossible, Serialize, Serializer};

use super::shape::Shape;
use parts::{Fields, Items};

/// Appends a long: zig-zag, then seven bits a byte, the least first.
pub(crate) fn put_long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a length and that many bytes.
pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

/// A Rust value that is not of its schema's type. The crate's own tests keep the two together.
#[derive(Debug)]
pub(crate) struct Misfit(pub(crate) String);

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misfit {}

impl ser::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Writes one value of one shape.
pub(crate) struct Writer<'a> {
    pub(crate) shape: &'a Shape,
    pub(crate) out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    #[cold]
    fn misfit<T>(&self, what: &str) -> Result<T, Misfit> {
        Err(Misfit(format!("the schema says {}, the value is {what}", self.shape.describe())))
    }
}

macro_rules! refuse {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, _: $type) -> Result<(), Misfit> {
            self.misfit(stringify!($type))
        })*
    };
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = Misfit;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Impossible<(), Misfit>;
    type SerializeTupleStruct = Impossible<(), Misfit>;
    type SerializeTupleVariant = Impossible<(), Misfit>;
    type SerializeMap = Items<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Impossible<(), Misfit>;

    fn is_human_readable(&self) -> bool {
        false
    }

    refuse!(
        serialize_i8: i8, serialize_i16: i16, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64, serialize_f32: f32, serialize_char: char
    );

    fn serialize_bool(self, value: bool) -> Result<(), Misfit> {
        match self.shape {
            Shape::Boolean => self.out.push(u8::from(value)),
            _ => return self.misfit("bool"),
        }
        Ok(())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Misfit> {
        match self.shape {
            Shape::Int | Shape::Long => put_long(i64::from(value), self.out),
            _ => return self.misfit("i32"),
        }
        Ok(())
    }

    fn serialize_i64(self, value: i64) -> Result<(), Misfit> {
        match self.shape {
            Shape::Long | Shape::Time => put_long(value, self.out),
            _ => return self.misfit("i64"),
        }
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Misfit> {
        match self.shape {
            Shape::Double => self.out.extend_from_slice(&value.to_le_bytes()),
            _ => return self.misfit("f64"),
        }
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), Misfit> {
        match self.shape {
            Shape::String | Shape::Uuid => put_bytes(text.as_bytes(), self.out),
            _ => return self.misfit("str"),
        }
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Misfit> {
        match self.shape {
            Shape::Bytes | Shape::Decimal => put_bytes(bytes, self.out),
            _ => return self.misfit("bytes"),
        }
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Misfit> {
        match self.shape {
            Shape::Option { null_first, .. } => self.out.push(u8::from(!null_first) << 1),
            _ => return self.misfit("none"),
        }
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Misfit> {
        match self.shape {
            Shape::Option { null_first, some } => {
                self.out.push(u8::from(*null_first) << 1);
                value.serialize(Writer { shape: some, out: self.out })
            }
            _ => self.misfit("an option"),
        }
    }

    fn serialize_unit(self) -> Result<(), Misfit> {
        match self.shape {
            Shape::Null => Ok(()),
            _ => self.misfit("unit"),
        }
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Misfit> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, symbol: &'static str) -> Result<(), Misfit> {
        match self.shape {
            Shape::Enum(shape) if shape.symbols.get(index as usize).is_some_and(|known| known == symbol) => {
                put_long(i64::from(index), self.out);
                Ok(())
            }
            _ => self.misfit(symbol),
        }
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Misfit> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: &T,
    ) -> Result<(), Misfit> {
        self.misfit(variant)
    }

    fn serialize_seq(self, count: Option<usize>) -> Result<Items<'a>, Misfit> {
        match (self.shape, count) {
            (Shape::Array(items), Some(count)) => Ok(Items::new(items, count, self.out)),
            _ => self.misfit("a sequence"),
        }
    }

    fn serialize_map(self, count: Option<usize>) -> Result<Items<'a>, Misfit> {
        match (self.shape, count) {
            (Shape::Map(values), Some(count)) => Ok(Items::new(values, count, self.out)),
            _ => self.misfit("a map"),
        }
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Misfit> {
        self.misfit("a tuple")
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Misfit> {
        self.misfit(name)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Misfit> {
        self.misfit(variant)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields<'a>, Misfit> {
        match self.shape {
            Shape::Record(record) => Ok(Fields::new(record, self.out)),
            _ => self.misfit(name),
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Misfit> {
        self.misfit(variant)
    }
}
