//! The trait that both logs implement.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tapewatch_schemas::{Time, TopicName};

use crate::{Batch, CommitError, LogError, OutRecord, Round, TopicPartition};

/// A connection to a log. Shared by all the workers of a process.
pub trait Log: Send + Sync + fmt::Debug {
    /// The address that [`crate::open`] was given.
    fn address(&self) -> &str;

    /// Every topic, by name.
    fn topics(&self) -> Result<Vec<TopicInfo>, LogError>;

    /// Creates the topics that are not there. One that is there with another partition count is an error.
    fn create(&self, topics: &[TopicSpec]) -> Result<(), LogError>;

    /// The partition's earliest offset and its end as an uncommitted reader sees it: one past the last
    /// offset of any record or marker, open transactions included.
    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError>;

    /// The first offset whose publication time is at or after `time`; the end if there is none.
    fn offset_at(&self, at: &TopicPartition, time: Time) -> Result<i64, LogError>;

    /// The group's committed positions: the next offset to read; none where it never committed.
    fn group_offsets(&self, group: &str, of: &[TopicPartition]) -> Result<Vec<Option<i64>>, LogError>;

    /// A reader outside any group, of committed records only.
    fn reader(&self) -> Result<Box<dyn Reader>, LogError>;

    /// Joins a group. The member's assignment arrives as [`Polled::Assigned`].
    fn member(&self, group: &GroupSpec) -> Result<Box<dyn Member>, LogError>;

    /// A transactional writer. Opening it fences every earlier writer of the same id, and aborts what
    /// they left open.
    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError>;

    /// A publisher without transactions, idempotent, for inputs.
    fn publisher(&self) -> Result<Box<dyn Publisher>, LogError>;
}

/// A topic as it is on the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: TopicName,
    /// How many partitions.
    pub partitions: i32,
}

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: TopicName,
    /// How many partitions.
    pub partitions: i32,
    /// How many copies, on a log that keeps several.
    pub replication: i32,
    /// How long records are kept; forever if none.
    pub retention: Option<Duration>,
    /// True if only the last record of each key is kept.
    pub compacted: bool,
}

/// Where a partition begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset that is there.
    pub earliest: i64,
    /// One past the last offset.
    pub end: i64,
}

/// What a reader saw next.
#[derive(Clone, Debug)]
pub enum Polled {
    /// Records of one partition.
    Batch(Arc<Batch>),
    /// The partition is read to its end for now: every committed record below `position` was delivered.
    /// May come late or not at all while other partitions have data; [`Log::bounds`] is the sure way.
    End {
        /// The partition.
        at: TopicPartition,
        /// One past the last offset, markers included.
        position: i64,
    },
    /// (members only) These task numbers are now ours: partition p of every topic of the group. Nothing
    /// is delivered from them before [`Reader::assign`].
    Assigned(Vec<i32>),
    /// (members only) These task numbers are to be given up: finish or abort what is open, then call
    /// [`Member::release`]. The whole assignment is revoked at once.
    Revoked(Vec<i32>),
    /// (members only) These task numbers were taken away already: nothing may be written for them.
    Lost(Vec<i32>),
    /// Nothing within the wait.
    Idle,
}

/// Reads assigned partitions, committed records only, each partition in order.
pub trait Reader: Send {
    /// Waits at most `wait` for something. A member must call this well within its session timeout, also
    /// while all its partitions are paused.
    fn poll(&mut self, wait: Duration) -> Result<Polled, LogError>;

    /// Reads these partitions from these offsets, beside those already assigned; one that is already
    /// assigned moves there.
    fn assign(&mut self, starts: &[(TopicPartition, i64)]) -> Result<(), LogError>;

    /// No longer reads these. Nothing of them is delivered after this returns.
    fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError>;

    /// Stops delivering from these until [`Reader::resume`]. Nothing of them is delivered after this
    /// returns, and nothing is lost.
    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError>;

    /// Delivers from these again, from where they were.
    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError>;
}

/// A group to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSpec {
    /// The group's id.
    pub group: String,
    /// The member's stable name: the same name again takes the place of the earlier one.
    pub instance: String,
    /// The co-partitioned topics. Task p is partition p of each; all have the same partition count.
    pub topics: Vec<TopicName>,
    /// How long a silent member keeps its partitions.
    pub session: Duration,
}

/// A member of a group: reads the partitions that the group gives it, and proves its membership.
pub trait Member: Reader {
    /// Proof of the present membership, for [`Writer::commit`]. It is void after the next rebalance.
    fn fence(&self) -> Result<Fence, LogError>;

    /// Gives up the partitions of the last [`Polled::Revoked`] or [`Polled::Lost`].
    fn release(&mut self) -> Result<(), LogError>;

    /// Leaves the group. With a stable name this may keep the partitions reserved for the session
    /// timeout, so that a restart does not rebalance.
    fn leave(&mut self) -> Result<(), LogError>;
}

/// Proof of membership, opaque: each log has its own.
#[derive(Clone)]
pub struct Fence {
    /// The group it is of.
    pub group: String,
    /// What the log needs.
    pub token: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fence").field("group", &self.group).finish_non_exhaustive()
    }
}

/// What a commit wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The offset of each record of the round, in the round's order.
    pub offsets: Vec<i64>,
}

/// Writes rounds, each in one transaction.
pub trait Writer: Send {
    /// Writes the round whole: records, and the group's positions if there are any. It has been fsynced
    /// (or replicated) when this returns. A round with positions needs a fence.
    fn commit(&mut self, round: &Round, fence: Option<&Fence>) -> Result<Committed, CommitError>;

    /// After [`CommitError::Unknown`]: makes sure that nothing of the last transaction can still be
    /// written. Its outcome can be read in the log afterwards.
    fn recover(&mut self) -> Result<(), CommitError>;
}

/// Publishes records, each on its own, in order per partition.
pub trait Publisher: Send {
    /// Queues a record.
    ///
    /// # Errors
    /// [`LogError::Full`] if the bounded queue has no room; nothing was queued.
    fn send(&mut self, record: OutRecord) -> Result<(), LogError>;

    /// Waits until every queued record is acknowledged.
    ///
    /// # Errors
    /// Says how many were not, and the first failure.
    fn flush(&mut self, wait: Duration) -> Result<(), LogError>;
}
