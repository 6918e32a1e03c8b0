//! Amounts on the wire: shortest two's complement, most significant byte first; in JSON a string.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Amount, AmountError};

impl Amount {
    /// Appends it as Avro writes it: a length, then the bytes.
    pub(crate) fn put_avro(self, out: &mut Vec<u8>) {
        let bytes = self.unscaled().to_be_bytes();
        let skip = redundant_sign_bytes(&bytes);
        // At most 16, which is one byte of zig-zag.
        out.push((16 - skip as u8) << 1);
        out.extend_from_slice(&bytes[skip..]);
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        let bytes = self.unscaled().to_be_bytes();
        serializer.serialize_bytes(&bytes[redundant_sign_bytes(&bytes)..])
    }
}

/// How many leading bytes only repeat the sign: Avro wants the shortest two's complement.
fn redundant_sign_bytes(bytes: &[u8; 16]) -> usize {
    // The bits that repeat the sign, less the one that must stay.
    let value = i128::from_be_bytes(*bytes);
    let repeated = if value < 0 { value.leading_ones() } else { value.leading_zeros() };
    (repeated as usize - 1) / 8
}

struct AmountVisitor;

impl<'de> de::Visitor<'de> for AmountVisitor {
    type Value = Amount;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal as a string (\"12.5\") or an integer")
    }
    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Amount, E> {
        if bytes.is_empty() || bytes.len() > 16 {
            return Err(E::custom(AmountError::Overflow));
        }
        let sign = if bytes[0] & 0x80 == 0 { 0x00 } else { 0xFF };
        let mut wide = [sign; 16];
        wide[16 - bytes.len()..].copy_from_slice(bytes);
        Amount::from_unscaled(i128::from_be_bytes(wide)).map_err(E::custom)
    }
    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Amount, E> {
        self.visit_bytes(&bytes)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
        text.parse().map_err(E::custom)
    }
    fn visit_i64<E: de::Error>(self, units: i64) -> Result<Amount, E> {
        Amount::new(Decimal::from(units)).map_err(E::custom)
    }
    fn visit_u64<E: de::Error>(self, units: u64) -> Result<Amount, E> {
        Amount::new(Decimal::from(units)).map_err(E::custom)
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Amount, A::Error> {
        let mut bytes = Vec::with_capacity(16);
        while let Some(byte) = seq.next_element()? {
            if bytes.len() == 16 {
                return Err(de::Error::custom(AmountError::Overflow));
            }
            bytes.push(byte);
        }
        self.visit_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(AmountVisitor)
        } else {
            deserializer.deserialize_bytes(AmountVisitor)
        }
    }
}
