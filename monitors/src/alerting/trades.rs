//! Whether a halt of a scope above the portfolio is kept: its figures say when a portfolio of it was last filled, and when
//! one last held more than before. Both are asked what a portfolio's books are asked.

use tapewatch_schemas::Time;
use tapewatch_schemas::events::{Cause, Measure, RiskMetrics, TradingLevel, Unknown};

use super::AlertingMonitor;
use super::condition::Finding;
use super::containment::{Broken, Guard};
use super::latch::Latch;
use crate::monitor::Output;
use crate::risk::firm::{LAST_FILL, LAST_GROWTH};

/// True if a scope is a portfolio and not what is above it.
pub(super) fn is_portfolio(scope: &str) -> bool {
    !scope.contains(':')
}

impl Guard {
    /// What the latest trade in a scope broke, if the measure is of one.
    fn traded(&self, measure: &Measure) -> Option<(Time, Broken)> {
        let (name, portfolio) = measure.name.split_once(':')?;
        // As many microseconds as they were.
        let at = Time(libm::round(measure.value? * 1e6) as i64);
        let (level, what) = match name {
            LAST_FILL => (TradingLevel::Halt, format!("{portfolio} traded all the same, at {at}")),
            LAST_GROWTH => {
                let what = format!(
                    "{portfolio} traded all the same, at {at}, and held more than before or the opposite"
                );
                (TradingLevel::ReduceOnly, what)
            }
            _ => return None,
        };
        let broken = Broken::of_portfolio(level, portfolio, what);
        let new = self.told.is_none_or(|told| told < at);
        (new && self.level_at(at) == level).then_some((at, broken))
    }

    /// Why nobody can tell what was traded in a scope by now, if the measure says so. A book that is not young is none that
    /// was traded from.
    fn untold(&self, measure: &Measure, clock: Time) -> Option<Broken> {
        let lost = |reason: &Unknown| matches!(reason, Unknown::NoOpening | Unknown::SourceDown);
        let unknown = measure.unknown.filter(lost).filter(|_| measure.name == LAST_FILL)?;
        let level = self.level_at(clock);
        let what = "nobody can tell what was traded in it: not all of its books are known";
        (level > TradingLevel::Normal).then(|| Broken::untold(level, unknown, what))
    }
}

impl AlertingMonitor {
    /// Takes what a scope above the portfolio says of the latest trades in it.
    pub(super) fn heed_trades(&mut self, metrics: &RiskMetrics, cause: &Cause, out: &mut Vec<Output>) {
        let scope = metrics.scope.as_str();
        // A portfolio's books say it all.
        if is_portfolio(scope) {
            return;
        }
        let Some(mut latch) = self.latches.remove(scope) else { return };
        if latch.level > TradingLevel::Normal {
            let measures = || metrics.measures.iter();
            let traded: Vec<(Time, Broken)> = measures().filter_map(|one| latch.guard.traded(one)).collect();
            let untold = measures().find_map(|one| latch.guard.untold(one, self.clock));
            if untold.is_none() {
                self.know_again(scope, &latch, metrics.event_time, cause, out);
            }
            latch.guard.told = traded.iter().map(|(at, _)| *at).max().max(latch.guard.told);
            let broken: Vec<Broken> = traded.into_iter().map(|(_, broken)| broken).chain(untold).collect();
            let findings = self.in_trades(scope, &latch, &broken, metrics.event_time);
            self.tell(&latch, findings, cause, out);
        }
        self.latches.insert(scope.into(), latch);
    }

    /// All books of a scope are known again, and say what was traded.
    fn know_again(
        &mut self,
        scope: &str,
        latch: &Latch,
        event_time: Time,
        cause: &Cause,
        out: &mut Vec<Output>,
    ) {
        let of = |rule| Finding::of_trade(rule, scope, None, event_time, self.clock);
        let mut known: Vec<Finding> = self.on_containment(scope).map(of).collect();
        let unknown = |finding: &Finding| self.conditions.get(&finding.fingerprint)?.unknown;
        known.retain(|finding| unknown(finding).is_some());
        for mut finding in known {
            finding.holds = Some(false);
            finding.detail = latch.text(scope);
            self.take(finding, cause, out);
        }
    }
}
