use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::Setting;
use crate::layer::Node;

fn digits(node: &Node) -> Option<String> {
    match node {
        Node::Number(text) | Node::Given(text) => Some(text.replace('_', "")),
        _ => None,
    }
}

macro_rules! whole {
    ($($kind:ty),*) => {$(
        impl Setting for $kind {
            fn expected() -> String {
                format!("a whole number from {} to {}", <$kind>::MIN, <$kind>::MAX)
            }
            fn schema() -> Value {
                json!({"type": "integer", "minimum": <$kind>::MIN, "maximum": <$kind>::MAX})
            }
            fn read(node: &Node) -> Option<Self> {
                digits(node)?.parse().ok()
            }
        }
    )*};
}
whole!(u16, u32, u64);

impl Setting for f64 {
    fn expected() -> String {
        "a number".into()
    }
    fn schema() -> Value {
        json!({"type": "number"})
    }
    fn read(node: &Node) -> Option<Self> {
        digits(node)?.parse().ok().filter(|number: &f64| number.is_finite())
    }
}

/// Exact: `0.1` is a tenth. A text is accepted too, as events write decimals.
impl Setting for Decimal {
    fn expected() -> String {
        "a number".into()
    }
    fn schema() -> Value {
        json!({"type": ["number", "string"]})
    }
    fn read(node: &Node) -> Option<Self> {
        let text = match node {
            Node::Text(text) => text.clone(),
            other => digits(other)?,
        };
        let number = Self::from_str_exact(&text).or_else(|_| Self::from_scientific(&text)).ok()?;
        Some(number.normalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Node {
        Node::Number(text.into())
    }

    #[test]
    fn whole_numbers_are_read_with_separators_and_bounds() {
        assert_eq!(u32::read(&number("10_000")), Some(10_000));
        assert_eq!(u32::read(&number("-1")), None);
        assert_eq!(u32::read(&number("1.5")), None);
        assert_eq!(u32::read(&Node::Text("5".into())), None);
        assert_eq!(u32::read(&Node::Given("5".into())), Some(5));
    }

    #[test]
    fn decimals_are_exact_and_equal_however_they_are_written() {
        assert_eq!(Decimal::read(&number("0.10")), Decimal::read(&Node::Text("0.1".into())));
        assert_eq!(Decimal::read(&number("2e5")), Some(Decimal::from(200_000)));
        assert_eq!(f64::read(&number("inf")), None);
    }
}
