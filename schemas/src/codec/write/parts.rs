//! Arrays, maps and records, part by part.

use serde::ser::{self, Serialize};

use super::{Misfit, Writer, put_long};
use crate::codec::shape::{RecordShape, Shape};

/// An array's or map's items: one block, then the empty one.
pub(crate) struct Items<'a> {
    shape: &'a Shape,
    left: usize,
    out: &'a mut Vec<u8>,
}

impl<'a> Items<'a> {
    pub(super) fn new(shape: &'a Shape, count: usize, out: &'a mut Vec<u8>) -> Self {
        if count > 0 {
            put_long(count as i64, out);
        }
        Self { shape, left: count, out }
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        self.left = self.left.checked_sub(1).ok_or_else(|| Misfit("more items than announced".into()))?;
        value.serialize(Writer { shape: self.shape, out: self.out })
    }

    fn finish(self) -> Result<(), Misfit> {
        if self.left > 0 {
            return Err(Misfit("fewer items than announced".into()));
        }
        self.out.push(0);
        Ok(())
    }
}

impl ser::SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = Misfit;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        self.item(value)
    }
    fn end(self) -> Result<(), Misfit> {
        self.finish()
    }
}

impl ser::SerializeMap for Items<'_> {
    type Ok = ();
    type Error = Misfit;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Misfit> {
        key.serialize(Writer { shape: &Shape::String, out: self.out })
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        self.item(value)
    }
    fn end(self) -> Result<(), Misfit> {
        self.finish()
    }
}

/// A record's fields, in the schema's order.
pub(crate) struct Fields<'a> {
    record: &'a RecordShape,
    next: usize,
    out: &'a mut Vec<u8>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(record: &'a RecordShape, out: &'a mut Vec<u8>) -> Self {
        Self { record, next: 0, out }
    }
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = Misfit;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Misfit> {
        match self.record.fields.get(self.next) {
            Some(field) if field.name == name => {
                self.next += 1;
                value
                    .serialize(Writer { shape: &field.shape, out: self.out })
                    .map_err(|misfit| Misfit(format!("{name}: {misfit}")))
            }
            _ => Err(Misfit(format!("`{name}` is not field {} of {}", self.next, self.record.name))),
        }
    }

    fn end(self) -> Result<(), Misfit> {
        if self.next == self.record.fields.len() {
            Ok(())
        } else {
            Err(Misfit(format!("{} has more fields than the value", self.record.name)))
        }
    }
}
