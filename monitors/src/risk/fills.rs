//! Taking execution reports: fills are booked once.

use tapewatch_schemas::events::{ExecReport, ExecType, Side};
use tapewatch_schemas::{Amount, Time};

use super::executions::Execution;
use super::line::Line;
use super::lots::Position;
use super::marks::SymbolId;
use super::money::Money;
use super::parameters::Sampling;
use super::portfolio::{Booking, Holding, Portfolio};
use super::rates::{Quoted, Rate};
use super::{RiskMonitor, full, overflow, publish};
use crate::monitor::{Output, Refusal, Seen};

/// What a report does to the book.
pub(super) enum Effect {
    /// Nothing: an order's report, or a fill that the opening already contains.
    None,
    /// It came before.
    Duplicate,
    /// A fill to remember only: it is part of the book's opening.
    Covered(Execution),
    /// A fill.
    Fill(Execution, Booking),
    /// A fill undone or changed: what the remembered fills are then.
    Redo(Vec<(usize, Execution)>, Booking),
}

/// A report's quantity, price and fee, checked.
pub(super) struct Terms {
    /// Units; negative for a sale.
    pub(super) quantity: Amount,
    pub(super) price: Quoted,
    /// In the portfolio's currency.
    pub(super) fee: Money,
    /// False if there is no rate for the fee's currency: it is then not in `fee`.
    pub(super) fee_known: bool,
}

impl RiskMonitor {
    pub(super) fn on_exec_report(
        &mut self,
        report: &ExecReport,
        seen: &Seen<'_>,
        clock: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let known = self.portfolio(&report.portfolio)?;
        // Most reports come by the feed that the portfolio's last one came by: no look-up.
        let last_feed =
            known.and_then(|place| self.portfolios[place as usize].executed).map(|(feed, _)| feed);
        let known_feed = match last_feed {
            Some(feed) if self.feeds.is(feed, &report.source, seen.topic, seen.partition) => Some(feed),
            _ => self.feed(&report.source, seen)?,
        };
        let known_symbol = self.marks.find(&report.symbol);
        if known_symbol.is_none() {
            self.room_for_symbols(1)?;
        }
        // A new symbol gets the next place, if nothing below refuses the report.
        let symbol = known_symbol.unwrap_or(self.marks.len() as SymbolId);
        let portfolio = known.map(|place| &self.portfolios[place as usize]);
        let terms = match report.exec_type {
            ExecType::Fill | ExecType::Correct => Some(self.terms(portfolio, report, clock)?),
            _ => None,
        };
        let effect = match (report.exec_type, &terms) {
            (ExecType::Fill, Some(terms)) => self.fill(portfolio, report, symbol, terms)?,
            (ExecType::Bust, _) => self.redo(portfolio, report, symbol, None)?,
            (ExecType::Correct, Some(terms)) => self.redo(portfolio, report, symbol, Some(terms))?,
            _ => Effect::None,
        };

        // Nothing is refused from here on.
        self.clock = clock;
        let feed = self.read(known_feed, &report.source, report.sequence, seen);
        let place = self.portfolio_or_new(known, &report.portfolio);
        let portfolio = &mut self.portfolios[place as usize];
        let latest = portfolio.executed.map_or(report.event_time, |(_, at)| at.max(report.event_time));
        portfolio.executed = Some((feed, latest));
        let denominated = portfolio.currency.is_some();
        let fill = matches!(effect, Effect::Fill(..));
        let named = match &effect {
            Effect::Fill(execution, _) => Some(execution),
            Effect::Redo(redone, _) => redone.first().map(|(_, execution)| execution),
            _ => None,
        };
        let known = named.map_or((true, true), |named| (named.price.rate.is_known(), named.fee_known));
        if !matches!(effect, Effect::Duplicate) {
            self.take_conduct(place, report);
        }
        let booked = self.take_effect(place, report, effect);
        if booked {
            if fill {
                let portfolio = &mut self.portfolios[place as usize];
                portfolio.filled = portfolio.filled.max(Some(report.event_time));
            }
            self.follow_rates(place, &report.currency);
            self.paid_without_rate(place, known, report.event_time);
            self.touched(place);
            if self.parameters.holdings_at_change {
                let (portfolio, around) = self.with(place);
                out.push(publish::holdings(portfolio, &around));
            }
        }
        // Before the sample, which needs to know what is unknown with this fill in the book.
        let (portfolio, around) = self.with(place);
        if denominated && around.still_known(portfolio, symbol) {
            debug_assert_eq!(
                around.assess(portfolio).0,
                portfolio.unknowns,
                "what a look at all of it finds"
            );
        } else {
            self.reassess(place);
        }
        if booked && self.parameters.window.sampling == Sampling::EachFill {
            self.sample(place);
        }
        self.settle(place, false, out);
        Ok(())
    }

