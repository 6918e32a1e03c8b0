use std::collections::BTreeMap;

use tapewatch_schemas::events::{Account, Position, Side};
use tapewatch_schemas::{Amount, Event, PortfolioId, StrategyId, Time};

use super::book::Book;
use super::execution::{Agenda, Wish};
use super::strategy::{Decision, Indicator, Strategy, View};
use super::twist::{Scripted, Twist};
use crate::market::{Candle, Instrument};
use crate::money::{self, Money};
use crate::options::SIM_SOURCE;
use crate::random::Random;

pub(super) const MILLI: i64 = 1000;
pub(super) const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;
/// What every portfolio begins with, currency units.
const OPENING: i64 = 1_000_000;

/// A record to be published.
#[derive(Clone, Debug)]
pub(crate) struct Emit {
    /// When it is published, on the tape's clock; later than its event time if it is late.
    pub(crate) publish: Time,
    pub(crate) event: Event,
    /// True if it never arrives: only its sequence number is used up.
    pub(crate) lost: bool,
}

/// What a portfolio sees of one bar.
pub(crate) struct Moment<'a> {
    pub(crate) bar: usize,
    pub(crate) boundary: Time,
    /// True if the bar before ended at the boundary: else there is nothing to decide on.
    pub(crate) adjoining: bool,
    pub(crate) instruments: &'a [Instrument],
    pub(crate) indicators: &'a [Indicator],
    /// This bar of every symbol.
    pub(crate) candles: &'a [Candle],
    /// True for symbols whose marks do not come.
    pub(crate) silent: &'a dyn Fn(usize) -> bool,
    /// The last price (ticks) of a symbol that was shown at or before an instant.
    pub(crate) shown: &'a dyn Fn(usize, Time) -> i64,
    pub(crate) scripts: &'a [Scripted],
}

/// One portfolio: its strategy, its book, its orders.
#[derive(Debug)]
pub(crate) struct Trader {
    pub(super) id: PortfolioId,
    pub(super) strategy_id: StrategyId,
    pub(super) strategy: Strategy,
    pub(super) lane: i64,
    /// The symbols it trades, by number.
    pub(crate) universe: Vec<usize>,
    pub(super) random: Random,
    pub(super) book: Book,
    pub(super) peak: Money,
    pub(super) opened: BTreeMap<usize, usize>,
    pub(super) stopped: BTreeMap<usize, usize>,
    pub(super) manual: BTreeMap<usize, i64>,
    pub(super) orders: u64,
    pub(super) signals: u64,
    pub(super) started: bool,
}

impl Trader {
    pub(crate) fn new(id: PortfolioId, lane: usize, universe: Vec<usize>, mut random: Random) -> Self {
        Self {
            id,
            strategy_id: "dip-15m".into(),
            strategy: Strategy::seeded(&mut random),
            lane: lane as i64,
            universe,
            random,
            book: Book::new(money::whole(OPENING)),
            peak: money::whole(OPENING),
            opened: BTreeMap::new(),
            stopped: BTreeMap::new(),
            manual: BTreeMap::new(),
            orders: 0,
            signals: 0,
            started: false,
        }
    }

    /// Its id.
    pub(crate) fn id(&self) -> &PortfolioId {
        &self.id
    }

    /// Plays one bar.
    pub(crate) fn step(&mut self, now: &Moment<'_>, out: &mut Vec<Emit>) {
        self.periodic(now, out);
        let mut agenda = Agenda::default();
        self.scripted(now, &mut agenda, out);
        if now.adjoining {
            self.decide(now, &mut agenda, out);
        }
        self.happen(now, agenda, out);
    }

    /// The account each hour and the whole book every four, and both at the start.
    pub(super) fn periodic(&mut self, now: &Moment<'_>, out: &mut Vec<Emit>) {
        let at = now.boundary.micros();
        let time = |offset: i64| Time(at + offset + self.lane * 20);
        let equity = self.equity(now, now.boundary);
        self.peak = self.peak.max(equity);
        if !self.started || at.rem_euclid(4 * HOUR) == 0 {
            out.push(self.position(now, time(MILLI)));
        }
        if !self.started || at.rem_euclid(HOUR) == 0 {
            out.push(self.account(now, time(2 * MILLI)));
        }
        self.started = true;
    }

