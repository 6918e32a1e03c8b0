//! The events on the wire: their Avro schemas, Rust types, codec and the topic catalogue.
//!
//! A leaf: it depends on no other tapewatch crate and does no input or output.

pub mod amount;
pub mod catalogue;
pub mod checks;
pub mod codec;
pub mod digest;
pub mod events;
pub mod ids;
pub mod journal;
pub mod names;
pub mod partition;
pub mod released;
pub mod time;

pub use amount::Amount;
pub use checks::{Checks, Reason};
pub use codec::{Codec, DecodeError, EncodeError, FieldError, SchemaError};
pub use digest::Digest;
pub use events::{Derived, Event, EventKind, Unknown};
pub use ids::RecordId;
pub use names::*;
pub use time::Time;
