//! Positions, what they realised and are worth, cash and equity.

use std::collections::VecDeque;

use tapewatch_schemas::{Amount, Currency, Time};

use crate::endurance::{Kept, Past, Twofold, Update, endures, same};
use crate::risk::RiskParameters;
use crate::risk::limits::limits_of;
use crate::risk::line::Line;
use crate::risk::lots::{Costing, Position};
use crate::risk::money::Money;
use crate::risk::parameters::PnlMethod;
use crate::risk::portfolio::{AccountState, Booking, Holding, Portfolio, Sums};

const SYMBOLS: u64 = 8;
/// The largest position, in millionths: a million. At a price of 10⁹ it fits an amount.
const LARGEST: i64 = 1_000_000_000_000;
const BEGAN_WITH: i128 = 1_000_000 * 1_000_000_000_000;

/// One thing that happened: a mark, or a fill at it.
#[derive(Clone, Copy)]
struct Happened {
    symbol: usize,
    /// Millionths, above zero.
    price: i64,
    /// Millionths; negative for a sale, 0 for a mark alone.
    quantity: i64,
    /// 10⁻¹².
    fee: i128,
    new_day: bool,
}

/// What an update is, where so much is held of each symbol.
fn happened(one: Update, held: &[i64; SYMBOLS as usize]) -> Happened {
    let Update { units, chosen, .. } = one;
    let symbol = (chosen % SYMBOLS) as usize;
    let size = (chosen >> 20) as i64 % 10_i64.pow((chosen >> 5) as u32 % 13) + 1;
    let buys = if held[symbol].abs() + size > LARGEST { held[symbol] < 0 } else { chosen & 8 == 0 };
    let fills = (chosen >> 12).is_multiple_of(8);
    Happened {
        symbol,
        price: units.abs().max(1),
        quantity: if !fills {
            0
        } else if buys {
            size
        } else {
            -size
        },
        fee: if fills { i128::from(units) / 7 } else { 0 },
        new_day: chosen >> 44 == 0,
    }
}

fn millionths(units: i64) -> Amount {
    Amount::from_unscaled(i128::from(units) * 1_000_000).unwrap()
}

fn money(units: i128) -> Money {
    Money::of_units(units)
}

struct Book {
    costing: Costing,
    held: [i64; SYMBOLS as usize],
    portfolio: Portfolio,
}

impl Book {
    fn new(method: PnlMethod) -> Self {
        let parameters = RiskParameters::default();
        let limits = limits_of(&parameters, &"p".into(), Time(0));
        let mut portfolio = Portfolio::new("p".into(), Time(0), true, &parameters, limits);
        let (equity, zero) = (money(BEGAN_WITH), Money::ZERO);
        portfolio.account = Some(AccountState {
            feed: 0,
            event_time: Time(0),
            cash: equity,
            equity,
            flows: zero,
            anchor: zero,
            spent: zero,
        });
        let costing = Costing { method, lots: 1_000_000 };
        Self { costing, held: [0; SYMBOLS as usize], portfolio }
    }
}

impl Kept for Book {
    fn update(&mut self, one: Update) {
        let now = happened(one, &self.held);
        let (symbol, price) = (now.symbol as u32, millionths(now.price));
        let worth = |quantity: Amount| Some(Money::value(quantity, price, Amount::ONE).unwrap());
        let portfolio = &mut self.portfolio;
        if let Ok(at) = portfolio.find(symbol) {
            portfolio.revalue(at, worth(portfolio.holdings[at].line.quantity), Time(1));
        }
        if now.quantity != 0 {
            self.held[now.symbol] += now.quantity;
            let flat = || Position::of(Line::FLAT, self.costing);
            let mut position = portfolio.holding(symbol).map_or_else(flat, Holding::position);
            let quantity = millionths(now.quantity);
            let filled = position.fill(quantity, price, Amount::ONE, self.costing).unwrap();
            portfolio.book(Booking {
                symbol,
                line: position.line,
                value: worth(position.line.quantity),
                lots: position.lots,
                multiplier: Amount::ONE,
                currency: Currency::from("USD"),
                realised: filled.realised,
                unknown: i32::from(!filled.known),
                fee: money(now.fee),
                spent: worth(quantity).unwrap(),
                event_time: Time(1),
            });
        }
        portfolio.day.follow(portfolio.profit());
        if now.new_day {
            portfolio.day.roll(portfolio.realised, portfolio.realised_unknown);
        }
    }

