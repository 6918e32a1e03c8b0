//! Bugs: a log whose writers or readers do one thing wrong, once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapewatch_consumers::outbox::FROM;
use tapewatch_eventlog::{
    Batch, BatchBuilder, Bounds, CommitError, Committed, Fence, GroupSpec, Log, LogError, Member, OutRecord,
    Polled, Publisher, Reader, Round, TopicInfo, TopicPartition, TopicSpec, Writer,
};
use tapewatch_schemas::Time;
use tapewatch_schemas::catalogue::{EXEC_REPORTS, is_redrive};

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A round's positions are not written, nor those of the rounds after it: one of them would make up for it.
    NoOffsets,
    /// An output is written twice.
    DoubledOutput,
    /// An output is not written.
    MissingOutput,
    /// Two outputs of one key change places.
    SwappedOutputs,
    /// A record is passed over.
    SkippedRecord,
    /// Two records of one key are taken in the wrong order.
    SwappedRecords,
    /// A dead letter is sent back twice.
    DoubledReturn,
    /// A dead letter that is named as sent back is not.
    MissingReturn,
    /// A transaction was left open: a partition has more than a committed reader sees.
    OpenTransaction,
}

/// A log with a bug that happens once, unless it says otherwise, when the chance comes for the `nth` time.
#[derive(Debug)]
pub struct BuggyLog {
    inner: Arc<dyn Log>,
    bug: Arc<Mutex<(Bug, u32)>>,
}

impl BuggyLog {
    pub fn new(inner: Arc<dyn Log>, bug: Bug, nth: u32) -> Self {
        Self { inner, bug: Arc::new(Mutex::new((bug, nth))) }
    }
}

struct Buggy<T: ?Sized> {
    bug: Arc<Mutex<(Bug, u32)>>,
    inner: Box<T>,
}

impl<T: ?Sized> Buggy<T> {
    /// Does the bug, if `chance` says that it can be done here and it is its turn.
    fn strike(&self, chance: impl FnOnce(Bug) -> bool) {
        let mut bug = self.bug.lock().unwrap();
        if bug.1 > 0 {
            let (kind, _) = *bug;
            let turn = bug.1 == 1;
            if turn && chance(kind) {
                bug.1 = 0;
            } else if !turn {
                bug.1 -= 1;
            }
        }
    }
}

fn spoil_round(bug: Bug, round: &mut Round) -> bool {
    let outputs: Vec<usize> =
        (0..round.records.len()).filter(|index| is_output(&round.records[*index])).collect();
    let returns: Vec<usize> =
        (0..round.records.len()).filter(|index| is_return(&round.records[*index])).collect();
    match bug {
        Bug::NoOffsets => {
            round.offsets.clear();
            false
        }
        Bug::DoubledOutput => outputs.first().is_some_and(|&index| {
            let again = round.records[index].clone();
            round.records.insert(index + 1, again);
            true
        }),
        Bug::MissingOutput => outputs.last().is_some_and(|&index| {
            round.records.remove(index);
            true
        }),
        Bug::SwappedOutputs => {
            let place = |record: &OutRecord| (record.target.clone(), record.key.clone());
            let pair = outputs.iter().enumerate().find_map(|(nth, &one)| {
                let other = outputs[nth + 1..]
                    .iter()
                    .find(|other| place(&round.records[**other]) == place(&round.records[one]));
                other.map(|&other| (one, other))
            });
            pair.is_some_and(|(one, other)| {
                round.records.swap(one, other);
                true
            })
        }
        Bug::DoubledReturn => returns.first().is_some_and(|&index| {
            let again = round.records[index].clone();
            round.records.insert(index + 1, again);
            true
        }),
        Bug::MissingReturn => returns.last().is_some_and(|&index| {
            round.records.remove(index);
            true
        }),
        _ => false,
    }
}

fn is_output(record: &OutRecord) -> bool {
    record.headers.iter().any(|(name, _)| name == FROM)
}

fn is_return(record: &OutRecord) -> bool {
    is_redrive(record.target.topic.as_str())
}

