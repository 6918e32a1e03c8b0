//! Drives a monitor as the runtime does: ticks at each due deadline, then the record.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use tapewatch_monitors::{
    AlertingMonitor, AlertingParameters, Monitor, Output, Refusal, RiskMonitor, RiskParameters, Seen,
    SourceChange, SourceSkip, TaskContext,
};
use tapewatch_schemas::events::{
    Account, Cause, ExecReport, ExecType, Heartbeat, LimitState, Liquidity, MarketData, Measure, OrderStatus,
    OrderType, Position, PositionLine, Progress, RiskMetrics, Side, Unknown,
};
use tapewatch_schemas::{Amount, Event, RecordId, Time, TopicName};

/// The second `n` of the test, on a boundary of every interval.
pub(crate) fn at(second: i64) -> Time {
    Time::from_secs(1_700_006_400 + second)
}

pub(crate) struct Driver {
    monitor: Box<dyn Monitor>,
    fresh: Box<dyn Fn() -> Box<dyn Monitor>>,
    clock: Time,
    offset: i64,
    ids: u32,
    /// Everything published so far.
    pub(crate) outputs: Vec<Output>,
}

impl Driver {
    pub(crate) fn risk(parameters: RiskParameters, task: TaskContext) -> Self {
        Self::new(move || Box::new(RiskMonitor::new(parameters.clone(), task)))
    }

    pub(crate) fn alerting(parameters: AlertingParameters) -> Self {
        Self::new(move || Box::new(AlertingMonitor::new(parameters.clone())))
    }

    pub(crate) fn new(fresh: impl Fn() -> Box<dyn Monitor> + 'static) -> Self {
        Self {
            monitor: fresh(),
            fresh: Box::new(fresh),
            clock: Time::MIN,
            offset: 0,
            ids: 0,
            outputs: Vec::new(),
        }
    }

    /// Shows a record that happened at `second`, on time; what it and the ticks before it published.
    pub(crate) fn see(&mut self, second: i64, event: Event) -> Vec<Output> {
        self.see_at(second, stamped(event, at(second)))
    }

    /// The same; its sequence number.
    pub(crate) fn see_sequence(&mut self, second: i64, event: Event) -> i64 {
        self.see(second, event);
        self.offset - 1
    }

    /// Shows a record as it is at `second`.
    pub(crate) fn see_at(&mut self, second: i64, event: Event) -> Vec<Output> {
        self.try_see(second, event).unwrap()
    }

    /// Shows the record before once more, under its sequence number.
    pub(crate) fn see_again(&mut self, second: i64, event: Event) -> Vec<Output> {
        self.offset -= 1;
        self.see_at(second, event)
    }

    /// Shows a record that is refused, and checks that the refusal changed nothing.
    pub(crate) fn refused(&mut self, second: i64, event: Event) -> Refusal {
        self.run_to(second);
        let before = (self.save(), self.deadline());
        let refusal = self.try_see(second, stamped(event, at(second))).unwrap_err();
        assert_eq!((self.save(), self.deadline()), before, "a refused record changed the state");
        refusal
    }

    /// Shows a record that happened at `second`, before the ticks that are due at the same instant.
    pub(crate) fn see_first(&mut self, second: i64, event: Event) -> Vec<Output> {
        let out = self.run_before(at(second));
        self.take(second, stamped(event, at(second)), out).unwrap()
    }

    /// Shows a derived record at the instant that it is of, before the ticks that are due then.
    pub(crate) fn see_derived(&mut self, event: Event) -> Vec<Output> {
        let made = event.event_time();
        let out = self.run_before(made);
        self.take_at(made, event, out).unwrap()
    }

    pub(crate) fn try_see(&mut self, second: i64, event: Event) -> Result<Vec<Output>, Refusal> {
        let out = self.run_to(second);
        self.take(second, event, out)
    }

    fn take(&mut self, second: i64, event: Event, out: Vec<Output>) -> Result<Vec<Output>, Refusal> {
        self.take_at(at(second), event, out)
    }

