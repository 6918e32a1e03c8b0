//! A source changes its schema in mid-stream: to one that can be read through the current one, and to one that
//! cannot.

use apache_avro::Schema;
use bytes::Bytes;
use serde_json::{Value, json};
use tapewatch_eventlog::OutRecord;
use tapewatch_schemas::EventKind;
use tapewatch_schemas::catalogue::{EXEC_REPORTS, RISK};

use crate::stage::tape::tape;
use crate::stage::{PATIENCE, Stage, injected};

/// The schema of execution reports with a field more.
fn extended(name: &str, schema: &Value) -> (Value, [u8; 8]) {
    let mut text: Value =
        serde_json::from_str(EventKind::of_topic(EXEC_REPORTS).unwrap().schema_text()).unwrap();
    text["fields"].as_array_mut().unwrap().push(json!({"name": name, "type": schema}));
    let print = Schema::parse(&text).unwrap().fingerprint::<apache_avro::rabin::Rabin>();
    (text, print.bytes.try_into().unwrap())
}

/// The record as a writer with the other schema writes it: the field more is a text.
fn rewritten(record: &mut OutRecord, fingerprint: [u8; 8]) {
    let value = record.value.as_ref().expect("a report");
    let mut other = value[..2].to_vec();
    other.extend(fingerprint);
    other.extend(&value[10..]);
    other.extend(b"\x08desk");
    record.value = Some(Bytes::from(other));
}

#[test]
fn a_schema_that_can_be_read_and_one_that_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let schemas = folder.path().join("schemas");
    std::fs::create_dir(&schemas).unwrap();
    let (compatible, known) = extended("desk", &json!("string"));
    std::fs::write(schemas.join("reports-with-a-desk.avsc"), compatible.to_string()).unwrap();
    let (unknown, stranger) = extended("floor", &json!("string"));

    let settings = [("TAPEWATCH_TOPICS__SCHEMAS_DIR", schemas.to_str().unwrap())];
    let Some(stage) = Stage::open_with("schema-midstream", &settings) else { return };
    let mut tape = tape(&*stage.log, 300);
    let (mut read, mut refused) = (0, 0);
    for (at, slice) in tape.iter_mut().enumerate() {
        let reports = slice.iter_mut().filter(|record| record.target.topic.as_str() == EXEC_REPORTS);
        for (number, report) in reports.enumerate() {
            if at >= 150 && number % 4 == 3 {
                rewritten(report, stranger);
                refused += 1;
            } else if at >= 100 {
                rewritten(report, known);
                read += 1;
            }
        }
    }
    assert!(read > 100 && refused > 0, "{read} and {refused} reports");
    // What cannot be read fulfils no promise: there is no undisturbed run to compare with.
    let journals = stage.taken_with_a_kill(tape);
    let unknown_schema = |record: &tapewatch_schemas::journal::JournalRecord| {
        record.dead_letters.iter().any(|letters| letters.reason == "unknown_schema")
    };
    assert!(journals.records.values().flatten().any(unknown_schema), "nothing was dead-lettered");
    stage.judge_dead(RISK, refused);
    injected(&format!("{read} reports of a compatible schema, {refused} of one that nobody knows"));

    // A schema that is known and cannot be read through ours is refused at the start, by its file.
    let mut wrong = unknown;
    wrong["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "portfolio");
    std::fs::write(schemas.join("reports-without-a-portfolio.avsc"), wrong.to_string()).unwrap();
    let mut worker = stage.risk("two");
    let status = worker.end(PATIENCE);
    assert!(!status.success(), "{}", worker.tail());
    assert!(worker.said().contains("reports-without-a-portfolio.avsc"), "{}", worker.tail());
}
