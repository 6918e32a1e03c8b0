//! `dlq list` and `dlq show`, on letters as workers write them.

mod run;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use run::Folder;
use serde_json::{Value, json};
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::dead_letter::{DeadLetter, RangeLetter};
use tapewatch_eventlog::{
    BatchBuilder, Headers, LogError, OpenOptions, OutRecord, RecordRef, Round, TopicPartition, open,
};
use tapewatch_schemas::codec::{FRAME, GUID_HEADER};
use tapewatch_schemas::{Codec, Reason, Time};

const WHY: DeadLetter<'_> = DeadLetter {
    worker: "risk",
    group: "tapewatch.risk",
    task: 1,
    own: false,
    reason: Reason::Truncated,
    attempts: 1,
    error: "the value ends at byte 20, within `cash`",
};

/// A good account record in Avro.
fn account() -> Vec<u8> {
    let codec = Codec::new(&[]).expect("the shipped schemas are good");
    let text = br#"{"source":"me","sequence":7,"event_time":0,"portfolio":"P1","currency":"USD",
        "cash":"12.5","equity":"12.5","deposits":"0","withdrawals":"0"}"#;
    let event = codec.decode_json("accounts.v1", text).expect("it is an account");
    let mut value = Vec::new();
    codec.encode(&event, &mut value).expect("it fits");
    value
}

fn letters() -> Vec<OutRecord> {
    let source = TopicPartition::new("accounts.v1", 1);
    let mut batch = BatchBuilder::new(source.clone());
    let good = account();
    batch.push(40, Time(1_000_000), Some(b"P1"), Some(&good[..30]), |_| ());
    batch.push(41, Time(2_000_000), Some(b"P1"), Some(&good), |_| ());
    batch.push(42, Time(3_000_000), Some(b"P1"), Some(b"{\"portfolio\": 5}"), |_| ());
    let batch = batch.build();
    let mut range = RangeLetter::new(source);
    range.add(&batch.record(0), Reason::Truncated);
    range.pass();
    range.add(&batch.record(2), Reason::BadJson);
    vec![
        WHY.of(&batch.record(0), 1 << 20),
        DeadLetter { reason: Reason::Refused, error: "quantity: 0", ..WHY }.of(&batch.record(1), 1 << 20),
        DeadLetter { reason: Reason::BadJson, error: "bad", worker: "alerting", ..WHY }
            .of(&batch.record(2), 1 << 20),
        range.build(&WHY).expect("it holds two"),
        OutRecord {
            target: TopicPartition::new("accounts.v1.dlq", 1),
            timestamp: None,
            key: None,
            value: Some(Bytes::from_static(b"\x00\x01stranger")),
            headers: Vec::new(),
        },
    ]
}

fn with_letters() -> Folder {
    holding(Folder::new(), letters())
}

/// A folder whose log holds these records.
fn holding(folder: Folder, records: Vec<OutRecord>) -> Folder {
    assert_eq!(folder.run(&["topics", "create", "--partitions", "2"]).code, 0);
    let url = format!("sqlite:{}", folder.path("tapewatch.db").display());
    let log = open(&url, &OpenOptions::default()).expect("it is there");
    let mut writer = log.writer("test").expect("it opens");
    let round = Round { records, offsets: Vec::new() };
    writer.commit(&round, None).expect("it is written");
    folder
}

#[test]
fn letters_are_counted_by_topic_worker_and_reason() {
    let folder = with_letters();
    let listed = folder.run(&["dlq", "list"]);
    assert_eq!(listed.code, 0, "{}", listed.err);
    for wanted in [
        "accounts.v1\n",
        "  truncated, by risk: 2, ",
        "  refused, by risk: 1, ",
        "  bad_json, by alerting: 1, ",
        "  bad_json, by risk: 1, ",
        "  foreign, by -: 1, ",
        "tapewatch dlq show accounts.v1 1 ",
    ] {
        assert!(listed.out.contains(wanted), "{wanted} in {}", listed.out);
    }
    let json = folder.run(&["dlq", "list", "accounts.v1", "--json"]);
    let lines: Vec<serde_json::Value> =
        json.out.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    assert_eq!(lines.len(), 5);
    let truncated = lines.iter().find(|line| line["reason"] == "truncated").expect("it is listed");
    assert_eq!((&truncated["records"], &truncated["letters"]), (&2.into(), &2.into()));
}