    fn take_at(&mut self, now: Time, event: Event, mut out: Vec<Output>) -> Result<Vec<Output>, Refusal> {
        let clock = self.clock.max(now);
        let event = numbered(event, self.offset);
        let topic = TopicName::from(event.topic());
        let cause = match event.record_id() {
            Some(id) => Cause::Derived(id),
            None => Cause::Record { topic: topic.clone(), partition: 0, offset: self.offset },
        };
        let seen = Seen { event: &event, topic: &topic, partition: 0, cause: &cause, clock };
        let from = out.len();
        self.monitor.observe(&seen, &mut out)?;
        self.clock = clock;
        self.offset += 1;
        self.outputs.extend_from_slice(&out[from..]);
        Ok(out)
    }

    /// Runs every deadline up to `second`.
    pub(crate) fn run_to(&mut self, second: i64) -> Vec<Output> {
        self.run_before(Time(at(second).micros() + 1))
    }

    fn run_before(&mut self, end: Time) -> Vec<Output> {
        let mut out = Vec::new();
        while let Some(due) = self.monitor.next_deadline().filter(|due| *due < end) {
            self.monitor.tick(due, &mut out);
            let next = self.monitor.next_deadline();
            assert!(next.is_none_or(|next| next > due), "a tick at {due} left the deadline {next:?}");
            self.clock = self.clock.max(due);
        }
        self.outputs.extend_from_slice(&out);
        out
    }

    pub(crate) fn source(&mut self, topic: &str, down: bool) -> Vec<Output> {
        let mut out = Vec::new();
        let cause =
            Cause::Injected { kind: if down { "source_down" } else { "source_up" }, time: self.clock };
        let change =
            SourceChange { topic: TopicName::from(topic), partition: 0, down, clock: self.clock, cause };
        self.monitor.source(&change, &mut out);
        self.outputs.extend_from_slice(&out);
        out
    }

    /// Tells of skipped records, the latest of which happened at `through`.
    pub(crate) fn skip(&mut self, topic: &str, through: Option<i64>) -> Vec<Output> {
        let mut out = Vec::new();
        let (topic, clock) = (TopicName::from(topic), self.clock);
        let skip = SourceSkip { topic, partition: 0, through: through.map(at), clock };
        self.monitor.skipped(&skip, &mut out);
        self.outputs.extend_from_slice(&out);
        out
    }

    /// The next record's sequence number.
    pub(crate) fn offset(&self) -> i64 {
        self.offset
    }

    pub(crate) fn save(&self) -> Vec<u8> {
        self.monitor.save()
    }

    /// Puts back the state of another monitor.
    pub(crate) fn restore(&mut self, state: &[u8]) {
        self.monitor.restore(state).unwrap();
    }

    /// Goes on from a saved state in a new monitor.
    pub(crate) fn restart(&mut self) {
        let state = self.save();
        self.monitor = (self.fresh)();
        self.monitor.restore(&state).unwrap();
        assert_eq!(self.save(), state, "what was put back is saved as it was");
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.monitor.next_deadline()
    }

    /// The figures of a portfolio at its next level, which another monitor with the same state is asked
    /// for, so that this one is not moved.
    pub(crate) fn level(&mut self, portfolio: &str) -> Level {
        let mut other = (self.fresh)();
        other.restore(&self.save()).unwrap();
        let mut out = Vec::new();
        let until = Time(self.clock.micros() + 61_000_000);
        while let Some(due) = other.next_deadline().filter(|due| *due <= until) {
            other.tick(due, &mut out);
        }
        let earlier = self.outputs.iter().chain(&out).rev();
        let found = earlier.into_iter().find_map(|o| match &o.event {
            Event::RiskMetrics(m) if m.scope.as_str() == portfolio => Some(m.clone()),
            _ => None,
        });
        Level(found.expect("the portfolio has published"))
    }
}

/// One record of figures.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Level(pub(crate) RiskMetrics);

