//! Topics: listing and creating.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use tapewatch_schemas::time::micros_of;

use super::store::{Failed, Store};
use crate::{LogError, TopicInfo, TopicSpec};

/// Every topic, by name.
pub(super) fn list(conn: &Connection) -> rusqlite::Result<Vec<TopicInfo>> {
    let mut statement = conn.prepare_cached("SELECT name, partitions FROM topics ORDER BY name")?;
    let rows = statement.query_map([], |row| {
        Ok(TopicInfo { name: row.get::<_, String>(0)?.into(), partitions: row.get(1)? })
    })?;
    rows.collect()
}

/// Creates those that are not there, all or none.
pub(super) fn create(store: &mut Store, topics: &[TopicSpec]) -> Result<(), LogError> {
    let shared = Arc::clone(&store.shared);
    let created = store.transact("creating topics", |conn, _| {
        for topic in topics {
            let doing = format!("creating the topic {}", topic.name);
            if topic.partitions < 1 {
                return Err(shared.backend(&doing, "a topic has one partition or more"));
            }
            let found = find(conn, topic).map_err(|error| shared.failure(&doing, &error))?;
            match found {
                Some(found) if found == topic.partitions => {}
                Some(found) => {
                    let why = format!("it is there with {found} partitions, not {}", topic.partitions);
                    return Err(shared.backend(&doing, why));
                }
                None => insert(conn, topic).map_err(|error| shared.failure(&doing, &error))?,
            }
        }
        Ok(())
    });
    created.map_err(Failed::into_error)?;
    store.learn()
}

fn find(conn: &Connection, topic: &TopicSpec) -> rusqlite::Result<Option<i32>> {
    conn.query_row("SELECT partitions FROM topics WHERE name = ?1", [topic.name.as_str()], |row| row.get(0))
        .optional()
}

fn insert(conn: &Connection, topic: &TopicSpec) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT INTO topics (name, partitions, compacted, retention_us) VALUES (?1, ?2, ?3, ?4)",
        params![topic.name.as_str(), topic.partitions, topic.compacted, topic.retention.map(micros_of)],
    )?;
    let id = conn.last_insert_rowid();
    for partition in 0..topic.partitions {
        conn.execute("INSERT INTO partitions (topic_id, partition) VALUES (?1, ?2)", params![id, partition])?;
    }
    Ok(())
}