#[test]
fn a_log_without_letters_says_so() {
    let folder = Folder::new();
    folder.run(&["topics", "create"]);
    let done = folder.run(&["dlq", "list"]);
    assert_eq!((done.code, done.out.as_str()), (0, "no dead letters\n"));
    let wrong = folder.run(&["dlq", "list", "acounts.v1"]);
    assert_eq!(wrong.code, 5);
    assert!(wrong.err.contains("Did you mean accounts.v1"), "{}", wrong.err);
}

#[test]
fn a_letter_is_shown_with_why_headers_and_bytes() {
    let folder = with_letters();
    let show = |offset: &str| {
        let done = folder.run(&["dlq", "show", "accounts.v1", "1", offset]);
        assert_eq!(done.code, 0, "{}", done.err);
        done.out
    };
    let offsets: Vec<String> = folder
        .run(&["tail", "accounts.v1.dlq", "--json"])
        .out
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("a line is JSON")["offset"].to_string()
        })
        .collect();

    let truncated = show(&offsets[0]);
    for wanted in [
        "truncated: the value ends at byte 20, within `cash`",
        "comes from accounts.v1/1 offset 40, published 1970-01-01T00:00:01Z",
        "kafka_dlt-original-offset: 0x0000000000000028",
        "value: 30 bytes",
        "the value ends at byte 30",
        "  __streams.errors.stacktrace: tapewatch.Truncated: the value ends at byte 20, within `cash`\n    at tapewatch.",
        "  read up to byte 29:\n{\n  \"source\": \"me\",\n  \"sequence\": 7,\n",
        "  \"currency\": \"USD\",\n  \"cash\": \"12.5\"\n}\n  the rest, from byte 29:\n> 00000010  ",
    ] {
        assert!(truncated.contains(wanted), "{wanted} in {truncated}");
    }
    assert!(!truncated.contains("\"equity\"") && !truncated.contains("00000000  c3"), "{truncated}");
    let all = folder.run(&["dlq", "show", "accounts.v1", "1", &offsets[0], "--all"]).out;
    assert!(all.contains("\"cash\": \"12.5\"") && all.contains("  00000000  c3 01 "), "{all}");

    let refused = show(&offsets[1]);
    assert!(refused.contains("\"cash\": \"12.5\"") && !refused.contains("00000000  c3"), "{refused}");

    let json = show(&offsets[2]);
    assert!(json.contains("`portfolio`: ") && json.contains("{\"portfolio\": 5}"), "{json}");

    let range = show(&offsets[3]);
    for wanted in [
        "2 records, whose bytes are still in the source",
        "truncated: 1 record, at offsets\n    40",
        "bad_json: 1 record, at offsets\n    42",
        "the first of them, at offset 40",
        "  key: P1",
    ] {
        assert!(range.contains(wanted), "{wanted} in {range}");
    }

    let foreign = show(&offsets[4]);
    assert!(foreign.contains("not those of a tapewatch dead letter"), "{foreign}");
    assert!(foreign.contains("|..stranger|"), "{foreign}");
}

#[test]
fn what_is_not_there_is_bad_input() {
    let folder = with_letters();
    for (partition, offset, wanted) in [("1", "99", "no record at offset 99"), ("7", "0", "no partition 7")] {
        let done = folder.run(&["dlq", "show", "accounts.v1.dlq", partition, offset]);
        assert_eq!(done.code, 5);
        assert!(done.err.contains(wanted), "{}", done.err);
    }
}