impl Level {
    fn measure(&self, name: &str) -> &Measure {
        self.0.measures.iter().find(|m| m.name == name).unwrap_or_else(|| panic!("no measure {name}"))
    }
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.measure(name).value
    }
    pub(crate) fn unknown(&self, name: &str) -> Option<Unknown> {
        self.measure(name).unknown
    }
    pub(crate) fn limit(&self, name: &str) -> &LimitState {
        self.0.limits.iter().find(|l| l.limit == name).unwrap_or_else(|| panic!("no limit {name}"))
    }
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.measures.retain(|m| m.name != name);
        self
    }
    pub(crate) fn measures(self) -> Vec<Measure> {
        self.0.measures
    }
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

pub(crate) fn mark(symbol: &str, bid: &str, ask: &str) -> Event {
    Event::MarketData(MarketData {
        source: "tape".into(),
        sequence: 0,
        event_time: Time(0),
        symbol: symbol.into(),
        currency: "USD".into(),
        bid: Some(amount(bid)),
        ask: Some(amount(ask)),
        last: None,
        bid_size: None,
        ask_size: None,
        volume: None,
        venue: None,
    })
}

pub(crate) fn account(portfolio: &str, cash: &str, equity: &str) -> Event {
    account_with(portfolio, cash, equity, "0", "0")
}

pub(crate) fn account_with(
    portfolio: &str,
    cash: &str,
    equity: &str,
    deposits: &str,
    withdrawals: &str,
) -> Event {
    Event::Account(Account {
        source: "oms".into(),
        sequence: 0,
        event_time: Time(0),
        portfolio: portfolio.into(),
        currency: "USD".into(),
        cash: amount(cash),
        equity: amount(equity),
        deposits: amount(deposits),
        withdrawals: amount(withdrawals),
    })
}

