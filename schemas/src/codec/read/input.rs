//! The bytes of a record, read one by one, and what can be wrong with them.

use std::fmt;

use serde::de;

use crate::codec::shape::Shape;

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
    pub(super) fn value(position: usize, problem: impl Into<String>) -> Self {
        Self::new(Wrong::Value(problem.into()), position)
    }

    /// Within a field that begins at `position`.
    #[cold]
    pub(super) fn within(mut self, name: &str, position: usize) -> Self {
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

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
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

    #[inline]
    pub(super) fn long(&mut self) -> Result<i64, Fault> {
        // Most lengths, branches and symbols take one byte.
        match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok(zigzag(u64::from(*byte)))
            }
            _ => self.long_of_many(),
        }
    }

    fn long_of_many(&mut self) -> Result<i64, Fault> {
        let start = self.at;
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(zigzag(value));
            }
        }
        Err(Fault::value(start, "an integer of more than 64 bits"))
    }

    pub(super) fn int(&mut self) -> Result<i32, Fault> {
        let start = self.at;
        let value = self.long()?;
        i32::try_from(value).map_err(|_| Fault::value(start, format!("{value} is not of 32 bits")))
    }

    fn length(&mut self) -> Result<usize, Fault> {
        let start = self.at;
        let length = self.long()?;
        usize::try_from(length).map_err(|_| Fault::value(start, format!("a length of {length}")))
    }

    pub(super) fn slice(&mut self) -> Result<&'de [u8], Fault> {
        let length = self.length()?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Result<&'de str, Fault> {
        let bytes = self.slice()?;
        std::str::from_utf8(bytes).map_err(|error| {
            Fault::value(self.at - bytes.len() + error.valid_up_to(), "text that is not UTF-8")
        })
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Fault> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Fault::value(self.at - 1, format!("{other} is neither true (1) nor false (0)"))),
        }
    }

    /// An index below `count`.
    pub(super) fn index(&mut self, count: usize, of: &str) -> Result<usize, Fault> {
        let start = self.at;
        let value = self.long()?;
        usize::try_from(value)
            .ok()
            .filter(|index| *index < count)
            .ok_or_else(|| Fault::value(start, format!("{of} {value} of {count}")))
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self, shape: &Shape) -> Result<(), Fault> {
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

/// 0, −1, 1, −2, … for 0, 1, 2, 3, …
fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// How much of an array or map is left.
#[derive(Default)]
pub(super) struct Blocks {
    left: usize,
    ended: bool,
}

impl Blocks {
    /// True if there is one more item.
    pub(super) fn next(&mut self, input: &mut Input<'_>) -> Result<bool, Fault> {
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
