//! The append-only log behind one narrow trait: partitions, groups, transactions, dead letters, journal.
//!
//! [`open`] gives a [`Log`] for `sqlite:PATH` or `kafka:HOST:PORT,…`. A worker uses four parts of it: a
//! [`Member`] of a group (its co-partitioned inputs), a [`Reader`] (broadcast topics, journal, state), a
//! [`Writer`] (one transaction a round) and the [`Log`] itself (topics and bounds).

mod batch;
pub mod dead_letter;
pub mod edge;
mod error;
pub mod faults;
mod kafka;
mod log;
mod open;
mod record;
pub mod registry;
pub mod sqlite;

pub use batch::{Batch, BatchBuilder, Headers, RecordRef};
pub use error::{CommitError, LogError};
pub use log::{
    Bounds, Committed, Fence, GroupSpec, Log, Member, Polled, Publisher, Reader, TopicInfo, TopicSpec, Writer,
};
pub use open::{Clock, OpenOptions, open};
pub use record::{OutRecord, Round, TopicPartition};
