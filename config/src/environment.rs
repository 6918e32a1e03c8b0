//! Environments: a named layer over the file. `[environments.NAME]` in it, `environments/NAME.toml` beside
//! it, or one that is built in.

use std::fs;
use std::path::Path;

use crate::error::{ConfigError, nearest};
use crate::layer::{self, Entry, Node, Table};

const BUILT_IN: [(&str, &str); 2] = [
    ("demo", include_str!("../environments/demo.toml")),
    ("kafka", include_str!("../environments/kafka.toml")),
];

/// The names of those that are built in.
pub(crate) fn built_in() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// The key of the file under which environments stand.
pub(crate) const KEY: &str = "environments";

/// Takes the environments out of the file's table and gives the layer of the one that was asked for: what is
/// in the file lies over what is beside it, or built in.
pub(crate) fn take(
    file: &mut Table,
    folder: &Path,
    wanted: Option<&str>,
    errors: &mut Vec<ConfigError>,
) -> Table {
    let mut inside = match file.remove(KEY) {
        None => Table::new(),
        Some(Entry { node: Node::Table(table), .. }) => table,
        Some(Entry { node, origin }) => {
            errors.push(ConfigError::Setting {
                path: KEY.into(),
                origin,
                problem: format!("{} does not fit", node.shown()),
                expected: "tables [environments.NAME]".into(),
            });
            Table::new()
        }
    };
    let Some(wanted) = wanted else { return Table::new() };
    let mut layer = match outside(folder, wanted, errors) {
        Some(layer) => layer,
        None if inside.contains_key(wanted) => Table::new(),
        None => {
            errors.push(unknown(wanted, folder, &inside));
            return Table::new();
        }
    };
    match inside.remove(wanted) {
        Some(Entry { node: Node::Table(over), .. }) => layer::overlay(&mut layer, over),
        Some(Entry { node, origin }) => errors.push(ConfigError::Setting {
            path: format!("{KEY}.{wanted}"),
            origin,
            problem: format!("{} does not fit", node.shown()),
            expected: "a table of settings".into(),
        }),
        None => {}
    }
    layer
}

fn outside(folder: &Path, wanted: &str, errors: &mut Vec<ConfigError>) -> Option<Table> {
    let file = folder.join(KEY).join(format!("{wanted}.toml"));
    if is_plain(wanted) && file.is_file() {
        return Some(match fs::read_to_string(&file) {
            Ok(text) => layer::parse(&text, Some(&file.display().to_string()), errors),
            Err(error) => {
                errors.push(ConfigError::Unreadable { file, why: error.to_string() });
                Table::new()
            }
        });
    }
    let (name, text) = BUILT_IN.iter().find(|(name, _)| *name == wanted)?;
    Some(layer::parse(text, Some(&format!("environment {name}")), errors))
}

/// A name is no path out of the folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
}

fn unknown(wanted: &str, folder: &Path, inside: &Table) -> ConfigError {
    let beside = fs::read_dir(folder.join(KEY)).into_iter().flatten().flatten().filter_map(|entry| {
        let path = entry.path();
        let is_toml = path.extension().is_some_and(|extension| extension == "toml");
        if is_toml { path.file_stem()?.to_str().map(String::from) } else { None }
    });
    let mut known: Vec<String> =
        inside.keys().cloned().chain(beside).chain(BUILT_IN.iter().map(|(name, _)| (*name).into())).collect();
    known.sort();
    known.dedup();
    let near = nearest(wanted, known.iter().map(String::as_str));
    let expected = near.map_or_else(|| format!("one of {}", known.join(", ")), |near| format!("`{near}`"));
    ConfigError::Environment { name: wanted.into(), expected }
}
