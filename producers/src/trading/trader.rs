use std::collections::BTreeMap;

use smol_str::format_smolstr;
use tapewatch_schemas::events::{Account, ExecReport, Position, Side, Signal};
use tapewatch_schemas::{Event, PortfolioId, SignalId, StrategyId, Time};

use super::book::Book;
use super::order::{Fill, Order, Ticket};
use super::strategy::{Decision, Indicator, Strategy, View};
use super::twist::{Script, Scripted, Twist};
use crate::market::{Candle, Instrument, low_time};
use crate::money::{self, Money};
use crate::options::SIM_SOURCE;
use crate::random::Random;
use crate::tape::BAR;

const MILLI: i64 = 1000;
const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;
/// Fills of one portfolio are at least so far apart, so that the records after each show just it.
const APART: i64 = 10 * MILLI;
/// Fee of a fill that took a quote, in units of 10⁻⁶ of its value; resting orders pay none.
const TAKER_FEE: i128 = 200;
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
    id: PortfolioId,
    strategy_id: StrategyId,
    strategy: Strategy,
    lane: i64,
    /// The symbols it trades, by number.
    pub(crate) universe: Vec<usize>,
    random: Random,
    book: Book,
    peak: Money,
    opened: BTreeMap<usize, usize>,
    stopped: BTreeMap<usize, usize>,
    manual: BTreeMap<usize, i64>,
    orders: u64,
    signals: u64,
    started: bool,
}

/// A fill that will happen in this bar.
struct Planned {
    order: usize,
    fill: Fill,
    twist: Twist,
}

/// What is decided in one bar, before any of it happens.
#[derive(Default)]
struct Agenda {
    orders: Vec<Order>,
    fills: Vec<Planned>,
    /// Orders that end unfilled, with the time.
    expiries: Vec<(usize, Time)>,
}

