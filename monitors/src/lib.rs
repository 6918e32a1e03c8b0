//! The analytics: pure state machines over decoded events.
//!
//! No clock, no I/O, no threads, no hash-map order: the same calls give the same outputs, byte for byte.

mod monitor;

pub use monitor::{Ages, Monitor, Output, Refusal, Seen, SourceChange, StateError};
