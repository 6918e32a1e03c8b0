//! `[risk.liquidity]`: how it is looked at how fast, and at what cost, what is held could be sold.

use serde::Serialize;

use crate::section::Section;

/// The measures that a limit can bound, where liquidity is looked at.
pub(crate) const MEASURES: [&str; 4] =
    ["relative_spread", "beyond_touch", "days_to_liquidate", "liquidation_cost"];

/// How liquidity is looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Liquidity {
    /// The share of what is traded that one's own sales may be.
    pub participation: f64,
    /// How many days of volume are averaged.
    pub days: u32,
    /// Before so many it is unknown (warming up).
    pub minimum: u32,
}

impl Liquidity {
    /// None without a participation.
    pub(crate) fn read(section: &mut Section<'_>) -> Option<Self> {
        let participation = section.optional_if(
            "participation",
            |share: &f64| *share > 0.0 && *share <= 1.0,
            "a share of the volume: above 0, at most 1, such as 0.1",
        );
        let days = section.get_if("days", |n: &u32| (1..=366).contains(n), "a whole number from 1 to 366");
        let minimum = section.get_if(
            "minimum",
            |n: &u32| (1..=days.max(1)).contains(n),
            "a whole number from 1 to risk.liquidity.days",
        );
        participation.map(|participation| Self { participation, days, minimum })
    }
}
