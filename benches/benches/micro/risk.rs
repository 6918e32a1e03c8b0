//! The risk monitor: what a fill costs in a portfolio of 50 symbols with 1,000 observations, and what a mark
//! costs by how many hold its symbol.

use std::time::Duration;

use criterion::{BatchSize, Criterion};
use tapewatch_benches::samples::{Trade, account, fill, mark, portfolio, symbol};
use tapewatch_benches::workload::{Mixed, SYMBOLS};
use tapewatch_monitors::risk::{
    Bounded, Confidence, Freshness, LimitParameters, Sampling, TailModel, WindowParameters, default_limits,
};
use tapewatch_monitors::{Monitor, Output, RiskMonitor, RiskParameters, Seen, TaskContext};
use tapewatch_schemas::events::Cause;
use tapewatch_schemas::{Event, Time, TopicName};

const OBSERVATIONS: usize = 1_000;

/// Fills and marks.
pub(crate) fn run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("risk");
    let plain = [TailModel::Historical];
    for (name, at_change, models) in [
        ("a fill", false, &plain[..]),
        ("a fill, whole book published", true, &plain),
        ("a fill, tails by all five models", false, &TailModel::ALL),
    ] {
        let mut desk = Desk::new(1, parameters(at_change, models));
        group.bench_function(name, |b| {
            // The fills are made, and dropped, outside of the measurement.
            let Desk { monitor, tape, out } = &mut desk;
            b.iter_batched(
                || tape.fill(0),
                |event| {
                    show(monitor, &event, out);
                    event
                },
                BatchSize::SmallInput,
            );
        });
    }
    for holders in [1, 10] {
        let mut desk = Desk::new(holders, parameters(false, &plain));
        group.bench_function(format!("a mark of a symbol with holders: {holders}"), |b| {
            let Desk { monitor, tape, out } = &mut desk;
            b.iter_batched(
                || tape.mark(0),
                |event| {
                    show(monitor, &event, out);
                    event
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Portfolios that hold every symbol, with full windows.
struct Desk {
    monitor: RiskMonitor,
    tape: Tape,
    out: Vec<Output>,
}

impl Desk {
    fn new(portfolios: usize, parameters: RiskParameters) -> Self {
        let task = TaskContext { partition: 0, opened_from_zero: true };
        let monitor = RiskMonitor::new(parameters, task);
        let mut desk = Self { monitor, tape: Tape::new(), out: Vec::new() };
        for owner in 0..portfolios {
            let event = desk.tape.account(owner);
            desk.show(&event);
        }
        for at in 0..SYMBOLS {
            let event = desk.tape.mark(at);
            desk.show(&event);
        }
        for owner in 0..portfolios {
            for _ in 0..OBSERVATIONS + SYMBOLS {
                let event = desk.tape.fill(owner);
                desk.show(&event);
            }
        }
        desk
    }

    fn show(&mut self, event: &Event) {
        show(&mut self.monitor, event, &mut self.out);
    }
}

/// Shows a record as the runtime does: the ticks that are due come first.
fn show(monitor: &mut RiskMonitor, event: &Event, out: &mut Vec<Output>) {
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
fn parameters(holdings_at_change: bool, models: &[TailModel]) -> RiskParameters {
    const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    let far = |name: &str, measure| LimitParameters::new(name, measure, Some(1e11), Some(1e12));
    let mut limits = default_limits();
    for limit in &mut limits {
        limit.hard = Some(1e12);
    }
    limits.extend([
        far("es_95", Bounded::ExpectedShortfall(TailModel::Historical, Confidence(9500))),
        far("es_99", Bounded::ExpectedShortfall(TailModel::Historical, Confidence(9900))),
        far("gross_exposure", Bounded::GrossExposure),
        far("largest_share", Bounded::LargestShare),
    ]);
    RiskParameters {
        holdings_at_change,
        window: WindowParameters {
            sampling: Sampling::EachFill,
            samples: OBSERVATIONS,
            models: models.to_vec(),
            ..WindowParameters::default()
        },
        freshness: Freshness { marks: YEARS, executions: YEARS, accounts: YEARS },
        limits,
        ..RiskParameters::default()
    }
}

/// Makes records, 10 ms apart: a level is due every 6,000th.
struct Tape {
    mixed: Mixed,
    time: Time,
    number: u64,
}

impl Tape {
    fn new() -> Self {
        Self { mixed: Mixed::new(5), time: Time(1_700_000_000_000_000), number: 0 }
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

    fn mark(&mut self, at: usize) -> Event {
        let (time, sequence) = self.next();
        let price = self.price(at);
        Event::MarketData(mark(&symbol(at), price, sequence, time))
    }

    /// A fill of the symbols in turn, so that all stay in the book.
    fn fill(&mut self, owner: usize) -> Event {
        let (time, sequence) = self.next();
        let at = self.number as usize % SYMBOLS;
        let price = self.price(at);
        Event::ExecReport(fill(&Trade {
            portfolio: &portfolio(owner),
            symbol: &symbol(at),
            buy: self.mixed.below(2) == 0,
            price,
            quantity: 100 + self.mixed.below(50) as i64,
            number: self.number,
            sequence,
            time,
        }))
    }
}
