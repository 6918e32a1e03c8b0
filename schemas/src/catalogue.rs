//! Every topic: its name, key, writers, partitions, retention, compaction and who must be cut alike.

use std::time::Duration;

use crate::TopicName;

/// Marks. Key: symbol.
pub const MARKET_DATA: &str = "market.data.v1";
/// What strategies wanted. Key: portfolio.
pub const SIGNALS: &str = "signals.v1";
/// Order and fill reports. Key: portfolio.
pub const EXEC_REPORTS: &str = "exec.reports.v1";
/// What the trading system believes it holds. Key: portfolio.
pub const POSITIONS: &str = "positions.v1";
/// Money. Key: portfolio.
pub const ACCOUNTS: &str = "accounts.v1";
/// Signs of life. Key: source.
pub const HEARTBEATS: &str = "heartbeats.v1";
/// Risk figures and limit states. Key: scope.
pub const RISK_METRICS: &str = "risk.metrics.v1";
/// Whole books. Key: portfolio.
pub const HOLDINGS: &str = "holdings.v1";
/// Performance against targets. Key: portfolio.
pub const STRATEGY_PERFORMANCE: &str = "strategy.performance.v1";
/// Chains, breaks and reconciliation. Key: portfolio.
pub const CONSISTENCY: &str = "consistency.v1";
/// Drift tests. Key: portfolio.
pub const STRATEGY_DRIFT: &str = "strategy.drift.v1";
/// Health of the pipeline. Key: component.
pub const SYSTEM_HEALTH: &str = "system.health.v1";
/// Alerts. Key: fingerprint.
pub const ALERTS: &str = "alerts.v1";
/// Halts and resumptions. Key: scope.
pub const CONTROL: &str = "control.v1";
/// Requests to halt or resume, and acknowledgements. Key: scope.
pub const CONTROL_REQUESTS: &str = "control.requests.v1";
/// Which dead letters were sent back, by whom and why. No key.
pub const REDRIVES: &str = "journal.redrive.v1";

/// The worker that measures risk.
pub const RISK: &str = "risk";
/// The worker that measures the risk of strategies, desks and the firm.
pub const FIRM_RISK: &str = "firm-risk";
/// The worker that alerts, and holds the latch of every halt.
pub const ALERTING: &str = "alerting";

/// One topic of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name, version included.
    pub name: &'static str,
    /// What its keys are.
    pub key: Key,
    /// Who writes it, in words for people.
    pub written_by: &'static str,
    /// What is in it.
    pub what: &'static str,
    /// How many partitions it has.
    pub partitions: Partitions,
    /// How long its records are kept.
    pub retention: Retention,
    /// True if only the last record of each key is kept.
    pub compacted: bool,
    /// The topics that it is cut alike with; none if it is cut on its own.
    pub group: Option<Group>,
    /// True if a program of this release reads or writes it: only these are created.
    pub used: bool,
}

/// What a topic's keys are: raw UTF-8 bytes, unframed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A symbol.
    Symbol,
    /// A portfolio's id.
    Portfolio,
    /// The name of a source.
    Source,
    /// A portfolio's id, or `strategy:ID`, `desk:ID`, `firm:ID`.
    Scope,
    /// A component of the pipeline.
    Component,
    /// An alert's fingerprint.
    Fingerprint,
    /// As in the topic that it belongs to.
    AsSource,
    /// A snapshot's `slot/chunk`.
    SlotChunk,
    /// None: a task writes to the partition of its own number.
    None,
}

/// How many partitions a topic has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitions {
    /// As many as the co-partitioned inputs.
    AsInputs,
    /// Its own number, this one unless configured.
    Own(u32),
}

impl Partitions {
    /// The number, given that of the co-partitioned inputs.
    pub const fn count(self, inputs: u32) -> u32 {
        match self {
            Self::AsInputs => inputs,
            Self::Own(count) => count,
        }
    }
}

/// How long records are kept, by publication time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// As long as the configuration says.
    Configured,
    /// Five years: what an auditor may ask for.
    FiveYears,
    /// Forever: the topic is compacted, its size is bounded by its keys.
    Forever,
}

/// The retention of [`Retention::Configured`] topics where nothing is configured: seven days.
pub const DEFAULT_RETENTION: Duration = Duration::from_secs(7 * 86_400);
/// Five years, leap days included: 1,827 days cover any five.
pub const FIVE_YEARS: Duration = Duration::from_secs(1_827 * 86_400);

impl Retention {
    /// The span, given the configured one; none if forever.
    pub const fn span(self, configured: Duration) -> Option<Duration> {
        match self {
            Self::Configured => Some(configured),
            Self::FiveYears => Some(FIVE_YEARS),
            Self::Forever => None,
        }
    }
}

/// Topics that are cut alike: equal partition counts and the same partitioner, so that one task sees all
/// of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// What trading systems write per portfolio.
    Trading,
    /// What alerting reads: figures and states per scope, books per portfolio, health per component, requests per scope.
    Alerting,
}

const USER: &str = "user";

const fn input(name: &'static str, what: &'static str) -> Topic {
    Topic {
        name,
        key: Key::Portfolio,
        written_by: USER,
        what,
        partitions: Partitions::AsInputs,
        retention: Retention::Configured,
        compacted: false,
        group: Some(Group::Trading),
        used: true,
    }
}

const fn derived(name: &'static str, key: Key, by: &'static str, what: &'static str, used: bool) -> Topic {
    Topic { key, written_by: by, group: Some(Group::Alerting), used, ..input(name, what) }
}

