//! A desk of portfolios in one task of the risk monitor, with full windows, and the records that move it.

use std::sync::Arc;
use std::time::Duration;

use tapewatch_monitors::kernels::Horizon;
use tapewatch_monitors::risk::{
    Bounded, Confidence, Freshness, HistoryParameters, LimitParameters, ReferencePrices, Sampling, TailModel,
    WindowLength, WindowParameters, default_limits,
};
use tapewatch_monitors::{Monitor, Output, RiskMonitor, RiskParameters, Seen, TaskContext};
use tapewatch_schemas::events::Cause;
use tapewatch_schemas::{Event, Time, TopicName};

use crate::samples::{Trade, account, fill, mark, portfolio, symbol};
use crate::workload::Mixed;

/// How large a desk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// How many portfolios.
    pub portfolios: usize,
    /// How many symbols each of them holds, the same ones.
    pub symbols: usize,
    /// Observations in each portfolio's window, and returns of each symbol.
    pub observations: usize,
}

/// Portfolios that hold every symbol, with full windows.
pub struct Desk {
    /// The monitor.
    pub monitor: RiskMonitor,
    /// What comes next.
    pub tape: Tape,
    /// What it published last.
    pub out: Vec<Output>,
}

impl Desk {
    /// One of this size.
    pub fn new(size: Size, parameters: RiskParameters) -> Self {
        let task = TaskContext { partition: 0, opened_from_zero: true };
        let monitor = RiskMonitor::new(parameters, task);
        let mut desk = Self { monitor, tape: Tape::new(size.symbols), out: Vec::new() };
        for owner in 0..size.portfolios {
            let event = desk.tape.account(owner);
            desk.show(&event);
        }
        for at in 0..size.symbols {
            let event = desk.tape.mark(at);
            desk.show(&event);
        }
        for owner in 0..size.portfolios {
            for _ in 0..size.observations + size.symbols {
                let event = desk.tape.fill(owner);
                desk.show(&event);
            }
        }
        desk
    }

    /// Shows it a record.
    pub fn show(&mut self, event: &Event) {
        show(&mut self.monitor, event, &mut self.out);
    }
}

/// Shows a record as the runtime does: the ticks that are due come first.
pub fn show(monitor: &mut RiskMonitor, event: &Event, out: &mut Vec<Output>) {
    out.clear();
    let clock = event.event_time();
    while let Some(due) = monitor.next_deadline().filter(|due| *due < clock) {
        monitor.tick(due, out);
    }
    let topic = TopicName::from(event.topic());
    let cause = Cause::Record { topic: topic.clone(), partition: 0, offset: 0 };
    let seen = Seen { event, topic: &topic, partition: 0, cause: &cause, clock };
    monitor.observe(&seen, out).expect("the tape is in order");
}

/// Every limit on every measure that costs something: value at risk and expected shortfall at both levels,
/// exposures, concentration, leverage, drawdown. A fill enters the window.
pub fn parameters(size: Size, holdings_at_change: bool, models: &[TailModel]) -> RiskParameters {
    const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    let far = |name: &str, measure| LimitParameters::new(name, measure, Some(1e11), Some(1e12));
    let mut limits = default_limits();
    for limit in &mut limits {
        limit.hard = Some(1e12);
    }
    limits.extend([
        far("es_95", Bounded::ExpectedShortfall(TailModel::Historical, Confidence(9500), Horizon::ONE)),
        far("es_99", Bounded::ExpectedShortfall(TailModel::Historical, Confidence(9900), Horizon::ONE)),
        far("gross_exposure", Bounded::GrossExposure),
        far("largest_share", Bounded::LargestShare),
    ]);
    let history = HistoryParameters {
        freshness: YEARS,
        window: WindowLength::Observations(size.observations),
        reference: Some(Arc::new(reference(size))),
        ..HistoryParameters::default()
    };
    RiskParameters {
        holdings_at_change,
        history,
        window: WindowParameters {
            sampling: Sampling::EachFill,
            length: WindowLength::Observations(size.observations),
            models: models.to_vec(),
            ..WindowParameters::default()
        },
        freshness: Freshness { marks: YEARS, executions: YEARS, accounts: YEARS },
        limits,
        ..RiskParameters::default()
    }
}

/// Prices that give every symbol as many returns as there are observations.
fn reference(size: Size) -> ReferencePrices {
    let mut mixed = Mixed::new(9);
    // They end as the tape begins.
    let instants =
        (0..=size.observations as i64).map(|nth| Time(BEGUN.0 - size.observations as i64 + nth)).collect();
    let mut prices = || (0..=size.observations).map(|_| Some(5_000.0 + mixed.below(101) as f64)).collect();
    let columns = (0..=size.symbols).map(|at| (symbol(at).as_str().into(), prices())).collect();
    ReferencePrices::new([0; 32], instants, columns)
}

/// The tape's first record is a little after it.
const BEGUN: Time = Time(1_700_000_000_000_000);

/// Makes records, 10 ms apart: a level is due every 6,000th.
pub struct Tape {
    mixed: Mixed,
    symbols: usize,
    time: Time,
    number: u64,
}

impl Tape {
    fn new(symbols: usize) -> Self {
        Self { mixed: Mixed::new(5), symbols, time: BEGUN, number: 0 }
    }

    fn next(&mut self) -> (Time, i64) {
        self.time = self.time + Duration::from_millis(10);
        self.number += 1;
        (self.time, self.number as i64)
    }

    fn price(&mut self, at: usize) -> i64 {
        5_000 + 100 * at as i64 + self.mixed.below(101) as i64 - 50
    }

    fn account(&mut self, owner: usize) -> Event {
        let (time, sequence) = self.next();
        Event::Account(account(&portfolio(owner), 10_000_000, sequence, time))
    }

    /// A mark of a symbol.
    pub fn mark(&mut self, at: usize) -> Event {
        let (time, sequence) = self.next();
        let price = self.price(at);
        Event::MarketData(mark(&symbol(at), price, sequence, time))
    }

    /// A fill of the symbols in turn, so that all stay in the book.
    pub fn fill(&mut self, owner: usize) -> Event {
        let at = (self.number + 1) as usize % self.symbols;
        let (buy, quantity) = (self.mixed.below(2) == 0, 100 + self.mixed.below(50) as i64);
        self.trade(owner, at, buy, quantity)
    }

    /// A fill of the one symbol that the book does not hold, and back.
    pub fn out_and_in(&mut self, owner: usize) -> Event {
        let buy = self.number.is_multiple_of(2);
        self.trade(owner, self.symbols, buy, 100)
    }

    fn trade(&mut self, owner: usize, at: usize, buy: bool, quantity: i64) -> Event {
        let (time, sequence) = self.next();
        let price = self.price(at);
        Event::ExecReport(fill(&Trade {
            portfolio: &portfolio(owner),
            symbol: &symbol(at),
            buy,
            price,
            quantity,
            number: self.number,
            sequence,
            time,
        }))
    }
}
