//! The JSON Schema of the settings: the file is what the program makes, and it judges as the program does.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use std::fs;
use std::path::Path;

use serde_json::Value;
use tapewatch_config::Settings;

fn schema() -> Value {
    serde_json::from_str(&Settings::json_schema()).unwrap()
}

#[test]
fn the_file_is_what_the_program_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tapewatch.schema.json");
    if std::env::var_os("TAPEWATCH_BLESS").is_some() {
        fs::write(&path, Settings::json_schema()).unwrap();
    }
    let file = fs::read_to_string(&path).unwrap();
    assert!(
        file == Settings::json_schema(),
        "{} is old: TAPEWATCH_BLESS=1 cargo test -p tapewatch-config --test schema",
        path.display()
    );
}

#[test]
fn every_setting_of_the_default_file_is_described_with_its_default() {
    let schema = schema();
    let defaults: toml::Table = Settings::default_file().parse().unwrap();
    let mut seen = 0;
    walk(&defaults, &schema, "", &mut seen);
    assert!(seen > 60, "{seen}");
    assert_eq!(schema["properties"]["runtime"]["properties"]["linger"]["default"], "5ms");
    let linger = schema["properties"]["runtime"]["properties"]["linger"]["description"].as_str().unwrap();
    assert!(linger.contains("commit time") && linger.contains("10s"), "{linger}");
}

fn walk(table: &toml::Table, schema: &Value, path: &str, seen: &mut u32) {
    for (key, value) in table {
        let at = format!("{path}.{key}");
        let inner = &schema["properties"][key];
        match value {
            toml::Value::Table(table) if inner.get("additionalProperties") == Some(&Value::Bool(false)) => {
                walk(table, inner, &at, seen);
            }
            toml::Value::Array(items) if items.first().is_some_and(toml::Value::is_table) => {
                for item in items {
                    walk(item.as_table().unwrap(), &inner["items"], &at, seen);
                }
            }
            _ => {
                assert!(inner.is_object(), "{at} is not described");
                *seen += 1;
            }
        }
    }
}

#[test]
fn every_branch_of_a_rule_is_there_and_a_choice_lists_its_words() {
    let schema = schema();
    let rule = &schema["properties"]["alerting"]["properties"]["rules"]["items"]["properties"];
    for key in
        ["measure", "threshold", "limit", "status", "raised_by", "longest", "unacknowledged", "for", "scope"]
    {
        assert!(rule[key].is_object(), "{key}");
    }
    assert_eq!(
        rule["on"]["enum"],
        serde_json::json!(["measure", "limit", "health", "silence", "halt", "containment"])
    );
    let sasl = &schema["properties"]["log"]["properties"]["kafka"]["properties"]["sasl"]["properties"];
    assert!(sasl["password"]["anyOf"].is_array() && sasl["password_file"].is_object());
    assert!(schema["properties"]["environments"]["additionalProperties"]["properties"]["risk"].is_object());
}
