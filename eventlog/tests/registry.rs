//! A registry that is down, slow, answers nonsense, or refuses: what is an error that passes, and what is not.
//!
//! What a registry says is played by a server of this test; `cli/tests/registry_real.rs` speaks to a real one.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use tapewatch_eventlog::edge::EdgeParameters;
use tapewatch_eventlog::registry::{EnrolError, Registry, RegistryError, RegistryOptions, Subjects, enrol};
use tapewatch_schemas::Codec;
use tapewatch_schemas::codec::RegistryId;

/// Answers each request by what the closure makes of its first line; tells every request with its headers.
fn serve(answer: impl Fn(&str) -> Option<(u16, String)> + Send + 'static) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/base/", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let Some(request) = read(&stream) else { continue };
            let answered = answer(request.lines().next().unwrap());
            let _ = tell.send(request);
            // None: it never answers. The connection stays open with the thread's stack.
            match answered {
                Some((status, body)) => reply(stream, status, &body),
                None => std::mem::forget(stream),
            }
        }
    });
    (url, told)
}

fn read(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

fn reply(mut stream: TcpStream, status: u16, body: &str) {
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

fn options(url: &str) -> RegistryOptions {
    RegistryOptions {
        url: url.to_owned(),
        login: Some(("ada".into(), "pass:word".into())),
        trust: None,
        timeout: Duration::from_millis(300),
        // High enough to stay closed where a test asks a few times.
        breaker: EdgeParameters { minimum_calls: 100, ..EdgeParameters::default() },
    }
}

fn registry(url: &str) -> Registry {
    Registry::new(&options(url)).unwrap()
}

const ID: RegistryId = RegistryId::Number(7);

fn said(status: u16, body: &str) -> Result<Option<String>, RegistryError> {
    let body = body.to_owned();
    let (url, _told) = serve(move |_| Some((status, body.clone())));
    registry(&url).schema(ID)
}

#[test]
fn a_schema_is_asked_for_by_number_and_by_guid_with_the_login() {
    let (url, told) = serve(|_| Some((200, r#"{"schema":"\"string\"","schemaType":"AVRO"}"#.into())));
    let registry = registry(&url);
    assert_eq!(registry.schema(ID), Ok(Some("\"string\"".into())));
    let request = told.recv().unwrap();
    assert!(request.starts_with("GET /base/schemas/ids/7 HTTP/1.1"), "{request}");
    assert!(request.to_ascii_lowercase().contains("authorization: basic "), "{request}");
    assert!(request.contains("YWRhOnBhc3M6d29yZA=="), "{request}");
    registry.schema(RegistryId::Guid([0xAB; 16])).unwrap();
    let request = told.recv().unwrap();
    assert!(
        request.starts_with("GET /base/schemas/guids/abababab-abab-abab-abab-abababababab "),
        "{request}"
    );
}

#[test]
fn only_the_protocols_own_word_makes_an_id_unknown() {
    assert_eq!(said(404, r#"{"error_code":40403,"message":"Schema not found"}"#), Ok(None));
    for (status, body) in
        [(404, "<html>not here</html>"), (404, ""), (200, "<html>welcome</html>"), (200, "{}"), (200, "[]")]
    {
        let error = said(status, body).unwrap_err();
        assert!(
            matches!(error, RegistryError::Nonsense { .. }) && error.passes(),
            "{status} {body}: {error}"
        );
        assert!(error.to_string().contains("registry id 7"), "{error}");
    }
    let error = said(500, r#"{"error_code":50001,"message":"store is down"}"#).unwrap_err();
    assert!(error.passes() && error.to_string().contains("store is down"), "{error}");
    let error = said(401, r#"{"error_code":40101,"message":"Unauthorized"}"#).unwrap_err();
    assert!(!error.passes() && error.to_string().contains("registry.password_file"), "{error}");
}

#[test]
fn a_schema_of_another_kind_is_no_avro() {
    let text = said(200, r#"{"schema":"syntax = \"proto3\";","schemaType":"PROTOBUF"}"#).unwrap().unwrap();
    assert!(text.contains("PROTOBUF"), "{text}");
}

#[test]
fn one_that_is_down_or_slow_passes_and_is_left_alone_after_a_while() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = registry(&format!("http://{nobody}")).schema(ID).unwrap_err();
    assert!(matches!(error, RegistryError::Unavailable { .. }) && error.passes(), "{error}");

    let (url, told) = serve(|_| None);
    let breaker =
        EdgeParameters { minimum_calls: 2, wait: Duration::from_secs(60), ..EdgeParameters::default() };
    let slow = Registry::new(&RegistryOptions { breaker, ..options(&url) }).unwrap();
    for _ in 0..2 {
        assert!(matches!(slow.schema(ID), Err(RegistryError::Unavailable { .. })));
    }
    assert!(slow.is_left_alone());
    assert!(matches!(slow.schema(ID), Err(RegistryError::LeftAlone { .. })));
    assert_eq!(told.iter().take(2).count(), 2);
    assert!(told.try_recv().is_err(), "the third request was not made");
}

#[test]
fn schemas_are_enrolled_all_or_none() {
    let codec = Codec::new(&[]).unwrap();
    let topics = ["alerts.v1", "accounts.v1"];
    // Neither is registered; the alerts' would not be compatible.
    let (url, told) = serve(|line| {
        Some(match line {
            line if line.starts_with("POST /base/compatibility/subjects/alerts.v1-value/") => {
                (200, r#"{"is_compatible":false,"messages":["READER_FIELD_MISSING: id"]}"#.into())
            }
            line if line.contains("compatibility") => (404, r#"{"error_code":40401,"message":"no"}"#.into()),
            line if line.ends_with("/versions HTTP/1.1") => (200, r#"{"id":12}"#.into()),
            _ => (404, r#"{"error_code":40403,"message":"no"}"#.into()),
        })
    });
    let registry = registry(&url);
    let errors = enrol(&registry, &codec, &topics, Subjects::Topic, true).unwrap_err();
    assert!(matches!(&errors[..], [EnrolError::Incompatible { topic: "alerts.v1", .. }]), "{errors:?}");
    assert!(errors[0].to_string().contains("READER_FIELD_MISSING"), "{}", errors[0]);
    let asked: Vec<_> = told.try_iter().collect();
    assert!(!asked.iter().any(|request| request.contains("/versions HTTP")), "nothing was registered");
    let errors = enrol(&registry, &codec, &topics, Subjects::Topic, false).unwrap_err();
    assert_eq!(errors.len(), 2);
    assert!(errors[0].to_string().contains("tapewatch registry register"), "{}", errors[0]);
    let enrolled = enrol(&registry, &codec, &["accounts.v1"], Subjects::TopicRecord, true).unwrap();
    assert_eq!(enrolled[0].subject, "accounts.v1-tapewatch.v1.Account");
    assert_eq!(enrolled[0].id, 12);
}
