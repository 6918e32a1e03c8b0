//! Groups on the file: who is a member, which tasks it has, and since which generation.
//!
//! A change of members drains the group: every member gives its tasks up (one that does not within its
//! session is expired), then the next generation shares the tasks out anew, in ranges over the instance
//! names in order. Each step is a transaction of its own, made by whichever process comes first.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use tapewatch_schemas::{Time, time::micros_of};

use super::shared::Shared;
use super::stream::Stream;
use crate::{Fence, GroupSpec, LogError};

/// What members see of their group.
#[derive(Debug, Default)]
pub(super) struct GroupView {
    pub(super) generation: i64,
    pub(super) draining: bool,
    pub(super) members: HashMap<String, MemberView>,
}

/// What a group knows of a member.
#[derive(Debug)]
pub(super) struct MemberView {
    pub(super) incarnation: i64,
    pub(super) first_task: i32,
    pub(super) tasks: i32,
}

/// A member by its group, its instance name and its incarnation.
pub(super) type Who<'a> = (&'a str, &'a str, i64);

/// Proof of membership.
#[derive(Debug)]
pub(super) struct SqliteFence {
    pub(super) group: String,
    pub(super) instance: String,
    pub(super) incarnation: i64,
    pub(super) generation: i64,
}

impl SqliteFence {
    pub(super) fn of(fence: &Fence) -> Option<Arc<Self>> {
        Arc::clone(&fence.token).downcast().ok()
    }
}

/// All groups, for the members of this process.
pub(super) fn views(conn: &Connection) -> rusqlite::Result<HashMap<String, Arc<GroupView>>> {
    let mut views: HashMap<String, GroupView> = HashMap::new();
    let mut groups = conn.prepare_cached("SELECT id, generation, draining_us IS NOT NULL FROM groups")?;
    let mut rows = groups.query([])?;
    while let Some(row) = rows.next()? {
        let view = GroupView { generation: row.get(1)?, draining: row.get(2)?, members: HashMap::new() };
        views.insert(row.get(0)?, view);
    }
    let mut members =
        conn.prepare_cached("SELECT group_id, instance, incarnation, first_task, tasks FROM members")?;
    let mut rows = members.query([])?;
    while let Some(row) = rows.next()? {
        let member = MemberView { incarnation: row.get(2)?, first_task: row.get(3)?, tasks: row.get(4)? };
        if let Some(view) = views.get_mut(row.get_ref(0)?.as_str()?) {
            view.members.insert(row.get(1)?, member);
        }
    }
    Ok(views.into_iter().map(|(id, view)| (id, Arc::new(view))).collect())
}

/// Why a round with this fence may not be written; none if it may.
pub(super) fn fenced(
    conn: &Connection,
    fence: &SqliteFence,
    offsets: &[(Arc<Stream>, i64)],
) -> rusqlite::Result<Option<String>> {
    let found = conn
        .prepare_cached(
            "SELECT m.incarnation, g.generation, m.first_task, m.tasks, g.topics
             FROM members m JOIN groups g ON g.id = m.group_id WHERE m.group_id = ?1 AND m.instance = ?2",
        )?
        .query_row(params![fence.group, fence.instance], |row| {
            Ok((
                (row.get::<_, i64>(0)?, row.get::<_, i64>(1)?),
                (row.get::<_, i32>(2)?, row.get::<_, i32>(3)?),
                row.get::<_, String>(4)?,
            ))
        })
        .optional()?;
    let who = format!("{} in the group {}", fence.instance, fence.group);
    let Some((now, (first, tasks), topics)) = found else {
        return Ok(Some(format!("{who} is no member any more")));
    };
    if now != (fence.incarnation, fence.generation) {
        return Ok(Some(format!("{who} is of generation {}, the group is in {}", fence.generation, now.1)));
    }
    if tasks == 0 {
        return Ok(Some(format!("{who} has given its partitions up")));
    }
    let foreign = offsets.iter().map(|(stream, _)| &stream.at).find(|at| {
        !(first..first + tasks).contains(&at.partition)
            || !topics.split('\n').any(|topic| topic == at.topic.as_str())
    });
    Ok(foreign.map(|at| format!("{who} does not own {at}")))
}