    /// Puts an effect in its place; true if the book changed.
    fn take_effect(&mut self, place: u32, report: &ExecReport, effect: Effect) -> bool {
        let bound = self.parameters.bounds.executions;
        if matches!(effect, Effect::Fill(..) | Effect::Covered(_))
            && self.marks.find(&report.symbol).is_none()
        {
            self.marks.add(&report.symbol);
        }
        let portfolio = &mut self.portfolios[place as usize];
        let booking = match effect {
            Effect::None => return false,
            Effect::Duplicate => {
                portfolio.duplicates += 1;
                return false;
            }
            Effect::Covered(execution) => {
                portfolio.executions.push(execution, bound);
                return false;
            }
            Effect::Fill(execution, booking) => {
                portfolio.executions.push(execution, bound);
                booking
            }
            Effect::Redo(executions, booking) => {
                for (at, execution) in executions {
                    portfolio.executions.replace(at, execution);
                }
                booking
            }
        };
        if portfolio.currency.is_none() {
            portfolio.currency = Some(booking.currency.clone());
        }
        let symbol = booking.symbol;
        let holds = portfolio.book(booking);
        self.marks.set_holder(symbol, place, holds);
        true
    }

    fn fill(
        &self,
        portfolio: Option<&Portfolio>,
        report: &ExecReport,
        symbol: SymbolId,
        terms: &Terms,
    ) -> Result<Effect, Refusal> {
        let known = portfolio.and_then(|p| p.executions.find(&report.order_id, &report.execution_id));
        if known.is_some() {
            return Ok(Effect::Duplicate);
        }
        let held = portfolio.and_then(|p| p.holding(symbol));
        let mut position = held.map_or_else(|| Position::of(Line::FLAT, self.costing()), Holding::position);
        let multiplier = held.map_or_else(|| self.multiplier(&report.symbol), |h| h.multiplier);
        let covered = portfolio.and_then(|p| p.opened_at).is_some_and(|at| report.event_time <= at);
        let value = terms.price.value(terms.quantity, multiplier).map_err(overflow("last_price"))?;
        let mut execution = Execution {
            order: report.order_id.clone(),
            id: report.execution_id.clone(),
            corrected_by: None,
            busted_by: None,
            symbol,
            quantity: terms.quantity,
            price: terms.price,
            currency: report.currency.clone(),
            value,
            fee: terms.fee,
            fee_known: terms.fee_known,
            event_time: report.event_time,
            before: position.line,
            realised: Money::ZERO,
            realised_known: true,
            turn: None,
            covered,
        };
        if covered {
            return Ok(Effect::Covered(execution));
        }
        let holdings = portfolio.map_or(0, |p| p.holdings.len());
        if held.is_none() && holdings >= self.parameters.bounds.holdings {
            return Err(full("symbol", holdings, "no more holdings than the bound"));
        }
        let filled = position
            .fill(terms.quantity, terms.price, multiplier, self.costing())
            .map_err(overflow("last_quantity"))?;
        (execution.realised, execution.realised_known, execution.turn) =
            (filled.realised, filled.known, filled.turn);
        let (realised, unknown) = (filled.realised, i32::from(!filled.known));
        let change = Change { position, realised, unknown, fee: terms.fee, spent: value };
        let booking = self.booking(portfolio, report, symbol, multiplier, change)?;
        Ok(Effect::Fill(execution, booking))
    }

