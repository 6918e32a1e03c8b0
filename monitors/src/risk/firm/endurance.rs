//! Ten million updates of the sums of a scope.

use tapewatch_schemas::events::{Holdings, Profit as Said};
use tapewatch_schemas::{Amount, Currency, RecordId, Time};

use super::books::{BookLine, Standing};
use super::parameters::FirmParameters;
use super::profits::Profit;
use super::scope::ScopeState;
use crate::endurance::{Kept, Past, Update, endures};
use crate::risk::marks::Marks;
use crate::risk::money::Money;
use crate::risk::rates::{Quoted, Rates};

const SYMBOLS: usize = 16;
const PORTFOLIOS: usize = 9;
/// The most units of one portfolio, in millionths: at a price of 10⁹ those of all fit an amount.
const LARGEST: i64 = 100_000_000_000;

/// What the scope is of: the books of its portfolios, and the marks.
struct Books {
    units: [[i64; SYMBOLS]; PORTFOLIOS],
    prices: [i64; SYMBOLS],
    /// What the account adds, what was realised, what is open cost, and fees.
    said: [[i64; 4]; PORTFOLIOS],
}

impl Books {
    fn new() -> Self {
        Self { units: [[0; SYMBOLS]; PORTFOLIOS], prices: [1; SYMBOLS], said: [[0; 4]; PORTFOLIOS] }
    }

    /// What becomes of them: a mark, other units of a portfolio, or what else its book says.
    fn follow(&mut self, one: Update) -> (usize, usize) {
        let (symbol, portfolio) = (one.chosen as usize % SYMBOLS, (one.chosen >> 8) as usize % PORTFOLIOS);
        match (one.chosen >> 16) % 3 {
            0 => self.prices[symbol] = one.units.abs().max(1),
            // Now and then flat.
            1 => self.units[portfolio][symbol] = if one.chosen >> 61 == 0 { 0 } else { one.units % LARGEST },
            _ => self.said[portfolio][symbol % 4] = one.units,
        }
        (symbol, portfolio)
    }
}

struct Scope {
    books: Books,
    state: ScopeState,
    record: Holdings,
}

fn money(units: i64) -> Money {
    Money::of_units(i128::from(units) * 1_000_000)
}

fn amount(units: i64) -> Amount {
    Amount::from_unscaled(i128::from(units) * 1_000_000).unwrap()
}

fn line(symbol: usize, units: i64) -> BookLine {
    let (quantity, currency) = (money(units), Currency::from("USD"));
    BookLine { symbol: symbol as u32, quantity, units: quantity, currency }
}

impl Scope {
    fn says(&mut self, said: [i64; 4]) -> (Profit, Standing) {
        let [beside, realised, cost, fees] = said;
        let profit = self.record.profit.get_or_insert_with(|| {
            let zero = Amount::ZERO;
            let (realised_unknown, cost_unknown, fees_unknown) = (None, None, None);
            let (realised, cost, fees) = (zero, zero, zero);
            Said { series: 0, realised, realised_unknown, cost, cost_unknown, fees, fees_unknown }.into()
        });
        (profit.realised, profit.cost, profit.fees) = (amount(realised), amount(cost), amount(fees));
        let standing = Standing { currency: "USD".into(), beside: money(beside), flows: Money::ZERO };
        (Profit::of(&self.record).unwrap(), standing)
    }
}

impl Kept for Scope {
    fn update(&mut self, one: Update) {
        let before = (self.books.units, self.books.said);
        let (symbol, portfolio) = self.books.follow(one);
        let (units, said) = (self.books.units[portfolio][symbol], self.books.said[portfolio]);
        let was = before.0[portfolio][symbol];
        let mut held = self.state.of(symbol as u32);
        if was != units {
            held = if was == 0 { held } else { held.less(&line(symbol, was), None) };
            held = if units == 0 { held } else { held.plus(&line(symbol, units), None) };
        }
        self.state.put(held.at(Some(Quoted::from(amount(self.books.prices[symbol])))).unwrap());
        if before.1[portfolio] != said {
            let (old, new) = (self.says(before.1[portfolio]), self.says(said));
            self.state.profits.replace(Some(&old.0), Some(&new.0));
            self.state.equity.replace(Some(&old.1), Some(&new.1));
        }
    }

    fn compare(&mut self, past: Past) {
        let mut books = Books::new();
        for one in past.all() {
            books.follow(one);
        }
        let (mut gross, mut net, mut netted) = (0_i128, 0_i128, 0_i128);
        for (symbol, price) in books.prices.iter().enumerate() {
            let of = |portfolio: &[i64; SYMBOLS]| i128::from(portfolio[symbol]) * i128::from(*price);
            let value: i128 = books.units.iter().map(of).sum();
            gross += books.units.iter().map(|portfolio| of(portfolio).abs()).sum::<i128>();
            net += value;
            netted += value.abs();
        }
        let sums = self.state.sums;
        let units = Money::of_units;
        assert_eq!((sums.gross, sums.net, sums.netted), (units(gross), units(net), units(netted)));
        self.state.value_abroad(&"USD".into(), &Rates::default(), &Marks::default());
        let of =
            |place: usize| books.said.iter().map(|said| i128::from(said[place])).sum::<i128>() * 1_000_000;
        assert_eq!(self.state.realised_profit(), Ok(units(of(1))));
        assert_eq!(self.state.unrealised_profit(), Ok(units(net - of(2))));
        assert_eq!(self.state.fees_paid(), Ok(units(of(3))));
        assert_eq!(self.state.equity(), units(of(0) + net));
    }
}

#[test]
fn a_scope_is_the_sum_of_its_books() {
    let record = Holdings {
        provenance: tapewatch_schemas::events::Provenance::default(),
        id: RecordId::of_step("test", 0, 0, 0),
        event_time: Time(0),
        portfolio: "p".into(),
        currency: "USD".into(),
        opened: true,
        unknown: None,
        filled_at: None,
        account: None,
        account_unknown: None,
        profit: None,
        conduct: None,
        holdings: Vec::new(),
    };
    let state = ScopeState::new(&"firm:all".into(), &FirmParameters::default(), Time(0));
    endures(Scope { books: Books::new(), state, record }, 91);
}
