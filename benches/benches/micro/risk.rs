//! The risk monitor: what a fill costs in a portfolio of 50 symbols with 1,000 observations, and what a mark
//! costs by how many hold its symbol.

use criterion::{BatchSize, Criterion};
use tapewatch_benches::desk::{Desk, Size, parameters, show};
use tapewatch_benches::workload::SYMBOLS;
use tapewatch_monitors::risk::TailModel;

const SIZE: Size = Size { portfolios: 1, symbols: SYMBOLS, observations: 1_000 };

/// Fills and marks.
pub(crate) fn run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("risk");
    let plain = [TailModel::Historical];
    let of_changes: Vec<_> = TailModel::ALL.into_iter().filter(|model| model.of_changes()).collect();
    for (name, at_change, models) in [
        ("a fill", false, &plain[..]),
        ("a fill, whole book published", true, &plain),
        ("a fill, tails by all six models of changes", false, &of_changes),
        ("a fill, full revaluation beside it", false, &[TailModel::Historical, TailModel::Revalued]),
    ] {
        let mut desk = Desk::new(SIZE, parameters(SIZE, at_change, models));
        group.bench_function(name, |b| {
            // The fills are made, and dropped, outside of the measurement.
            let Desk { monitor, tape, out } = &mut desk;
            b.iter_batched(
                || tape.fill(0),
                |event| {
                    show(monitor, &event, out);
                    event
                },
                BatchSize::SmallInput,
            );
        });
    }
    let mut desk = Desk::new(SIZE, parameters(SIZE, false, &plain));
    let event = desk.tape.mark(SYMBOLS);
    desk.show(&event);
    group.bench_function("a fill that opens or closes one symbol more", |b| {
        let Desk { monitor, tape, out } = &mut desk;
        b.iter_batched(
            || tape.out_and_in(0),
            |event| {
                show(monitor, &event, out);
                event
            },
            BatchSize::SmallInput,
        );
    });
    for holders in [1, 10] {
        let size = Size { portfolios: holders, ..SIZE };
        let mut desk = Desk::new(size, parameters(size, false, &plain));
        group.bench_function(format!("a mark of a symbol with holders: {holders}"), |b| {
            let Desk { monitor, tape, out } = &mut desk;
            b.iter_batched(
                || tape.mark(0),
                |event| {
                    show(monitor, &event, out);
                    event
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}
