//! Plain values: what they look like in a file, and what they are.

mod choice;
mod duration;
mod number;
mod secret;
mod size;

pub(crate) use choice::choice;
pub(crate) use duration::{micros, spelled};
pub use secret::Secret;
pub(crate) use secret::read_secret;
pub(crate) use size::Size;

use serde_json::{Value, json};

use crate::layer::Node;

/// A type that a setting can have. Its default stands in where a value does not fit, until the load fails.
pub(crate) trait Setting: Sized + Default {
    /// What a message says was expected.
    fn expected() -> String;
    /// What fits, as a JSON Schema.
    fn schema() -> Value;
    /// The value, or none if the node is not one.
    fn read(node: &Node) -> Option<Self>;
}

impl Setting for String {
    fn expected() -> String {
        "a text".into()
    }
    fn schema() -> Value {
        json!({"type": "string"})
    }
    fn read(node: &Node) -> Option<Self> {
        match node {
            Node::Text(text) | Node::Given(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl Setting for bool {
    fn expected() -> String {
        "true or false".into()
    }
    fn schema() -> Value {
        json!({"type": "boolean"})
    }
    fn read(node: &Node) -> Option<Self> {
        match node {
            Node::Flag(flag) => Some(*flag),
            Node::Given(text) => text.parse().ok(),
            _ => None,
        }
    }
}
