//! Layers of settings: trees of values that know where they were written.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{ConfigError, Origin};

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) node: Node,
    pub(crate) origin: Origin,
}

/// A value. Numbers stay text until someone says what they are, so that decimals are exact.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Table(Table),
    List(Vec<Entry>),
    Text(String),
    Number(String),
    Flag(bool),
    Datetime(String),
    /// From a variable: it is what its reader expects it to be.
    Given(String),
}

pub(crate) type Table = BTreeMap<String, Entry>;

impl Node {
    /// As a message shows it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Table(_) => "a table".into(),
            Self::List(_) => "a list".into(),
            Self::Text(text) | Self::Given(text) => format!("{text:?}"),
            Self::Number(text) | Self::Datetime(text) => text.clone(),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

/// Parses a file. The defaults' entries are of [`Origin::Default`], so name is none for them.
pub(crate) fn parse(text: &str, name: Option<&str>, errors: &mut Vec<ConfigError>) -> Table {
    let (document, faults) = DeTable::parse_recoverable(text);
    let file = File { text, name: name.map(Arc::from) };
    errors.extend(faults.iter().map(|fault| {
        let at = fault.span().map_or(0, |span| span.start).min(text.len());
        let before = &text.as_bytes()[..at];
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        ConfigError::Syntax {
            file: name.unwrap_or("the built-in defaults").into(),
            line: file.line(at),
            column: String::from_utf8_lossy(&before[line_start..]).chars().count() + 1,
            why: fault.message().into(),
        }
    }));
    file.table(document.get_ref())
}

/// Parses one value, such as a variable's list.
pub(crate) fn parse_value(text: &str, origin: &Origin) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    let mut node = File { text, name: None }.node(value.get_ref());
    stamp(&mut node, origin);
    Some(node)
}

fn stamp(node: &mut Node, origin: &Origin) {
    let inner: Box<dyn Iterator<Item = &mut Entry>> = match node {
        Node::Table(table) => Box::new(table.values_mut()),
        Node::List(list) => Box::new(list.iter_mut()),
        _ => return,
    };
    for entry in inner {
        entry.origin = origin.clone();
        stamp(&mut entry.node, origin);
    }
}

/// Puts `over` on top: tables are joined key by key, everything else is replaced whole.
pub(crate) fn overlay(base: &mut Table, over: Table) {
    for (key, entry) in over {
        match (base.get_mut(&key), entry) {
            (Some(Entry { node: Node::Table(below), .. }), Entry { node: Node::Table(above), .. }) => {
                overlay(below, above);
            }
            (_, entry) => {
                base.insert(key, entry);
            }
        }
    }
}

/// Puts stars in the place of a secret, if it is there as a text.
pub(crate) fn hide(table: &mut Table, path: &str) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (table.get_mut(first).map(|entry| &mut entry.node), rest) {
        (Some(Node::Table(inner)), Some(rest)) => hide(inner, rest),
        (Some(node @ (Node::Text(_) | Node::Given(_))), None) => *node = Node::Text("***".into()),
        _ => {}
    }
}

struct File<'a> {
    text: &'a str,
    name: Option<Arc<str>>,
}

impl File<'_> {
    fn line(&self, at: usize) -> usize {
        1 + self.text.as_bytes()[..at.min(self.text.len())].split(|b| *b == b'\n').skip(1).count()
    }

    fn origin(&self, at: usize) -> Origin {
        match &self.name {
            None => Origin::Default,
            Some(name) => Origin::File { name: name.clone(), line: self.line(at) },
        }
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        table
            .iter()
            .map(|(key, value)| {
                let node = self.node(value.get_ref());
                (key.get_ref().to_string(), Entry { node, origin: self.origin(key.span().start) })
            })
            .collect()
    }

    fn item(&self, value: &Spanned<DeValue<'_>>) -> Entry {
        Entry { node: self.node(value.get_ref()), origin: self.origin(value.span().start) }
    }

    fn node(&self, value: &DeValue<'_>) -> Node {
        match value {
            DeValue::String(text) => Node::Text(text.to_string()),
            DeValue::Integer(number) if number.radix() == 10 => Node::Number(number.as_str().into()),
            DeValue::Integer(number) => {
                let parsed = i128::from_str_radix(number.as_str(), number.radix());
                Node::Number(parsed.map_or_else(|_| number.to_string(), |n| n.to_string()))
            }
            DeValue::Float(number) => Node::Number(number.as_str().into()),
            DeValue::Boolean(flag) => Node::Flag(*flag),
            DeValue::Datetime(at) => Node::Datetime(at.to_string()),
            DeValue::Array(items) => Node::List(items.iter().map(|item| self.item(item)).collect()),
            DeValue::Table(table) => Node::Table(self.table(table)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_syntax_error_is_collected_with_its_line_and_column() {
        let mut errors = Vec::new();
        parse("a = 1\nb = \nc = \"open\nd = 4\n", Some("t.toml"), &mut errors);
        let shown: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert!(shown.len() >= 2, "{shown:?}");
        assert!(shown.iter().any(|e| e.starts_with("t.toml:2:")), "{shown:?}");
        assert!(shown.iter().any(|e| e.starts_with("t.toml:3:")), "{shown:?}");
    }

    #[test]
    fn tables_join_and_lists_are_replaced() {
        let mut errors = Vec::new();
        let mut base = parse("[a]\nx = 1\ny = [1, 2]\n", None, &mut errors);
        overlay(&mut base, parse("[a]\ny = [3]\nz = 0x10\n", Some("t.toml"), &mut errors));
        let Node::Table(a) = &base["a"].node else { panic!("a table") };
        assert_eq!(a["x"], Entry { node: Node::Number("1".into()), origin: Origin::Default });
        assert!(matches!(&a["y"].node, Node::List(items) if items.len() == 1));
        assert_eq!(a["z"].node, Node::Number("16".into()));
        assert_eq!(a["z"].origin, Origin::File { name: "t.toml".into(), line: 3 });
        assert_eq!(errors, []);
    }
}