thread_local! {
    static NEXT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

fn next() -> String {
    NEXT.with(|n| {
        n.set(n.get() + 1);
        format!("e{}", n.get())
    })
}

pub(crate) fn fill(
    portfolio: &str,
    symbol: &str,
    side: Side,
    quantity: &str,
    price: &str,
    fee: &str,
) -> Event {
    Event::ExecReport(ExecReport {
        source: "oms".into(),
        sequence: 0,
        event_time: Time(0),
        portfolio: portfolio.into(),
        strategy: "dip".into(),
        symbol: symbol.into(),
        order_id: "o1".into(),
        execution_id: next().into(),
        signal_id: None,
        reference_execution_id: None,
        exec_type: ExecType::Fill,
        order_status: OrderStatus::PartiallyFilled,
        side,
        order_type: OrderType::Market,
        order_quantity: amount("1000000"),
        limit_price: None,
        last_quantity: Some(amount(quantity)),
        last_price: Some(amount(price)),
        cumulative_quantity: amount(quantity),
        leaves_quantity: amount("0"),
        average_price: None,
        currency: "USD".into(),
        fee: Some(amount(fee)),
        fee_currency: None,
        liquidity: Liquidity::Taker,
        venue: None,
        arrival_price: None,
        decision_time: None,
        sent_time: None,
        acknowledged_time: None,
        text: None,
    })
}

fn report(event: Event, change: impl FnOnce(&mut ExecReport)) -> Event {
    let Event::ExecReport(mut report) = event else { panic!("not an execution report") };
    change(&mut report);
    Event::ExecReport(report)
}

/// With this execution id.
pub(crate) fn execution(event: Event, id: i64) -> Event {
    report(event, |r| r.execution_id = format!("x{id}").into())
}

/// An order's report that fills nothing.
pub(crate) fn idle(portfolio: &str) -> Event {
    report(fill(portfolio, "A", Side::Buy, "1", "1", "0"), |r| {
        r.exec_type = ExecType::New;
        r.last_quantity = None;
        r.last_price = None;
    })
}

pub(crate) fn bust(of: &Event) -> Event {
    report(of.clone(), |r| {
        r.exec_type = ExecType::Bust;
        r.reference_execution_id = Some(r.execution_id.clone());
        r.execution_id = format!("{}-bust", r.execution_id).into();
    })
}

pub(crate) fn correct(of: &Event, quantity: &str, price: &str, fee: &str) -> Event {
    report(terms(of.clone(), quantity, price, fee), |r| {
        r.exec_type = ExecType::Correct;
        r.reference_execution_id = Some(r.execution_id.clone());
        r.execution_id = format!("{}-correct", r.execution_id).into();
    })
}

pub(crate) fn terms(event: Event, quantity: &str, price: &str, fee: &str) -> Event {
    report(event, |r| {
        r.last_quantity = Some(amount(quantity));
        r.last_price = Some(amount(price));
        r.fee = Some(amount(fee));
    })
}

pub(crate) fn in_currency(mut event: Event, currency: &str) -> Event {
    match &mut event {
        Event::MarketData(e) => e.currency = currency.into(),
        Event::ExecReport(e) => e.currency = currency.into(),
        Event::Position(e) => e.positions.iter_mut().for_each(|line| line.currency = currency.into()),
        _ => panic!("has no currency"),
    }
    event
}

fn positions(portfolio: &str, complete: bool, lines: &[(&str, &str, Option<&str>)]) -> Event {
    Event::Position(Position {
        source: "oms".into(),
        sequence: 0,
        event_time: Time(0),
        portfolio: portfolio.into(),
        complete,
        positions: lines
            .iter()
            .map(|(symbol, quantity, cost)| PositionLine {
                symbol: (*symbol).into(),
                quantity: amount(quantity),
                average_cost: cost.map(amount),
                currency: "USD".into(),
            })
            .collect(),
    })
}

pub(crate) fn complete(portfolio: &str, lines: &[(&str, &str, Option<&str>)]) -> Event {
    positions(portfolio, true, lines)
}

pub(crate) fn partial(portfolio: &str, lines: &[(&str, &str, Option<&str>)]) -> Event {
    positions(portfolio, false, lines)
}

/// A heartbeat of the source of marks.
pub(crate) fn beat(topic: &str, partition: i32, last_sequence: i64) -> Event {
    beat_of("tape", topic, partition, last_sequence)
}

pub(crate) fn beat_of(source: &str, topic: &str, partition: i32, last_sequence: i64) -> Event {
    Event::Heartbeat(Heartbeat {
        source: source.into(),
        sequence: 0,
        event_time: Time(0),
        progress: vec![Progress {
            topic: topic.into(),
            partition,
            last_sequence,
            complete_to: Time(0),
            closed: false,
        }],
    })
}

pub(crate) fn stamped(mut event: Event, time: Time) -> Event {
    match &mut event {
        Event::MarketData(e) => e.event_time = time,
        Event::Signal(e) => e.event_time = time,
        Event::ExecReport(e) => e.event_time = time,
        Event::Position(e) => e.event_time = time,
        Event::Account(e) => e.event_time = time,
        Event::Heartbeat(e) => e.event_time = time,
        Event::RiskMetrics(e) => e.event_time = time,
        Event::SystemHealth(e) => e.event_time = time,
        Event::ControlRequest(e) => e.event_time = time,
        Event::Holdings(e) => e.event_time = time,
        Event::Alert(_) | Event::Control(_) => {}
    }
    event
}

pub(crate) fn sequence(event: Event, sequence: i64) -> Event {
    numbered(event, sequence)
}

fn numbered(mut event: Event, sequence: i64) -> Event {
    let id = RecordId::of_step("test", 0, sequence as u64, 0);
    match &mut event {
        Event::MarketData(e) => e.sequence = sequence,
        Event::Signal(e) => e.sequence = sequence,
        Event::ExecReport(e) => e.sequence = sequence,
        Event::Position(e) => e.sequence = sequence,
        Event::Account(e) => e.sequence = sequence,
        Event::Heartbeat(e) => e.sequence = sequence,
        Event::RiskMetrics(e) => e.id = id,
        Event::SystemHealth(e) => e.id = id,
        Event::ControlRequest(e) => e.sequence = sequence,
        Event::Holdings(e) => e.id = id,
        Event::Alert(_) | Event::Control(_) => {}
    }
    event
}