/// An order about to be made.
struct Wish {
    symbol: usize,
    side: Side,
    lots: i64,
    limit: Option<i64>,
    /// After the boundary, microseconds.
    decided: i64,
    twist: Twist,
    signal: Option<SignalId>,
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
    fn periodic(&mut self, now: &Moment<'_>, out: &mut Vec<Emit>) {
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
    fn decide(&mut self, now: &Moment<'_>, agenda: &mut Agenda, out: &mut Vec<Emit>) {
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
    fn bid(
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

    fn view(&self, now: &Moment<'_>, symbol: usize) -> View {
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

    /// What the incident book wants.
    fn scripted(&mut self, now: &Moment<'_>, agenda: &mut Agenda, out: &mut Vec<Emit>) {
        for scripted in now.scripts {
            let symbol = scripted.symbol;
            match scripted.script {
                Script::Freeze => {}
                Script::Hold if self.book.lots(symbol) > 0 => {}
                Script::Hold => self.twisted(now, symbol, Twist::None, agenda, out),
                Script::Trade(twist) => self.twisted(now, symbol, twist, agenda, out),
                Script::Manual(side, worth) => self.by_hand(now, symbol, side, worth, agenda, out),
                Script::Churn(loss) => self.churn(now, symbol, loss, agenda, out),
                Script::Bid => {
                    let instrument = &now.instruments[symbol];
                    let limit = instrument.ticks(instrument.value(now.candles[symbol].low) * 0.98);
                    let decided = 15 * MILLI + self.lane * 100 + symbol as i64 * MILLI;
                    self.bid(now, symbol, 5000.0, limit, decided, agenda, out);
                }
            }
        }
    }

    /// An order of the usual size: buys if there is room, else sells.
    fn twisted(
        &mut self,
        now: &Moment<'_>,
        symbol: usize,
        twist: Twist,
        agenda: &mut Agenda,
        out: &mut Vec<Emit>,
    ) {
        let instrument = &now.instruments[symbol];
        let price = now.candles[symbol].open;
        let usual = instrument.lots(8000.0, price);
        let held = self.book.lots(symbol);
        let side = if held > 3 * usual { Side::Sell } else { Side::Buy };
        let decided = match twist {
            Twist::OffBoundary => 433 * SECOND + self.random.whole(0, SECOND),
            _ => self.random.whole(5 * MILLI, 30 * MILLI),
        };
        let wish = Wish { symbol, side, lots: usual, limit: None, decided, twist, signal: None };
        self.signalled(now, wish, agenda, out);
    }

    fn by_hand(
        &mut self,
        now: &Moment<'_>,
        symbol: usize,
        side: Side,
        worth: f64,
        agenda: &mut Agenda,
        out: &mut Vec<Emit>,
    ) {
        let lots = match side {
            Side::Buy => now.instruments[symbol].lots(worth, now.candles[symbol].open),
            Side::Sell => self.manual.remove(&symbol).unwrap_or(0),
        };
        if lots > 0 {
            if side == Side::Buy {
                self.manual.insert(symbol, lots);
            }
            let decided = 20 * SECOND;
            let wish = Wish { symbol, side, lots, limit: None, decided, twist: Twist::None, signal: None };
            self.order(now, wish, agenda, out);
        }
    }

    /// Forty round trips in ten minutes.
    fn churn(
        &mut self,
        now: &Moment<'_>,
        symbol: usize,
        loss: f64,
        agenda: &mut Agenda,
        out: &mut Vec<Emit>,
    ) {
        const ROUNDS: i64 = 40;
        let instrument = &now.instruments[symbol];
        let price = now.candles[symbol].open;
        let lots = instrument.lots(30_000.0, price);
        let target = (self.peak as f64 * (1.0 - loss)) as Money;
        let total = (self.equity(now, now.boundary) - target).max(0);
        let worse = (total / Money::from(2 * ROUNDS * lots)) as i64;
        for trip in 0..ROUNDS {
            for (leg, side) in [(0, Side::Buy), (1, Side::Sell)] {
                let at = (5 + 15 * trip + 7 * leg) * SECOND;
                let ticks = if side == Side::Buy { price + worse } else { (price - worse).max(1) };
                let wish =
                    Wish { symbol, side, lots, limit: None, decided: at, twist: Twist::None, signal: None };
                let order = self.made(now, wish, out);
                let time = Time(order.acknowledged.micros() + SECOND);
                let fee = money::basis_points(Money::from(ticks) * Money::from(lots), TAKER_FEE);
                agenda.orders.push(order);
                let fill = Fill { time, lots, ticks, fee, maker: false };
                agenda.fills.push(Planned { order: agenda.orders.len() - 1, fill, twist: Twist::None });
            }
        }
    }

    /// A signal, and the order that follows it.
    fn signalled(&mut self, now: &Moment<'_>, mut wish: Wish, agenda: &mut Agenda, out: &mut Vec<Emit>) {
        if wish.lots == 0 {
            return;
        }
        self.signals += 1;
        let id = SignalId(format_smolstr!("{}-s{}", self.id, self.signals));
        wish.signal = Some(id.clone());
        let (instrument, indicator) = (&now.instruments[wish.symbol], &now.indicators[wish.symbol]);
        let held = self.book.lots(wish.symbol);
        let target = if wish.side == Side::Buy { held + wish.lots } else { held - wish.lots };
        let features = [
            ("distance", indicator.distance()),
            ("volatility", indicator.volatility()),
            ("gain", self.view(now, wish.symbol).gain),
        ];
        let time = Time(now.boundary.micros() + wish.decided);
        let signal = Signal {
            source: SIM_SOURCE.into(),
            sequence: 0,
            event_time: time,
            portfolio: self.id.clone(),
            strategy: self.strategy_id.clone(),
            signal_id: id,
            symbol: instrument.symbol.clone(),
            side: wish.side,
            target_quantity: instrument.quantity(target),
            reference_price: instrument.price((now.shown)(wish.symbol, time)),
            bar_boundary: Some(now.boundary),
            features: features
                .into_iter()
                .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)))
                .collect(),
        };
        out.push(Emit { publish: time, event: Event::Signal(signal), lost: false });
        self.order(now, wish, agenda, out);
    }

    /// An order and what becomes of it within the bar.
    fn order(&mut self, now: &Moment<'_>, wish: Wish, agenda: &mut Agenda, out: &mut Vec<Emit>) {
        let (twist, limit, symbol) = (wish.twist, wish.limit, wish.symbol);
        let order = self.made(now, wish, out);
        let index = agenda.orders.len();
        let candle = &now.candles[symbol];
        match limit {
            None => {
                let arrival = order.arrival;
                let parts = if twist == Twist::None { self.parts(order.lots) } else { vec![order.lots] };
                let mut time = order.acknowledged.micros();
                for lots in parts {
                    time += self.random.whole(SECOND / 5, 2 * SECOND);
                    let ticks = self.slipped(arrival, order.side, twist);
                    let fee = money::basis_points(Money::from(ticks) * Money::from(lots), TAKER_FEE);
                    let fill = Fill { time: Time(time), lots, ticks, fee, maker: false };
                    agenda.fills.push(Planned { order: index, fill, twist });
                }
            }
            Some(limit) => {
                let mut left = order.lots;
                if candle.low <= limit {
                    let mut time = low_time(candle).micros() - self.random.whole(5 * SECOND, 40 * SECOND);
                    let mut parts = self.parts(order.lots);
                    if parts.len() > 1 && self.random.chance(0.4) {
                        parts.pop();
                    }
                    for lots in parts {
                        left -= lots;
                        time += self.random.whole(SECOND / 5, 2 * SECOND);
                        let fill = Fill { time: Time(time), lots, ticks: limit, fee: 0, maker: true };
                        agenda.fills.push(Planned { order: index, fill, twist });
                    }
                }
                if left > 0 {
                    let end = now.boundary.micros() + BAR - 3 * SECOND + self.lane * 500 + symbol as i64 * 20;
                    agenda.expiries.push((index, Time(end)));
                }
            }
        }
        agenda.orders.push(order);
    }

    /// Makes an order and reports that the venue has it.
    fn made(&mut self, now: &Moment<'_>, wish: Wish, out: &mut Vec<Emit>) -> Order {
        self.orders += 1;
        let decided = now.boundary.micros() + wish.decided;
        let wait = if wish.twist == Twist::Late { 360 * SECOND } else { 0 };
        let sent = decided + wait + self.random.whole(MILLI / 2, 3 * MILLI);
        let acknowledged = sent + self.random.whole(5 * MILLI, 40 * MILLI);
        let mut order = Order::new(Ticket {
            portfolio: self.id.clone(),
            strategy: if wish.signal.is_some() { self.strategy_id.clone() } else { "manual".into() },
            signal: wish.signal,
            number: self.orders,
            symbol: wish.symbol,
            side: wish.side,
            lots: wish.lots,
            limit: wish.limit,
            arrival: (now.shown)(wish.symbol, Time(sent)),
            decided: Time(decided),
            sent: Time(sent),
            acknowledged: Time(acknowledged),
        });
        let report = order.accepted(&now.instruments[wish.symbol]);
        out.push(Emit { publish: report.event_time, event: Event::ExecReport(report), lost: false });
        order
    }

    /// One to three parts of an order.
    fn parts(&mut self, lots: i64) -> Vec<i64> {
        if lots < 10 || self.random.chance(0.6) {
            return vec![lots];
        }
        let first = lots * self.random.whole(30, 60) / 100;
        if self.random.chance(0.6) {
            return vec![first, lots - first];
        }
        let second = (lots - first) / 2;
        vec![first, second, lots - first - second]
    }

    /// The price of a market order: a few basis points worse than at its arrival, at least a tick.
    fn slipped(&mut self, arrival: i64, side: Side, twist: Twist) -> i64 {
        let worse = match twist {
            Twist::Slipped => 0.0060,
            _ => self.random.between(0.000_05, 0.000_4),
        };
        let ticks = (libm::ceil(arrival as f64 * worse) as i64).max(1);
        if side == Side::Buy { arrival + ticks } else { (arrival - ticks).max(1) }
    }

    /// Lets the bar's fills happen, in order of time, each followed by the book and the account.
    fn happen(&mut self, now: &Moment<'_>, mut agenda: Agenda, out: &mut Vec<Emit>) {
        agenda.fills.sort_by_key(|planned| planned.fill.time);
        let mut earliest = Time::MIN;
        for mut planned in agenda.fills {
            planned.fill.time = planned.fill.time.max(earliest);
            earliest = Time(planned.fill.time.micros() + APART);
            self.filled(now, &mut agenda.orders[planned.order], planned.fill, planned.twist, out);
        }
        for (order, time) in agenda.expiries {
            let order = &mut agenda.orders[order];
            let report = order.expired(&now.instruments[order.symbol], time);
            out.push(Emit { publish: time, event: Event::ExecReport(report), lost: false });
        }
    }

    fn filled(&mut self, now: &Moment<'_>, order: &mut Order, fill: Fill, twist: Twist, out: &mut Vec<Emit>) {
        let report = order.fill(&now.instruments[order.symbol], fill);
        if self.book.lots(order.symbol) == 0 {
            self.opened.insert(order.symbol, now.bar);
        }
        self.book.fill(order.symbol, order.side, fill.lots, fill.ticks, fill.fee);
        reported(report, twist, out);
        out.push(self.position(now, fill.time + std::time::Duration::from_millis(3)));
        out.push(self.account(now, fill.time + std::time::Duration::from_millis(6)));
    }

    fn equity(&self, now: &Moment<'_>, at: Time) -> Money {
        self.book.cash + self.book.value(|symbol| (now.shown)(symbol, at))
    }

    fn position(&self, now: &Moment<'_>, time: Time) -> Emit {
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

    fn account(&self, now: &Moment<'_>, time: Time) -> Emit {
        let event = Event::Account(Account {
            source: SIM_SOURCE.into(),
            sequence: 0,
            event_time: time,
            portfolio: self.id.clone(),
            currency: "USD".into(),
            cash: money::money(self.book.cash),
            equity: money::money(self.equity(now, time)),
            deposits: OPENING.into(),
            withdrawals: tapewatch_schemas::Amount::ZERO,
        });
        Emit { publish: time, event, lost: false }
    }
}

/// Publishes the report of a fill, or what an incident makes of it.
fn reported(report: ExecReport, twist: Twist, out: &mut Vec<Emit>) {
    let time = report.event_time;
    let publish = match twist {
        Twist::Late => Time(time.micros() + 25 * 60 * SECOND),
        _ => time,
    };
    let lost = twist == Twist::Lost;
    if twist == Twist::Duplicated {
        let again = Event::ExecReport(report.clone());
        out.push(Emit { publish: Time(time.micros() + 2 * SECOND), event: again, lost: false });
    }
    out.push(Emit { publish, event: Event::ExecReport(report), lost });
}
