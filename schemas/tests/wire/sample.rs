//! Arbitrary records of any schema, as apache-avro's values, and a few plain events.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use tapewatch_schemas::codec::split_frame;
use tapewatch_schemas::events::{ExecReport, ExecType, Liquidity, OrderStatus, OrderType, Side};
use tapewatch_schemas::{Amount, Codec, Event, EventKind, Time};

/// The largest unscaled amount.
pub(crate) const MAX: i128 = 10_i128.pow(28) - 1;

pub(crate) fn schema_of(kind: EventKind) -> Schema {
    Schema::parse_str(kind.schema_text()).unwrap()
}

/// Any kind of event.
pub(crate) fn kinds() -> impl Strategy<Value = EventKind> {
    prop::sample::select(EventKind::ALL.to_vec())
}

/// Any record of any kind, as apache-avro sees it.
pub(crate) fn records() -> impl Strategy<Value = (EventKind, Value)> {
    kinds().prop_flat_map(|kind| {
        let schema = schema_of(kind);
        let mut names = HashMap::new();
        (Just(kind), value(&schema, &mut names))
    })
}

/// Any unscaled amount, small and round ones more often.
pub(crate) fn unscaled() -> impl Strategy<Value = i128> {
    prop_oneof![
        -MAX..=MAX,
        -1_000_000_i128..1_000_000,
        (-1_000_000_i128..1_000_000).prop_map(|whole| whole * 10_i128.pow(12)),
        (-10_i128.pow(16)..10_i128.pow(16)).prop_map(|cents| cents * 10_i128.pow(10)),
        // Halves: their products are ties.
        (-1_000_000_i128..1_000_000).prop_map(|halves| halves * (10_i128.pow(12) / 2)),
        Just(MAX),
        Just(-MAX),
    ]
}

/// Any value of a schema.
fn value(schema: &Schema, names: &mut NamesOwned) -> BoxedStrategy<Value> {
    if let Some(name) = schema.name()
        && !matches!(schema, Schema::Ref { .. })
    {
        names.insert(name.to_string(), schema.clone());
    }
    match schema {
        Schema::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Schema::Int => any::<i32>().prop_map(Value::Int).boxed(),
        Schema::Long => any::<i64>().prop_map(Value::Long).boxed(),
        Schema::TimestampMicros => any::<i64>().prop_map(Value::TimestampMicros).boxed(),
        // Numbers only: JSON has no way to write the others, and they equal nothing.
        Schema::Double => prop::num::f64::NORMAL.prop_map(Value::Double).boxed(),
        Schema::String => ".{0,40}".prop_map(Value::String).boxed(),
        Schema::Uuid(_) => any::<u128>().prop_map(|bits| Value::Uuid(uuid::Uuid::from_u128(bits))).boxed(),
        Schema::Decimal(_) => {
            unscaled().prop_map(|unscaled| Value::Decimal(shortest(unscaled).into())).boxed()
        }
        Schema::Enum(shape) => {
            let symbols: Vec<(u32, String)> = (0..).zip(shape.symbols.iter().cloned()).collect();
            prop::sample::select(symbols).prop_map(|(index, symbol)| Value::Enum(index, symbol)).boxed()
        }
        Schema::Array(array) => {
            prop::collection::vec(value(&array.items, names), 0..4).prop_map(Value::Array).boxed()
        }
        Schema::Map(map) => {
            prop::collection::hash_map(".{0,10}", value(&map.types, names), 0..4).prop_map(Value::Map).boxed()
        }
        Schema::Union(union) => {
            let some = value(&union.variants()[1], names);
            prop_oneof![
                Just(Value::Union(0, Box::new(Value::Null))),
                some.prop_map(|some| Value::Union(1, Box::new(some))),
            ]
            .boxed()
        }
        Schema::Record(record) => {
            let mut fields: BoxedStrategy<Vec<(String, Value)>> = Just(Vec::new()).boxed();
            for field in &record.fields {
                let name = field.name.clone();
                fields = (fields, value(&field.schema, names))
                    .prop_map(move |(mut fields, value)| {
                        fields.push((name.clone(), value));
                        fields
                    })
                    .boxed();
            }
            fields.prop_map(Value::Record).boxed()
        }
        Schema::Ref { name } => {
            let found = names.get(&name.to_string()).expect("defined before it is used").clone();
            value(&found, names)
        }
        other => unreachable!("no schema of ours has {other:?}"),
    }
}

type NamesOwned = HashMap<String, Schema>;

/// The shortest two's complement.
pub(crate) fn shortest(value: i128) -> Vec<u8> {
    num_bigint::BigInt::from(value).to_signed_bytes_be()
}

/// What apache-avro writes.
pub(crate) fn written(schema: &Schema, value: Value) -> Vec<u8> {
    GenericDatumWriter::builder(schema).build().unwrap().write_value_to_vec(value).unwrap()
}

/// What apache-avro reads.
pub(crate) fn read(schema: &Schema, mut body: &[u8]) -> Value {
    GenericDatumReader::builder(schema).build().unwrap().read_value(&mut body).unwrap()
}

/// A body in single-object encoding, under a schema's fingerprint.
pub(crate) fn framed(schema: &Schema, body: &[u8]) -> Vec<u8> {
    let mut value = vec![0xC3, 0x01];
    value.extend(schema.fingerprint::<apache_avro::rabin::Rabin>().bytes);
    value.extend(body);
    value
}

/// An event as our codec writes it.
pub(crate) fn encoded(codec: &Codec, event: &Event) -> Vec<u8> {
    let mut value = Vec::new();
    codec.encode(event, &mut value).unwrap();
    value
}

/// An event as apache-avro reads what our codec wrote.
pub(crate) fn judged(codec: &Codec, event: &Event) -> Value {
    let value = encoded(codec, event);
    let (fingerprint, body) = split_frame(&value).unwrap();
    let schema = schema_of(event.kind());
    assert_eq!(codec.fingerprint(event.topic()), Some(fingerprint));
    read(&schema, body)
}

pub(crate) fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

/// A fill with most of its fields.
pub(crate) fn fill() -> ExecReport {
    ExecReport {
        source: "oms-1".into(),
        sequence: 123_456,
        event_time: Time(1_619_956_800_000_123),
        portfolio: "book-17".into(),
        strategy: "dip-15m".into(),
        symbol: "BTC-USD".into(),
        order_id: "o-2021-05-02-000123".into(),
        execution_id: "x-2021-05-02-000456".into(),
        signal_id: Some("s-000789".into()),
        reference_execution_id: None,
        exec_type: ExecType::Fill,
        order_status: OrderStatus::PartiallyFilled,
        side: Side::Sell,
        order_type: OrderType::Limit,
        order_quantity: amount("1.5"),
        limit_price: Some(amount("56789.5")),
        last_quantity: Some(amount("0.25")),
        last_price: Some(amount("56790.01")),
        cumulative_quantity: amount("0.75"),
        leaves_quantity: amount("0.75"),
        average_price: Some(amount("56789.123456789012")),
        currency: "USD".into(),
        fee: Some(amount("-1.41975025")),
        fee_currency: None,
        liquidity: Liquidity::Taker,
        venue: Some("bitstamp".into()),
        arrival_price: Some(amount("56788")),
        decision_time: Some(Time(1_619_956_799_000_000)),
        sent_time: Some(Time(1_619_956_799_000_250)),
        acknowledged_time: None,
        text: None,
    }
}
