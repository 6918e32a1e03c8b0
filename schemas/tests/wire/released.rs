//! Released schemas never change, and the current ones read and are read by all of them.

use std::collections::BTreeSet;
use std::path::Path;

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use tapewatch_schemas::EventKind;
use tapewatch_schemas::codec::can_read;
use tapewatch_schemas::released::RELEASED;

#[test]
fn released_files_are_as_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("released");
    let mut there = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "README.md" {
            there.insert(name);
        }
    }
    for released in RELEASED {
        let text = std::fs::read_to_string(folder.join(released.file)).unwrap();
        assert_eq!(text, released.text, "{}: another text is built in", released.file);
        let hash = blake3::hash(text.as_bytes()).to_hex();
        assert_eq!(hash.as_str(), released.blake3, "{} was changed after its release", released.file);
        assert!(there.remove(released.file), "{} is listed twice", released.file);
        assert!(released.file.starts_with(&format!("{}.", released.topic)), "{}", released.file);
    }
    assert!(there.is_empty(), "not listed in released.rs: {there:?}");
}

/// Each reads what the other wrote.
fn fully_compatible(current: &str, released: &str) -> Result<(), String> {
    can_read(current, released).map_err(|problems| format!("cannot read it: {}", problems.join("; ")))?;
    can_read(released, current).map_err(|problems| format!("is not read by it: {}", problems.join("; ")))
}

#[test]
fn current_schemas_are_compatible_with_every_released_one() {
    for released in RELEASED {
        let kind = EventKind::of_topic(released.topic).expect("a released topic is never dropped");
        if let Err(problem) = fully_compatible(kind.schema_text(), released.text) {
            panic!("{}: the current schema {problem}", released.file);
        }
    }
}

#[test]
fn every_current_schema_is_compatible_with_itself() {
    for kind in EventKind::ALL {
        assert_eq!(fully_compatible(kind.schema_text(), kind.schema_text()), Ok(()));
    }
}

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
}

const A: &str = r#"{"name":"a","type":"long"}"#;
const B: &str = r#"{"name":"b","type":["null","string"],"default":null}"#;
const B_NO_DEFAULT: &str = r#"{"name":"b","type":["null","string"]}"#;

