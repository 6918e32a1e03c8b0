//! Records of older and newer schemas, read through the current one.

use apache_avro::Schema;
use apache_avro::types::Value;
use serde_json::{Value as Json, json};
use tapewatch_schemas::codec::SchemaText;
use tapewatch_schemas::events::{Alert, AlertState, Liquidity, Provenance, Severity};
use tapewatch_schemas::events::{
    LimitOverride, LimitState, LimitStatus, Measure, Occasion, RiskMetrics, TradingLevel, Unknown,
};
use tapewatch_schemas::{Codec, DecodeError, Event, EventKind, RecordId, SchemaError, Time};

use crate::sample::{amount, encoded, fill, framed, judged, written};

/// A writer's schema, made from the current one.
struct Writer {
    schema: Json,
    value: Value,
    kind: EventKind,
}

impl Writer {
    fn of(event: &Event) -> Self {
        let kind = event.kind();
        Self {
            schema: serde_json::from_str(kind.schema_text()).unwrap(),
            value: judged(&Codec::new(&[]).unwrap(), event),
            kind,
        }
    }

    fn fields(&mut self) -> (&mut Vec<Json>, &mut Vec<(String, Value)>) {
        let Value::Record(values) = &mut self.value else { unreachable!() };
        (self.schema["fields"].as_array_mut().unwrap(), values)
    }

    fn without(mut self, name: &str) -> Self {
        let (fields, values) = self.fields();
        fields.retain(|field| field["name"] != name);
        values.retain(|(field, _)| field != name);
        self
    }

    fn with(mut self, at: usize, name: &str, schema: Json, value: Value) -> Self {
        let (fields, values) = self.fields();
        fields.insert(at, json!({ "name": name, "type": schema }));
        values.insert(at, (name.to_owned(), value));
        self
    }

    fn retyped(mut self, name: &str, schema: Json, value: Value) -> Self {
        let (fields, values) = self.fields();
        let at = values.iter().position(|(field, _)| field == name).unwrap();
        fields[at] = json!({ "name": name, "type": schema });
        values[at].1 = value;
        self
    }

    fn reversed(mut self) -> Self {
        let (fields, values) = self.fields();
        fields.reverse();
        values.reverse();
        self
    }

    fn codec(&self) -> Result<Codec, Vec<SchemaError>> {
        Codec::new(&[SchemaText { name: "made-up.avsc".into(), text: self.schema.to_string() }])
    }

    fn bytes(&self) -> Vec<u8> {
        let schema = Schema::parse(&self.schema).unwrap();
        framed(&schema, &written(&schema, self.value.clone()))
    }

    fn read(&self) -> Result<Event, DecodeError> {
        let bytes = self.bytes();
        let stranger = Codec::new(&[]).unwrap().decode(self.kind.topic(), &bytes).unwrap_err();
        assert!(matches!(stranger, DecodeError::UnknownSchema { .. }), "the schema is not another one");
        let codec = self.codec().unwrap();
        for cut in 10..bytes.len() {
            assert!(codec.decode(self.kind.topic(), &bytes[..cut]).is_err(), "cut at {cut}");
        }
        let current = codec.decode(self.kind.topic(), &encoded(&codec, &sample(self.kind)));
        assert_eq!(current, Ok(sample(self.kind)), "current records are read beside it");
        codec.decode(self.kind.topic(), &bytes)
    }
}

fn sample(kind: EventKind) -> Event {
    match kind {
        EventKind::ExecReport => Event::ExecReport(fill()),
        EventKind::RiskMetrics => Event::RiskMetrics(metrics()),
        EventKind::Alert => Event::Alert(alert()),
        other => unreachable!("no sample of {other:?}"),
    }
}

fn metrics() -> RiskMetrics {
    RiskMetrics {
        provenance: Provenance {
            worker: "risk".into(),
            step: 7,
            freshest_age: Some(5),
            ..Provenance::default()
        },
        id: RecordId::of_step("risk", 0, 7, 0),
        event_time: Time(5),
        scope: "book-17".into(),
        occasion: Occasion::Transition,
        currency: "USD".into(),
        measures: vec![Measure {
            symbols: Vec::new(),
            name: "var_95".into(),
            value: None,
            amount: Some(amount("3")),
            unknown: Some(Unknown::Stale),
        }],
        limits: vec![LimitState {
            limit: "gross".into(),
            measure: "gross_exposure".into(),
            status: LimitStatus::Warning,
            previous: Some(LimitStatus::Ok),
            since: Time(4),
            value: Some(2.5),
            soft: Some(2.0),
            hard: None,
            utilisation: None,
            unknown: None,
            symbol: None,
            calls_for: TradingLevel::ReduceOnly,
            of_equity: true,
            overridden: Some(LimitOverride {
                who: "ada".into(),
                why: "hedging over the weekend".into(),
                until: Time(9),
            }),
            symbols: vec!["A".into(), "B".into()],
        }],
    }
}

