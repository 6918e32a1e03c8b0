//! The player: turns a tape into the events of a market and of the portfolios that trade it.

use std::collections::BTreeMap;

use smol_str::format_smolstr;
use tapewatch_schemas::catalogue::MARKET_DATA;
use tapewatch_schemas::{Event, PortfolioId, Time};

use crate::incidents::{IncidentBook, Plan, Stage};
use crate::market::{Candle, Instrument, candles, instruments, marks};
use crate::options::{PlayerError, PlayerOptions, SIM_SOURCE, TAPE_SOURCE};
use crate::outlet::{Outlet, Pending};
use crate::random::{Purpose, Random};
use crate::slice::Slice;
use crate::tape::{BAR, Tape};
use crate::trading::{Indicator, Moment, Trader};

/// Names of portfolios; past them they are numbered.
const NAMES: [&str; 8] = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel"];

/// Plays a tape, slice by slice. The same options and tape give the same slices.
#[derive(Debug)]
pub struct Player {
    options: PlayerOptions,
    instruments: Vec<Instrument>,
    /// Per symbol, all bars.
    series: Vec<Vec<Candle>>,
    noise: Vec<Random>,
    indicators: Vec<Indicator>,
    shown: Vec<Shown>,
    traders: Vec<Trader>,
    plan: Plan,
    book: IncidentBook,
    outlet: Outlet,
    bar: usize,
    next_beat: Time,
    done: bool,
}

/// The prices of a symbol that were published: the last of the bars before, and this bar's.
#[derive(Debug, Default)]
struct Shown {
    before: i64,
    marks: Vec<(Time, i64)>,
}

impl Shown {
    fn at(&self, time: Time) -> i64 {
        self.marks.iter().rev().find(|(shown, _)| *shown <= time).map_or(self.before, |(_, ticks)| *ticks)
    }

    fn next_bar(&mut self) {
        if let Some((_, ticks)) = self.marks.last() {
            self.before = *ticks;
        }
        self.marks.clear();
    }
}

impl Player {
    /// A player at the start of the tape.
    ///
    /// # Errors
    /// If an option is out of bounds, or the tape is too short for the incident book.
    pub fn new(options: PlayerOptions, tape: &Tape) -> Result<Self, PlayerError> {
        options.check()?;
        let bars = &tape.bars()[..options.bars.unwrap_or(usize::MAX).min(tape.bars().len())];
        let first = bars[0];
        let instruments = instruments(options.symbols, first.open);
        let traders = traders(&options);
        let mut random = Random::new(options.seed, Purpose::Incidents);
        let (book, plan) = if options.incidents {
            let universes: Vec<&[usize]> = traders.iter().map(|trader| trader.universe.as_slice()).collect();
            let ids: Vec<PortfolioId> = traders.iter().map(|trader| trader.id().clone()).collect();
            let stage = Stage {
                bars,
                instruments: &instruments,
                universes: &universes,
                portfolios: &ids,
                layout: options.layout,
                seed: options.seed,
            };
            stage.plan(&mut random)?
        } else {
            (IncidentBook::default(), Plan::default())
        };
        let mut noise: Vec<Random> =
            (0..instruments.len()).map(|symbol| Random::new(options.seed, Purpose::Symbol(symbol))).collect();
        let series: Vec<Vec<Candle>> = instruments
            .iter()
            .zip(&mut noise)
            .enumerate()
            .map(|(symbol, (instrument, random))| {
                candles(bars, instrument, random, plan.regime.as_ref().filter(|r| r.symbol == symbol))
            })
            .collect();
        let shown =
            series.iter().map(|candles| Shown { before: candles[0].open, marks: Vec::new() }).collect();
        Ok(Self {
            indicators: vec![Indicator::default(); instruments.len()],
            outlet: Outlet::new(options.layout),
            next_beat: first.start,
            bar: 0,
            done: false,
            options,
            instruments,
            series,
            noise,
            shown,
            traders,
            plan,
            book,
        })
    }

    /// What it was asked to play.
    pub fn options(&self) -> &PlayerOptions {
        &self.options
    }

    /// The incidents that are played; empty without them.
    pub fn incidents(&self) -> &IncidentBook {
        &self.book
    }

    /// How many bars it plays in all.
    pub fn bars(&self) -> usize {
        self.series[0].len()
    }

    /// When the tape begins.
    pub fn start(&self) -> Time {
        self.series[0][0].start
    }

    /// When the tape ends: the last bar's end.
    pub fn end(&self) -> Time {
        Time(self.series[0][self.bars() - 1].start.micros() + BAR)
    }

