//! What the load harness and the micro-benchmarks share: workloads, hosted workers, readings, tables.

pub mod desk;
pub mod figures;
pub mod hosted;
pub mod journals;
pub mod load;
pub mod open_transaction;
pub mod pace;
pub mod peer;
pub mod programs;
pub mod progress;
pub mod readings;
pub mod report;
pub mod samples;
pub mod stage;
pub mod workload;

/// Why a measurement could not be made.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