    /// What the strategy wants.
    pub(super) fn decide(&mut self, now: &Moment<'_>, agenda: &mut Agenda, out: &mut Vec<Emit>) {
        let mut decided = self.random.whole(3 * MILLI, 12 * MILLI);
        for symbol in self.universe.clone() {
            decided += self.random.whole(2 * MILLI, 7 * MILLI);
            if (now.silent)(symbol) || now.scripts.iter().any(|scripted| scripted.symbol == symbol) {
                continue;
            }
            let view = self.view(now, symbol);
            let decision = self.strategy.decide(&now.indicators[symbol], view);
            let last = (now.shown)(symbol, now.boundary);
            let instrument = &now.instruments[symbol];
            match decision {
                Some(Decision::Exit) => {
                    if view.gain.is_some_and(|gain| self.strategy.is_stop(gain)) {
                        self.stopped.insert(symbol, now.bar);
                    }
                    let lots = self.book.lots(symbol);
                    let wish = Wish {
                        symbol,
                        side: Side::Sell,
                        lots,
                        limit: None,
                        decided,
                        twist: Twist::None,
                        signal: None,
                    };
                    self.signalled(now, wish, agenda, out);
                }
                Some(Decision::Bid { worth, below }) => {
                    let limit = instrument.ticks(instrument.value(last) * (1.0 - below));
                    self.bid(now, symbol, worth, limit, decided, agenda, out);
                }
                None => {}
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one order")]
    pub(super) fn bid(
        &mut self,
        now: &Moment<'_>,
        symbol: usize,
        worth: f64,
        limit: i64,
        decided: i64,
        agenda: &mut Agenda,
        out: &mut Vec<Emit>,
    ) {
        let lots = now.instruments[symbol].lots(worth, limit);
        let wish = Wish {
            symbol,
            side: Side::Buy,
            lots,
            limit: Some(limit),
            decided,
            twist: Twist::None,
            signal: None,
        };
        self.signalled(now, wish, agenda, out);
    }

    pub(super) fn view(&self, now: &Moment<'_>, symbol: usize) -> View {
        let last = (now.shown)(symbol, now.boundary);
        let since = |bars: &BTreeMap<usize, usize>| {
            bars.get(&symbol).map_or(u32::MAX, |bar| now.bar.saturating_sub(*bar) as u32)
        };
        let equity = self.equity(now, now.boundary);
        View {
            held: money::approximate(Money::from(last) * Money::from(self.book.lots(symbol))),
            gain: self.book.average_ticks(symbol).map(|cost| last as f64 / cost - 1.0),
            age: if self.book.lots(symbol) == 0 { 0 } else { since(&self.opened) },
            drawdown: 1.0 - equity as f64 / self.peak as f64,
            since_stop: since(&self.stopped),
        }
    }

    pub(super) fn equity(&self, now: &Moment<'_>, at: Time) -> Money {
        self.book.cash + self.book.value(|symbol| (now.shown)(symbol, at))
    }

    pub(super) fn position(&self, now: &Moment<'_>, time: Time) -> Emit {
        let event = Event::Position(Position {
            source: SIM_SOURCE.into(),
            sequence: 0,
            event_time: time,
            portfolio: self.id.clone(),
            complete: true,
            positions: self.book.lines(now.instruments),
        });
        Emit { publish: time, event, lost: false }
    }

    pub(super) fn account(&self, now: &Moment<'_>, time: Time) -> Emit {
        let event = Event::Account(Account {
            source: SIM_SOURCE.into(),
            sequence: 0,
            event_time: time,
            portfolio: self.id.clone(),
            currency: "USD".into(),
            cash: money::money(self.book.cash),
            equity: money::money(self.equity(now, time)),
            deposits: OPENING.into(),
            withdrawals: Amount::ZERO,
        });
        Emit { publish: time, event, lost: false }
    }
}
