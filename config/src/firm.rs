//! `[firm]`: what is above the portfolio, and its limits.

use std::time::Duration;

use serde::Serialize;

use crate::instruments::refuse_doubles;
use crate::limit::{Limit, SCOPE_MEASURES};
use crate::overrides::Override;
use crate::risk::Risk;
use crate::section::Section;
use crate::value::micros;

/// Strategies, desks and the firm. Without scopes nothing is rolled up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Firm {
    /// How often levels are published, in event time.
    #[serde(serialize_with = "micros")]
    pub publish_every: Duration,
    /// How old a portfolio's book may be, where nothing has said that it is still the same.
    #[serde(serialize_with = "micros")]
    pub books: Duration,
    /// What is rolled up.
    pub scopes: Vec<FirmScope>,
    /// Limits, in the order in which they are published.
    pub limits: Vec<FirmLimit>,
    /// Other bounds of limits for a while.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
}

/// A scope above the portfolio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirmScope {
    /// `strategy:ID`, `desk:ID` or `firm:ID`.
    pub scope: String,
    /// The portfolios in it; all if empty.
    pub portfolios: Vec<String>,
}

/// A bound on a measure of scopes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FirmLimit {
    /// The bound.
    #[serde(flatten)]
    pub limit: Limit,
    /// The scopes it is on; all if empty.
    pub scopes: Vec<String>,
}

impl Firm {
    /// What there is of risk decides what fits: the measures of value at risk and stress, the schedules, and whether books
    /// are published at each change.
    pub(crate) fn read(section: &mut Section<'_>, risk: &Risk) -> Self {
        let named = risk.of_scopes();
        let schedules: Vec<&str> = risk.schedules.iter().map(|one| one.name.as_str()).collect();
        let above_zero = |span: &Duration| !span.is_zero();
        let span = "a duration above 0, such as \"1m\"";
        let scopes = section.groups("scopes", FirmScope::read);
        refuse_doubles(section, "scopes", "scope", scopes.iter().map(|one| one.scope.as_str()));
        let known: Vec<&str> = scopes.iter().map(|one| one.scope.as_str()).collect();
        let limits = section.groups("limits", |limit| FirmLimit::read(limit, &known, &named, &schedules));
        refuse_doubles(section, "limits", "name", limits.iter().map(|one| one.limit.name.as_str()));
        risk.refuse_unlooked(section, limits.iter().map(|one| &one.limit));
        if scopes.is_empty() && !limits.is_empty() {
            section.fail("limits", "there is nothing that they could be on", "[[firm.scopes]], or no limits");
        }
        if !scopes.is_empty() && !risk.holdings_at_change {
            let problem = "risk.holdings_at_change is false: books would be taken for what is held although they are not";
            section.fail("scopes", problem, "risk.holdings_at_change = true, or no scopes");
        }
        if !scopes.is_empty() {
            risk.refuse_long_horizons_of_scopes(section);
        }
        let overridable: Vec<_> = limits.iter().map(|one| (&one.limit, one.scopes.as_slice())).collect();
        let overrides = Override::read_all(section, "scopes", &overridable);
        for (at, one) in overrides.iter().enumerate() {
            if let Some(unknown) = one.on.iter().find(|scope| !known.contains(&scope.as_str())) {
                let problem = format!("there is no scope {unknown:?}");
                section.fail_in("overrides", at, "scopes", &problem, "some of firm.scopes");
            }
        }
        Self {
            overrides,
            publish_every: section.get_if("publish_every", above_zero, span),
            books: section.get_if("books", above_zero, span),
            scopes,
            limits,
        }
    }
}

impl FirmScope {
    fn read(section: &mut Section<'_>) -> Self {
        let id = |id: &String| !id.is_empty() && !id.contains(':');
        let portfolios: Vec<String> = section.values("portfolios", id, "a portfolio's id");
        if let Some(twice) = (1..portfolios.len()).find(|at| portfolios[..*at].contains(&portfolios[*at])) {
            let problem = format!("{:?} is named twice", portfolios[twice]);
            section.fail("portfolios", &problem, "each portfolio once");
        }
        let expected = "strategy:ID, desk:ID or firm:ID";
        Self { scope: section.get_if("scope", |name: &String| is_scope(name), expected), portfolios }
    }
}

impl FirmLimit {
    fn read(section: &mut Section<'_>, known: &[&str], named: &[String], schedules: &[&str]) -> Self {
        let expected = format!("one of firm.scopes: {}", known.join(", "));
        let scopes = section.values("scopes", |scope: &String| known.contains(&scope.as_str()), &expected);
        let measures: Vec<&str> =
            SCOPE_MEASURES.into_iter().chain(named.iter().map(String::as_str)).collect();
        Self { limit: Limit::read_of_any(section, &measures, schedules), scopes }
    }
}

/// True of a scope above the portfolio.
fn is_scope(name: &str) -> bool {
    let Some((kind, id)) = name.split_once(':') else { return false };
    matches!(kind, "strategy" | "desk" | "firm") && !id.is_empty() && !id.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_a_kind_and_an_id() {
        for good in ["desk:rates", "strategy:mean-reversion 2", "firm:acme"] {
            assert!(is_scope(good), "{good}");
        }
        for bad in ["", "alpha", "desk:", "book:rates", "desk:a:b", ":a"] {
            assert!(!is_scope(bad), "{bad}");
        }
    }
}
