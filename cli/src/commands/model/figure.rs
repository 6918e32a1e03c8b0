//! Figures as a family gives them: by name, in an order that people read.

use serde_json::{Map, Value};

/// Figures by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures(pub(super) Map<String, Value>);

impl Figures {
    /// Adds one: a number, a whole number, a text, or a list of these. Kernels refuse to give what is none.
    pub(super) fn put(&mut self, name: impl Into<String>, figure: impl Into<Value>) {
        self.0.insert(name.into(), figure.into());
    }
}

/// Twelve significant digits, without those that are zero at the end: more than any input is good for.
pub(super) fn digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.11e}").parse().unwrap_or(value);
    if rounded != 0.0 && !(1e-4..1e15).contains(&rounded.abs()) {
        format!("{rounded:e}")
    } else {
        rounded.to_string()
    }
}

/// Per cent of a share: 95 of 0.95, 97.5 of 0.975.
pub(super) fn percent(share: f64) -> String {
    digits((share * 1e10).round() / 1e8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_digits_and_no_more() {
        assert_eq!(digits(-0.018_643_329_744_512_3), "-0.0186433297445");
        assert_eq!(digits(0.1 + 0.2), "0.3");
        assert_eq!(digits(1.131_146_496_99e-5), "1.13114649699e-5");
        assert_eq!(digits(7.985e-15), "7.985e-15");
        assert_eq!((digits(0.0), digits(250.0)), ("0".into(), "250".into()));
        assert_eq!(digits(1e300), "1e300");
    }

    #[test]
    fn levels_in_per_cent() {
        for (share, expected) in [(0.95, "95"), (1.0 - 0.01, "99"), (1.0 - 0.025, "97.5"), (0.999, "99.9")] {
            assert_eq!(percent(share), expected);
        }
    }
}
