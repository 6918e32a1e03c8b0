//! The reference workloads: R (a whole desk) and E (execution reports alone).

use std::collections::BTreeMap;

use tapewatch_schemas::events::ExecReport;
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Codec, Event, Time};

use crate::samples::{self, Trade, account, cents, fill, mark, order, portfolio, signal, symbol};

/// How many symbols there are.
pub const SYMBOLS: usize = 50;

/// A small generator of numbers that only have to look mixed (Steele's SplitMix64).
#[derive(Clone, Debug)]
pub struct Mixed(u64);

impl Mixed {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// The next sequence number of each topic and partition: one source writes a topic here.
#[derive(Clone, Debug)]
struct Sequences {
    partitions: u32,
    next: BTreeMap<(&'static str, u32), i64>,
}

impl Sequences {
    fn take(&mut self, topic: &'static str, key: &str) -> i64 {
        let partition = Partitioner::Murmur2.assign(key.as_bytes(), self.partitions);
        let next = self.next.entry((topic, partition)).or_default();
        *next += 1;
        *next - 1
    }
}

/// Reference workload R: 100 portfolios × 10 of 50 symbols; 90 % marks, 8 % orders, 1 % fills, 1 % signals.
#[derive(Clone, Debug)]
pub struct Reference {
    mixed: Mixed,
    sequences: Sequences,
    prices: Vec<i64>,
    symbols: Vec<String>,
    portfolios: Vec<String>,
    /// Per portfolio and place in its book: true if the next fill buys.
    buys: Vec<[bool; 10]>,
    number: u64,
}

impl Reference {
    /// How many portfolios.
    pub const PORTFOLIOS: usize = 100;

    /// Its beginning, for topics of so many partitions.
    pub fn new(partitions: u32) -> Self {
        Self {
            mixed: Mixed(7),
            sequences: Sequences { partitions, next: BTreeMap::new() },
            prices: (0..SYMBOLS).map(|index| 5_000 + 100 * index as i64).collect(),
            symbols: (0..SYMBOLS).map(symbol).collect(),
            portfolios: (0..Self::PORTFOLIOS).map(portfolio).collect(),
            buys: vec![[true; 10]; Self::PORTFOLIOS],
            number: 0,
        }
    }

    /// An account record a portfolio, to begin with.
    pub fn accounts(&mut self, time: Time) -> Vec<Event> {
        let sequences = &mut self.sequences;
        let one =
            |id: &String| Event::Account(account(id, 1_000_000, sequences.take("accounts.v1", id), time));
        self.portfolios.iter().map(one).collect()
    }

    /// An order a portfolio, to end with: each task then has a record of its own after all marks.
    pub fn last_orders(&mut self, time: Time) -> Vec<Event> {
        (0..Self::PORTFOLIOS).map(|index| Event::ExecReport(order(&self.trade(index, 0, time)))).collect()
    }

    /// The next event.
    pub fn next(&mut self, time: Time) -> Event {
        let kind = self.mixed.below(100);
        if kind < 90 {
            let at = self.mixed.below(SYMBOLS);
            let step = self.mixed.below(3) as i64 - 1;
            self.prices[at] = (self.prices[at] + step).max(1_000);
            let name = &self.symbols[at];
            let sequence = self.sequences.take("market.data.v1", name);
            return Event::MarketData(mark(name, self.prices[at], sequence, time));
        }
        let (owner, place) = (self.mixed.below(Self::PORTFOLIOS), self.mixed.below(10));
        match kind {
            90..98 => Event::ExecReport(order(&self.trade(owner, place, time))),
            98 => {
                let report = fill(&self.trade(owner, place, time));
                self.buys[owner][place] ^= true;
                Event::ExecReport(report)
            }
            _ => {
                let sequence = self.sequences.take("signals.v1", &self.portfolios[owner]);
                let trade = Trade { sequence, ..self.unnumbered(owner, place, time) };
                Event::Signal(signal(&trade))
            }
        }
    }

    fn trade(&mut self, owner: usize, place: usize, time: Time) -> Trade<'_> {
        self.number += 1;
        let sequence = self.sequences.take("exec.reports.v1", &self.portfolios[owner]);
        Trade { sequence, ..self.unnumbered(owner, place, time) }
    }

    fn unnumbered(&self, owner: usize, place: usize, time: Time) -> Trade<'_> {
        let at = (owner * 7 + place * 5) % SYMBOLS;
        Trade {
            portfolio: &self.portfolios[owner],
            symbol: &self.symbols[at],
            buy: self.buys[owner][place],
            price: self.prices[at],
            quantity: 1_000 + 100 * place as i64,
            number: self.number,
            sequence: 0,
            time,
        }
    }
}

/// Job E: execution reports of 276 B, 60 portfolios, 50 symbols, 70 % fills.
#[derive(Clone, Debug)]
pub struct Executions {
    mixed: Mixed,
    sequences: Sequences,
    symbols: Vec<String>,
    portfolios: Vec<String>,
    prices: Vec<i64>,
    number: u64,
    codec: std::sync::Arc<Codec>,
}

