use serde::Serialize;
use serde_json::{Value, json};

use super::Setting;
use crate::layer::Node;

/// Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Size(pub(crate) u64);

const UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

impl Setting for Size {
    fn expected() -> String {
        "a size such as \"64KiB\", \"8MiB\" or a number of bytes".into()
    }
    fn schema() -> Value {
        json!({"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+ ?(B|kB|MB|GB|KiB|MiB|GiB)?$"})
    }
    fn read(node: &Node) -> Option<Self> {
        match node {
            Node::Number(text) => text.replace('_', "").parse().ok().map(Self),
            Node::Text(text) | Node::Given(text) => parse(text),
            _ => None,
        }
    }
}

fn parse(text: &str) -> Option<Size> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(end);
    let unit = unit.trim_start();
    let bytes = if unit.is_empty() { 1 } else { UNITS.iter().find(|(name, _)| *name == unit)?.1 };
    count.parse::<u64>().ok()?.checked_mul(bytes).map(Size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        assert_eq!(parse("8MiB"), Some(Size(8 << 20)));
        assert_eq!(parse("1 MB"), Some(Size(1_000_000)));
        assert_eq!(Size::read(&Node::Number("10_000".into())), Some(Size(10_000)));
        for bad in ["", "MiB", "8 mib", "-1", "1.5MiB", "99999999999GiB"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
