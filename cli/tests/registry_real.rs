//! A real registry that speaks Confluent's protocol, as `scripts/registry up` starts it: TAPEWATCH_TEST_REGISTRY is
//! its address, and it holds nothing yet. Without it this is skipped, and says so. With TAPEWATCH_TEST_KAFKA and
//! kcat on the PATH, kcat reads what was written, too.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod run;

use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use run::Folder;
use run::up::{Up, risk_status, sum, until};
use serde_json::{Value, json};
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::{Log, LogError, OpenOptions, OutRecord, Round, TopicPartition, open};
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Amount, Codec, Event};

/// Sends a request with curl's simplicity and no curl: the answer's body.
fn ask(method: &str, url: &str, body: &Value) -> Value {
    use std::io::{Read, Write};
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let body = body.to_string();
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
    serde_json::from_str(body).unwrap_or(Value::Null)
}

fn values(log: &Arc<dyn Log>, topic: &str, partitions: i32) -> Vec<Vec<u8>> {
    let mut scanner = Scanner::new(Arc::clone(log)).unwrap();
    let mut found = Vec::new();
    for partition in 0..partitions {
        scanner
            .scan::<LogError>(&TopicPartition::new(topic, partition), 0, |record| {
                found.push(record.value.unwrap_or_default().to_vec());
                Ok(())
            })
            .unwrap();
    }
    found
}

fn account(n: u32) -> String {
    format!(
        "{{\"source\":\"me\",\"sequence\":{n},\"event_time\":\"2026-05-02T12:00:00Z\",\"portfolio\":\"P{n}\",\
         \"currency\":\"USD\",\"cash\":\"{n}\",\"equity\":\"1\",\"deposits\":\"0\",\"withdrawals\":\"0\"}}\n"
    )
}

