//! `TAPEWATCH_RUNTIME__LINGER=5ms` sets `runtime.linger`: two underscores go one table deeper.

use std::sync::Arc;

use crate::error::{ConfigError, Origin};
use crate::layer::{Entry, Node, Table, parse_value};

const PREFIX: &str = "TAPEWATCH_";

/// Variables that are not settings: they choose the configuration, or stand for an option of the command.
const RESERVED: [&str; 3] = ["TAPEWATCH_CONFIG", "TAPEWATCH_ENV", "TAPEWATCH_LOG"];

/// The variable that sets `path`.
pub(crate) fn name_of(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_uppercase())
}

/// The layer that the variables make. Those that do not begin with `TAPEWATCH_` are not looked at.
pub(crate) fn layer(vars: impl Iterator<Item = (String, String)>, errors: &mut Vec<ConfigError>) -> Table {
    let mut ours: Vec<_> =
        vars.filter(|(name, _)| name.starts_with(PREFIX) && !RESERVED.contains(&name.as_str())).collect();
    ours.sort();
    let mut root = Table::new();
    for (name, text) in ours {
        let origin = Origin::Variable(Arc::from(name.as_str()));
        let path: Vec<String> = name[PREFIX.len()..].to_lowercase().split("__").map(String::from).collect();
        if !put(&mut root, &path, &text, &origin) {
            errors.push(ConfigError::Setting {
                path: path.join("."),
                origin,
                problem: "another variable sets a part of it, or the whole of which it is a part".into(),
                expected: "either a setting or the table it is in, not both".into(),
            });
        }
    }
    root
}

fn put(table: &mut Table, path: &[String], text: &str, origin: &Origin) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    if rest.is_empty() {
        let list = text.trim_start().starts_with('[').then(|| parse_value(text, origin)).flatten();
        let node = list.unwrap_or_else(|| Node::Given(text.into()));
        return table.insert(first.clone(), Entry { node, origin: origin.clone() }).is_none();
    }
    let inner = table
        .entry(first.clone())
        .or_insert_with(|| Entry { node: Node::Table(Table::new()), origin: origin.clone() });
    match &mut inner.node {
        Node::Table(inner) => put(inner, rest, text, origin),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vars: &[(&str, &str)]) -> (Table, Vec<ConfigError>) {
        let mut errors = Vec::new();
        let table = layer(vars.iter().map(|(n, v)| ((*n).into(), (*v).into())), &mut errors);
        (table, errors)
    }

    #[test]
    fn two_underscores_go_deeper_and_others_are_left_alone() {
        let (table, errors) =
            of(&[("TAPEWATCH_RUNTIME__MAX_SKEW", "5s"), ("TAPEWATCH_LOG", "sqlite:x"), ("HOME", "/root")]);
        assert_eq!(errors, []);
        assert_eq!(table.keys().collect::<Vec<_>>(), ["runtime"]);
        let Node::Table(runtime) = &table["runtime"].node else { panic!("a table") };
        assert_eq!(runtime["max_skew"].node, Node::Given("5s".into()));
        assert_eq!(name_of("runtime.max_skew"), "TAPEWATCH_RUNTIME__MAX_SKEW");
    }

    #[test]
    fn a_table_and_a_part_of_it_contradict() {
        let (_, errors) = of(&[("TAPEWATCH_RUNTIME", "x"), ("TAPEWATCH_RUNTIME__LINGER", "5ms")]);
        assert_eq!(errors.len(), 1);
    }
}
