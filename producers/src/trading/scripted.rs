//! What the incident book makes a portfolio do.

use tapewatch_schemas::Time;
use tapewatch_schemas::events::Side;

use super::execution::{Agenda, Planned, TAKER_FEE, Wish};
use super::order::Fill;
use super::trader::{Emit, MILLI, Moment, SECOND, Trader};
use super::twist::{Script, Twist};
use crate::money::{self, Money};

impl Trader {
    /// What the incident book wants.
    pub(super) fn scripted(&mut self, now: &Moment<'_>, agenda: &mut Agenda, out: &mut Vec<Emit>) {
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
}
