//! JSON as people write it, and what they are told.

use serde_json::{Value, json};
use tapewatch_schemas::events::Liquidity;
use tapewatch_schemas::{Codec, DecodeError, Event, FieldError, Time};

use crate::sample::amount;

fn codec() -> Codec {
    Codec::new(&[]).unwrap()
}

fn report() -> Value {
    json!({
        "source": "oms-1", "sequence": 1, "event_time": "2021-05-02T14:00:00+02:00", "portfolio": "p",
        "strategy": "s", "symbol": "BTC-USD", "order_id": "o", "execution_id": "x", "exec_type": "fill",
        "order_status": "filled", "side": "buy", "order_type": "limit", "order_quantity": "1.50",
        "cumulative_quantity": 1, "leaves_quantity": "0", "currency": "USD",
    })
}

fn decode(value: &Value) -> Result<Event, Vec<FieldError>> {
    codec().decode_json("exec.reports.v1", &serde_json::to_vec(value).unwrap())
}

/// Path and found of every error.
fn complaints(value: &Value) -> Vec<(String, String)> {
    decode(value).unwrap_err().into_iter().map(|error| (error.path, error.found)).collect()
}

#[test]
fn missing_fields_take_their_defaults() {
    let Event::ExecReport(read) = decode(&report()).unwrap() else { unreachable!() };
    assert_eq!(read.event_time, Time(1_619_956_800_000_000));
    assert_eq!(read.order_quantity, amount("1.5"));
    assert_eq!(read.cumulative_quantity, amount("1"));
    assert_eq!(read.liquidity, Liquidity::Unknown);
    assert_eq!((read.limit_price, read.text), (None, None));
}

#[test]
fn unions_are_untagged() {
    let mut value = report();
    value["limit_price"] = json!("56789.5");
    value["text"] = json!("late");
    value["sent_time"] = json!(1_619_956_800_000_001_i64);
    value["venue"] = Value::Null;
    let Event::ExecReport(read) = decode(&value).unwrap() else { unreachable!() };
    assert_eq!(read.limit_price, Some(amount("56789.5")));
    assert_eq!(read.text.as_deref(), Some("late"));
    assert_eq!(read.sent_time, Some(Time(1_619_956_800_000_001)));
    assert_eq!(read.venue, None);
}

#[test]
fn everything_that_is_wrong_is_listed() {
    let mut value = report();
    value["sequence"] = json!("1");
    value["event_time"] = json!("yesterday");
    value["exec_type"] = json!("filled");
    value["order_quantity"] = json!(1.5);
    value["leaves_quantity"] = json!("0.0000000000001");
    value["ordre_type"] = json!("limit");
    value.as_object_mut().unwrap().remove("side");
    let found = complaints(&value);
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        ["ordre_type", "sequence", "event_time", "exec_type", "side", "order_quantity", "leaves_quantity"]
    );
    assert_eq!(found[5].1, "the number 1.5");
    let errors = decode(&value).unwrap_err();
    assert_eq!(errors[0].to_string(), "`ordre_type`: found an unknown field, expected perhaps `order_type`");
    assert!(errors[3].expected.starts_with("one of new, fill, "), "{}", errors[3]);
    let text = serde_json::to_vec(&value).unwrap();
    let error = codec().decode("exec.reports.v1", &text).unwrap_err();
    assert!(matches!(&error, DecodeError::BadJson { fields } if fields.len() == 7));
    assert!(error.to_string().ends_with("; and 4 more"), "{error}");
}

#[test]
fn a_nested_field_is_named_in_full() {
    let value = json!({
        "source": "s", "sequence": 1, "event_time": 0, "portfolio": "p", "complete": true,
        "positions": [
            { "symbol": "A", "quantity": "1", "currency": "USD" },
            { "symbol": "B", "quantity": true, "currency": "USD", "average_cost": "x" },
        ],
    });
    let errors = codec().decode_json("positions.v1", &serde_json::to_vec(&value).unwrap()).unwrap_err();
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, ["positions[1].quantity", "positions[1].average_cost"]);
}

#[test]
fn duplicates_are_refused() {
    let text = serde_json::to_string(&report()).unwrap().replacen('{', "{\"sequence\":1,", 1);
    let errors = codec().decode_json("exec.reports.v1", text.as_bytes()).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!((errors[0].path.as_str(), errors[0].found.as_str()), ("sequence", "the same field again"));
}

#[test]
fn integers_are_taken_where_they_fit() {
    for (field, bad) in [
        ("sequence", json!(1.0)),
        ("sequence", json!(9_223_372_036_854_775_808_u64)),
        ("event_time", json!(1.5)),
        ("event_time", json!("1619956800000000")),
        ("event_time", json!("2021-05-02T12:00:00")),
        ("order_quantity", json!(10_000_000_000_000_000_u64)),
        ("order_quantity", json!("")),
        ("order_quantity", Value::Null),
        ("portfolio", json!(7)),
        ("limit_price", json!(false)),
    ] {
        let mut value = report();
        value[field] = bad.clone();
        let found = complaints(&value);
        assert_eq!(found.len(), 1, "{field} {bad}");
        assert_eq!(found[0].0, field, "{bad}");
    }
}

#[test]
fn what_is_no_object_is_refused_in_words() {
    for text in ["{", "{}x", "{\"a\":}", "{1:2}", "{\"source\":\"\u{0}\"}"] {
        let error = codec().decode("exec.reports.v1", text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("no JSON"), "{error}");
    }
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    assert!(codec().decode("exec.reports.v1", deep.as_bytes()).is_err());
}

#[test]
fn a_list_of_errors_has_a_bound() {
    let mut value = report();
    for index in 0..1000 {
        value[format!("unknown_field_{index}")] = json!(1);
    }
    assert_eq!(decode(&value).unwrap_err().len(), 100);
}