/// Every topic with a fixed name. Those named after a worker or another topic are in [`Pattern`].
pub const TOPICS: [Topic; 16] = [
    Topic {
        key: Key::Symbol,
        partitions: Partitions::Own(4),
        group: None,
        ..input(MARKET_DATA, "bid, ask, last, depth at the touch, traded volume")
    },
    input(SIGNALS, "what the strategy wanted: side, target quantity, reference price, bar, features"),
    input(EXEC_REPORTS, "order and fill reports: status, quantities, prices, fees, ids of order and signal"),
    input(POSITIONS, "what the trading system believes it holds"),
    input(ACCOUNTS, "cash, equity, deposits and withdrawals"),
    Topic {
        key: Key::Source,
        written_by: "every source, the workers too",
        partitions: Partitions::Own(1),
        group: None,
        ..input(HEARTBEATS, "alive, and how far each partition is written")
    },
    derived(
        RISK_METRICS,
        Key::Scope,
        "risk, firm-risk",
        "VaR, ES, exposure, leverage, drawdown, limit states",
        true,
    ),
    derived(HOLDINGS, Key::Portfolio, RISK, "the whole book at each change and once a day", true),
    derived(
        STRATEGY_PERFORMANCE,
        Key::Portfolio,
        "performance",
        "returns, ratios and execution quality against targets",
        false,
    ),
    derived(
        CONSISTENCY,
        Key::Portfolio,
        "consistency",
        "per-link scores, breaks, reconciliation differences",
        false,
    ),
    derived(STRATEGY_DRIFT, Key::Portfolio, "drift", "test statistics, p-values, severity", false),
    derived(
        SYSTEM_HEALTH,
        Key::Component,
        "health, and every worker's runtime in its own transaction",
        "scores, lags, breakers, stopped tasks, dead-letter and late counts",
        true,
    ),
    Topic {
        partitions: Partitions::Own(1),
        retention: Retention::FiveYears,
        group: None,
        ..derived(ALERTS, Key::Fingerprint, ALERTING, "firing and resolved alerts", true)
    },
    Topic {
        partitions: Partitions::Own(1),
        retention: Retention::FiveYears,
        group: None,
        ..derived(CONTROL, Key::Scope, ALERTING, "halt, reduce-only, resume", true)
    },
    derived(
        CONTROL_REQUESTS,
        Key::Scope,
        "people (by the command line), trading systems",
        "requests to halt or resume; acknowledgements",
        true,
    ),
    Topic {
        key: Key::None,
        written_by: "people (by the command line)",
        partitions: Partitions::Own(1),
        retention: Retention::FiveYears,
        group: None,
        ..input(REDRIVES, "which dead letters were sent back, by whom and why, hash-chained")
    },
];

/// The topic of this name, if it has a fixed one.
pub fn topic(name: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.name == name)
}

/// A worker, and what it reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its name.
    pub name: &'static str,
    /// Its co-partitioned inputs, read as a member of its group: task p reads partition p of each. A worker that is one
    /// task has an input of one partition: whoever owns that is the one who runs.
    pub inputs: &'static [&'static str],
    /// What it reads in full, outside the group.
    pub broadcast: &'static [&'static str],
    /// What it writes, beside its journal, anchors, state and dead letters.
    pub outputs: &'static [&'static str],
}

impl Worker {
    /// How many tasks it has, as topics are cut: as many as its co-partitioned inputs have partitions.
    pub fn tasks(&self) -> Partitions {
        let first = self.inputs.first().and_then(|name| topic(name));
        first.map_or(Partitions::AsInputs, |topic| topic.partitions)
    }

    /// Everything it reads, but for what comes back from the dead letters of these.
    pub fn reads(&self) -> impl Iterator<Item = &'static str> {
        self.inputs.iter().chain(self.broadcast).copied()
    }

    /// Its co-partitioned inputs, and after them what comes back from their dead letters.
    pub fn own_inputs(&self) -> Vec<TopicName> {
        with_redrive(self.inputs)
    }

    /// What it reads in full, and after that what comes back from the dead letters of it.
    pub fn broadcast_inputs(&self) -> Vec<TopicName> {
        with_redrive(self.broadcast)
    }
}

/// The workers of this release, in the pipeline's order: a later one reads what an earlier one writes.
pub const WORKERS: [Worker; 3] = [
    Worker {
        name: RISK,
        inputs: &[EXEC_REPORTS, POSITIONS, ACCOUNTS],
        broadcast: &[MARKET_DATA, HEARTBEATS],
        outputs: &[RISK_METRICS, HOLDINGS, SYSTEM_HEALTH, HEARTBEATS],
    },
    Worker {
        name: FIRM_RISK,
        inputs: &[HEARTBEATS],
        broadcast: &[HOLDINGS, MARKET_DATA],
        outputs: &[RISK_METRICS, SYSTEM_HEALTH, HEARTBEATS],
    },
    Worker {
        name: ALERTING,
        inputs: &[RISK_METRICS, HOLDINGS, SYSTEM_HEALTH, CONTROL_REQUESTS],
        broadcast: &[HEARTBEATS],
        outputs: &[ALERTS, CONTROL, SYSTEM_HEALTH, HEARTBEATS],
    },
];

/// The worker of this name.
pub fn worker(name: &str) -> Option<&'static Worker> {
    WORKERS.iter().find(|worker| worker.name == name)
}

mod patterns;
mod plan;

pub use patterns::{
    Pattern, anchors_topic, dlq_topic, is_by_hand, is_redrive, journal_topic, redrive_topic, source_of,
    state_topic,
};
pub use plan::{TopicPlan, plan};

fn with_redrive(topics: &[&str]) -> Vec<TopicName> {
    let sources = topics.iter().map(|topic| TopicName::from(*topic));
    sources.chain(topics.iter().map(|topic| redrive_topic(topic))).collect()
}

/// A topic's name as the other rooms carry it.
fn named(text: String) -> TopicName {
    TopicName::from(text)
}

#[cfg(test)]
mod tests;