fn alert() -> Alert {
    Alert {
        provenance: Provenance::default(),
        id: RecordId::of_alert("r", "f", "c"),
        event_time: Time(1),
        rule: "r".into(),
        fingerprint: "f".into(),
        state: AlertState::Firing,
        severity: Severity::Critical,
        scope: "s".into(),
        subject: "m".into(),
        value: Some(3.0),
        threshold: None,
        unknown: None,
        since: Time(0),
        message: "m".into(),
        labels: [("a".to_owned(), "b".to_owned())].into(),
    }
}

#[test]
fn an_older_record_lacks_what_was_added() {
    let event = Event::ExecReport(fill());
    let mut expected = fill();
    expected.signal_id = None;
    expected.liquidity = Liquidity::Unknown;
    let read = Writer::of(&event).without("signal_id").without("text").without("liquidity").read();
    assert_eq!(read, Ok(Event::ExecReport(expected)));
}

#[test]
fn a_newer_record_has_what_is_not_known_yet() {
    let event = Event::ExecReport(fill());
    let nested = json!({ "type": "record", "name": "New", "fields": [
        { "name": "a", "type": { "type": "array", "items": ["null", "string", "double"] } },
        { "name": "b", "type": { "type": "fixed", "name": "F", "size": 3 } },
        { "name": "c", "type": { "type": "int", "logicalType": "date" } },
        { "name": "d", "type": { "type": "map", "values": "float" } },
        { "name": "e", "type": { "type": "enum", "name": "Colour", "symbols": ["red", "blue"] } },
        { "name": "f", "type": ["null", "boolean"] },
    ]});
    let value = Value::Record(vec![
        (
            "a".into(),
            Value::Array(vec![
                Value::Union(0, Box::new(Value::Null)),
                Value::Union(1, Box::new(Value::String("x".into()))),
                Value::Union(2, Box::new(Value::Double(1.0))),
            ]),
        ),
        ("b".into(), Value::Fixed(3, vec![1, 2, 3])),
        ("c".into(), Value::Date(7)),
        ("d".into(), Value::Map([("k".to_owned(), Value::Float(1.0))].into())),
        ("e".into(), Value::Enum(1, "blue".into())),
        ("f".into(), Value::Union(1, Box::new(Value::Boolean(true)))),
    ]);
    for at in [0, 5, 31] {
        let writer = Writer::of(&event).with(at, "new_field", nested.clone(), value.clone());
        assert_eq!(writer.read(), Ok(event.clone()), "at {at}");
    }
}

#[test]
fn fields_may_come_in_another_order() {
    assert_eq!(Writer::of(&Event::ExecReport(fill())).reversed().read(), Ok(Event::ExecReport(fill())));
}

#[test]
fn numbers_are_promoted() {
    let read =
        Writer::of(&Event::ExecReport(fill())).retyped("sequence", json!("int"), Value::Int(123_456)).read();
    assert_eq!(read, Ok(Event::ExecReport(fill())));
    for (schema, value) in [("int", Value::Int(3)), ("long", Value::Long(3)), ("float", Value::Float(3.0))] {
        let event = Event::Alert(alert());
        let optional = Writer::of(&event).retyped(
            "value",
            json!(["null", schema]),
            Value::Union(1, Box::new(value.clone())),
        );
        assert_eq!(optional.read(), Ok(event.clone()), "{schema}");
        let mandatory = Writer::of(&event).retyped("value", json!(schema), value);
        assert_eq!(mandatory.read(), Ok(event), "{schema}");
    }
}

