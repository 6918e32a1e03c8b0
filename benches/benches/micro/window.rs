//! Historical value at risk and expected shortfall at 95 and 99 %: one more observation, from scratch, and of a book that
//! is revalued.

use std::hint::black_box;

use criterion::Criterion;
use tapewatch_benches::workload::Mixed;
use tapewatch_monitors::kernels::{
    Exposed, ShortfallConvention, SortedWindow, Tail, expected_shortfall, revalue, sort_worst, value_at_risk,
};

/// Windows of 500 and of 1,000.
pub(crate) fn run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("var");
    for samples in [500, 1_000] {
        let mut mixed = Mixed::new(3);
        let values: Vec<f64> = (0..8 * samples).map(|_| mixed.below(2_000_001) as f64 - 1e6).collect();
        let first = values[..samples].to_vec();
        let mut window = SortedWindow::from_values(samples, first.iter().copied());
        let mut next = values.iter().copied().cycle();
        group.bench_function(format!("{samples}: one more, the oldest leaves"), |b| {
            b.iter(|| window.push(black_box(next.next().expect("it goes round for ever"))));
        });
        group.bench_function(format!("{samples}: one more, and VaR and ES at both levels"), |b| {
            b.iter(|| {
                window.push(black_box(next.next().expect("it goes round for ever")));
                figures(window.sorted())
            });
        });
        let mut sorted = Vec::with_capacity(samples);
        group.bench_function(format!("{samples}: VaR and ES at both levels from scratch"), |b| {
            b.iter(|| {
                sorted.clear();
                sorted.extend_from_slice(black_box(&first));
                sorted.sort_unstable_by(f64::total_cmp);
                figures(&sorted)
            });
        });
    }
    for (symbols, window) in [(10, 500), (50, 250), (50, 500), (50, 1_000)] {
        let mut mixed = Mixed::new(4);
        let columns: Vec<Vec<f64>> = (0..symbols)
            .map(|_| (0..window).map(|_| mixed.below(2_001) as f64 / 1e5 - 0.01).collect())
            .collect();
        let held: Vec<_> = columns.iter().map(|returns| Exposed { value: 20_000.0, returns }).collect();
        let (mut pnl, widest) = (Vec::new(), Tail::new(0.05).expect("it is a probability"));
        let convention = ShortfallConvention::AcerbiTasche;
        group.bench_function(
            format!("{symbols} symbols revalued over {window}, VaR and ES at both levels"),
            |b| {
                b.iter(|| {
                    revalue(black_box(&held), &mut pnl).expect("they are numbers");
                    sort_worst(&mut pnl, widest, convention);
                    figures(&pnl)
                });
            },
        );
    }
    group.finish();
}

fn figures(sorted: &[f64]) -> [Option<f64>; 4] {
    let shortfall = |alpha| expected_shortfall(sorted, alpha, ShortfallConvention::AcerbiTasche);
    [value_at_risk(sorted, 0.05), value_at_risk(sorted, 0.01), shortfall(0.05), shortfall(0.01)]
}
