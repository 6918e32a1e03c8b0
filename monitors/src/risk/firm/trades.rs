//! What the portfolios of a scope traded last, so that who holds a halt of the scope can tell whether it is kept.

use serde::{Deserialize, Serialize};
use tapewatch_schemas::events::{Measure, Unknown};
use tapewatch_schemas::{PortfolioId, Time};

use super::books::{Book, BookLine};
use crate::risk::money::Money;
use crate::risk::publish::ratio;

/// What is published of the latest fill begins so; the portfolio follows, behind a colon. Without one it is unknown.
pub(crate) const LAST_FILL: &str = "last_fill";
/// The same of the latest fill after which a portfolio held more of a symbol than before, or turned it.
pub(crate) const LAST_GROWTH: &str = "last_growth";

/// The latest trades in a scope.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Trades {
    fill: Option<(Time, PortfolioId)>,
    growth: Option<(Time, PortfolioId)>,
}

impl Trades {
    /// A portfolio of the scope was filled, at the latest then.
    pub(super) fn see(&mut self, portfolio: &PortfolioId, filled_at: Time, grew: bool) {
        let latest = |known: &mut Option<(Time, PortfolioId)>| {
            if known.as_ref().is_none_or(|(at, _)| *at < filled_at) {
                *known = Some((filled_at, portfolio.clone()));
            }
        };
        latest(&mut self.fill);
        if grew {
            latest(&mut self.growth);
        }
    }

    /// As it is published: the seconds from 1970 to each. Unknown where the books are, since any may have been filled.
    pub(super) fn measures(&self, unknown: Option<Unknown>) -> impl Iterator<Item = Measure> {
        let of = |name: &str, known: &Option<(Time, PortfolioId)>| {
            let (at, portfolio) = known.as_ref()?;
            Some(ratio(&format!("{name}:{portfolio}"), Ok(at.micros() as f64 / 1e6)))
        };
        let unknown = unknown.map(|reason| ratio(LAST_FILL, Err(reason)));
        unknown.into_iter().chain(of(LAST_FILL, &self.fill)).chain(of(LAST_GROWTH, &self.growth))
    }
}

/// True if a book has more of a symbol than the one before it, or has turned one, or if nobody can tell.
pub(super) fn grew(before: Option<&Book>, unknown: Option<Unknown>, lines: &[BookLine]) -> bool {
    let unopened = |unknown: Option<Unknown>| unknown == Some(Unknown::NoOpening);
    let Some(before) = before.filter(|before| !unopened(before.unknown) && !unopened(unknown)) else {
        return true;
    };
    lines.iter().any(|line| {
        let at = before.lines.binary_search_by_key(&line.symbol, |line| line.symbol);
        let was = at.map_or(Money::ZERO, |at| before.lines[at].quantity);
        let turned = (line.quantity < Money::ZERO) != (was < Money::ZERO);
        line.quantity.abs() > was.abs() || turned
    })
}
