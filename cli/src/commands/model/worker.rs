//! The risk worker's own monitor, shown records that people give.

use std::time::Duration;

use tapewatch_monitors::{Monitor, Output, RiskMonitor, RiskParameters, Seen, TaskContext};
use tapewatch_schemas::events::{
    Cause, ExecReport, ExecType, Holdings, Liquidity, MarketData, OrderStatus, OrderType, RiskMetrics, Side,
};
use tapewatch_schemas::{Amount, Event, Symbol, Time, TopicName};

use super::question::Unanswered;

/// The one portfolio, its currency, and where its records come from.
const PORTFOLIO: &str = "book";
const CURRENCY: &str = "USD";
const SOURCE: &str = "calc";

/// Longer than any file is.
const FOREVER: Duration = Duration::from_secs(1 << 40);
/// A level comes so soon after a record.
const SOON: Duration = Duration::from_millis(1);
const HALF_A_DAY: Duration = Duration::from_secs(43_200);

/// A monitor of one portfolio that was seen from its first record. Nothing is too old for it.
pub(super) struct Worker {
    parameters: RiskParameters,
    monitor: RiskMonitor,
    clock: Time,
    sequence: i64,
    outputs: Vec<Output>,
    /// The latest whole book.
    book: Option<Holdings>,
}

impl Worker {
    /// With what these parameters say; no limits.
    pub(super) fn new(parameters: RiskParameters) -> Self {
        let mut parameters = RiskParameters { publish_interval: SOON, limits: Vec::new(), ..parameters };
        // A file may undo what it said long before, and no lots are joined for want of room.
        (parameters.bounds.executions, parameters.bounds.lots) = (usize::MAX, usize::MAX);
        let fresh = &mut parameters.freshness;
        (fresh.marks, fresh.executions, fresh.accounts) = (FOREVER, FOREVER, FOREVER);
        let monitor = RiskMonitor::new(parameters.clone(), TASK);
        Self { parameters, monitor, clock: Time::MIN, sequence: 0, outputs: Vec::new(), book: None }
    }

    /// Shows it a record that stands at a place; what is due before is run, as the worker does.
    pub(super) fn see(&mut self, place: &str, time: Time, event: Event) -> Result<(), Unanswered> {
        let refused = |why: String| Unanswered::Refused { place: place.into(), why };
        if time < self.clock {
            return Err(refused(
                "its time is before that of the record above it; expected them to rise".into(),
            ));
        }
        run(&mut self.monitor, time, &mut self.outputs);
        let event = at(event, time, self.sequence);
        let topic = TopicName::from(event.topic());
        let cause = Cause::Record { topic: topic.clone(), partition: 0, offset: self.sequence };
        let seen = Seen { event: &event, topic: &topic, partition: 0, cause: &cause, clock: time };
        self.monitor.observe(&seen, &mut self.outputs).map_err(|refusal| refused(refusal.to_string()))?;
        (self.clock, self.sequence) = (time, self.sequence + 1);
        for output in self.outputs.drain(..) {
            if let Event::Holdings(book) = output.event {
                self.book = Some(book);
            }
        }
        Ok(())
    }

    /// When the next record is, where it does not say it: a second after the one before.
    pub(super) fn next(&self) -> Time {
        if self.sequence == 0 { Time(0) } else { self.clock + Duration::from_secs(1) }
    }

    /// The figures as they are after the last record, before anything that is due then. Another monitor with the same state
    /// is asked, whose days begin otherwise, so that none ends meanwhile.
    pub(super) fn level(&self) -> Option<RiskMetrics> {
        let mut parameters = self.parameters.clone();
        let starts = (parameters.day.starts + HALF_A_DAY).as_secs() % 86_400;
        parameters.day.starts = Duration::from_secs(starts);
        let mut other = RiskMonitor::new(parameters, TASK);
        other.restore(&self.monitor.save()).ok()?;
        let mut outputs = Vec::new();
        run(&mut other, Time((self.clock + SOON + SOON).micros()), &mut outputs);
        outputs.into_iter().find_map(|output| match output.event {
            Event::RiskMetrics(metrics) => Some(metrics),
            _ => None,
        })
    }

    /// The latest whole book.
    pub(super) fn book(&self) -> Option<&Holdings> {
        self.book.as_ref()
    }
}

const TASK: TaskContext = TaskContext { partition: 0, opened_from_zero: true };

/// Runs what is due before an instant.
fn run(monitor: &mut RiskMonitor, until: Time, out: &mut Vec<Output>) {
    while let Some(due) = monitor.next_deadline().filter(|due| *due < until) {
        monitor.tick(due, out);
    }
}

/// A record with its time and number.
fn at(mut event: Event, time: Time, number: i64) -> Event {
    match &mut event {
        Event::MarketData(record) => (record.event_time, record.sequence) = (time, number),
        Event::ExecReport(record) => (record.event_time, record.sequence) = (time, number),
        Event::Account(record) => (record.event_time, record.sequence) = (time, number),
        _ => {}
    }
    event
}

/// A price of a symbol.
pub(super) fn mark(symbol: &Symbol, price: Amount) -> Event {
    Event::MarketData(MarketData {
        source: SOURCE.into(),
        sequence: 0,
        event_time: Time(0),
        symbol: symbol.clone(),
        currency: CURRENCY.into(),
        bid: None,
        ask: None,
        last: Some(price),
        bid_size: None,
        ask_size: None,
        volume: None,
        venue: None,
    })
}

/// What the account has, and what was paid in and out so far.
pub(super) fn account(equity: Amount, deposits: Amount, withdrawals: Amount) -> Event {
    Event::Account(tapewatch_schemas::events::Account {
        source: SOURCE.into(),
        sequence: 0,
        event_time: Time(0),
        portfolio: PORTFOLIO.into(),
        currency: CURRENCY.into(),
        cash: equity,
        equity,
        deposits,
        withdrawals,
    })
}

/// An execution report; what it fills, if it fills anything, is to be added.
pub(super) fn report(symbol: &str, exec_type: ExecType, side: Side, quantity: Amount) -> ExecReport {
    ExecReport {
        source: SOURCE.into(),
        sequence: 0,
        event_time: Time(0),
        portfolio: PORTFOLIO.into(),
        strategy: SOURCE.into(),
        symbol: symbol.into(),
        order_id: "order".into(),
        execution_id: "execution".into(),
        signal_id: None,
        reference_execution_id: None,
        exec_type,
        order_status: OrderStatus::PartiallyFilled,
        side,
        order_type: OrderType::Limit,
        order_quantity: quantity,
        limit_price: None,
        last_quantity: None,
        last_price: None,
        cumulative_quantity: Amount::ZERO,
        leaves_quantity: Amount::ZERO,
        average_price: None,
        currency: CURRENCY.into(),
        fee: None,
        fee_currency: None,
        liquidity: Liquidity::Unknown,
        venue: None,
        arrival_price: None,
        decision_time: None,
        sent_time: None,
        acknowledged_time: None,
        text: None,
    }
}
