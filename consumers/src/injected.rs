//! Injected events: whatever a task uses that is not in an input topic. One path, through the journal.

use serde::{Deserialize, Serialize};
use tapewatch_eventlog::TopicPartition;
use tapewatch_schemas::events::Cause;
use tapewatch_schemas::journal::InjectedEvent;
use tapewatch_schemas::{Time, TopicName};

/// One injected event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Injected {
    /// Where a task begins: its first journal record. No step's clock moves.
    Start(Start),
    /// A person moved the position of a partition.
    Seek(Seek),
    /// A deadline that the task stated is due.
    Tick(Time),
    /// The breaker of a source partition opened.
    SourceDown(SourceDown),
    /// The breaker of a source partition closed.
    SourceUp(SourceUp),
    /// Another task of the worker stopped, because its rounds cannot be written, and this one says so; or it runs
    /// again, here or in another instance.
    Neighbour(Neighbour),
    /// Every input has signalled that nothing more comes: the end of a tape.
    Closed(Time),
}

/// Body of [`Injected::Start`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The first offset of every input partition, by topic and partition.
    pub positions: Vec<(TopicName, i32, i64)>,
    /// True if every co-partitioned input is read from offset 0: books are open from their first event.
    pub from_zero: bool,
}

/// Body of [`Injected::Seek`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seek {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: i32,
    /// Position before.
    pub from: i64,
    /// Position after.
    pub to: i64,
    /// Who did it.
    pub who: String,
    /// Why.
    pub why: String,
    /// The latest event time among the records between; none if none of them can be decoded.
    #[serde(default)]
    pub through: Option<Time>,
    /// The task's clock.
    pub time: Time,
}

/// Body of [`Injected::SourceDown`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceDown {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: i32,
    /// The first offset that is not taken.
    pub offset: i64,
    /// Failures among the last calls.
    pub failures: u32,
    /// The calls that were looked at.
    pub calls: u32,
    /// The task's clock.
    pub time: Time,
}

/// Body of [`Injected::SourceUp`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceUp {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: i32,
    /// The first offset of the run before the good records.
    pub from: i64,
    /// One past the last record that was looked at: bad ones below it are listed in one range letter.
    pub to: i64,
    /// How many bad ones there are.
    pub bad: i64,
    /// The task's clock.
    pub time: Time,
    /// Who closed it by hand and why; none if the probe did.
    pub by: Option<(String, String)>,
}

/// Body of [`Injected::Neighbour`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Neighbour {
    /// The other task.
    pub partition: i32,
    /// Why it stopped; none if it was restored.
    pub stopped: Option<String>,
    /// The clock of the task that says so.
    pub time: Time,
}

impl Injected {
    /// The kind as it is journalled.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Start(_) => "start",
            Self::Seek(_) => "seek",
            Self::Tick(_) => "tick",
            Self::SourceDown(_) => "source_down",
            Self::SourceUp(_) => "source_up",
            Self::Neighbour(_) => "neighbour",
            Self::Closed(_) => "closed",
        }
    }

    /// The instant it is stamped with.
    pub fn time(&self) -> Time {
        match self {
            Self::Start(_) => Time::MIN,
            Self::Seek(body) => body.time,
            Self::Tick(time) | Self::Closed(time) => *time,
            Self::SourceDown(body) => body.time,
            Self::SourceUp(body) => body.time,
            Self::Neighbour(body) => body.time,
        }
    }

    /// What outputs name as their cause.
    pub fn cause(&self) -> Cause {
        Cause::Injected { kind: self.kind(), time: self.time() }
    }

    /// As it is journalled.
    pub fn to_journal(&self) -> InjectedEvent {
        let body = match self {
            Self::Start(body) => json(body),
            Self::Seek(body) => json(body),
            Self::SourceDown(body) => json(body),
            Self::SourceUp(body) => json(body),
            Self::Neighbour(body) => json(body),
            Self::Tick(_) | Self::Closed(_) => String::new(),
        };
        InjectedEvent { kind: self.kind().to_owned(), time: self.time(), body }
    }

    /// From the journal.
    ///
    /// # Errors
    /// Says which kind or body this release does not know.
    pub fn from_journal(event: &InjectedEvent) -> Result<Self, String> {
        fn body<'a, T: Deserialize<'a>>(event: &'a InjectedEvent) -> Result<T, String> {
            serde_json::from_str(&event.body)
                .map_err(|error| format!("injected event `{}`: {error}", event.kind))
        }
        Ok(match event.kind.as_str() {
            "start" => Self::Start(body(event)?),
            "seek" => Self::Seek(body(event)?),
            "tick" => Self::Tick(event.time),
            "source_down" => Self::SourceDown(body(event)?),
            "source_up" => Self::SourceUp(body(event)?),
            "neighbour" => Self::Neighbour(body(event)?),
            "closed" => Self::Closed(event.time),
            other => return Err(format!("injected event of an unknown kind `{other}`")),
        })
    }
}

impl SourceDown {
    /// The partition it is about.
    pub fn at(&self) -> TopicPartition {
        TopicPartition { topic: self.topic.clone(), partition: self.partition }
    }
}

impl SourceUp {
    /// The partition it is about.
    pub fn at(&self) -> TopicPartition {
        TopicPartition { topic: self.topic.clone(), partition: self.partition }
    }
}

fn json<T: Serialize>(body: &T) -> String {
    serde_json::to_string(body).expect("an injected event's body is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journalled_events_come_back() {
        for event in [
            Injected::Tick(Time(5)),
            Injected::Closed(Time(9)),
            Injected::Start(Start { positions: vec![("a".into(), 0, 7)], from_zero: false }),
            Injected::SourceDown(SourceDown {
                topic: "a".into(),
                partition: 1,
                offset: 4,
                failures: 5,
                calls: 10,
                time: Time(3),
            }),
            Injected::Neighbour(Neighbour { partition: 3, stopped: Some("full".into()), time: Time(4) }),
        ] {
            assert_eq!(Injected::from_journal(&event.to_journal()), Ok(event));
        }
        let unknown = InjectedEvent { kind: "later".into(), time: Time(0), body: String::new() };
        assert!(Injected::from_journal(&unknown).is_err());
    }
}