/// Adds the member, or lets it take the place of the one with its name. Returns its incarnation.
pub(super) fn join(conn: &Connection, shared: &Shared, spec: &GroupSpec, now: Time) -> Result<i64, LogError> {
    let doing = format!("joining the group {} as {}", spec.group, spec.instance);
    let failed = |error: rusqlite::Error| shared.failure(&doing, &error);
    let tasks = task_count(conn, shared, spec, &doing)?;
    let names: Vec<&str> = spec.topics.iter().map(tapewatch_schemas::TopicName::as_str).collect();
    let topics = names.join("\n");
    expire(conn, &spec.group, now).map_err(failed)?;
    let others: Option<String> = conn
        .query_row(
            "SELECT topics FROM groups g WHERE id = ?1 AND topics <> ?3 AND EXISTS
             (SELECT 1 FROM members m WHERE m.group_id = g.id AND m.instance <> ?2)",
            params![spec.group, spec.instance, topics],
            |row| row.get(0),
        )
        .optional()
        .map_err(failed)?;
    if let Some(others) = others {
        let why = format!("its members read {}, not {}", others.replace('\n', ", "), names.join(", "));
        return Err(shared.backend(&doing, why));
    }
    add(conn, spec, tasks, &topics, now).map_err(failed)
}

fn add(conn: &Connection, spec: &GroupSpec, tasks: i32, topics: &str, now: Time) -> rusqlite::Result<i64> {
    let incarnation: i64 = conn.query_row(
        "INSERT INTO groups (id, generation, incarnations, tasks, topics) VALUES (?1, 0, 1, ?2, ?3)
         ON CONFLICT DO UPDATE SET incarnations = incarnations + 1, tasks = excluded.tasks,
             topics = excluded.topics RETURNING incarnations",
        params![spec.group, tasks, topics],
        |row| row.get(0),
    )?;
    let lease = (now + spec.session).micros();
    // A predecessor is fenced by its incarnation, so what it held needs no release: in a settled group
    // the successor has it at once, in a draining one it is free.
    let replaced = conn.execute(
        "UPDATE members SET incarnation = ?3, session_us = ?4, lease_us = ?5,
             tasks = iif((SELECT draining_us FROM groups WHERE id = ?1) IS NULL, tasks, 0)
         WHERE group_id = ?1 AND instance = ?2",
        params![spec.group, spec.instance, incarnation, micros_of(spec.session), lease],
    )?;
    if replaced == 0 {
        conn.execute(
            "INSERT INTO members (group_id, instance, incarnation, session_us, lease_us, first_task, tasks)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, 0)",
            params![spec.group, spec.instance, incarnation, micros_of(spec.session), lease],
        )?;
        drain(conn, &spec.group, now)?;
    }
    settle(conn, &spec.group)?;
    Ok(incarnation)
}

fn task_count(conn: &Connection, shared: &Shared, spec: &GroupSpec, doing: &str) -> Result<i32, LogError> {
    let mut first: Option<(&str, i32)> = None;
    for topic in &spec.topics {
        let found: Option<i32> = conn
            .query_row("SELECT partitions FROM topics WHERE name = ?1", [topic.as_str()], |row| row.get(0))
            .optional()
            .map_err(|error| shared.failure(doing, &error))?;
        let Some(count) = found else {
            return Err(LogError::NoTopic { topic: topic.to_string(), log: shared.place.address.clone() });
        };
        match first {
            Some((other, expected)) if expected != count => {
                let why = format!(
                    "its topics need the same number of partitions: {other} has {expected}, {topic} has \
                     {count}"
                );
                return Err(shared.backend(doing, why));
            }
            _ => first = Some((topic.as_str(), count)),
        }
    }
    first.map(|(_, count)| count).ok_or_else(|| shared.backend(doing, "a group reads one topic or more"))
}

/// Renews the member's lease and ends those of the silent. True if the group changed.
pub(super) fn beat(
    conn: &Connection,
    (group, instance, incarnation): Who<'_>,
    now: Time,
) -> rusqlite::Result<bool> {
    conn.prepare_cached(
        "UPDATE members SET lease_us = ?4 + session_us
         WHERE group_id = ?1 AND instance = ?2 AND incarnation = ?3",
    )?
    .execute(params![group, instance, incarnation, now.micros()])?;
    let expired = expire(conn, group, now)?;
    Ok(settle(conn, group)? || expired)
}