/// A letter of `accounts.v1`/1 about these bytes.
fn about(offset: i64, value: &[u8], headers: &[(&str, &[u8])], why: DeadLetter<'_>) -> OutRecord {
    let mut batch = BatchBuilder::new(TopicPartition::new("accounts.v1", 1));
    batch.push(offset, Time(1_000_000), Some(b"P1"), Some(value), |into| {
        for (name, value) in headers {
            Headers::encode(into, name, value);
        }
    });
    why.of(&batch.build().record(0), 1 << 20)
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

#[test]
fn a_letter_is_one_object_for_programs() {
    let folder = with_letters();
    let show = |offset: &str| {
        let done = folder.run(&["dlq", "show", "accounts.v1", "1", offset, "--json"]);
        assert_eq!(done.code, 0, "{}", done.err);
        objects(&done.out).remove(0)
    };
    let offsets: Vec<String> = objects(&folder.run(&["tail", "accounts.v1.dlq", "--json"]).out)
        .iter()
        .map(|line| line["offset"].to_string())
        .collect();

    let cut = show(&offsets[0]);
    assert_eq!(
        (&cut["topic"], &cut["partition"], &cut["key"]),
        (&json!("accounts.v1.dlq"), &json!(1), &json!("P1"))
    );
    assert_eq!(cut["letter"]["source"]["offset"], 40, "{cut}");
    assert_eq!((&cut["letter"]["kind"], &cut["letter"]["reason"]), (&json!("record"), &json!("truncated")));
    let traces = cut["headers"].as_array().expect("a list").iter().filter(|header| {
        header["value"]
            .as_str()
            .is_some_and(|text| text.contains("\n\tat tapewatch.risk.task1(accounts.v1/1 offset 40)"))
    });
    assert_eq!(traces.count(), 3, "{cut}");
    let partition = json!({"name": "kafka_dlt-original-partition", "base64": "AAAAAQ=="});
    assert!(cut["headers"].as_array().expect("a list").contains(&partition), "{cut}");
    assert_eq!(cut["value_base64"], BASE64_STANDARD.encode(&account()[..30]));
    assert_eq!((&cut["read"]["cash"], &cut["read_to"]), (&json!("12.5"), &json!(29)));
    assert!(cut["undecoded"].as_str().is_some_and(|why| why.contains("ends at byte 30")), "{cut}");
    assert!(cut.get("value").is_none() && cut["read"].get("equity").is_none(), "{cut}");

    let refused = show(&offsets[1]);
    assert_eq!((&refused["value"]["equity"], refused.get("undecoded")), (&json!("12.5"), None), "{refused}");
    let bad = show(&offsets[2]);
    assert!(
        bad["problems"].as_array().is_some_and(|all| all.len() > 3) && bad.get("read").is_none(),
        "{bad}"
    );
    let range = show(&offsets[3]);
    assert_eq!((&range["letter"]["kind"], &range["range"]["count"]), (&json!("range"), &json!(2)), "{range}");
    let foreign = show(&offsets[4]);
    assert_eq!((&foreign["letter"], foreign.get("key")), (&Value::Null, None), "{foreign}");
    assert_eq!(folder.run(&["dlq", "show", "accounts.v1", "1", "0", "--json", "--all"]).code, 2);
}

#[test]
fn what_is_of_another_topic_is_shown_as_that() {
    let codec = Codec::new(&[]).expect("the shipped schemas are good");
    let text =
        br#"{"source":"me","sequence":7,"event_time":0,"symbol":"BTC-USD","currency":"USD","last":"2.5"}"#;
    let event = codec.decode_json("market.data.v1", text).expect("it is a mark");
    let mut mark = Vec::new();
    codec.encode(&event, &mut mark).expect("it fits");
    let letter = about(7, &mark, &[], DeadLetter { reason: Reason::WrongTopic, ..WHY });
    let folder = holding(Folder::new(), vec![letter]);
    let shown = folder.run(&["dlq", "show", "accounts.v1", "1", "0"]).out;
    for wanted in ["a record of `market.data.v1`", "as an event of market.data.v1 it is", "\"last\": \"2.5\""]
    {
        assert!(shown.contains(wanted), "{wanted} in {shown}");
    }
    assert!(!shown.contains("00000000  c3"), "{shown}");
    let object = objects(&folder.run(&["dlq", "show", "accounts.v1", "1", "0", "--json"]).out).remove(0);
    assert_eq!(object["event_of"]["value"]["symbol"], "BTC-USD", "{object}");
}

/// The newer framing: the bare body, whose schema a header names by its GUID in a registry.
#[test]
fn a_schema_that_a_header_names_is_asked_for() {
    const GUID: [u8; 16] = [9; 16];
    let (framed, header) = (account(), [&[1][..], &GUID].concat());
    let headers: [(&str, &[u8]); 1] = [(GUID_HEADER, &header)];
    let why = DeadLetter { reason: Reason::Refused, error: "not today", ..WHY };
    let records =
        vec![about(7, &framed[FRAME..], &headers, why), about(8, &framed[FRAME..30], &headers, WHY)];
    let registry = registry();
    let alone = holding(Folder::new(), records.clone());
    let asking = holding(Folder::new().with("TAPEWATCH_REGISTRY__URL", &registry), records);

    let said = alone.run(&["tail", "accounts.v1.dlq"]).out;
    assert!(said.contains("09090909-0909") && said.contains("no registry is configured"), "{said}");
    assert!(!said.contains("expected Avro single-object"), "{said}");
    let tailed = objects(&asking.run(&["tail", "accounts.v1.dlq", "--json"]).out);
    assert_eq!(tailed[0]["value"]["cash"], "12.5", "{}", tailed[0]);
    let shown = asking.run(&["dlq", "show", "accounts.v1", "1", "0"]).out;
    assert!(shown.contains("\"equity\": \"12.5\""), "{shown}");
    let cut = asking.run(&["dlq", "show", "accounts.v1", "1", "1"]).out;
    assert!(cut.contains("  read up to byte 19:\n") && cut.contains("\"cash\": \"12.5\""), "{cut}");
    let exported = objects(&asking.run(&["dlq", "export", "accounts.v1"]).out);
    assert_eq!(exported[0]["value"]["cash"], "12.5", "{}", exported[0]);
    assert!(exported[1].get("value").is_none(), "{}", exported[1]);

    // What was not touched goes as it was: its bytes, and the header that says what they are.
    asking.write("back.jsonl", &exported[0].to_string());
    let sent = asking.run(&["dlq", "import", "back.jsonl", "--who", "ann", "--why", "as it was"]);
    assert_eq!(sent.out, "1 repaired record sent to accounts.v1.redrive\n", "{}", sent.err);
    let url = format!("sqlite:{}", asking.path("tapewatch.db").display());
    let log = open(&url, &OpenOptions::default()).expect("it is there");
    let mut scanner = Scanner::new(log).expect("it reads");
    let mut back = Vec::new();
    for partition in 0..2 {
        let at = TopicPartition::new("accounts.v1.redrive", partition);
        let each = |record: &RecordRef<'_>| {
            let schema = record.headers.get(GUID_HEADER).map(<[u8]>::to_vec);
            back.push((record.value.unwrap_or_default().to_vec(), schema));
            Ok::<(), LogError>(())
        };
        scanner.scan(&at, 0, each).expect("it is read");
    }
    assert_eq!(back, [(framed[FRAME..].to_vec(), Some(header))]);
}

/// A registry that knows one GUID and takes what is registered, and answers until the test ends.
fn registry() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it has one"));
    let codec = Codec::new(&[]).expect("the shipped schemas are good");
    let text = codec.schemas().find(|(topic, ..)| *topic == "accounts.v1").expect("it is there").2;
    let body = json!({ "schema": text }).to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Ok(reader) = stream.try_clone() else { continue };
            let mut reader = BufReader::new(reader);
            let (mut head, mut length) = (String::new(), 0);
            while reader.read_line(&mut head).is_ok_and(|read| read > 2) {
                let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
                let given = line.strip_prefix("content-length: ").and_then(|text| text.parse().ok());
                length = given.unwrap_or(length);
            }
            if reader.read_exact(&mut vec![0; length]).is_err() {
                continue;
            }
            let (status, body) = match head.lines().next().unwrap_or_default() {
                first if first.contains("/schemas/guids/09090909-0909-0909-0909-090909090909 ") => {
                    (200, &*body)
                }
                first if first.starts_with("POST /subjects/") => (200, r#"{"id":5,"version":1}"#),
                _ => (404, r#"{"error_code":40403}"#),
            };
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    url
}
