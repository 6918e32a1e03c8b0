//! From a wish to its fills: signal, order, reports, and the records that follow a fill.

use std::time::Duration;

use smol_str::format_smolstr;
use tapewatch_schemas::events::{ExecReport, Side, Signal};
use tapewatch_schemas::{Event, SignalId, Time};

use super::order::{Fill, Order, Ticket};
use super::trader::{Emit, MILLI, Moment, SECOND, Trader};
use super::twist::Twist;
use crate::market::low_time;
use crate::money::{self, Money};
use crate::options::SIM_SOURCE;
use crate::tape::BAR;

/// Fills of one portfolio are at least so far apart, so that the records after each show just it.
const APART: i64 = 10 * MILLI;
/// Fee of a fill that took a quote, in units of 10⁻⁶ of its value; resting orders pay none.
pub(super) const TAKER_FEE: i128 = 200;

/// A fill that will happen in this bar.
pub(super) struct Planned {
    pub(super) order: usize,
    pub(super) fill: Fill,
    pub(super) twist: Twist,
}

/// What is decided in one bar, before any of it happens.
#[derive(Default)]
pub(super) struct Agenda {
    pub(super) orders: Vec<Order>,
    pub(super) fills: Vec<Planned>,
    /// Orders that end unfilled, with the time.
    pub(super) expiries: Vec<(usize, Time)>,
}

/// An order about to be made.
pub(super) struct Wish {
    pub(super) symbol: usize,
    pub(super) side: Side,
    pub(super) lots: i64,
    pub(super) limit: Option<i64>,
    /// After the boundary, microseconds.
    pub(super) decided: i64,
    pub(super) twist: Twist,
    pub(super) signal: Option<SignalId>,
}

impl Trader {
    /// A signal, and the order that follows it.
    pub(super) fn signalled(
        &mut self,
        now: &Moment<'_>,
        mut wish: Wish,
        agenda: &mut Agenda,
        out: &mut Vec<Emit>,
    ) {
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
    pub(super) fn order(&mut self, now: &Moment<'_>, wish: Wish, agenda: &mut Agenda, out: &mut Vec<Emit>) {
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
    pub(super) fn made(&mut self, now: &Moment<'_>, wish: Wish, out: &mut Vec<Emit>) -> Order {
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
    pub(super) fn happen(&mut self, now: &Moment<'_>, mut agenda: Agenda, out: &mut Vec<Emit>) {
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
        out.push(self.position(now, fill.time + Duration::from_millis(3)));
        out.push(self.account(now, fill.time + Duration::from_millis(6)));
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
