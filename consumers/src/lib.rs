//! The worker runtime: tasks, merge, clock, rounds, journal, restore, replay; and the workers themselves.
//!
//! A worker is [`Worker`] over a log. A process runs it with [`run`]; the demo and tests turn it by hand
//! with [`Worker::run_to_end`].

pub mod admin;
pub mod audit;
pub mod board;
pub mod breaker;
pub mod cloud_event;
pub mod committer;
pub mod core;
pub mod count;
pub mod exit;
pub mod feed;
pub mod hold;
pub mod injected;
pub mod inspect;
pub mod last_epoch;
pub mod letters;
pub mod merge;
pub mod metrics;
pub mod numerics;
pub mod occurrences;
pub mod outbox;
pub mod pending;
pub mod plan;
pub mod probe;
pub mod program;
pub mod redrive;
pub mod registry;
pub mod replay;
pub mod rerun;
pub mod restore;
pub mod run;
pub mod scan;
pub mod seek;
pub mod shutdown;
pub mod snapshot;
pub mod stage;
pub mod task;
pub mod telemetry;
pub mod timing;
pub mod topic_watch;
pub mod topics;
pub mod words;
pub mod worker;
pub mod workers;

pub use run::{Deps, run};
pub use shutdown::Shutdown;
pub use worker::{Hosting, Worker, WorkerError};