    fn compare(&mut self, past: Past) {
        let ledger = Ledger::of(past, self.costing.method);
        let portfolio = &self.portfolio;
        let mut values = [0_i128; SYMBOLS as usize];
        for (symbol, value) in values.iter_mut().enumerate() {
            *value = i128::from(ledger.held[symbol]) * i128::from(ledger.prices[symbol]);
            let line = portfolio.holding(symbol as u32).map_or(Line::FLAT, |holding| holding.line);
            assert_eq!(line.quantity, millionths(ledger.held[symbol]));
        }
        let (net, gross) =
            (values.iter().sum::<i128>(), values.iter().map(|value| value.abs()).sum::<i128>());
        assert_eq!((portfolio.sums.net, portfolio.sums.gross), (money(net), money(gross)));
        let kept = portfolio.sums;
        let mut anew = portfolio.clone();
        anew.sum_anew();
        assert_eq!(kept, anew.sums);
        let profit = net - ledger.paid - ledger.fees;
        assert_eq!(portfolio.fees, money(ledger.fees));
        assert_eq!(portfolio.profit(), money(profit));
        assert_eq!(portfolio.equity(), money(BEGAN_WITH + profit));
        assert_eq!(portfolio.cash(), money(BEGAN_WITH - ledger.paid - ledger.fees));
        assert_eq!(portfolio.day.profit(portfolio.profit()), Some(money(profit - ledger.day_began)));
        // What is open cost what was paid and what was realised.
        let Sums { cost, .. } = portfolio.sums;
        assert_eq!(portfolio.realised - cost, money(-ledger.paid));
        match ledger.realised {
            Realised::Exactly(realised) => assert_eq!(portfolio.realised, money(realised)),
            Realised::Nearly(realised) => same("realised", portfolio.realised.to_f64(), realised.value()),
        }
    }
}

/// The same from scratch, in whole numbers of 10⁻¹²; by average cost, which divides, in 32 digits.
struct Ledger {
    held: [i64; SYMBOLS as usize],
    prices: [i64; SYMBOLS as usize],
    paid: i128,
    fees: i128,
    day_began: i128,
    realised: Realised,
}

enum Realised {
    Exactly(i128),
    Nearly(Twofold),
}

impl Ledger {
    fn of(past: Past, method: PnlMethod) -> Self {
        let mut held = [0_i64; SYMBOLS as usize];
        let mut prices = [0_i64; SYMBOLS as usize];
        let (mut paid, mut fees, mut exactly, mut nearly) = (0_i128, 0_i128, 0_i128, Twofold::default());
        let mut open: [VecDeque<(i64, i64)>; SYMBOLS as usize] = Default::default();
        let mut costs = [Twofold::default(); SYMBOLS as usize];
        let mut day_began = None;
        for one in past.all() {
            let Happened { symbol, price, quantity, fee, new_day } = happened(one, &held);
            prices[symbol] = price;
            paid += i128::from(quantity) * i128::from(price);
            fees += fee;
            if method == PnlMethod::AverageCost {
                nearly = nearly.plus(averaged((&mut held[symbol], &mut costs[symbol]), quantity, price));
            } else {
                held[symbol] += quantity;
                exactly += matched(&mut open[symbol], quantity, price, method == PnlMethod::Lifo);
            }
            if new_day || day_began.is_none() {
                let worth = |(held, price): (&i64, &i64)| i128::from(*held) * i128::from(*price);
                day_began = Some(held.iter().zip(&prices).map(worth).sum::<i128>() - paid - fees);
            }
        }
        let realised = if method == PnlMethod::AverageCost {
            Realised::Nearly(nearly)
        } else {
            Realised::Exactly(exactly)
        };
        Self { held, prices, paid, fees, day_began: day_began.unwrap_or_default(), realised }
    }
}

/// What a fill realises of what is open, each a quantity and a price.
fn matched(open: &mut VecDeque<(i64, i64)>, mut quantity: i64, price: i64, last_first: bool) -> i128 {
    let mut realised = 0;
    while quantity != 0 {
        let near = if last_first { open.back_mut() } else { open.front_mut() };
        let Some((held, at)) = near.filter(|(held, _)| (*held > 0) != (quantity > 0)) else {
            open.push_back((quantity, price));
            break;
        };
        let closed = held.abs().min(quantity.abs()) * held.signum();
        realised += i128::from(closed) * i128::from(price - *at);
        *held -= closed;
        quantity += closed;
        if *held == 0 {
            if last_first {
                open.pop_back()
            } else {
                open.pop_front()
            };
        }
    }
    realised
}

/// What it realises by average cost, in money.
fn averaged((held, cost): (&mut i64, &mut Twofold), quantity: i64, price: i64) -> Twofold {
    let value = |quantity: i64| {
        // Products of millionths have up to 27 digits: in two parts, each exact.
        let product = i128::from(quantity) * i128::from(price);
        let (high, low) = (product / 10_i128.pow(15), product % 10_i128.pow(15));
        let whole = Twofold::of(high as f64).times(Twofold::of(1e3));
        whole.plus(Twofold::of(low as f64).over(Twofold::of(1e12)))
    };
    let before = *held;
    *held += quantity;
    if before == 0 || (before > 0) == (quantity > 0) {
        *cost = cost.plus(value(quantity));
        return Twofold::default();
    }
    if before.abs() <= quantity.abs() {
        let realised = value(before).minus(*cost);
        *cost = value(*held);
        return realised;
    }
    let share = cost.times(Twofold::of(quantity.abs() as f64)).over(Twofold::of(before.abs() as f64));
    *cost = cost.minus(share);
    value(-quantity).minus(share)
}

#[test]
fn a_book_by_average_cost_is_its_ledger() {
    endures(Book::new(PnlMethod::AverageCost), 21);
}

#[test]
fn a_book_first_in_first_out_is_its_ledger() {
    endures(Book::new(PnlMethod::Fifo), 22);
}

#[test]
fn a_book_last_in_first_out_is_its_ledger() {
    endures(Book::new(PnlMethod::Lifo), 23);
}
