//! The settings in force as TOML, each that is not a default with where it was set.

use std::fmt::Write as _;

use crate::Settings;
use crate::error::Origin;
use crate::layer::{Entry, Node, Table};

impl Settings {
    /// The settings in force, as a file that could be loaded again, but for the secrets, which are hidden.
    pub fn show(&self) -> String {
        let mut text = String::new();
        write_table("", &self.merged, &mut text);
        text
    }
}

fn write_table(path: &str, table: &Table, text: &mut String) {
    let at = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (key, entry) in table.iter().filter(|(_, entry)| !is_nested(&entry.node)) {
        let value = value(&entry.node);
        writeln!(text, "{} = {value}{}", quoted(key), comment(entry)).expect("a String takes all");
    }
    for (key, entry) in table {
        let path = at(&quoted(key));
        match &entry.node {
            Node::Table(inner) => {
                writeln!(text, "\n[{path}]").expect("a String takes all");
                write_table(&path, inner, text);
            }
            Node::List(items) if is_nested(&entry.node) => {
                for item in items {
                    writeln!(text, "\n[[{path}]]").expect("a String takes all");
                    if let Node::Table(inner) = &item.node {
                        write_table(&path, inner, text);
                    }
                }
            }
            _ => {}
        }
    }
}

fn is_nested(node: &Node) -> bool {
    match node {
        Node::Table(_) => true,
        Node::List(items) => items.first().is_some_and(|item| matches!(item.node, Node::Table(_))),
        _ => false,
    }
}

fn value(node: &Node) -> String {
    match node {
        Node::List(items) => {
            format!("[{}]", items.iter().map(|item| value(&item.node)).collect::<Vec<_>>().join(", "))
        }
        // A variable's text: as it would have to be written in a file.
        Node::Given(text) if text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok() => text.clone(),
        Node::Text(text) | Node::Given(text) => toml::Value::String(text.clone()).to_string(),
        other => other.shown(),
    }
}

fn quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if bare { key.into() } else { toml::Value::String(key.into()).to_string() }
}

fn comment(entry: &Entry) -> String {
    match &entry.origin {
        Origin::Default => String::new(),
        origin => format!("  # {origin}"),
    }
}
