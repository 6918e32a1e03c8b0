//! What the risk monitor finds on a played tape: the book's incidents and nothing else.
//!
//! The monitor is driven as a task would, one per partition, with a breaker that opens after ten records
//! in a row that cannot be decoded and closes after ten good ones.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::time::Duration;

use tapewatch_monitors::risk::{Freshness, RiskParameters};
use tapewatch_monitors::{
    AlertingMonitor, AlertingParameters, Monitor, Output, RiskMonitor, Seen, SourceChange, TaskContext,
};
use tapewatch_producers::{
    Body, Found, FoundAlert, Kind, Layout, Player, PlayerOptions, SliceRecord, Tape, Verdict,
};
use tapewatch_schemas::catalogue::{EXEC_REPORTS, HEARTBEATS, MARKET_DATA};
use tapewatch_schemas::events::{Cause, Event, LimitStatus, Unknown};
use tapewatch_schemas::{Time, TopicName};

/// What is still filling is no alert so long after the start.
const GRACE: i64 = 2 * 86_400_000_000;

struct Task {
    partition: i32,
    monitor: RiskMonitor,
    /// Takes its figures and books.
    alerting: AlertingMonitor,
    clock: Time,
    start: Time,
    bad: usize,
    good: usize,
    held: Vec<SliceRecord>,
    down: bool,
    alerts: Vec<FoundAlert>,
}

impl Task {
    fn new(partition: i32, start: Time) -> Self {
        let two_hours = Duration::from_secs(7200);
        let freshness = Freshness { marks: two_hours, executions: two_hours, accounts: two_hours };
        let parameters = RiskParameters { freshness, ..RiskParameters::default() };
        let monitor = RiskMonitor::new(parameters, TaskContext { partition, opened_from_zero: true });
        let (clock, held, alerts) = (Time::MIN, Vec::new(), Vec::new());
        let alerting = AlertingMonitor::new(AlertingParameters::default());
        Self { partition, monitor, alerting, clock, start, bad: 0, good: 0, held, down: false, alerts }
    }

    fn take(&mut self, record: &SliceRecord) {
        let broadcast = [MARKET_DATA, HEARTBEATS].contains(&record.topic);
        if !broadcast && record.partition != self.partition {
            return;
        }
        let poison = matches!(record.body, Body::Bytes(_));
        if record.topic == EXEC_REPORTS && (poison || self.down) {
            self.breaker(record, poison);
        } else if poison {
            self.health("dead_letters", record);
        } else {
            self.observe(record);
        }
    }

    fn breaker(&mut self, record: &SliceRecord, poison: bool) {
        if poison {
            (self.bad, self.good) = (self.bad + 1, 0);
            if self.bad == 10 {
                self.health("breaker_opened", record);
                self.change(true, record.published);
            }
            return;
        }
        self.held.push(record.clone());
        self.good += 1;
        if self.good == 10 {
            self.bad = 0;
            self.change(false, record.published);
            for record in std::mem::take(&mut self.held) {
                self.observe(&record);
            }
        }
    }

    fn change(&mut self, down: bool, clock: Time) {
        self.down = down;
        self.tick_until(clock);
        let cause = Cause::Injected { kind: "source", time: clock };
        let change =
            SourceChange { topic: EXEC_REPORTS.into(), partition: self.partition, down, clock, cause };
        let mut out = Vec::new();
        self.monitor.source(&change, &mut out);
        self.keep(&out);
    }

    fn tick_until(&mut self, clock: Time) {
        self.clock = self.clock.max(clock);
        while let Some(due) = self.monitor.next_deadline()
            && due <= self.clock
        {
            let mut out = Vec::new();
            self.monitor.tick(due, &mut out);
            self.keep(&out);
        }
    }

