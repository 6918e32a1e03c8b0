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
    BAR, Body, Found, FoundAlert, IncidentBook, Kind, Layout, Player, PlayerOptions, SliceRecord, Tape,
    Untimely, Verdict, Witness,
};
use tapewatch_schemas::catalogue::{EXEC_REPORTS, HEARTBEATS, MARKET_DATA};
use tapewatch_schemas::events::{AlertState, Cause, Event, LimitState, LimitStatus, Unknown};
use tapewatch_schemas::{RecordId, Time, TopicName};

/// What is still filling is no alert so long after the start.
const GRACE: i64 = 2 * 86_400_000_000;
/// How old inputs may be.
const TWO_HOURS: Duration = Duration::from_secs(7200);

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
    /// What it published.
    outputs: Vec<Event>,
}

impl Task {
    fn new(partition: i32, start: Time) -> Self {
        let freshness = Freshness { marks: TWO_HOURS, executions: TWO_HOURS, accounts: TWO_HOURS };
        let parameters = RiskParameters { freshness, ..RiskParameters::default() };
        let monitor = RiskMonitor::new(parameters, TaskContext { partition, opened_from_zero: true });
        let (clock, held, alerts) = (Time::MIN, Vec::new(), Vec::new());
        let alerting = AlertingMonitor::new(AlertingParameters::default());
        let (bad, good, down, outputs) = (0, 0, false, Vec::new());
        Self { partition, monitor, alerting, clock, start, bad, good, held, down, alerts, outputs }
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
            let mut event = output.event.clone();
            if let Event::RiskMetrics(metrics) = &mut event {
                // As the runtime does.
                metrics.id = RecordId::of_step("risk", self.partition, self.outputs.len() as u64, 0);
            }
            self.outputs.push(event.clone());
            let Event::RiskMetrics(metrics) = &event else { continue };
            for limit in metrics.limits.iter().filter(|limit| limit.previous.is_some()) {
                let status = match limit.status {
                    LimitStatus::Ok | LimitStatus::NotInForce => continue,
                    LimitStatus::Warning => Found::Warning,
                    LimitStatus::Breached => Found::Breached,
                    LimitStatus::Unknown => Found::Unknown(limit.unknown.unwrap()),
                };
                let filling = matches!(status, Found::Unknown(Unknown::Missing | Unknown::WarmingUp));
                if !(filling && metrics.event_time.since(self.start) < GRACE) {
                    self.alert(metrics.event_time, metrics.scope.to_string(), &limit.limit, status);
                    let alert = self.alerts.last_mut().unwrap();
                    (alert.value, alert.cause) = (limit.value, metrics.id.to_string());
                }
            }
        }
    }

    /// What is restricted, whether anybody acknowledges that, and whether it trades on.
    fn contained(&mut self, event: &Event) {
        while let Some(due) = self.alerting.next_deadline()
            && due <= self.clock
        {
            let mut out = Vec::new();
            self.alerting.tick(due, &mut out);
            self.keep_restrictions(out);
        }
        let (topic, cause) =
            (TopicName::from(event.topic()), Cause::Injected { kind: "test", time: self.clock });
        let seen = Seen { event, topic: &topic, partition: self.partition, cause: &cause, clock: self.clock };
        let mut out = Vec::new();
        self.alerting.observe(&seen, &mut out).unwrap();
        self.keep_restrictions(out);
    }

    fn keep_restrictions(&mut self, out: Vec<Output>) {
        for output in out {
            let Event::Alert(alert) = output.event else { continue };
            let of_halts = ["trading_restricted", "halt_unacknowledged", "halt_broken"];
            if of_halts.contains(&alert.rule.as_str()) && alert.state == AlertState::Firing {
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
        self.alerts.push(FoundAlert {
            time,
            rule,
            scope,
            subject,
            status,
            value: None,
            cause: String::new(),
            resolved: None,
        });
    }
}

/// What came of a tape, before it is judged.
#[derive(Clone)]
struct Run {
    book: IncidentBook,
    alerts: Vec<FoundAlert>,
    marks: Vec<(i32, Event)>,
    outputs: Vec<Event>,
}

impl Run {
    fn of(seed: u64, bars: Option<usize>, incidents: bool, layout: Layout) -> Self {
        let options = PlayerOptions { seed, bars, incidents, layout, ..PlayerOptions::default() };
        let player = Player::new(options, &Tape::built_in().unwrap()).unwrap();
        let (book, start) = (player.incidents().clone(), player.start());
        let mut tasks: Vec<Task> =
            (0..layout.partitions as i32).map(|partition| Task::new(partition, start)).collect();
        let mut marks = Vec::new();
        for record in player.flat_map(|slice| slice.records) {
            for task in &mut tasks {
                task.take(&record);
            }
            if record.topic == MARKET_DATA
                && let Body::Event(event) = record.body
            {
                marks.push((record.partition, *event));
            }
        }
        let mut outputs = Vec::new();
        let alerts = tasks.into_iter().flat_map(|task| {
            outputs.extend(task.outputs);
            task.alerts
        });
        let alerts = alerts.collect();
        Self { book, alerts, marks, outputs }
    }

    fn judged(&self) -> Verdict {
        let mut witness = Witness::default().telling(LimitStatus::Warning).telling(LimitStatus::Breached);
        for limit in &RiskParameters::default().limits {
            witness = witness.with_hysteresis(false, &limit.name, limit.hysteresis);
        }
        self.marks.iter().for_each(|(partition, mark)| witness.see(*partition, mark));
        self.outputs.iter().for_each(|output| witness.see(0, output));
        self.book.judge(&self.alerts, &witness, TWO_HOURS)
    }
}

#[test]
fn quiet_tapes_raise_nothing() {
    for seed in 0..6 {
        let verdict = Run::of(seed, Some(1000), false, Layout::default()).judged();
        assert_eq!((&verdict.falsely_found[..], &verdict.untold[..]), (&[][..], &[][..]), "seed {seed}");
    }
}

#[test]
fn incidents_are_found_and_nothing_else() {
    for seed in 0..6 {
        let layout =
            if seed % 2 == 0 { Layout::default() } else { Layout { partitions: 2, ..Layout::default() } };
        let verdict = Run::of(seed, Some(1000), true, layout).judged();
        assert!(verdict.is_clean(), "seed {seed}: {verdict:#?}");
        let with_monitor = Kind::ALL.iter().filter(|kind| kind.monitor().is_some()).count();
        assert_eq!(verdict.found.len(), with_monitor);
        let stopped = verdict.stopped.unwrap();
        assert!(stopped.rested.values().sum::<usize>() >= 5 && stopped.others >= 6, "{stopped:?}");
    }
}

/// The transition of a limit of the incident's portfolio that comes to stand, or no longer to stand, as `unknown (stale)`.
fn transition(run: &Run, turns: bool) -> (usize, usize) {
    let incident = run.book.incidents.iter().find(|one| one.kind == Kind::StoppedFeed).unwrap();
    let portfolio = incident.portfolio.as_ref().unwrap();
    let within = |time: Time| time >= incident.time && time.since(incident.until) <= BAR;
    let place = |(place, event): (usize, &Event)| {
        let Event::RiskMetrics(metrics) = event else { return None };
        let of = metrics.scope.as_str() == portfolio.as_str() && within(metrics.event_time);
        let moved = |limit: &LimitState| {
            limit.measure == "leverage"
                && limit.previous.is_some()
                && (limit.unknown == Some(Unknown::Stale)) == turns
        };
        metrics.limits.iter().position(|limit| of && moved(limit)).map(|limit| (place, limit))
    };
    run.outputs.iter().enumerate().find_map(place).unwrap()
}

#[test]
fn a_limit_that_does_not_turn_with_its_feed_is_missed() {
    let whole = Run::of(3, Some(1000), true, Layout::default());
    let run = || whole.clone();
    let missed = |run: &Run, what: &str| {
        let verdict = run.judged();
        assert!(verdict.missed.iter().any(|id| id.ends_with("stopped_feed")), "{verdict:?}");
        let untimely = verdict.stopped.unwrap().untimely;
        let said = |one: &Untimely| one.limit == "leverage" && one.what.contains(what);
        assert!(untimely.iter().any(said), "{what}: {untimely:?}");
    };
    let shifted = |turns: bool, by: i64, what: &str| {
        let mut run = run();
        let (place, limit) = transition(&run, turns);
        let Event::RiskMetrics(metrics) = &mut run.outputs[place] else { panic!() };
        metrics.limits = vec![metrics.limits[limit].clone()];
        metrics.event_time = Time(metrics.event_time.micros() + by);
        missed(&run, what);
    };
    shifted(true, 2 * BAR, "only; expected it by");
    shifted(true, -BAR, "before what it rests on was too old");
    shifted(false, 2 * BAR, "was known again at");
    shifted(false, -BAR, "before its feed was back");

    // It never turns: whatever says so is gone, and it goes on as it was.
    let mut silent = run();
    let (place, limit) = transition(&silent, true);
    let (back, _) = transition(&silent, false);
    let Event::RiskMetrics(first) = &silent.outputs[place] else { panic!() };
    let (scope, name) = (first.scope.clone(), first.limits[limit].limit.clone());
    for event in &mut silent.outputs[place..=back] {
        let Event::RiskMetrics(metrics) = event else { continue };
        if metrics.scope == scope {
            metrics.limits.retain(|limit| limit.limit != name);
        }
    }
    missed(&silent, "was never unknown");

    // It turns for another reason.
    let mut other = run();
    let (place, limit) = transition(&other, true);
    let Event::RiskMetrics(metrics) = &mut other.outputs[place] else { panic!() };
    metrics.limits[limit].unknown = Some(Unknown::Missing);
    missed(&other, "unknown (missing)");

    // What rests on nothing that stopped turns with it.
    let mut light = run();
    let (place, limit) = transition(&light, true);
    let Event::RiskMetrics(metrics) = &light.outputs[place] else { panic!() };
    assert_eq!(metrics.limits[limit].limit, "leverage");
    for event in &mut light.outputs {
        let Event::RiskMetrics(metrics) = event else { continue };
        let named = metrics.limits.iter_mut().filter(|one| one.limit == "leverage");
        named.for_each(|one| one.measure = "fees".to_owned());
    }
    missed(&light, "rests on nothing that had stopped");
}

/// Where the first alert stands that a correlation is over its soft bound, and the record that caused it.
fn warned(run: &Run) -> (usize, usize) {
    let of = |alert: &FoundAlert| alert.subject == "correlation" && alert.status == Found::Warning;
    let alert = run.alerts.iter().position(of).unwrap();
    (alert, caused(run, &run.alerts[alert].cause))
}

fn caused(run: &Run, cause: &str) -> usize {
    let is = |event: &Event| matches!(event, Event::RiskMetrics(metrics) if metrics.id.to_string() == cause);
    run.outputs.iter().position(is).unwrap()
}

#[test]
fn an_alert_on_the_market_is_judged_by_the_figure_that_it_quotes() {
    let whole = Run::of(2, Some(1000), false, Layout::default());
    let verdict = whole.judged();
    assert!(verdict.is_clean() && verdict.of_the_market > 0, "{verdict:?}");
    let (alert, record) = warned(&whole);
    let falsely = |planted: Run| {
        let verdict = planted.judged();
        assert!(!verdict.is_clean());
        verdict.falsely_found.len()
    };

    // Of a figure that is over no bound: a record of the same scope in which the limit is well.
    let mut planted = whole.clone();
    let scope = &whole.alerts[alert].scope;
    let well = |event: &&Event| {
        let Event::RiskMetrics(metrics) = event else { return false };
        let ok = |limit: &LimitState| limit.limit == "correlation" && limit.status == LimitStatus::Ok;
        metrics.scope.as_str() == scope && metrics.limits.iter().any(ok)
    };
    let Some(Event::RiskMetrics(well)) = whole.outputs.iter().find(well) else { panic!() };
    let cause = well.id.to_string();
    planted.alerts.push(FoundAlert { time: well.event_time, cause, ..whole.alerts[alert].clone() });
    assert_eq!(falsely(planted), 1);

    // Of another bound, with another figure, of no record, of a scope that is not there.
    for change in [
        (|alert: &mut FoundAlert| alert.status = Found::Breached) as fn(&mut FoundAlert),
        |alert| alert.value = alert.value.map(|value| value + 1e-9),
        |alert| alert.cause = RecordId::default().to_string(),
        |alert| alert.scope = "nobody".to_owned(),
    ] {
        let mut planted = whole.clone();
        let mut alert = planted.alerts[alert].clone();
        change(&mut alert);
        planted.alerts.push(alert);
        assert_eq!(falsely(planted), 1);
    }

    // What risk says of its limit is not believed where the figure says otherwise.
    let mut planted = whole.clone();
    let Event::RiskMetrics(metrics) = &mut planted.outputs[record] else { panic!() };
    let figure = metrics.measures.iter_mut().find(|measure| measure.name == "max_correlation").unwrap();
    figure.value = Some(0.79);
    assert!(falsely(planted) >= 1);

    // And nobody told of what is over its bound.
    let mut planted = whole.clone();
    let removed = planted.alerts.remove(alert);
    let verdict = planted.judged();
    assert!(verdict.falsely_found.is_empty() && verdict.untold.len() == 1, "{verdict:?}");
    let untold = &verdict.untold[0];
    assert_eq!(
        (untold.time, untold.scope.as_str(), &untold.limit),
        (removed.time, &*removed.scope, &removed.subject)
    );
}