/// The batch without a record, or with two of one key in the wrong order; none if it has no such.
fn spoil_batch(bug: Bug, batch: &Batch) -> Option<Batch> {
    let mut order: Vec<usize> = (0..batch.len()).collect();
    match bug {
        Bug::SkippedRecord if batch.len() > 2 => {
            order.remove(1);
        }
        Bug::SwappedRecords if batch.source().topic.as_str() == EXEC_REPORTS => {
            let key = |index: usize| batch.record(index).key;
            let one =
                (0..batch.len()).find(|&one| (one + 1..batch.len()).any(|other| key(one) == key(other)))?;
            let other = (one + 1..batch.len()).find(|&other| key(one) == key(other))?;
            order.swap(one, other);
        }
        _ => return None,
    }
    let mut spoilt = BatchBuilder::new(batch.source().clone());
    for index in order {
        let record = batch.record(index);
        spoilt.push(record.offset, record.timestamp, record.key, record.value, |into| {
            into.extend_from_slice(record.headers.encoded());
        });
    }
    Some(spoilt.build())
}

impl Writer for Buggy<dyn Writer> {
    fn commit(&mut self, round: &Round, fence: Option<&Fence>) -> Result<Committed, CommitError> {
        let mut spoilt = round.clone();
        self.strike(|bug| spoil_round(bug, &mut spoilt));
        self.inner.commit(&spoilt, fence)
    }

    fn recover(&mut self) -> Result<(), CommitError> {
        self.inner.recover()
    }
}

macro_rules! reader {
    ($type:ty) => {
        impl Reader for Buggy<$type> {
            fn poll(&mut self, wait: Duration) -> Result<Polled, LogError> {
                let mut polled = self.inner.poll(wait)?;
                if let Polled::Batch(batch) = &mut polled {
                    self.strike(|bug| match spoil_batch(bug, batch) {
                        Some(spoilt) => {
                            *batch = Arc::new(spoilt);
                            true
                        }
                        None => false,
                    });
                }
                Ok(polled)
            }

            fn assign(&mut self, starts: &[(TopicPartition, i64)]) -> Result<(), LogError> {
                self.inner.assign(starts)
            }

            fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
                self.inner.unassign(partitions)
            }

            fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
                self.inner.pause(partitions)
            }

            fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
                self.inner.resume(partitions)
            }
        }
    };
}

reader!(dyn Member);

impl Member for Buggy<dyn Member> {
    fn fence(&self) -> Result<Fence, LogError> {
        self.inner.fence()
    }

    fn release(&mut self) -> Result<(), LogError> {
        self.inner.release()
    }

    fn leave(&mut self) -> Result<(), LogError> {
        self.inner.leave()
    }
}

impl Log for BuggyLog {
    fn address(&self) -> &str {
        self.inner.address()
    }

    fn topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        self.inner.topics()
    }

    fn create(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        self.inner.create(topics)
    }

    fn bounds(&self, at: &TopicPartition) -> Result<Bounds, LogError> {
        let mut bounds = self.inner.bounds(at)?;
        let open = self.bug.lock().unwrap().0 == Bug::OpenTransaction;
        bounds.end += i64::from(open && at.topic.as_str() == "alerts.v1");
        Ok(bounds)
    }

    fn offset_at(&self, at: &TopicPartition, time: Time) -> Result<i64, LogError> {
        self.inner.offset_at(at, time)
    }

    fn group_offsets(&self, group: &str, of: &[TopicPartition]) -> Result<Vec<Option<i64>>, LogError> {
        self.inner.group_offsets(group, of)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, LogError> {
        self.inner.reader()
    }

    fn member(&self, group: &GroupSpec) -> Result<Box<dyn Member>, LogError> {
        Ok(Box::new(Buggy { bug: Arc::clone(&self.bug), inner: self.inner.member(group)? }))
    }

    fn writer(&self, id: &str) -> Result<Box<dyn Writer>, LogError> {
        Ok(Box::new(Buggy { bug: Arc::clone(&self.bug), inner: self.inner.writer(id)? }))
    }

    fn publisher(&self) -> Result<Box<dyn Publisher>, LogError> {
        self.inner.publisher()
    }
}
