//! A figure beside what a case expects of it.

use serde_json::Value;

use super::figure::digits;
use super::tolerance::Tolerance;

/// One compared figure; of a list, the element that is furthest off for what it is allowed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Comparison {
    /// Where in a list: `[0][1]`; nothing for a single figure.
    pub(super) place: String,
    pub(super) expected: Value,
    pub(super) got: Value,
    /// None if one of them is no number.
    pub(super) difference: Option<f64>,
    /// How much of it is allowed; none if one of them is no number, and both must be equal.
    pub(super) allowed: Option<f64>,
    pub(super) pass: bool,
}

impl Comparison {
    /// Compares figures of any shape.
    pub(super) fn of(expected: &Value, got: &Value, tolerance: Tolerance) -> Self {
        Self::at(String::new(), expected, got, tolerance)
    }

    fn at(place: String, expected: &Value, got: &Value, tolerance: Tolerance) -> Self {
        if let (Value::Array(wanted), Value::Array(have)) = (expected, got)
            && wanted.len() == have.len()
        {
            let each = wanted.iter().zip(have).enumerate();
            let all = each.map(|(at, (e, g))| Self::at(format!("{place}[{at}]"), e, g, tolerance));
            // Two empty lists are equal.
            return all.reduce(Self::worse).unwrap_or_else(|| Self::equal(place, expected, got, true));
        }
        let (Some(wanted), Some(have)) = (expected.as_f64(), got.as_f64()) else {
            return Self::equal(place, expected, got, expected == got);
        };
        let allowed = tolerance.allowed(wanted, expected.is_u64() || expected.is_i64());
        let difference = (have - wanted).abs();
        Self {
            place,
            expected: expected.clone(),
            got: got.clone(),
            difference: Some(difference),
            allowed: Some(allowed),
            pass: difference <= allowed,
        }
    }

    fn equal(place: String, expected: &Value, got: &Value, pass: bool) -> Self {
        Self { place, expected: expected.clone(), got: got.clone(), difference: None, allowed: None, pass }
    }

    /// The one that is further off for what it is allowed; the first of two alike.
    fn worse(self, other: Self) -> Self {
        let off = |it: &Self| match (it.pass, it.difference, it.allowed) {
            (false, ..) => f64::INFINITY,
            (true, Some(difference), Some(allowed)) if allowed > 0.0 => difference / allowed,
            (true, ..) => 0.0,
        };
        if off(&other) > off(&self) { other } else { self }
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        let (expected, got) = (words_of(&self.expected), words_of(&self.got));
        if let (Some(difference), Some(allowed)) = (self.difference, self.allowed) {
            return format!(
                "expected {expected}, got {got}, difference {difference:.1e}, allowed {allowed:.1e}"
            );
        }
        format!("expected {expected}, got {got}")
    }
}

/// A figure for people: twelve digits.
pub(super) fn words_of(figure: &Value) -> String {
    match figure {
        Value::Number(number) if number.is_f64() => number.as_f64().map(digits).unwrap_or_default(),
        Value::Array(values) => format!("[{}]", values.iter().map(words_of).collect::<Vec<_>>().join(", ")),
        Value::String(text) => text.clone(),
        Value::Null => "none".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compare(expected: Value, got: Value) -> Comparison {
        Comparison::of(&expected, &got, Tolerance::parse("counts exact; rel 1e-9").unwrap())
    }

    #[test]
    fn a_figure_passes_within_its_tolerance_and_fails_beyond() {
        assert!(compare(json!(2.0), json!(2.000_000_001_9)).pass);
        assert!(!compare(json!(2.0), json!(2.000_000_002_1)).pass);
        assert!(compare(json!(81), json!(81)).pass);
        assert!(
            !compare(json!(1_000_000_000_000_u64), json!(1_000_000_000_001_u64)).pass,
            "a count is exact"
        );
        assert!(compare(json!(null), json!(null)).pass && compare(json!("red"), json!("red")).pass);
        for other in [json!(null), json!("2"), json!([2.0])] {
            assert!(!compare(json!(2.0), other).pass);
        }
        assert!(!compare(json!("red"), json!("green")).pass);
    }

    #[test]
    fn a_list_is_as_good_as_its_worst_element() {
        let expected = json!([[1.0, 0.5], [0.5, 1.0]]);
        assert!(compare(expected.clone(), expected.clone()).pass);
        let off = compare(expected.clone(), json!([[1.0, 0.5], [0.6, 1.0]]));
        assert_eq!((off.pass, off.place.as_str()), (false, "[1][0]"));
        assert!(!compare(expected, json!([[1.0, 0.5]])).pass, "a row is missing");
    }
}
