//! Busts and corrections: the fill they name is undone or has other terms, and what followed is booked anew.

use tapewatch_schemas::events::ExecReport;

use super::executions::Execution;
use super::fills::{Change, Effect, Terms};
use super::line::Line;
use super::lots::Position;
use super::marks::SymbolId;
use super::money::Money;
use super::portfolio::{Holding, Portfolio};
use super::{RiskMonitor, overflow};
use crate::monitor::Refusal;

impl RiskMonitor {
    /// Undoes a remembered fill, or replaces its terms, and books all later fills of the symbol anew: the
    /// book is then as if it had been so from the start.
    pub(super) fn redo(
        &self,
        portfolio: Option<&Portfolio>,
        report: &ExecReport,
        symbol: SymbolId,
        terms: Option<&Terms>,
    ) -> Result<Effect, Refusal> {
        let Some(reference) = &report.reference_execution_id else {
            return Err(Refusal {
                field: "reference_execution_id",
                problem: "it is missing".to_owned(),
                expected: "the execution that the bust or correction is about",
            });
        };
        let named = portfolio.and_then(|p| Some((p, p.executions.find(&report.order_id, reference)?)));
        let Some((portfolio, at)) = named else {
            return Err(Refusal {
                field: "reference_execution_id",
                problem: format!("execution {reference} of order {} is not remembered", report.order_id),
                expected: "an execution among the latest of the portfolio",
            });
        };
        let first = portfolio.executions.get(at);
        let id = Some(&report.execution_id);
        if first.busted_by.as_ref() == id || first.corrected_by.as_ref() == id {
            return Ok(Effect::Duplicate);
        }
        if !first.counts() || first.symbol != symbol {
            return Err(Refusal {
                field: "reference_execution_id",
                problem: format!(
                    "execution {reference} is undone already, in the opening, or of another symbol"
                ),
                expected: "an execution that stands",
            });
        }
        if first.currency != report.currency {
            return Err(Refusal {
                field: "currency",
                problem: format!(
                    "execution {reference} was in {}, this is in {}",
                    first.currency, report.currency
                ),
                expected: "the currency of the fill that it is about",
            });
        }
        let held = portfolio.holding(symbol);
        let multiplier = held.map_or_else(|| self.multiplier(&report.symbol), |h| h.multiplier);
        let mut changed = first.clone();
        match terms {
            None => changed.busted_by = Some(report.execution_id.clone()),
            Some(terms) => {
                changed.corrected_by = Some(report.execution_id.clone());
                // At the rate of the fill that it corrects, which is undone exactly otherwise.
                (changed.quantity, changed.price.price) = (terms.quantity, terms.price.price);
                (changed.fee, changed.fee_known) = (terms.fee, changed.fee_known && terms.fee_known);
                changed.value =
                    changed.price.value(terms.quantity, multiplier).map_err(overflow("last_price"))?;
            }
        }
        let (fee, spent) = match terms {
            None => (-first.fee, -first.value),
            Some(_) => (changed.fee - first.fee, changed.value - first.value),
        };
        let mut change = Change {
            position: self.position_before(portfolio, at),
            realised: Money::ZERO,
            unknown: 0,
            fee,
            spent,
        };
        let mut redone = Vec::new();
        let later = portfolio.executions.iter().enumerate().skip(at + 1);
        for (at, execution) in std::iter::once((at, &changed)).chain(later) {
            if execution.symbol != symbol {
                continue;
            }
            let was = portfolio.executions.get(at);
            let now = if execution.counts() {
                let before = change.position.line;
                let filled = change
                    .position
                    .fill(execution.quantity, execution.price, multiplier, self.costing())
                    .map_err(overflow("last_quantity"))?;
                execution.booked(before, filled)
            } else {
                execution.not_booked()
            };
            change.realised += now.realised - was.realised;
            change.unknown += i32::from(was.realised_known) - i32::from(now.realised_known);
            redone.push((at, now));
        }
        let booking = self.booking(Some(portfolio), report, symbol, multiplier, change)?;
        Ok(Effect::Redo(redone, booking))
    }

    /// The position before the execution at a place, and so before all later ones of its symbol.
    fn position_before(&self, portfolio: &Portfolio, at: usize) -> Position {
        let first = portfolio.executions.get(at);
        let held = portfolio.holding(first.symbol).map(Holding::position);
        let mut position = held.unwrap_or_else(|| Position::of(Line::FLAT, self.costing()));
        let counts = |e: &&Execution| e.symbol == first.symbol && e.counts();
        for execution in portfolio.executions.iter().skip(at).rev().filter(counts) {
            match (&execution.turn, &mut position.lots) {
                (Some(turn), Some(lots)) => lots.undo(turn, self.parameters.pnl_method),
                // Costs are averaged, or were when it was booked: the total is all there is.
                _ => return Position::of(first.before, self.costing()),
            }
        }
        Position { line: first.before, ..position }
    }
}