impl Executions {
    /// How many portfolios.
    pub const PORTFOLIOS: usize = 60;
    /// Bytes of each record's value.
    pub const BYTES: usize = 276;

    /// Its beginning, for topics of so many partitions.
    pub fn new(partitions: u32, codec: std::sync::Arc<Codec>) -> Self {
        Self {
            mixed: Mixed(11),
            sequences: Sequences { partitions, next: BTreeMap::new() },
            symbols: (0..SYMBOLS).map(symbol).collect(),
            portfolios: (0..Self::PORTFOLIOS).map(portfolio).collect(),
            prices: (0..SYMBOLS).map(|index| 5_000 + 100 * index as i64).collect(),
            number: 0,
            codec,
        }
    }

    /// A mark a symbol, to begin with: profit and loss is unknown without.
    pub fn marks(&mut self, time: Time) -> Vec<Event> {
        let sequences = &mut self.sequences;
        let one = |(name, price): (&String, &i64)| {
            Event::MarketData(mark(name, *price, sequences.take("market.data.v1", name), time))
        };
        self.symbols.iter().zip(&self.prices).map(one).collect()
    }

    /// The next report, and whether it is a fill.
    pub fn next(&mut self, time: Time) -> (Event, bool) {
        let (owner, at) = (self.mixed.below(Self::PORTFOLIOS), self.mixed.below(SYMBOLS));
        let is_fill = self.mixed.below(10) < 7;
        self.number += 1;
        let trade = Trade {
            portfolio: &self.portfolios[owner],
            symbol: &self.symbols[at],
            buy: self.mixed.below(2) == 0,
            price: self.prices[at] + self.mixed.below(21) as i64 - 10,
            quantity: 100,
            number: self.number,
            sequence: self.sequences.take("exec.reports.v1", &self.portfolios[owner]),
            time,
        };
        let report = if is_fill { fill(&trade) } else { order(&trade) };
        (self.padded(report), is_fill)
    }

    /// The report, brought to [`Self::BYTES`] by its text.
    fn padded(&self, mut report: ExecReport) -> Event {
        let mut bytes = Vec::with_capacity(Self::BYTES);
        report.text = Some(String::new());
        let event = Event::ExecReport(report);
        self.codec.encode(&event, &mut bytes).expect("a sample fits its schema");
        let Event::ExecReport(mut report) = event else { unreachable!("it was made one above") };
        let missing = Self::BYTES.saturating_sub(bytes.len());
        // Above 63 B the text's length takes a second byte.
        let missing = missing - usize::from(missing > 64);
        report.text = Some("x".repeat(missing));
        Event::ExecReport(report)
    }
}

/// A fill that takes a portfolio's only position over its limit, or back to flat.
pub fn breach(probe: usize, buy: bool, number: u64, sequence: i64, time: Time) -> Event {
    let (portfolio, symbol) = (format!("probe-{probe:02}"), samples::symbol(0));
    let trade = Trade {
        portfolio: &portfolio,
        symbol: &symbol,
        buy,
        price: 5_000,
        quantity: 500_000,
        number,
        sequence,
        time,
    };
    let mut report = fill(&trade);
    report.source = "probe".into();
    report.fee = Some(cents(0));
    Event::ExecReport(report)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn bytes(codec: &Codec, event: &Event) -> usize {
        let mut out = Vec::new();
        codec.encode(event, &mut out).unwrap();
        out.len()
    }

    #[test]
    fn the_reference_workload_is_as_it_is_described() {
        let codec = Codec::new(&[]).unwrap();
        let mut reference = Reference::new(12);
        let mut counts = BTreeMap::new();
        let mut size = 0;
        for _ in 0..10_000 {
            let event = reference.next(Time(1_700_000_000_000_000));
            size += bytes(&codec, &event);
            let fill = matches!(&event, Event::ExecReport(e) if e.last_price.is_some());
            *counts.entry((event.topic(), fill)).or_insert(0) += 1;
        }
        let share = |topic, fill| f64::from(counts[&(topic, fill)]) / 10_000.0;
        assert!((share("market.data.v1", false) - 0.90).abs() < 0.01);
        assert!((share("exec.reports.v1", false) - 0.08).abs() < 0.01);
        assert!((share("exec.reports.v1", true) - 0.01).abs() < 0.005);
        assert!((share("signals.v1", false) - 0.01).abs() < 0.005);
        assert!((190..=215).contains(&(size / 10_000)), "{} B", size / 10_000);
    }

    #[test]
    fn job_e_has_reports_of_276_bytes() {
        let codec = Arc::new(Codec::new(&[]).unwrap());
        let mut executions = Executions::new(12, Arc::clone(&codec));
        let mut fills = 0;
        for _ in 0..10_000 {
            let (event, is_fill) = executions.next(Time(1_700_000_000_000_000));
            assert_eq!(bytes(&codec, &event), Executions::BYTES);
            fills += i32::from(is_fill);
        }
        assert!((6_800..7_200).contains(&fills));
    }
}