    /// The booking of a change, if all of its figures fit.
    pub(super) fn booking(
        &self,
        portfolio: Option<&Portfolio>,
        report: &ExecReport,
        symbol: SymbolId,
        multiplier: Amount,
        change: Change,
    ) -> Result<Booking, Refusal> {
        let held = portfolio.and_then(|p| p.holding(symbol));
        if let Some(held) = held.filter(|h| h.currency != report.currency) {
            return Err(Refusal {
                field: "currency",
                problem: format!(
                    "{} is traded in {} and held in {}",
                    report.symbol, report.currency, held.currency
                ),
                expected: "the currency of the position",
            });
        }
        let into = portfolio.and_then(|p| p.currency.as_ref()).unwrap_or(&report.currency);
        let quantity = change.position.line.quantity;
        let value = self.marks.find(&report.symbol).map_or(Ok(None), |symbol| {
            self.worth(symbol, quantity, multiplier, (&report.currency, into))
                .map_err(overflow("last_quantity"))
        })?;
        let (realised, fees) = portfolio.map_or((Money::ZERO, Money::ZERO), |p| (p.realised, p.fees));
        (realised + change.realised).fitting().map_err(overflow("last_price"))?;
        (fees + change.fee).fitting().map_err(overflow("fee"))?;
        Ok(Booking {
            symbol,
            line: change.position.line,
            lots: change.position.lots,
            value,
            multiplier,
            currency: report.currency.clone(),
            realised: change.realised,
            unknown: change.unknown,
            fee: change.fee,
            spent: change.spent,
            event_time: report.event_time,
        })
    }
}

/// What a report does to a position and to the money.
pub(super) struct Change {
    pub(super) position: Position,
    pub(super) realised: Money,
    /// By how many the fills that realised something unknown are more.
    pub(super) unknown: i32,
    pub(super) fee: Money,
    pub(super) spent: Money,
}

impl RiskMonitor {
    fn terms(
        &self,
        portfolio: Option<&Portfolio>,
        report: &ExecReport,
        clock: Time,
    ) -> Result<Terms, Refusal> {
        let quantity = report.last_quantity.filter(|q| q.is_positive()).ok_or_else(|| Refusal {
            field: "last_quantity",
            problem: report
                .last_quantity
                .map_or_else(|| "it is missing".to_owned(), |q| format!("it is {q}")),
            expected: "the quantity of the fill, above zero",
        })?;
        let price = report.last_price.ok_or_else(|| Refusal {
            field: "last_price",
            problem: "it is missing".to_owned(),
            expected: "the price of the fill",
        })?;
        let into = portfolio.and_then(|p| p.currency.as_ref()).unwrap_or(&report.currency);
        let fee = report.fee.filter(|fee| !fee.is_zero());
        let fee_currency = report.fee_currency.as_ref().unwrap_or(&report.currency);
        let fee_rate = fee.map_or(Rate::Own, |_| self.rate_at(fee_currency, into, clock));
        let fee = fee_rate.of(Money::of(fee.unwrap_or_default())).map_err(overflow("fee"))?;
        Ok(Terms {
            quantity: if report.side == Side::Sell { -quantity } else { quantity },
            price: Quoted { price, rate: self.rate_at(&report.currency, into, clock) },
            fee,
            fee_known: fee_rate.is_known(),
        })
    }

    /// Notes that it is not known what a fill cost or brought, or its fee; or what one that is undone or corrected did. Until
    /// an account record later than that, and than the one in force, says what is there, nobody knows.
    fn paid_without_rate(&mut self, place: u32, (price_known, fee_known): (bool, bool), event_time: Time) {
        let portfolio = &mut self.portfolios[place as usize];
        let until = portfolio.not_before_account(event_time);
        if !fee_known {
            portfolio.foreign_fee = portfolio.foreign_fee.max(Some(until));
        }
        if !price_known {
            portfolio.unrated = portfolio.unrated.max(Some(until));
            portfolio.break_series(self.parameters.window.basis);
        }
    }
}
