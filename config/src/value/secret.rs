use std::fmt;
use std::fs;

use serde_json::{Value, json};

use super::Setting;
use crate::layer::{Entry, Node};
use crate::section::Section;

/// A text that is never printed. Not part of the configuration version.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// From its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the connection that needs it, and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Only to be described: [`read_secret`] reads it.
impl Setting for Secret {
    fn expected() -> String {
        "a text, or { file = \"PATH\" }".into()
    }
    fn schema() -> Value {
        let file =
            json!({"type": "object", "required": ["file"], "properties": {"file": {"type": "string"}}});
        json!({"anyOf": [{"type": "string"}, file]})
    }
    fn read(_node: &Node) -> Option<Self> {
        None
    }
}

/// Reads a secret from `key` (the text itself, or `{ file = "…" }`) or from the file that `file_key` names.
pub(crate) fn read_secret(
    section: &mut Section<'_>,
    key: &'static str,
    file_key: &'static str,
) -> Option<Secret> {
    if section.is_described() {
        section.optional::<String>(file_key);
        section.optional::<Secret>(key);
        return None;
    }
    let path = section.path_of(key);
    section.context().secrets.borrow_mut().insert(path);
    let file = section.optional::<String>(file_key);
    match (section.entry(key), file) {
        (None, None) => None,
        (None, Some(file)) => Some(from_file(section, file_key, &file)),
        (Some(_), Some(_)) => {
            section.fail(key, "it is given twice", &format!("`{key}` or `{file_key}`, not both"));
            Some(Secret::default())
        }
        (Some(Entry { node: Node::Text(text) | Node::Given(text), .. }), None) => Some(Secret::new(text)),
        (Some(Entry { node: Node::Table(_), .. }), None) => {
            let file = section.group(key, |inner| inner.get::<String>("file"));
            Some(from_file(section, key, &file))
        }
        (Some(_), None) => {
            section.fail(key, "it is not a text", "a text, or { file = \"PATH\" }");
            Some(Secret::default())
        }
    }
}

fn from_file(section: &Section<'_>, key: &str, file: &str) -> Secret {
    let path = section.resolve(file);
    match fs::read_to_string(&path) {
        Ok(text) => {
            Secret::new(text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t)))
        }
        Err(error) => {
            let problem = format!("{} cannot be read: {error}", path.display());
            section.fail(key, &problem, "a file that holds the secret, and that this user can read");
            Secret::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_it() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(***)");
    }
}