    /// Plays one bar into the outlet.
    fn step(&mut self) {
        let bar = self.bar;
        let boundary = self.series[0][bar].start;
        self.beat(boundary);
        let silent = self.plan.silent_partition(boundary);
        for symbol in 0..self.instruments.len() {
            self.shown[symbol].next_bar();
            let instrument = &self.instruments[symbol];
            let partition = self.options.layout.partition(MARKET_DATA, instrument.symbol.as_str());
            let made = marks(instrument, &self.series[symbol][bar], symbol, &mut self.noise[symbol]);
            if silent == Some(partition) {
                continue;
            }
            for mark in made {
                self.shown[symbol].marks.push((mark.event.event_time, mark.ticks));
                self.outlet
                    .push(mark.event.event_time, Pending::Event(Box::new(Event::MarketData(mark.event))));
            }
        }
        self.trade(bar, boundary, silent);
        for poison in self.plan.poison_in(bar) {
            let what = Pending::Bytes {
                topic: poison.topic,
                key: poison.portfolio.0.clone(),
                bytes: poison.bytes.clone(),
            };
            self.outlet.push(poison.time, what);
        }
        for (symbol, shown) in self.shown.iter().enumerate() {
            if let Some((_, ticks)) = shown.marks.last() {
                self.indicators[symbol].close(self.instruments[symbol].value(*ticks));
            }
        }
        self.bar += 1;
    }

    /// Every portfolio's part in a bar.
    fn trade(&mut self, bar: usize, boundary: Time, silent: Option<i32>) {
        let current: Vec<Candle> = self.series.iter().map(|candles| candles[bar]).collect();
        let adjoining = bar > 0 && boundary.since(self.series[0][bar - 1].start) == BAR;
        let (instruments, layout, shown) = (&self.instruments, self.options.layout, &self.shown);
        let is_silent = |symbol: usize| {
            silent.is_some_and(|partition| {
                layout.partition(MARKET_DATA, instruments[symbol].symbol.as_str()) == partition
            })
        };
        let price = |symbol: usize, time: Time| shown[symbol].at(time);
        let mut emitted = Vec::new();
        for (portfolio, trader) in self.traders.iter_mut().enumerate() {
            let scripts = self.plan.scripts_of(bar, portfolio);
            let moment = Moment {
                bar,
                boundary,
                adjoining,
                instruments,
                indicators: &self.indicators,
                candles: &current,
                silent: &is_silent,
                shown: &price,
                scripts: &scripts,
            };
            trader.step(&moment, &mut emitted);
        }
        for emit in emitted {
            let event = Box::new(emit.event);
            let what = if emit.lost { Pending::Lost(event) } else { Pending::Event(event) };
            self.outlet.push(emit.publish, what);
        }
    }

    /// Signs of life at every boundary up to this one, through gaps too: a quiet market is no dead feed.
    fn beat(&mut self, boundary: Time) {
        while self.next_beat <= boundary {
            let silent = self.plan.silent_partition(self.next_beat);
            for source in [TAPE_SOURCE, SIM_SOURCE] {
                self.outlet.push(self.next_beat, Pending::Heartbeat { source, closed: false, silent });
            }
            self.next_beat = Time(self.next_beat.micros() + BAR);
        }
    }

    /// The last signs of life: nothing more will come.
    fn close(&mut self) {
        for source in [TAPE_SOURCE, SIM_SOURCE] {
            self.outlet.push(self.end(), Pending::Heartbeat { source, closed: true, silent: None });
        }
    }
}

impl Iterator for Player {
    type Item = Slice;

    fn next(&mut self) -> Option<Slice> {
        if self.done {
            return None;
        }
        for _ in 0..self.options.bars_per_slice {
            if self.bar < self.bars() {
                self.step();
            }
        }
        let until = if self.bar < self.bars() {
            Time(self.series[0][self.bar - 1].start.micros() + BAR)
        } else {
            self.done = true;
            self.close();
            Time::MAX
        };
        let records = self.outlet.drain(until);
        let until = if self.done { Time(self.end().micros() + 1) } else { until };
        Some(Slice { until, bars: self.bar, records })
    }
}

/// The portfolios and which symbols they trade.
fn traders(options: &PlayerOptions) -> Vec<Trader> {
    let mut random = Random::new(options.seed, Purpose::Universe);
    let mut names = BTreeMap::new();
    (0..options.portfolios)
        .map(|portfolio| {
            let mut symbols: Vec<usize> = (0..options.symbols).collect();
            random.shuffle(&mut symbols);
            symbols.truncate(options.symbols_per_portfolio);
            symbols.sort_unstable();
            let id = NAMES
                .get(portfolio)
                .map_or_else(|| PortfolioId(format_smolstr!("portfolio-{portfolio}")), |name| (*name).into());
            assert!(names.insert(id.clone(), portfolio).is_none(), "portfolio names are unique");
            let random = Random::new(options.seed, Purpose::Portfolio(portfolio));
            Trader::new(id, portfolio, symbols, random)
        })
        .collect()
}
