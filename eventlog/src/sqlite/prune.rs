//! Deleting old records.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::job::Handle;
use super::store::Failed;
use crate::{LogError, TopicPartition};

/// Records deleted in one transaction, so that writers get their turn in between.
const STEP: i64 = 20_000;

/// The partitions of topics with a retention, and that in microseconds.
pub(super) fn retentions(conn: &Connection) -> rusqlite::Result<Vec<(TopicPartition, i64)>> {
    let mut statement = conn.prepare_cached(
        "SELECT t.name, p.partition, t.retention_us FROM partitions p JOIN topics t ON t.id = p.topic_id
         WHERE t.retention_us IS NOT NULL",
    )?;
    let rows = statement
        .query_map([], |row| Ok((TopicPartition::new(row.get::<_, String>(0)?, row.get(1)?), row.get(2)?)))?;
    rows.collect()
}

/// Deletes the records of a partition below an offset. Returns how many.
pub(super) fn below(handle: &Arc<Handle>, id: i64, before: i64) -> Result<u64, LogError> {
    let mut deleted = 0;
    loop {
        let step = handle.run(move |store| {
            let shared = Arc::clone(&store.shared);
            let doing = "pruning a partition";
            store.transact(doing, |conn, _| {
                step(conn, id, before).map_err(|error| shared.failure(doing, &error))
            })
        })?;
        let (gone, finished) = step.map_err(Failed::into_error)?;
        deleted += gone;
        if finished {
            return Ok(deleted);
        }
    }
}

/// One transaction of it: how many are gone, and whether these were the last.
fn step(conn: &Connection, id: i64, before: i64) -> rusqlite::Result<(u64, bool)> {
    let (earliest, next): (i64, i64) =
        conn.query_row("SELECT earliest, next FROM partitions WHERE id = ?1", [id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let last = before.min(next);
    let to = last.min(earliest.saturating_add(STEP));
    if to <= earliest {
        return Ok((0, true));
    }
    let range = params![id, to];
    let gone = conn.execute("DELETE FROM entries WHERE partition_id = ?1 AND offset < ?2", range)?;
    conn.execute("DELETE FROM compacted_keys WHERE partition_id = ?1 AND offset < ?2", range)?;
    // The newest mark below stays: it is where a seek into what is left begins.
    conn.execute(
        "DELETE FROM time_marks WHERE partition_id = ?1 AND offset <
         (SELECT max(offset) FROM time_marks WHERE partition_id = ?1 AND offset <= ?2)",
        range,
    )?;
    conn.execute("UPDATE partitions SET earliest = ?2 WHERE id = ?1", range)?;
    Ok((gone as u64, to == last))
}
