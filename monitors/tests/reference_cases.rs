//! The kernels against reference values on real data: our copy of the cases, and the shared folder's where
//! it stands beside the repository.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tapewatch_monitors::kernels::{
    QuantileType, ShortfallConvention, concentration, drawdown_profile, expected_shortfall, quantile,
};

const FAMILIES: [&str; 3] = ["hist_var_es", "max_drawdown", "concentration"];

#[test]
fn our_copy_of_the_cases() {
    let ran = run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"));
    assert_eq!(ran, 9);
}

#[test]
fn the_shared_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases");
    if folder.join("cases.json").exists() {
        assert!(run(&folder) >= 9);
    } else {
        // Past the test harness, which keeps what passing tests print.
        let _ = writeln!(std::io::stderr(), "SKIPPED the_shared_cases: {} is not there", folder.display());
    }
}

fn run(folder: &Path) -> usize {
    let text = std::fs::read_to_string(folder.join("cases.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let mut files = Files { folder: folder.join("data"), read: HashMap::new() };
    let ours = |case: &&Value| FAMILIES.contains(&case["family"].as_str().unwrap());
    let cases: Vec<&Value> = all["cases"].as_array().unwrap().iter().filter(ours).collect();
    for case in &cases {
        let got = match case["family"].as_str().unwrap() {
            "hist_var_es" => tails(&files.series(&case["inputs"]["returns"])),
            "max_drawdown" => drawdowns(&files.series(&case["inputs"]["returns"])),
            _ => shares(&case["inputs"], &mut files),
        };
        compare(case, &got);
    }
    cases.len()
}

type Figures = HashMap<String, Option<f64>>;

fn tails(returns: &[f64]) -> Figures {
    let mut sorted = returns.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut figures = Figures::new();
    // The reference took the tail as one less the level, in doubles: a hair over 0.05 and 0.01. Type 1 jumps
    // there, so the same hair is taken here.
    for (level, alpha) in [(95, 1.0 - 0.95), (99, 1.0 - 0.99)] {
        for (kind, number) in [
            (QuantileType::InverseDistribution, 1),
            (QuantileType::Weibull, 6),
            (QuantileType::Linear, 7),
            (QuantileType::MedianUnbiased, 8),
        ] {
            figures.insert(format!("var{level}_type{number}"), quantile(&sorted, alpha, kind));
        }
        for (convention, name) in [
            (ShortfallConvention::MeanBelowQuantile, "mean_le_type7"),
            (ShortfallConvention::AcerbiTasche, "acerbi_tasche"),
            (ShortfallConvention::Empyrical, "empyrical"),
        ] {
            figures.insert(format!("es{level}_{name}"), expected_shortfall(&sorted, alpha, convention));
        }
    }
    figures
}

fn drawdowns(returns: &[f64]) -> Figures {
    let mut wealth = vec![1.0];
    for r in returns {
        wealth.push(wealth[wealth.len() - 1] * (1.0 + r));
    }
    let profile = drawdown_profile(tapewatch_monitors::kernels::Sample::new(&wealth).unwrap()).unwrap();
    let entries = [
        ("max_drawdown", Some(-profile.largest)),
        ("peak_index", Some(profile.peak as f64)),
        ("trough_index", Some(profile.trough as f64)),
        ("recovery_index", profile.recovery.map(|place| place as f64)),
        ("drawdown_now", Some(-profile.current)),
        ("ulcer_index", Some(profile.ulcer)),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn shares(inputs: &Value, files: &mut Files) -> Figures {
    let prices = files.row(inputs["csv"].as_str().unwrap(), inputs["price_row"].as_u64().unwrap() as usize);
    let quantities = inputs["qty"].as_array().unwrap().iter().map(|q| q.as_f64().unwrap());
    let values: Vec<f64> = quantities.zip(prices).map(|(quantity, price)| quantity * price).collect();
    let equity = inputs["equity"].as_f64().unwrap();
    let long: f64 = values.iter().filter(|v| **v > 0.0).sum();
    let short: f64 = values.iter().filter(|v| **v < 0.0).sum();
    let of = concentration(values.iter().copied());
    let entries = [
        ("gross", of.gross),
        ("net", long + short),
        ("long", long),
        ("short", short),
        ("gross_leverage", of.gross / equity),
        ("net_leverage", (long + short) / equity),
        ("hhi", of.herfindahl),
        ("effective_n", 1.0 / of.herfindahl),
        ("top1", of.largest),
        ("top5", of.top5),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), Some(value))).collect()
}

/// Every expected figure must be among ours, within the tolerance that the case states.
fn compare(case: &Value, got: &Figures) {
    let id = &case["id"];
    let tolerance = case["tolerance"].as_str().unwrap();
    let relative: f64 = tolerance.strip_prefix("rel ").unwrap().parse().unwrap();
    for (name, expected) in case["expected"].as_object().unwrap() {
        let ours = got.get(name).unwrap_or_else(|| panic!("{id}: no figure {name}"));
        match (expected.as_f64(), ours) {
            (None, None) => {}
            (Some(expected), Some(ours)) => {
                let off = (ours - expected).abs();
                assert!(off <= relative * expected.abs(), "{id} {name}: {ours}, not {expected}");
            }
            _ => panic!("{id} {name}: {ours:?}, not {expected}"),
        }
    }
}

/// The data files, each read once.
struct Files {
    folder: PathBuf,
    read: HashMap<String, Vec<Vec<String>>>,
}

impl Files {
    fn lines(&mut self, name: &str) -> &[Vec<String>] {
        self.read.entry(name.to_owned()).or_insert_with(|| {
            let text = std::fs::read_to_string(self.folder.join(name)).unwrap();
            text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
        })
    }

    fn series(&mut self, input: &Value) -> Vec<f64> {
        if let Some(values) = input.as_array() {
            return values.iter().map(|v| v.as_f64().unwrap()).collect();
        }
        let lines = self.lines(input["csv"].as_str().unwrap());
        let column = lines[0].iter().position(|c| *c == input["col"].as_str().unwrap()).unwrap();
        let prices: Vec<f64> = lines[1..].iter().map(|line| line[column].parse().unwrap()).collect();
        let values: Vec<f64> = match input["transform"].as_str() {
            Some("simple_return") => prices.windows(2).map(|p| p[1] / p[0] - 1.0).collect(),
            Some("abs_return") => prices.windows(2).map(|p| (p[1] / p[0] - 1.0).abs()).collect(),
            None => prices,
            Some(other) => panic!("no transform {other}"),
        };
        match input["rows"].as_array() {
            Some(rows) => {
                values[rows[0].as_u64().unwrap() as usize..rows[1].as_u64().unwrap() as usize].to_vec()
            }
            None => values,
        }
    }

    fn row(&mut self, name: &str, row: usize) -> Vec<f64> {
        self.lines(name)[row + 1][1..].iter().map(|cell| cell.parse().unwrap()).collect()
    }
}
