//! Rounds, each in one transaction.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use rusqlite::{Connection, OptionalExtension, params};

use super::group::SqliteFence;
use super::job::{Answer, Handle, Job, WriteJob};
use super::pending::Pending;
use crate::{CommitError, Committed, Fence, LogError, Round, Writer};

/// The [`Writer`] of the embedded log.
pub(super) struct SqliteWriter {
    handle: Arc<Handle>,
    id: String,
    epoch: i64,
}

impl SqliteWriter {
    /// Takes the id over from whoever had it.
    pub(super) fn open(handle: Arc<Handle>, id: &str) -> Result<Self, LogError> {
        let mine = id.to_owned();
        let epoch = handle.run(move |store| {
            let shared = Arc::clone(&store.shared);
            store.transact("opening a writer", |conn, _| {
                bump(conn, &mine).map_err(|error| shared.failure("opening a writer", &error))
            })
        })?;
        match epoch {
            Ok(epoch) => Ok(Self { handle, id: id.to_owned(), epoch }),
            Err(failed) => Err(failed.into_error()),
        }
    }

    fn prepare(&self, round: &Round, fence: Option<&Fence>) -> Result<Prepared, LogError> {
        let shared = &self.handle.shared;
        let mut pending = Pending::default();
        for record in &round.records {
            pending.push(shared, record)?;
        }
        let offsets = round.offsets.iter();
        let offsets =
            offsets.map(|(at, offset)| Ok((shared.stream(at)?, *offset))).collect::<Result<_, LogError>>()?;
        let fence = match fence {
            Some(fence) => Some(
                SqliteFence::of(fence)
                    .ok_or_else(|| shared.backend("committing a round", "the fence is another log's"))?,
            ),
            None if !round.offsets.is_empty() => {
                return Err(shared.backend("committing a round", "positions need a fence"));
            }
            None => None,
        };
        Ok(Prepared { pending, offsets, fence })
    }
}

struct Prepared {
    pending: Pending,
    offsets: Vec<(Arc<super::stream::Stream>, i64)>,
    fence: Option<Arc<SqliteFence>>,
}

impl Writer for SqliteWriter {
    fn commit(&mut self, round: &Round, fence: Option<&Fence>) -> Result<Committed, CommitError> {
        let Prepared { pending, offsets, fence } =
            self.prepare(round, fence).map_err(CommitError::Refused)?;
        let (reply, answer) = sync_channel(1);
        let job = WriteJob {
            pending,
            offsets,
            fence,
            writer: Some((self.id.clone(), self.epoch)),
            answer: Answer::Writer(reply),
        };
        self.handle.submit(Job::Write(Box::new(job))).map_err(CommitError::Aborted)?;
        answer.recv().unwrap_or_else(|_| Err(CommitError::Unknown(self.handle.stopped())))
    }

    /// A transaction whose fsync failed is not in the file, but its frames may still be in the
    /// write-ahead log and be found there after a crash. The next commit overwrites them: this one.
    fn recover(&mut self) -> Result<(), CommitError> {
        let (id, epoch) = (self.id.clone(), self.epoch);
        let bumped = self.handle.run(move |store| {
            let shared = Arc::clone(&store.shared);
            store.transact("recovering a writer", |conn, _| {
                let doing = |error| shared.failure("recovering a writer", &error);
                let found: Option<i64> = conn
                    .query_row("SELECT epoch FROM writers WHERE id = ?1", [&id], |row| row.get(0))
                    .optional()
                    .map_err(doing)?;
                if found == Some(epoch) { bump(conn, &id).map(Some).map_err(doing) } else { Ok(None) }
            })
        });
        match bumped.map_err(CommitError::Unknown)? {
            Ok(Some(epoch)) => {
                self.epoch = epoch;
                Ok(())
            }
            Ok(None) => {
                let why = format!("a newer writer has the id {}", self.id);
                Err(CommitError::Fenced(self.handle.shared.backend("recovering a writer", why)))
            }
            Err(failed) => Err(CommitError::Unknown(failed.into_error())),
        }
    }
}

fn bump(conn: &Connection, id: &str) -> rusqlite::Result<i64> {
    conn.query_row(
        "INSERT INTO writers (id, epoch) VALUES (?1, 1)
         ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
        params![id],
        |row| row.get(0),
    )
}
