//! The Basel Committee's traffic light of a value-at-risk model.

use super::binomial::Binomial;
use super::kupiec::Exceptions;
use super::sample::Tail;

/// The colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Zone {
    /// Fewer exceptions than would be suspicious.
    Green,
    /// So many, or fewer, come with a probability of 95 % or more of a right model.
    Yellow,
    /// With 99.99 % or more.
    Red,
}

impl Zone {
    /// In lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }
}

/// What the exceptions of a backtest come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrafficLight {
    /// The colour.
    pub zone: Zone,
    /// The probability of at most so many exceptions if the model is right.
    pub at_most: f64,
    /// The probability of at least so many.
    pub at_least: f64,
    /// What is added to the multiplier of 3: 0 in green, 1 in red; in yellow by the Committee's table, which
    /// is for 250 observations at 99 %, and none for other backtests.
    pub plus_factor: Option<f64>,
}

/// "Supervisory framework for the use of 'backtesting' in conjunction with the internal models approach to
/// market risk capital requirements", Basel Committee (1996). The multiplier of the later framework (FRTB) is
/// another: 1.5 and add-ons of 0.20 to 0.50.
pub fn traffic_light(of: Exceptions, tail: Tail) -> TrafficLight {
    let model = Binomial::new(of.observations(), tail.alpha());
    let at_most = model.at_most(of.exceptions());
    let zone = if at_most >= 0.9999 {
        Zone::Red
    } else if at_most >= 0.95 {
        Zone::Yellow
    } else {
        Zone::Green
    };
    let plus_factor = match zone {
        Zone::Green => Some(0.0),
        Zone::Red => Some(1.0),
        Zone::Yellow if of.observations() == 250 && tail.alpha() == 0.01 => match of.exceptions() {
            5 => Some(0.40),
            6 => Some(0.50),
            7 => Some(0.65),
            8 => Some(0.75),
            9 => Some(0.85),
            _ => None,
        },
        Zone::Yellow => None,
    };
    TrafficLight { zone, at_most, at_least: model.at_least(of.exceptions()), plus_factor }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Committee's table 2: exceptions, colour, plus factor, cumulative probability in per cent.
    #[test]
    fn it_is_the_committees_table() {
        for (exceptions, zone, plus, cumulative) in [
            (0, Zone::Green, 0.0, 8.11),
            (1, Zone::Green, 0.0, 28.58),
            (2, Zone::Green, 0.0, 54.32),
            (3, Zone::Green, 0.0, 75.81),
            (4, Zone::Green, 0.0, 89.22),
            (5, Zone::Yellow, 0.40, 95.88),
            (6, Zone::Yellow, 0.50, 98.63),
            (7, Zone::Yellow, 0.65, 99.60),
            (8, Zone::Yellow, 0.75, 99.89),
            (9, Zone::Yellow, 0.85, 99.97),
            (10, Zone::Red, 1.0, 99.99),
        ] {
            let light = traffic_light(Exceptions::new(250, exceptions).unwrap(), Tail::new(0.01).unwrap());
            assert_eq!((light.zone, light.plus_factor), (zone, Some(plus)), "{exceptions}");
            assert!((light.at_most * 100.0 - cumulative).abs() < 0.006, "{exceptions}: {}", light.at_most);
        }
    }

    #[test]
    fn yellow_has_a_factor_only_where_the_table_is() {
        let light = traffic_light(Exceptions::new(500, 9).unwrap(), Tail::new(0.01).unwrap());
        assert_eq!((light.zone, light.plus_factor), (Zone::Yellow, None));
    }
}