#[test]
fn the_whole_way_through_a_real_registry() {
    let Ok(registry) = std::env::var("TAPEWATCH_TEST_REGISTRY") else {
        println!("skipped: TAPEWATCH_TEST_REGISTRY is not set, there is no registry to speak to");
        return;
    };
    let url = registry.trim_end_matches('/');
    ask("PUT", &format!("{url}/config"), &json!({"compatibility": "BACKWARD"}));
    let folder = Folder::new().with("TAPEWATCH_TOPICS__PARTITIONS", "2").with("TAPEWATCH_REGISTRY__URL", url);
    assert_eq!(folder.run(&["topics", "create"]).code, 0);

    // Nothing is registered; who may not register is told what to do.
    assert_eq!(folder.run(&["registry", "check"]).code, 1);
    let lines = (0..20).map(account).collect::<String>();
    let careful = Folder::new()
        .with("TAPEWATCH_TOPICS__PARTITIONS", "2")
        .with("TAPEWATCH_REGISTRY__URL", url)
        .with("TAPEWATCH_REGISTRY__REGISTER", "false");
    assert_eq!(careful.run(&["topics", "create"]).code, 0);
    let refused = careful.run_with_input(&["produce", "accounts.v1"], &lines);
    assert_eq!(refused.code, 4, "{}", refused.err);
    assert!(
        refused.err.contains("subject accounts.v1-value") && refused.err.contains("registry register"),
        "{}",
        refused.err
    );
    assert_eq!(folder.run(&["registry", "register"]).code, 0);
    let checked = folder.run(&["registry", "check", "--json"]);
    assert_eq!(checked.code, 0, "{}", checked.out);
    let ids: Vec<Value> = checked.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let id = ids.iter().find(|line| line["topic"] == "accounts.v1").unwrap()["id"].as_u64().unwrap();
    assert_eq!(careful.run_with_input(&["produce", "accounts.v1"], &lines).code, 0);

    // What is written begins with the id, and is read back by it.
    let up = Up::ready(&folder);
    assert_eq!(folder.run_with_input(&["produce", "accounts.v1"], &lines).code, 0);
    let log =
        open(&format!("sqlite:{}", folder.path("tapewatch.db").display()), &OpenOptions::default()).unwrap();
    let frame = [&[0][..], &u32::try_from(id).unwrap().to_be_bytes()].concat();
    let written = values(&log, "accounts.v1", 2);
    assert_eq!(written.len(), 20);
    assert!(written.iter().all(|value| value.starts_with(&frame)), "{written:?}");
    until("all is processed", || sum(&risk_status(&folder), "accounts.v1", "processed") == 20);

    // A writer's own schema, registered by it: compatible, with a field more. And an id that there is not.
    let codec = Codec::new(&[]).unwrap();
    let text = codec.schemas().find(|(topic, ..)| *topic == "accounts.v1").unwrap().2;
    let mut newer: Value = serde_json::from_str(text).unwrap();
    newer["fields"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "desk_note", "type": "string", "default": ""}));
    let subject = format!("{url}/subjects/accounts.v1-value/versions");
    let their_id = ask("POST", &subject, &json!({"schema": newer.to_string()}))["id"].as_u64().unwrap();
    assert_ne!(their_id, id);
    let send = |id: u32, portfolio: &str, note: &[u8]| {
        let Event::Account(mut event) = codec.decode_json("accounts.v1", account(7).as_bytes()).unwrap()
        else {
            unreachable!("it is an account")
        };
        event.portfolio = portfolio.into();
        event.cash = Amount::from(5);
        let mut value = Vec::new();
        codec.encode(&Event::Account(event), &mut value).unwrap();
        let value = [&[0][..], &id.to_be_bytes(), &value[10..], note].concat();
        let partition = Partitioner::Murmur2.assign(portfolio.as_bytes(), 2) as i32;
        let record = OutRecord {
            target: TopicPartition::new("accounts.v1", partition),
            timestamp: None,
            key: Some(Bytes::copy_from_slice(portfolio.as_bytes())),
            value: Some(value.into()),
            headers: vec![],
        };
        log.writer("their program")
            .unwrap()
            .commit(&Round { records: vec![record], offsets: vec![] }, None)
            .unwrap();
    };
    send(u32::try_from(their_id).unwrap(), "THEIRS", b"\x04hi");
    send(4_000_000, "NOBODY", b"");
    until("both are judged", || {
        let status = risk_status(&folder);
        sum(&status, "accounts.v1", "processed") == 21 && sum(&status, "accounts.v1", "dead") == 1
    });
    let letters = folder.run(&["dlq", "list", "--json"]);
    assert!(letters.out.contains("unknown_schema"), "{}", letters.out);
    let tail = folder.run(&["tail", "accounts.v1", "-n", "30", "--json"]);
    assert!(tail.out.contains("THEIRS"), "{}", tail.out);
    assert_eq!(up.interrupt(&folder), Some(0));

    // The workers' own outputs are framed, and the replay gives every byte again.
    let alerts = ids.iter().find(|line| line["topic"] == "heartbeats.v1").unwrap()["id"].as_u64().unwrap();
    let frame = [&[0][..], &u32::try_from(alerts).unwrap().to_be_bytes()].concat();
    let beats = values(&log, "heartbeats.v1", 1);
    assert!(!beats.is_empty() && beats.iter().all(|value| value.starts_with(&frame)));
    let replayed = folder.run(&["replay", "--verify"]);
    assert_eq!(replayed.code, 0, "{}{}", replayed.out, replayed.err);

    // A schema under our subject that ours is not compatible with: a worker does not begin, and says why.
    let broken = json!({"type": "record", "name": "Alert", "namespace": "tapewatch.v1", "fields": [
        {"name": "mine", "type": "int"}]});
    let other = Folder::new()
        .with("TAPEWATCH_REGISTRY__URL", url)
        .with("TAPEWATCH_REGISTRY__SUBJECTS", "topic_record");
    ask(
        "POST",
        &format!("{url}/subjects/accounts.v1-tapewatch.v1.Account/versions"),
        &json!({"schema": broken.to_string()}),
    );
    assert_eq!(other.run(&["topics", "create"]).code, 0);
    let refused = other.run_with_input(&["produce", "accounts.v1"], &lines);
    assert_eq!(refused.code, 4, "{}", refused.err);
    assert!(
        refused.err.contains("accounts.v1-tapewatch.v1.Account") && refused.err.contains("not compatible"),
        "{}",
        refused.err
    );

    read_by_kcat(url, id);
}

/// kcat unpacks the frame that it finds on a real broker.
fn read_by_kcat(url: &str, id: u64) {
    let Ok(kafka) = std::env::var("TAPEWATCH_TEST_KAFKA") else {
        println!("skipped: TAPEWATCH_TEST_KAFKA is not set, kcat has nothing to read");
        return;
    };
    if Command::new("kcat").arg("-V").output().is_err() {
        println!("skipped: kcat is not on the PATH");
        return;
    }
    let folder = Folder::new()
        .with("TAPEWATCH_LOG", &kafka)
        .with("TAPEWATCH_REGISTRY__URL", url)
        .with("TAPEWATCH_LOG__KAFKA__REPLICATION", "1");
    let created = folder.run(&["topics", "create"]);
    assert_eq!(created.code, 0, "{}", created.err);
    let done = folder.run_with_input(&["produce", "accounts.v1"], &account(3));
    assert_eq!(done.code, 0, "{}", done.err);
    let brokers = kafka.strip_prefix("kafka:").unwrap();
    let read = Command::new("kcat")
        .args(["-b", brokers, "-C", "-t", "accounts.v1", "-o", "beginning", "-e", "-q"])
        .args(["-s", "value=>bIs", "-f", "%k %s\n"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&read.stdout);
    assert!(
        text.lines()
            .any(|line| line.starts_with(&format!("P3 0{id}")) || line.starts_with(&format!("P3 0 {id}"))),
        "{text}"
    );
}
