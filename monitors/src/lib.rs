//! The analytics: pure state machines over decoded events.
//!
//! No clock, no I/O, no threads, no hash-map order: the same calls give the same outputs, byte for byte.

pub mod alerting;
#[cfg(test)]
mod endurance;
pub mod kernels;
mod monitor;
pub mod risk;

pub use alerting::{AlertingMonitor, AlertingParameters};
pub use monitor::{Ages, Monitor, Output, Refusal, Seen, SourceChange, SourceSkip, StateError};
pub use risk::{RiskMonitor, RiskParameters, TaskContext};