/// The member holds nothing any more, if the group is draining.
pub(super) fn release(
    conn: &Connection,
    (group, instance, incarnation): Who<'_>,
    now: Time,
) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE members SET tasks = 0 WHERE group_id = ?1 AND instance = ?2 AND incarnation = ?3
         AND (SELECT draining_us FROM groups WHERE id = ?1) IS NOT NULL",
        params![group, instance, incarnation],
    )?;
    expire(conn, group, now)?;
    settle(conn, group).map(|_| ())
}

/// The member goes.
pub(super) fn leave(
    conn: &Connection,
    (group, instance, incarnation): Who<'_>,
    now: Time,
) -> rusqlite::Result<()> {
    let gone = conn.execute(
        "DELETE FROM members WHERE group_id = ?1 AND instance = ?2 AND incarnation = ?3",
        params![group, instance, incarnation],
    )?;
    if gone > 0 {
        drain(conn, group, now)?;
    }
    settle(conn, group).map(|_| ())
}

/// Removes members whose lease has run out, and those that have kept their tasks for a session after they
/// were asked for them.
fn expire(conn: &Connection, group: &str, now: Time) -> rusqlite::Result<bool> {
    set_back(conn, group, now)?;
    let gone = conn
        .prepare_cached(
            "DELETE FROM members WHERE group_id = ?1 AND (lease_us < ?2 OR (tasks > 0 AND
             (SELECT draining_us FROM groups WHERE id = ?1) + session_us < ?2))",
        )?
        .execute(params![group, now.micros()])?;
    if gone > 0 {
        drain(conn, group, now)?;
    }
    Ok(gone > 0)
}

/// No lease is longer than a session, and no drain begins in the future: where one is, the clock was set back,
/// and the dead would keep their tasks until it is there again.
fn set_back(conn: &Connection, group: &str, now: Time) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE members SET lease_us = ?2 + session_us WHERE group_id = ?1 AND lease_us > ?2 + session_us",
    )?
    .execute(params![group, now.micros()])?;
    conn.prepare_cached("UPDATE groups SET draining_us = ?2 WHERE id = ?1 AND draining_us > ?2")?
        .execute(params![group, now.micros()])?;
    Ok(())
}

fn drain(conn: &Connection, group: &str, now: Time) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE groups SET draining_us = ?2 WHERE id = ?1 AND draining_us IS NULL",
        params![group, now.micros()],
    )?;
    Ok(())
}

/// Shares the tasks out if the group is drained. True if it was.
fn settle(conn: &Connection, group: &str) -> rusqlite::Result<bool> {
    let drained: Option<i32> = conn
        .prepare_cached(
            "SELECT tasks FROM groups g WHERE id = ?1 AND draining_us IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM members m WHERE m.group_id = g.id AND m.tasks > 0)",
        )?
        .query_row([group], |row| row.get(0))
        .optional()?;
    let Some(tasks) = drained else { return Ok(false) };
    let instances = conn
        .prepare("SELECT instance FROM members WHERE group_id = ?1 ORDER BY instance")?
        .query_map([group], |row| row.get::<_, String>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (instance, (first, count)) in instances.iter().zip(ranges(tasks, instances.len() as i32)) {
        conn.execute(
            "UPDATE members SET first_task = ?3, tasks = ?4 WHERE group_id = ?1 AND instance = ?2",
            params![group, instance, first, count],
        )?;
    }
    conn.execute("UPDATE groups SET generation = generation + 1, draining_us = NULL WHERE id = ?1", [group])?;
    Ok(true)
}

/// The first task and the number of tasks of each of `members`, as Kafka's range assignor gives them: the
/// first ones get one more if it does not divide.
fn ranges(tasks: i32, members: i32) -> impl Iterator<Item = (i32, i32)> {
    (0..members).map(move |member| {
        let (each, more) = (tasks / members, tasks % members);
        (member * each + member.min(more), each + i32::from(member < more))
    })
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn ranges_cover_every_task_once() {
        for tasks in 1..20 {
            for members in 1..25 {
                let mut next = 0;
                for (first, count) in ranges(tasks, members) {
                    assert_eq!(first, next);
                    next += count;
                }
                assert_eq!(next, tasks);
            }
        }
        assert_eq!(ranges(7, 3).collect::<Vec<_>>(), [(0, 3), (3, 2), (5, 2)]);
    }
}