    fn observe(&mut self, record: &SliceRecord) {
        let Body::Event(event) = &record.body else { panic!("poison is no event") };
        self.tick_until(record.published);
        let topic = TopicName::from(record.topic);
        let cause = Cause::Injected { kind: "test", time: self.clock };
        let seen =
            Seen { event, topic: &topic, partition: record.partition, cause: &cause, clock: self.clock };
        let mut out = Vec::new();
        self.monitor.observe(&seen, &mut out).unwrap();
        self.keep(&out);
    }

    /// Every limit that came to stand other than well.
    fn keep(&mut self, out: &[Output]) {
        for output in out {
            self.contained(&output.event);
            let Event::RiskMetrics(metrics) = &output.event else { continue };
            for limit in metrics.limits.iter().filter(|limit| limit.previous.is_some()) {
                let status = match limit.status {
                    LimitStatus::Ok | LimitStatus::NotInForce => continue,
                    LimitStatus::Warning => Found::Warning,
                    LimitStatus::Breached => Found::Breached,
                    LimitStatus::Unknown => Found::Unknown(limit.unknown.unwrap()),
                };
                let filling = matches!(status, Found::Unknown(Unknown::Missing | Unknown::WarmingUp));
                if !(filling && metrics.event_time.since(self.start) < GRACE) {
                    self.alert(metrics.event_time, metrics.scope.to_string(), &limit.measure, status);
                }
            }
        }
    }

    /// Whether what is restricted trades.
    fn contained(&mut self, event: &Event) {
        let (topic, cause) =
            (TopicName::from(event.topic()), Cause::Injected { kind: "test", time: self.clock });
        let seen = Seen { event, topic: &topic, partition: self.partition, cause: &cause, clock: self.clock };
        let mut out = Vec::new();
        self.alerting.observe(&seen, &mut out).unwrap();
        for output in out {
            let Event::Alert(alert) = output.event else { continue };
            if alert.rule == "halt_broken" {
                self.alert(alert.event_time, alert.scope, &alert.rule, Found::Health);
            }
        }
    }

    fn health(&mut self, kind: &str, record: &SliceRecord) {
        let scope = format!("risk/{}/{}", record.partition, record.topic);
        self.alert(record.published, scope, kind, Found::Health);
    }

    fn alert(&mut self, time: Time, scope: String, subject: &str, status: Found) {
        let (rule, subject) = ("test".to_owned(), subject.to_owned());
        self.alerts.push(FoundAlert { time, rule, scope, subject, status });
    }
}

fn judged(seed: u64, bars: Option<usize>, incidents: bool, layout: Layout) -> (Verdict, Vec<FoundAlert>) {
    let options = PlayerOptions { seed, bars, incidents, layout, ..PlayerOptions::default() };
    let player = Player::new(options, &Tape::built_in().unwrap()).unwrap();
    let (book, start) = (player.incidents().clone(), player.start());
    let mut tasks: Vec<Task> =
        (0..layout.partitions as i32).map(|partition| Task::new(partition, start)).collect();
    for record in player.flat_map(|slice| slice.records) {
        for task in &mut tasks {
            task.take(&record);
        }
    }
    let alerts: Vec<FoundAlert> = tasks.into_iter().flat_map(|task| task.alerts).collect();
    (book.judge(&alerts), alerts)
}

#[test]
fn quiet_tapes_raise_nothing() {
    for seed in 0..6 {
        let (verdict, _) = judged(seed, Some(1000), false, Layout::default());
        assert_eq!(verdict.falsely_found, [], "seed {seed}");
    }
}

#[test]
fn incidents_are_found_and_nothing_else() {
    for seed in 0..6 {
        let layout =
            if seed % 2 == 0 { Layout::default() } else { Layout { partitions: 2, ..Layout::default() } };
        let (verdict, _) = judged(seed, Some(1000), true, layout);
        assert!(verdict.is_clean(), "seed {seed}: {verdict:#?}");
        let with_monitor = Kind::ALL.iter().filter(|kind| kind.monitor().is_some()).count();
        assert_eq!(verdict.found.len(), with_monitor);
    }
}
