//! One record from bytes and to bytes: our codec, and apache-avro's two ways beside it.

use std::hint::black_box;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use tapewatch_benches::samples::{Trade, fill, mark};
use tapewatch_schemas::codec::split_frame;
use tapewatch_schemas::events::ExecReport;
use tapewatch_schemas::{Codec, Event, EventKind, Time, catalogue};

const NOW: Time = Time(1_700_000_000_000_000);

/// Decodes and encodes.
pub(crate) fn run(criterion: &mut Criterion) {
    let codec = Codec::new(&[]).expect("the built-in schemas are tested to parse");
    let report = report();
    let event = Event::ExecReport(report.clone());
    let bytes = encoded(&codec, &event);
    let json = codec.to_json(&event).to_string().into_bytes();
    let mark = Event::MarketData(mark("SYM00-USD", 5_000, 7, NOW));
    let mark_bytes = encoded(&codec, &mark);

    let mut group = criterion.benchmark_group("codec/decode");
    group.bench_function("execution report", |b| {
        b.iter(|| codec.decode(catalogue::EXEC_REPORTS, black_box(&bytes)).expect("it was encoded above"));
    });
    decode_by_peer(&mut group, &bytes, &report);
    group.bench_function("execution report, JSON", |b| {
        b.iter(|| codec.decode(catalogue::EXEC_REPORTS, black_box(&json)).expect("it was written above"));
    });
    group.bench_function("mark", |b| {
        b.iter(|| codec.decode(catalogue::MARKET_DATA, black_box(&mark_bytes)).expect("encoded above"));
    });
    group.finish();

    let mut group = criterion.benchmark_group("codec/encode");
    let mut out = Vec::with_capacity(1024);
    group.bench_function("execution report", |b| {
        b.iter(|| {
            out.clear();
            codec.encode(black_box(&event), &mut out).expect("a sample fits its schema");
        });
    });
    encode_by_peer(&mut group, &bytes, &report);
    group.bench_function("mark", |b| {
        b.iter(|| {
            out.clear();
            codec.encode(black_box(&mark), &mut out).expect("a sample fits its schema");
        });
    });
    group.finish();
}

/// apache-avro has no reader schema here, which our codec always has: its serde way panics with one.
fn decode_by_peer(group: &mut BenchmarkGroup<'_, WallTime>, bytes: &[u8], report: &ExecReport) {
    let schema = schema();
    let reader = GenericDatumReader::builder(&schema).build().expect("the schema is valid");
    let (_, body) = split_frame(bytes).expect("it is framed");
    let by_serde =
        |mut body: &[u8]| reader.read_deser::<ExecReport>(&mut body).expect("it was encoded above");
    assert_eq!(by_serde(body), *report, "the peer does the same work");
    group.bench_function("execution report, apache-avro's values", |b| {
        b.iter(|| reader.read_value(&mut black_box(body)).expect("it was encoded above"));
    });
    group.bench_function("execution report, apache-avro's serde", |b| b.iter(|| by_serde(black_box(body))));
}

fn encode_by_peer(group: &mut BenchmarkGroup<'_, WallTime>, bytes: &[u8], report: &ExecReport) {
    let schema = schema();
    let writer = GenericDatumWriter::builder(&schema).build().expect("the schema is valid");
    let reader = GenericDatumReader::builder(&schema).build().expect("the schema is valid");
    let (_, mut body) = split_frame(bytes).expect("it is framed");
    let whole = body;
    let value: Value = reader.read_value(&mut body).expect("it was encoded above");
    let mut out = Vec::with_capacity(1024);
    writer.write_ser(&mut out, report).expect("a sample fits its schema");
    assert_eq!(out, whole, "the peer does the same work");
    group.bench_function("execution report, apache-avro's values", |b| {
        b.iter(|| {
            out.clear();
            writer.write_value_ref(&mut out, black_box(&value)).expect("a sample fits its schema")
        });
    });
    group.bench_function("execution report, apache-avro's serde", |b| {
        b.iter(|| {
            out.clear();
            writer.write_ser(&mut out, black_box(report)).expect("a sample fits its schema")
        });
    });
}

fn schema() -> Schema {
    Schema::parse_str(EventKind::ExecReport.schema_text()).expect("the built-in schemas are tested to parse")
}

fn encoded(codec: &Codec, event: &Event) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec.encode(event, &mut bytes).expect("a sample fits its schema");
    bytes
}

/// A fill with most of its fields.
fn report() -> ExecReport {
    fill(&Trade {
        portfolio: "portfolio-017",
        symbol: "SYM00-USD",
        buy: true,
        price: 5_000,
        quantity: 100,
        number: 123_456,
        sequence: 4_321,
        time: NOW,
    })
}
