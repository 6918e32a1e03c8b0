//! How far a figure may be from what a case expects.

/// `rel X`, `abs X`, and `counts exact` or `indices exact` beside or instead of one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tolerance {
    relative: f64,
    absolute: f64,
    /// Whole numbers must be equal.
    exact: bool,
}

impl Tolerance {
    /// From a case's words; none if they say something else, which must not be taken for leave.
    pub(super) fn parse(words: &str) -> Option<Self> {
        let mut tolerance = Self::default();
        for clause in words.split(';') {
            let mut words = clause.split_whitespace();
            match (words.next()?, words.next()?, words.next()) {
                ("rel", bound, None) => tolerance.relative = Self::bound(bound)?,
                ("abs", bound, None) => tolerance.absolute = Self::bound(bound)?,
                ("counts" | "indices", "exact", None) => tolerance.exact = true,
                _ => return None,
            }
        }
        Some(tolerance)
    }

    fn bound(word: &str) -> Option<f64> {
        word.parse().ok().filter(|bound: &f64| (0.0..1.0).contains(bound))
    }

    /// How much a number may differ.
    pub(super) fn allowed(&self, expected: f64, whole: bool) -> f64 {
        if self.exact && whole { 0.0 } else { self.absolute.max(self.relative * expected.abs()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_cases() {
        let of = |words, expected, whole| Tolerance::parse(words).map(|it| it.allowed(expected, whole));
        assert_eq!(of("rel 1e-10", -2.0, false), Some(2e-10));
        assert_eq!(of("abs 1e-10", -2.0, false), Some(1e-10));
        assert_eq!(of("counts exact; rel 1e-8", 100.0, true), Some(0.0));
        assert_eq!(of("counts exact; rel 1e-8", 100.0, false), Some(1e-6));
        assert_eq!(of("rel 1e-10", 5.0, true), Some(5e-10));
    }

    #[test]
    fn what_it_does_not_understand_is_no_leave() {
        for words in
            ["", "band", "rel", "rel x", "rel nan", "rel 2", "p rel 1e-8", "rel 1e-8;", "about right"]
        {
            assert_eq!(Tolerance::parse(words), None, "{words}");
        }
    }
}
