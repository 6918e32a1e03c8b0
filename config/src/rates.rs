//! `[[risk.rates]]`: the pairs of currencies by which money is converted.

use serde::Serialize;

use crate::instruments::refuse_doubles;
use crate::section::Section;

/// A symbol of the market data whose mark is a rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// The symbol.
    pub symbol: String,
    /// What one unit of is priced.
    pub base: String,
    /// In what.
    pub quote: String,
}

impl Rate {
    pub(crate) fn read_all(section: &mut Section<'_>) -> Vec<Self> {
        let rates = section.groups("rates", |one| {
            let code = |code: &String| (1..=32).contains(&code.len());
            let rate = Self {
                symbol: one.get_if("symbol", |s: &String| !s.is_empty(), "a symbol, as market data names it"),
                base: one.get_if("base", code, "a currency's code, such as \"EUR\""),
                quote: one.get_if("quote", code, "a currency's code, such as \"USD\""),
            };
            if !rate.base.is_empty() && rate.base == rate.quote {
                let problem = format!("{} is what the price is of", rate.quote);
                one.fail("quote", &problem, "another currency than base");
            }
            rate
        });
        refuse_doubles(section, "rates", "symbol", rates.iter().map(|rate| rate.symbol.as_str()));
        for (at, rate) in rates.iter().enumerate().filter(|(_, rate)| !rate.base.is_empty()) {
            let same = |one: &Self| {
                let there = (&one.base, &one.quote) == (&rate.base, &rate.quote);
                there || (&one.quote, &one.base) == (&rate.base, &rate.quote)
            };
            if let Some(earlier) = rates[..at].iter().position(same) {
                let problem = format!("rates[{earlier}] converts {} and {}, too", rate.base, rate.quote);
                section.fail_in(
                    "rates",
                    at,
                    "base",
                    &problem,
                    "a pair of currencies once, one way or the other",
                );
            }
        }
        rates
    }

    /// The names of the measures by currency; nothing if none is converted.
    pub(crate) fn measures(rates: &[Self]) -> Vec<String> {
        let of = if rates.is_empty() { &[][..] } else { &CURRENCIES[..] };
        of.iter().map(|name| (*name).to_owned()).collect()
    }
}

/// Measures of the currency in which they are largest.
const CURRENCIES: [&str; 3] = ["currency_gross", "currency_net", "currency_share"];
