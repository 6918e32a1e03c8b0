//! How orders are sent, over a window that moves on.

use std::time::Duration;

use tapewatch_schemas::events::{ExecReport, ExecType, Liquidity, OrderStatus, OrderType, Side};
use tapewatch_schemas::{Amount, Time};

use crate::endurance::{Kept, Past, Update, endures, same};
use crate::risk::conduct::{Conduct, ConductParameters, measure_of};
use crate::risk::measure::Bounded;

const WINDOW: i64 = 60_000_000;
const PART: i64 = WINDOW / 60;
const TWICE_WITHIN: i64 = 5_000_000;
const MARK: i64 = 100_000_000;
const PARAMETERS: ConductParameters = ConductParameters {
    window: Duration::from_micros(WINDOW as u64),
    duplicates_within: Duration::from_micros(TWICE_WITHIN as u64),
    orders: 4_096,
};

/// Four updates are two orders sent, the first of which is withdrawn or expires, and the second filled, unless it was
/// rejected.
#[derive(Clone, Copy, Debug)]
struct Report {
    exec: ExecType,
    order: u64,
    side: Side,
    quantity: i64,
    limit: i64,
}

fn report(one: Update) -> Report {
    let Update { nth, units, chosen } = one;
    let (exec, order) = match nth % 4 {
        1 if chosen & 16 == 0 => (ExecType::Rejected, nth),
        0 | 1 => (ExecType::New, nth),
        2 if chosen & 16 == 0 => (ExecType::Expired, nth - 2),
        2 => (ExecType::Canceled, nth - 2),
        _ => (ExecType::Fill, nth - 2),
    };
    let side = if chosen & 32 == 0 { Side::Buy } else { Side::Sell };
    // Near the market, or anywhere.
    let near = MARK + (chosen >> 8) as i64 % 3 * 1_000_000;
    let limit = if (chosen >> 16).is_multiple_of(64) { units.abs().max(1) } else { near };
    Report { exec, order, side, quantity: 1 + (chosen >> 24) as i64 % 2, limit }
}

/// Microseconds since the one before: up to fifteen seconds, in stretches of about the same.
fn after(one: Update) -> i64 {
    100 + one.units.unsigned_abs().checked_ilog2().map_or(0, i64::from) * 300_000
}

struct Orders {
    conduct: Conduct,
    now: i64,
    record: ExecReport,
}

fn millionths(units: i64) -> Amount {
    Amount::from_unscaled(i128::from(units) * 1_000_000).unwrap()
}

impl Kept for Orders {
    fn update(&mut self, one: Update) {
        let Report { exec, order, side, quantity, limit } = report(one);
        self.now += after(one);
        let record = &mut self.record;
        record.event_time = Time(self.now);
        (record.exec_type, record.side) = (exec, side);
        record.order_id = format!("o{order}").into();
        (record.order_quantity, record.limit_price) = (millionths(quantity), Some(millionths(limit)));
        self.conduct.take(record, Some(millionths(MARK)), Time(self.now), &PARAMETERS);
    }

    fn compare(&mut self, past: Past) {
        let mut now = 0;
        let mut all: Vec<(i64, Report)> = Vec::new();
        for one in past.all() {
            now += after(one);
            if one.nth + 20_000 >= past.shown {
                all.push((now, report(one)));
            }
        }
        assert_eq!(now, self.now);
        // As it is, and as it will be while it empties.
        for later in 0..70 {
            let mut conduct = self.conduct.clone();
            if later > 0 {
                conduct.roll(Time(now + later * PART));
                conduct.count();
            }
            Self::is(&conduct, now + later * PART, &all);
        }
    }
}

