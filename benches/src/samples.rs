//! Sample events of a realistic size.

use tapewatch_schemas::events::{
    Account, ExecReport, ExecType, Liquidity, MarketData, OrderStatus, OrderType, Side, Signal,
};
use tapewatch_schemas::{Amount, Time};

/// `units` hundredths as an amount.
pub fn cents(units: i64) -> Amount {
    Amount::from_unscaled(i128::from(units) * 10_000_000_000).expect("hundredths of an i64 fit 28 digits")
}

/// The symbol at `index`.
pub fn symbol(index: usize) -> String {
    format!("SYM{index:02}-USD")
}

/// The portfolio at `index`.
pub fn portfolio(index: usize) -> String {
    format!("portfolio-{index:03}")
}

/// A mark of `symbol` around `price` hundredths: about 200 B on the wire, padded by the venue's name.
pub fn mark(symbol: &str, price: i64, sequence: i64, time: Time) -> MarketData {
    MarketData {
        source: "market-feed".into(),
        sequence,
        event_time: time,
        symbol: symbol.into(),
        currency: "USD".into(),
        bid: Some(cents(price - 1)),
        ask: Some(cents(price + 1)),
        last: Some(cents(price)),
        bid_size: Some(cents(12_345)),
        ask_size: Some(cents(54_321)),
        volume: Some(cents(1_000)),
        venue: Some(
            "A venue with the long name that brings this record up to 200 bytes of Avro, framing and all, as R wants it".into(),
        ),
    }
}

/// What an order or fill is about.
#[derive(Clone, Copy, Debug)]
pub struct Trade<'a> {
    /// The portfolio.
    pub portfolio: &'a str,
    /// The symbol.
    pub symbol: &'a str,
    /// True to buy.
    pub buy: bool,
    /// Hundredths of the currency.
    pub price: i64,
    /// Hundredths of a unit.
    pub quantity: i64,
    /// Makes its ids unique.
    pub number: u64,
    /// Its source's sequence number.
    pub sequence: i64,
    /// When.
    pub time: Time,
}

/// A report that an order was accepted.
pub fn order(trade: &Trade<'_>) -> ExecReport {
    let quantity = cents(trade.quantity);
    ExecReport {
        source: "trading".into(),
        sequence: trade.sequence,
        event_time: trade.time,
        portfolio: trade.portfolio.into(),
        strategy: "dip-buyer".into(),
        symbol: trade.symbol.into(),
        order_id: format!("O{}", trade.number).into(),
        execution_id: format!("X{}", trade.number).into(),
        signal_id: Some(format!("S{}", trade.number).into()),
        reference_execution_id: None,
        exec_type: ExecType::New,
        order_status: OrderStatus::New,
        side: if trade.buy { Side::Buy } else { Side::Sell },
        order_type: OrderType::Limit,
        order_quantity: quantity,
        limit_price: Some(cents(trade.price)),
        last_quantity: None,
        last_price: None,
        cumulative_quantity: Amount::ZERO,
        leaves_quantity: quantity,
        average_price: None,
        currency: "USD".into(),
        fee: None,
        fee_currency: None,
        liquidity: Liquidity::Unknown,
        venue: Some("SIM".into()),
        arrival_price: Some(cents(trade.price)),
        decision_time: Some(trade.time),
        sent_time: Some(trade.time),
        acknowledged_time: Some(trade.time),
        text: Some("limit order of the dip buyer".into()),
    }
}

/// A report of a whole fill.
pub fn fill(trade: &Trade<'_>) -> ExecReport {
    let quantity = cents(trade.quantity);
    ExecReport {
        exec_type: ExecType::Fill,
        order_status: OrderStatus::Filled,
        last_quantity: Some(quantity),
        last_price: Some(cents(trade.price)),
        cumulative_quantity: quantity,
        leaves_quantity: Amount::ZERO,
        average_price: Some(cents(trade.price)),
        fee: Some(cents(1)),
        fee_currency: Some("USD".into()),
        liquidity: Liquidity::Taker,
        text: None,
        ..order(trade)
    }
}

/// A signal.
pub fn signal(trade: &Trade<'_>) -> Signal {
    Signal {
        source: "trading".into(),
        sequence: trade.sequence,
        event_time: trade.time,
        portfolio: trade.portfolio.into(),
        strategy: "dip-buyer".into(),
        signal_id: format!("S{}", trade.number).into(),
        symbol: trade.symbol.into(),
        side: if trade.buy { Side::Buy } else { Side::Sell },
        target_quantity: cents(trade.quantity),
        reference_price: cents(trade.price),
        bar_boundary: None,
        features: ["momentum", "volatility", "spread", "imbalance"]
            .into_iter()
            .map(|name| (name.to_owned(), 0.25))
            .collect(),
    }
}

/// A portfolio's money, in whole units of the currency.
pub fn account(portfolio: &str, money: i64, sequence: i64, time: Time) -> Account {
    Account {
        source: "trading".into(),
        sequence,
        event_time: time,
        portfolio: portfolio.into(),
        currency: "USD".into(),
        cash: cents(money * 100),
        equity: cents(money * 100),
        deposits: cents(money * 100),
        withdrawals: Amount::ZERO,
    }
}