#[test]
fn optional_fields_may_have_been_written_otherwise() {
    let event = Event::ExecReport(fill());
    let always = Writer::of(&event).retyped("venue", json!("string"), Value::String("bitstamp".into()));
    assert_eq!(always.read(), Ok(event.clone()));
    let swapped = Writer::of(&event).retyped(
        "venue",
        json!(["string", "null"]),
        Value::Union(0, Box::new(Value::String("bitstamp".into()))),
    );
    assert_eq!(swapped.read(), Ok(event.clone()));
    let never = Writer::of(&event).retyped("text", json!("null"), Value::Null);
    assert_eq!(never.read(), Ok(event.clone()));
    let maybe = |value| Writer::of(&event).retyped("portfolio", json!(["null", "string"]), value);
    let there = maybe(Value::Union(1, Box::new(Value::String("book-17".into()))));
    assert_eq!(there.read(), Ok(event.clone()));
    let error = maybe(Value::Union(0, Box::new(Value::Null))).read().unwrap_err();
    assert!(error.to_string().contains("`portfolio`"), "{error}");
}

#[test]
fn symbols_are_matched_by_name() {
    let side = |symbols: Json, index, symbol: &str| {
        Writer::of(&Event::ExecReport(fill())).retyped(
            "side",
            json!({ "type": "enum", "name": "Side", "symbols": symbols }),
            Value::Enum(index, symbol.into()),
        )
    };
    assert_eq!(side(json!(["sell", "buy"]), 0, "sell").read(), Ok(Event::ExecReport(fill())));
    let error = side(json!(["buy", "sell", "sell_short"]), 2, "sell_short").read().unwrap_err();
    assert!(error.to_string().contains("`sell_short`"), "{error}");
    let liquidity = Writer::of(&Event::ExecReport(fill())).retyped(
        "liquidity",
        json!({ "type": "enum", "name": "Liquidity", "symbols": ["maker", "hidden"] }),
        Value::Enum(1, "hidden".into()),
    );
    let mut expected = fill();
    expected.liquidity = Liquidity::Unknown;
    assert_eq!(liquidity.read(), Ok(Event::ExecReport(expected)));
}

#[test]
fn nested_records_evolve_too() {
    let mut writer = Writer::of(&Event::RiskMetrics(metrics()));
    let (fields, values) = writer.fields();
    let limit = &mut fields[7]["type"]["items"];
    let fields = limit["fields"].as_array_mut().unwrap();
    fields.retain(|field| field["name"] != "utilisation");
    fields.reverse();
    // Named types are defined where they are first used.
    let status =
        json!({ "type": "enum", "name": "LimitStatus", "symbols": ["breached", "ok", "warning", "unknown"] });
    for field in fields.iter_mut() {
        if field["name"] == "previous" {
            field["type"] = json!(["null", status]);
        } else if field["name"] == "status" {
            field["type"] = json!("LimitStatus");
        }
    }
    let Value::Array(limits) = &mut values[7].1 else { unreachable!() };
    let Value::Record(values) = &mut limits[0] else { unreachable!() };
    values.retain(|(name, _)| name != "utilisation");
    values.reverse();
    for (name, value) in values.iter_mut() {
        match name.as_str() {
            "previous" => *value = Value::Union(1, Box::new(Value::Enum(1, "ok".into()))),
            "status" => *value = Value::Enum(2, "warning".into()),
            _ => {}
        }
    }
    assert_eq!(writer.read(), Ok(Event::RiskMetrics(metrics())));
}

#[test]
fn another_name_for_the_record_is_no_matter() {
    let mut writer = Writer::of(&Event::ExecReport(fill()));
    writer.schema["name"] = json!("Execution");
    writer.schema["namespace"] = json!("com.example");
    assert_eq!(writer.read(), Ok(Event::ExecReport(fill())));
}

#[test]
fn a_schema_that_cannot_be_read_is_refused_with_its_reasons() {
    let writer = Writer::of(&Event::ExecReport(fill())).without("portfolio").retyped(
        "event_time",
        json!({ "type": "long", "logicalType": "timestamp-millis" }),
        Value::TimestampMillis(1),
    );
    let errors = writer.codec().unwrap_err();
    let text = errors[0].to_string();
    for part in ["made-up.avsc", "exec.reports.v1", "`portfolio`", "`event_time`", "timestamp-millis"] {
        assert!(text.contains(part), "{text}");
    }
    let texts = ["not JSON", "\"long\"", r#"{"type":"record","name":"X","fields":[]}"#]
        .map(|text| SchemaText { name: "x.avsc".into(), text: text.into() });
    assert_eq!(Codec::new(&texts).unwrap_err().len(), 3);
}