fn symbols(list: &str, default: &str) -> String {
    record(&format!(r#"{{"name":"e","type":{{"type":"enum","name":"E","symbols":[{list}]{default}}}}}"#))
}

/// Writer, reader, whether the reader reads all that the writer writes.
fn pairs() -> Vec<(&'static str, String, String, bool)> {
    let long = record(A);
    let both = record(&format!("{A},{B}"));
    let typed = |text: &str| record(&format!(r#"{{"name":"a","type":{text}}}"#));
    let inner = |fields: &str| typed(&record(fields).replace("\"R\"", "\"I\""));
    vec![
        ("the same", both.clone(), both.clone(), true),
        ("a field that was added with a default", long.clone(), both.clone(), true),
        ("a field that was removed", both.clone(), long.clone(), true),
        (
            "a field that was added without a default",
            long.clone(),
            record(&format!("{A},{B_NO_DEFAULT}")),
            false,
        ),
        ("another order", both.clone(), record(&format!("{B},{A}")), true),
        ("int to long", typed("\"int\""), long.clone(), true),
        ("long to int", long.clone(), typed("\"int\""), false),
        ("int to double", typed("\"int\""), typed("\"double\""), true),
        ("double to long", typed("\"double\""), long.clone(), false),
        ("a string for a long", typed("\"string\""), long.clone(), false),
        ("made optional", long.clone(), typed(r#"["null","long"]"#), true),
        ("made mandatory", typed(r#"["null","long"]"#), long.clone(), false),
        ("a wider union", typed(r#"["null","int"]"#), typed(r#"["null","long"]"#), true),
        ("a symbol more, no default", symbols("\"x\",\"y\"", ""), symbols("\"x\"", ""), false),
        ("a symbol fewer", symbols("\"x\"", ""), symbols("\"y\",\"x\"", ""), true),
        (
            "items promoted",
            typed(r#"{"type":"array","items":"int"}"#),
            typed(r#"{"type":"array","items":"long"}"#),
            true,
        ),
        (
            "items of another type",
            typed(r#"{"type":"array","items":"string"}"#),
            typed(r#"{"type":"array","items":"long"}"#),
            false,
        ),
        (
            "values promoted",
            typed(r#"{"type":"map","values":"long"}"#),
            typed(r#"{"type":"map","values":"double"}"#),
            true,
        ),
        ("a nested field added", inner(A), inner(&format!("{A},{B}")), true),
        ("a nested field added without a default", inner(A), inner(&format!("{A},{B_NO_DEFAULT}")), false),
        (
            "a renamed field with its alias",
            record(r#"{"name":"old","type":"long"}"#),
            record(r#"{"name":"a","type":"long","aliases":["old"]}"#),
            true,
        ),
        ("a renamed field", record(r#"{"name":"old","type":"long"}"#), long, false),
    ]
}

#[test]
fn the_checker_tells_compatible_from_incompatible() {
    for (what, writer, reader, expected) in pairs() {
        let found = can_read(&reader, &writer);
        assert_eq!(found.is_ok(), expected, "{what}: {found:?}");
    }
}

#[test]
fn the_checker_agrees_with_apache_avro() {
    for (what, writer, reader, expected) in pairs() {
        let (writer, reader) = (Schema::parse_str(&writer).unwrap(), Schema::parse_str(&reader).unwrap());
        // It says "partial" where only some values can be read: for us that is incompatible.
        let full = matches!(
            SchemaCompatibility::can_read(&writer, &reader),
            Ok(apache_avro::schema_compatibility::Compatibility::Full)
        );
        assert_eq!(full, expected, "{what}");
    }
}

#[test]
fn units_are_part_of_the_type() {
    let typed = |text: &str| record(&format!(r#"{{"name":"a","type":{text}}}"#));
    let micros = typed(r#"{"type":"long","logicalType":"timestamp-micros"}"#);
    let ours = typed(r#"{"type":"bytes","logicalType":"decimal","precision":28,"scale":12}"#);
    for (writer, reader) in [
        (typed(r#"{"type":"long","logicalType":"timestamp-millis"}"#), micros.clone()),
        (typed("\"long\""), micros),
        (typed(r#"{"type":"bytes","logicalType":"decimal","precision":28,"scale":8}"#), ours.clone()),
        (typed("\"bytes\""), ours),
    ] {
        assert!(can_read(&reader, &writer).is_err(), "{writer}");
    }
}

#[test]
fn a_new_symbol_is_read_as_the_default() {
    let default = r#","default":"x""#;
    assert_eq!(can_read(&symbols("\"x\"", default), &symbols("\"x\",\"y\"", "")), Ok(()));
}

#[test]
fn schemas_that_cannot_be_bounded_are_refused() {
    let typed = |text: &str| record(&format!(r#"{{"name":"a","type":{text}}}"#));
    for (text, expected) in [
        (typed(r#"["null","R"]"#), "contains itself"),
        (typed(r#"{"type":"array","items":"null"}"#), "has no bound"),
        ("{".to_owned(), ""),
    ] {
        let problems = can_read(&text, &text).unwrap_err();
        assert!(problems[0].contains(expected), "{problems:?}");
    }
    // Each record holds the one before it nine times.
    let mut bomb = String::from(r#"{"type":"record","name":"R0","fields":[{"name":"a","type":"long"}]}"#);
    for level in 1..8 {
        let more: Vec<String> =
            (0..8).map(|i| format!(r#"{{"name":"f{i}","type":"R{}"}}"#, level - 1)).collect();
        bomb = format!(
            r#"{{"type":"record","name":"R{level}","fields":[{{"name":"f","type":{bomb}}},{}]}}"#,
            more.join(",")
        );
    }
    let problems = can_read(&bomb, &bomb).unwrap_err();
    assert!(problems[0].contains("parts"), "{problems:?}");
}