impl Orders {
    /// Compares it with what these reports come to, and when they came.
    fn is(conduct: &Conduct, now: i64, all: &[(i64, Report)]) {
        let from = now.div_euclid(PART) - 60;
        let within: Vec<usize> = (0..all.len()).filter(|at| all[*at].0.div_euclid(PART) > from).collect();
        assert!(within.first().is_none_or(|first| *first > 100), "the window is within what is looked at");
        let is = |at: usize, kinds: &[ExecType]| kinds.contains(&all[at].1.exec);
        let sent = [ExecType::New, ExecType::Rejected];
        let count = |is: &dyn Fn(usize) -> bool| within.iter().filter(|at| is(**at)).count() as f64;
        let is_message = |at: usize| is(at, &sent) || is(at, &[ExecType::Canceled]);
        let (messages, orders) = (count(&is_message), count(&|at| is(at, &sent)));
        let fills = count(&|at| is(at, &[ExecType::Fill]));
        let rejected = count(&|at| is(at, &[ExecType::Rejected]));
        let twice = count(&|at| {
            let (when, of) = all[at];
            let same = |other: &(i64, Report)| {
                let terms = |one: Report| (one.side, one.quantity, one.limit);
                sent.contains(&other.1.exec) && terms(other.1) == terms(of)
            };
            is(at, &sent)
                && all[..at].iter().rev().take_while(|other| when - other.0 <= TWICE_WITHIN).any(same)
        });
        let crossed = count(&|at| {
            let of = all[at].1;
            let ended = |order: u64| {
                let ends = [ExecType::Canceled, ExecType::Expired, ExecType::Fill];
                all[..at].iter().rev().take(20).any(|(_, one)| one.order == order && ends.contains(&one.exec))
            };
            let crosses = |(_, other): &(i64, Report)| {
                let (buy, sell) = if of.side == Side::Buy { (of, *other) } else { (*other, of) };
                other.exec == ExecType::New
                    && other.side != of.side
                    && buy.limit >= sell.limit
                    && !ended(other.order)
            };
            is(at, &[ExecType::New]) && all[..at].iter().rev().take(20).any(crosses)
        });
        let away = within.iter().filter(|at| is(**at, &sent)).map(|at| all[*at].1.limit);
        let away = away.map(|limit| (limit - MARK).abs() as f64 / MARK as f64).fold(0.0, f64::max);
        let busiest = within
            .iter()
            .map(|at| all[*at].0.div_euclid(PART))
            .map(|part| count(&|at| all[at].0.div_euclid(PART) == part && is_message(at)));
        let busiest = busiest.fold(0.0, f64::max);
        let said = conduct.says(None, Time(now));
        for (measure, scratch) in [
            (Bounded::MessageRate, messages / 60.0),
            (Bounded::PeakMessageRate, busiest),
            (Bounded::OrderToTrade, (messages / fills.max(1.0) - 1.0).max(0.0)),
            (Bounded::RejectedShare, rejected / orders.max(1.0)),
            (Bounded::DuplicateOrders, twice),
            (Bounded::SelfCrossings, crossed),
            (Bounded::PriceAway, away),
        ] {
            same((measure, now), measure_of(&said, measure).unwrap(), scratch);
        }
    }
}

#[test]
fn conduct_is_of_what_is_in_the_window() {
    let record = ExecReport {
        source: "oms".into(),
        sequence: 0,
        event_time: Time(0),
        portfolio: "p".into(),
        strategy: "s".into(),
        symbol: "A".into(),
        order_id: "o".into(),
        execution_id: "e".into(),
        signal_id: None,
        reference_execution_id: None,
        exec_type: ExecType::New,
        order_status: OrderStatus::Filled,
        side: Side::Buy,
        order_type: OrderType::Limit,
        order_quantity: Amount::ONE,
        limit_price: None,
        last_quantity: None,
        last_price: None,
        cumulative_quantity: Amount::ZERO,
        leaves_quantity: Amount::ZERO,
        average_price: None,
        currency: "USD".into(),
        fee: None,
        fee_currency: None,
        liquidity: Liquidity::Taker,
        venue: None,
        arrival_price: None,
        decision_time: None,
        sent_time: None,
        acknowledged_time: None,
        text: None,
    };
    endures(Orders { conduct: Conduct::new(&PARAMETERS), now: 0, record }, 81);
}
