use smol_str::format_smolstr;
use tapewatch_schemas::events::{ExecReport, ExecType, Liquidity, OrderStatus, OrderType, Side};
use tapewatch_schemas::{Amount, ExecutionId, OrderId, PortfolioId, SignalId, StrategyId, Time};

use super::book::average;
use crate::market::Instrument;
use crate::money::{self, Money};
use crate::options::SIM_SOURCE;

/// An order and how far it is filled.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) portfolio: PortfolioId,
    pub(crate) strategy: StrategyId,
    pub(crate) signal: Option<SignalId>,
    pub(crate) id: OrderId,
    pub(crate) symbol: usize,
    pub(crate) side: Side,
    pub(crate) lots: i64,
    /// Ticks; a market order if none.
    pub(crate) limit: Option<i64>,
    pub(crate) arrival: i64,
    pub(crate) decided: Time,
    pub(crate) sent: Time,
    pub(crate) acknowledged: Time,
    filled: i64,
    paid: Money,
    reports: u32,
}

/// One fill.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    pub(crate) time: Time,
    pub(crate) lots: i64,
    pub(crate) ticks: i64,
    pub(crate) fee: Money,
    pub(crate) maker: bool,
}

/// What an order is made of.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) portfolio: PortfolioId,
    pub(crate) strategy: StrategyId,
    pub(crate) signal: Option<SignalId>,
    pub(crate) number: u64,
    pub(crate) symbol: usize,
    pub(crate) side: Side,
    pub(crate) lots: i64,
    pub(crate) limit: Option<i64>,
    pub(crate) arrival: i64,
    pub(crate) decided: Time,
    pub(crate) sent: Time,
    pub(crate) acknowledged: Time,
}

impl Order {
    pub(crate) fn new(ticket: Ticket) -> Self {
        let id = OrderId(format_smolstr!("{}-o{}", ticket.portfolio, ticket.number));
        let Ticket { portfolio, strategy, signal, symbol, side, lots, limit, arrival, .. } = ticket;
        let Ticket { decided, sent, acknowledged, .. } = ticket;
        Self {
            portfolio,
            strategy,
            signal,
            id,
            symbol,
            side,
            lots,
            limit,
            arrival,
            decided,
            sent,
            acknowledged,
            filled: 0,
            paid: 0,
            reports: 0,
        }
    }

    /// The venue has it.
    pub(crate) fn accepted(&mut self, instrument: &Instrument) -> ExecReport {
        self.report(instrument, self.acknowledged, ExecType::New, OrderStatus::New)
    }

    /// A fill.
    pub(crate) fn fill(&mut self, instrument: &Instrument, fill: Fill) -> ExecReport {
        self.filled += fill.lots;
        self.paid += Money::from(fill.ticks) * Money::from(fill.lots);
        let whole = self.filled == self.lots;
        let status = if whole { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
        ExecReport {
            last_quantity: Some(instrument.quantity(fill.lots)),
            last_price: Some(instrument.price(fill.ticks)),
            fee: Some(money::money(fill.fee)),
            fee_currency: Some("USD".into()),
            liquidity: if fill.maker { Liquidity::Maker } else { Liquidity::Taker },
            ..self.report(instrument, fill.time, ExecType::Fill, status)
        }
    }

    /// The bar is over and so is the order.
    pub(crate) fn expired(&mut self, instrument: &Instrument, time: Time) -> ExecReport {
        let mut report = self.report(instrument, time, ExecType::Expired, OrderStatus::Expired);
        report.leaves_quantity = Amount::ZERO;
        report
    }

    fn report(
        &mut self,
        instrument: &Instrument,
        event_time: Time,
        exec_type: ExecType,
        order_status: OrderStatus,
    ) -> ExecReport {
        self.reports += 1;
        let filled = instrument.quantity(self.filled);
        ExecReport {
            source: SIM_SOURCE.into(),
            sequence: 0,
            event_time,
            portfolio: self.portfolio.clone(),
            strategy: self.strategy.clone(),
            symbol: instrument.symbol.clone(),
            order_id: self.id.clone(),
            execution_id: ExecutionId(format_smolstr!("{}-e{}", self.id, self.reports)),
            signal_id: self.signal.clone(),
            reference_execution_id: None,
            exec_type,
            order_status,
            side: self.side,
            order_type: if self.limit.is_some() { OrderType::Limit } else { OrderType::Market },
            order_quantity: instrument.quantity(self.lots),
            limit_price: self.limit.map(|ticks| instrument.price(ticks)),
            last_quantity: None,
            last_price: None,
            cumulative_quantity: filled,
            leaves_quantity: instrument.quantity(self.lots - self.filled),
            average_price: average(self.paid, filled),
            currency: "USD".into(),
            fee: None,
            fee_currency: None,
            liquidity: Liquidity::Unknown,
            venue: Some("SIM".into()),
            arrival_price: Some(instrument.price(self.arrival)),
            decision_time: Some(self.decided),
            sent_time: Some(self.sent),
            acknowledged_time: Some(self.acknowledged),
            text: None,
        }
    }
}
