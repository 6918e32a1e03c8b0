//! The runtime's own work: inspecting what was fetched, merging a task's inputs, sealing a journal record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use tapewatch_benches::samples::{Trade, account, fill, mark, portfolio, symbol};
use tapewatch_consumers::inspect::{Fetched, Inspector};
use tapewatch_consumers::merge::{Choice, Lane, Merge, Patience};
use tapewatch_eventlog::{Batch, BatchBuilder, TopicPartition};
use tapewatch_schemas::journal::{FORMAT, InjectedEvent, InputRange, JournalRecord, Run};
use tapewatch_schemas::partition::Partitioner;
use tapewatch_schemas::{Checks, Codec, Digest, Event, Time, catalogue as c};

const RECORDS: usize = 1_000;
const NOW: Time = Time(1_700_000_000_000_000);

/// Inspection, merge, journal.
pub(crate) fn run(criterion: &mut Criterion) {
    let codec = Arc::new(Codec::new(&[]).expect("the built-in schemas are tested to parse"));
    let inspector = Inspector {
        worker: c::RISK.into(),
        codec: Arc::clone(&codec),
        registry: None,
        checks: Checks { partitioner: Partitioner::Murmur2, max_skew: Duration::from_secs(5) },
        partitions: BTreeMap::new(),
        upstream: Vec::new(),
    };
    let batches: Vec<Arc<Batch>> = [c::ACCOUNTS, c::EXEC_REPORTS, c::MARKET_DATA]
        .iter()
        .enumerate()
        .map(|(place, topic)| Arc::new(batch(&codec, topic, place as i64)))
        .collect();

    let mut group = criterion.benchmark_group("runtime");
    group.throughput(Throughput::Elements(RECORDS as u64));
    for (batch, name) in batches[1..].iter().zip(["execution reports", "marks"]) {
        group.bench_function(format!("inspect {RECORDS} {name}"), |b| {
            b.iter_batched(
                || Arc::clone(batch),
                |batch| inspector.inspect(batch, NOW),
                BatchSize::SmallInput,
            );
        });
    }
    let fetched: Vec<Arc<Fetched>> =
        batches.iter().map(|batch| Arc::new(inspector.inspect(Arc::clone(batch), NOW))).collect();
    group.throughput(Throughput::Elements((fetched.len() * RECORDS) as u64));
    group.bench_function(format!("merge three lanes of {RECORDS}, heads in turn"), |b| {
        b.iter_batched(|| merge(&fetched), drain, BatchSize::SmallInput);
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("seal a journal record", |b| {
        b.iter_batched(journal, |mut record| (record.seal(), record), BatchSize::SmallInput);
    });
    group.finish();
}

/// Records of a topic in one partition, 3 µs apart, `place` µs behind the first topic's.
fn batch(codec: &Codec, topic: &str, place: i64) -> Batch {
    let mut builder = BatchBuilder::new(TopicPartition::new(topic, 0));
    let mut value = Vec::new();
    for number in 0..RECORDS {
        let (sequence, time) = (number as i64, Time(NOW.0 + 3 * number as i64 + place));
        let event = match topic {
            c::ACCOUNTS => Event::Account(account(&portfolio(number % 10), 1_000_000, sequence, time)),
            c::MARKET_DATA => Event::MarketData(mark(&symbol(number % 50), 5_000, sequence, time)),
            _ => Event::ExecReport(fill(&Trade {
                portfolio: &portfolio(number % 10),
                symbol: &symbol(number % 50),
                buy: number % 2 == 0,
                price: 5_000,
                quantity: 100,
                number: number as u64,
                sequence,
                time,
            })),
        };
        value.clear();
        codec.encode(&event, &mut value).expect("a sample fits its schema");
        builder.push(sequence, time, Some(event.key().as_bytes()), Some(&value), |_| {});
    }
    builder.build()
}

fn merge(fetched: &[Arc<Fetched>]) -> Merge {
    let lane = |fetched: &Arc<Fetched>| {
        let mut lane = Lane::new(fetched.batch.source().clone(), false, false, 0, Time::MIN);
        lane.push(fetched, NOW);
        lane.signal_end(RECORDS as i64);
        lane
    };
    Merge::new(fetched.iter().map(lane).collect())
}

/// Takes every record in order, as a task does.
fn drain(mut merge: Merge) -> Merge {
    let second = Duration::from_secs(1);
    let patience = Patience::Wall { now: NOW, max_wait: second, max_idle: second };
    let mut taken = 0;
    while let Choice::Take { lane, limit } = merge.choose(patience) {
        while let Some(time) = merge.lanes[lane].head_time()
            && (time, lane) < limit
        {
            merge.lanes[lane].pop(time);
            taken += 1;
        }
    }
    assert_eq!(taken, merge.lanes.len() * RECORDS, "every record is taken");
    merge
}

/// A round of a task as R makes it: three inputs, which take turns in the order.
fn journal() -> JournalRecord {
    let input = |topic: &str| InputRange {
        topic: topic.into(),
        partition: 7,
        from: 1_000_000,
        to: 1_001_000,
        count: 1_000,
        processed: 1_000,
        digest: Digest::of(topic.as_bytes()),
    };
    JournalRecord {
        format: FORMAT,
        worker: c::RISK.into(),
        partition: 7,
        sequence: 12_345,
        previous: Digest::of(b"previous"),
        first_step: 9_999_999,
        steps: 3_001,
        epoch: Digest::of(b"epoch"),
        inputs: [c::ACCOUNTS, c::EXEC_REPORTS, c::MARKET_DATA].map(input).to_vec(),
        injected: vec![InjectedEvent { kind: "tick".into(), time: NOW, body: String::new() }],
        order: (0..60).map(|turn| Run { input: turn % 3, count: 50 }).collect(),
        outputs: 40,
        outputs_digest: Digest::of(b"outputs"),
        instance: "bench.risk".into(),
        ..JournalRecord::default()
    }
}
