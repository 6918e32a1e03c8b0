//! The worker runtime: tasks, merge, clock, rounds, journal, restore, replay; and the workers themselves.
//!
//! A worker is [`Worker`] over a log. A process runs it with [`run`]; the demo and tests turn it by hand
//! with [`Worker::run_to_end`].

pub mod audit;
pub mod breaker;
pub mod committer;
pub mod core;
pub mod feed;
pub mod injected;
pub mod inspect;
pub mod letters;
pub mod merge;
pub mod numerics;
pub mod outbox;
pub mod pending;
pub mod plan;
pub mod probe;
pub mod replay;
pub mod rerun;
pub mod restore;
pub mod scan;
pub mod snapshot;
pub mod stage;
pub mod task;
pub mod topics;
pub mod worker;
pub mod workers;

pub use worker::{Worker, WorkerError};
