//! `tapewatch model`: reference cases, and measures of one's own numbers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod run;

use std::fs;
use std::path::{Path, PathBuf};

use run::{Done, Folder};
use serde_json::{Value, json};

/// The families of risk, by the names that people use.
const RISK: &str = "var,es,ewma,fhs,cornish_fisher,kupiec,christoffersen,basel,acerbi,correlation,concentration,\
                    liquidity,max_drawdown";

fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn cases() -> Value {
    serde_json::from_str(&fs::read_to_string(ours().join("cases.json")).unwrap()).unwrap()
}

/// Runs cases that are written for the occasion, over our data.
fn check(folder: &Folder, cases: &Value, more: &[&str]) -> Done {
    folder.write("c.json", &cases.to_string());
    let data = ours().join("data").display().to_string();
    let mut args = vec!["model", "check", "c.json", "--data", &data];
    args.extend(more);
    folder.run(&args)
}

#[test]
fn every_reference_case_passes() {
    let file = ours().join("cases.json").display().to_string();
    let done = Folder::new().run(&["model", "check", &file, "--family", RISK, "--json"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let summary: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    assert_eq!(summary["cases"], cases()["cases"].as_array().unwrap().len());
    assert_eq!(summary, json!({"cases": 35, "failed_cases": 0, "figures": 252, "failed_figures": 0}));
}

/// What the worker makes of fills, accounts, orders and scenarios, against numpy, pandas and fractions (`cases/risk.py`).
#[test]
fn what_the_worker_makes_of_records_is_what_python_does() {
    let file = ours().join("risk.json").display().to_string();
    let done = Folder::new().run(&["model", "check", &file, "--json"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let summary: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    assert_eq!(summary, json!({"cases": 14, "failed_cases": 0, "figures": 88, "failed_figures": 0}));
}

/// A figure that is off by ten times its tolerance is seen, each of them: no comparison passes whatever comes.
#[test]
fn every_perturbed_figure_fails() {
    let mut perturbed = 0;
    let more = fs::read_to_string(ours().join("risk.json")).unwrap();
    let mut all = cases();
    let more: Value = serde_json::from_str(&more).unwrap();
    all["cases"].as_array_mut().unwrap().extend(more["cases"].as_array().unwrap().iter().cloned());
    for case in all["cases"].as_array_mut().unwrap() {
        for figure in case["expected"].as_object_mut().unwrap().values_mut() {
            perturb(figure);
            perturbed += 1;
        }
    }
    let done = check(&Folder::new(), &all, &["--json"]);
    assert_eq!(done.code, 1);
    let summary: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    assert_eq!(summary["failed_figures"], perturbed, "{}", done.out);
}

fn perturb(figure: &mut Value) {
    *figure = match &*figure {
        Value::Number(number) if number.is_f64() => {
            let value = number.as_f64().unwrap();
            json!(value + 1e-7 * value.abs() + if value == 0.0 { 1e-9 } else { 0.0 } + 1e-30)
        }
        Value::Number(number) => json!(number.as_u64().unwrap() + 1),
        Value::Null => json!(17),
        Value::String(_) => json!("blue"),
        Value::Array(values) => {
            let mut values = values.clone();
            perturb(values.last_mut().unwrap());
            Value::Array(values)
        }
        other => panic!("no case has {other}"),
    };
}

#[test]
fn the_shared_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases");
    if !folder.join("cases.json").exists() {
        use std::io::Write as _;
        // Past the test harness, which keeps what passing tests print.
        let _ = writeln!(std::io::stderr(), "SKIPPED the_shared_cases: {} is not there", folder.display());
        return;
    }
    let file = folder.join("cases.json").display().to_string();
    let done = Folder::new().run(&["model", "check", &file, "--family", RISK]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
}

fn kupiec() -> Value {
    json!({
        "id": "k", "family": "kupiec_pof", "inputs": {"n": 250, "exceedances": 5}, "params": {"alpha": 0.01},
        "expected": {"rate": 0.02}, "tolerance": "rel 1e-10", "convention": "the case's own words"
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut case = kupiec();
    *case.pointer_mut(pointer).unwrap() = value;
    json!([case])
}

#[test]
fn a_failure_is_shown_with_all_that_one_needs_to_judge_it() {
    let folder = Folder::new();
    assert_eq!(check(&folder, &json!([kupiec()]), &[]).code, 0);
    let done = check(&folder, &with("/expected/rate", json!(0.020_000_1)), &[]);
    assert_eq!(done.code, 1);
    assert!(
        done.out.contains("FAIL  rate: expected 0.0200001, got 0.02, difference 1.0e-7, allowed 2.0e-12"),
        "{}",
        done.out
    );
    assert!(done.out.contains("the case's own words"), "{}", done.out);
    assert!(done.out.ends_with("1 cases, 1 failed; 1 figures compared, 1 failed\n"), "{}", done.out);
    let json = check(&folder, &with("/expected/rate", json!(0.020_000_1)), &["--json"]);
    let line: Value = serde_json::from_str(json.out.lines().next().unwrap()).unwrap();
    assert_eq!((&line["pass"], &line["key"], &line["got"]), (&json!(false), &json!("rate"), &json!(0.02)));
}

#[test]
fn what_is_not_known_fails_and_is_named() {
    let folder = Folder::new();
    for (cases, wanted) in [
        (with("/family", json!("adwin")), "the family `adwin` is not known to this release"),
        (with("/expected", json!({"rat": 1.0})), "rat: the family kupiec_pof has no such figure"),
        (with("/tolerance", json!("about right")), "the tolerance is not understood: expected `rel X`"),
        (with("/inputs", json!({"n": 250})), "exceedances is missing: expected a whole number"),
        (with("/inputs/n", json!(2.5)), "n: expected a whole number of at least 0, found 2.5"),
        (with("/inputs/n", json!(4)), "exceptions is 5; expected no more than there are observations"),
        (with("/params/alpha", json!(1.5)), "alpha is 1.5; expected a tail's probability"),
    ] {
        let done = check(&folder, &cases, &[]);
        assert_eq!(done.code, 1, "{}", done.out);
        assert!(done.out.contains(wanted), "{wanted} in {}", done.out);
    }
    let unknown = check(&folder, &with("/family", json!("adwin")), &["--family", "adwin"]);
    assert_eq!(unknown.code, 1, "{}{}", unknown.out, unknown.err);
    let none = check(&folder, &json!([kupiec()]), &["--family", "fhs"]);
    assert_eq!(none.code, 1, "nothing was checked: {}", none.out);
    let typed = check(&folder, &json!([kupiec()]), &["--family", "kupeic"]);
    assert_eq!(typed.code, 2);
    assert!(typed.err.contains("Did you mean kupiec?"), "{}", typed.err);
}

#[test]
fn a_case_whose_data_are_wrong_fails_by_file_line_and_column() {
    let folder = Folder::new();
    let series = |csv: &str, col: &str| {
        json!([{
            "id": "h", "family": "hist_var_es", "inputs": {"returns": {"csv": csv, "col": col}},
            "expected": {"var95_type7": 0}, "tolerance": "rel 1e-10"
        }])
    };
    folder.write("d.csv", "day,r\na,0.1\nb,oops\n");
    for (csv, col, wanted) in [
        ("d.csv", "r", "./d.csv:3: column `r`: expected a finite number such as -0.25 or 1e-3, found `oops`"),
        ("d.csv", "q", "./d.csv:1: there is no column `q`"),
        ("e.csv", "r", "./e.csv: cannot be read: "),
    ] {
        folder.write("c.json", &series(csv, col).to_string());
        let done = folder.run(&["model", "check", "c.json", "--data", "."]);
        assert_eq!(done.code, 1, "{}", done.err);
        assert!(done.out.contains(wanted), "{wanted} in {}", done.out);
    }
}

#[test]
fn a_file_that_is_no_file_of_cases_is_bad_input() {
    let folder = Folder::new();
    for (text, wanted) in [
        ("{\"cases\": [\n  {]}", "c.json:2:4: expected JSON: "),
        ("17", "c.json: expected an object with a list `cases`, or such a list; found a number"),
        ("{\"cases\": []}", "c.json: there is no case in it"),
        ("[1]", "c.json: case 1 of 1: expected an object, found a number"),
        ("[{\"id\": \"a\", \"expected\": {}}]", "case 1 of 1: a: `expected`: expected a figure at least"),
        (
            "[{\"id\": \"a\", \"family\": \"f\", \"inputs\": [], \"expected\": {\"x\": 1}, \"tolerance\": \"rel 1\"}]",
            "a: `inputs`: expected an object, found a list",
        ),
        ("[{\"id\": \"a\", \"expected\": {\"x\": 1e999}}]", "c.json:1:"),
    ] {
        folder.write("c.json", text);
        let done = folder.run(&["model", "check", "c.json"]);
        assert_eq!(done.code, 5, "{}{}", done.out, done.err);
        assert!(done.err.contains(wanted), "{wanted} in {}", done.err);
    }
    assert_eq!(folder.run(&["model", "check", "absent.json"]).code, 5);
    assert_eq!(folder.run(&["model", "check", "c.json", "--data", "nowhere"]).code, 5);
}

#[test]
fn a_measure_is_computed_from_a_csv_and_says_its_convention() {
    let folder = Folder::new();
    folder.write("p.csv", "day,close\n1,100\n2,110\n3,99\n4,99\n");
    let done = folder.run(&[
        "model",
        "calc",
        "max_drawdown",
        "p.csv",
        "--column",
        "close",
        "--transform",
        "simple_return",
    ]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("\nof p.csv, close: simple_return\n"), "{}", done.out);
    assert!(done.out.contains("losses from the highest value before"), "{}", done.out);
    let figure = |name: &str| {
        let line = done.out.lines().find(|line| line.trim_start().starts_with(name)).expect("it is there");
        line.split_whitespace().last().unwrap().to_owned()
    };
    assert_eq!(
        (figure("max_drawdown "), figure("trough_index"), figure("recovery_index")),
        ("-0.1".into(), "2".into(), "none".into())
    );
}

#[test]
fn counts_lists_and_questions_in_json() {
    let folder = Folder::new();
    let figures = |args: &[&str]| {
        let mut all = vec!["model", "calc", "--json"];
        all.extend(args);
        let done = folder.run(&all);
        assert_eq!(done.code, 0, "{}", done.err);
        done.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let light = figures(&["basel", "--set", "n=250", "--set", "exceedances=5"]);
    assert_eq!(light[0]["figures"]["zone"], "yellow");
    folder.write("l.json", "[0.01, -0.02, 0.005, -0.01]");
    let both = figures(&["var", "l.json", "--set", "alpha=0.25"]);
    assert_eq!((both.len(), &both[0]["figures"]["var75_type7"]), (2, &json!(-0.0125)));
    let two = figures(&["hist_var_es", "l.json", "--set", "alpha=0.5", "--set", "horizon=2"]);
    assert_eq!(two[0]["figures"]["var50_type7"], -0.01, "of -0.01, -0.015 and -0.005");
    let [one, four] = ["1", "4"].map(|steps| {
        let over = format!("horizon={steps}");
        figures(&["ewma", "l.json", "--set", &over])[0]["figures"]["next_vol_seed_first_sq"].as_f64().unwrap()
    });
    assert_eq!(four, 2.0 * one);
    folder.write(
        "q.json",
        &json!({"inputs": {"hits_at": [1, 2], "n": 100}, "params": {"alpha": 0.05}}).to_string(),
    );
    assert_eq!(figures(&["christoffersen", "q.json"])[0]["figures"]["n11"], 1);
    let touch = ["bid=99", "ask=101", "bid_size=10", "ask_size=4", "quantity=-8"];
    let mut args = vec!["liquidity"];
    touch.iter().for_each(|one| args.extend(["--set", one]));
    assert_eq!(figures(&args)[0]["figures"]["cost_to_liquidate"], 8.0);
}

#[test]
fn what_calc_cannot_use_is_named() {
    let folder = Folder::new();
    folder.write("p.csv", "day,close,volume\n1,100,5\n2,110,6\n");
    folder.write("n.json", "[1, 2, null]");
    for (args, code, wanted) in [
        (&["vra"][..], 2, "there is no measure `vra`. Did you mean var?"),
        (
            &["kupiec", "--set", "n=250", "--set", "exceedances=5", "--set", "alhpa=0.05"],
            2,
            "takes no `alhpa` (did you mean `alpha`?)",
        ),
        (&["kupiec", "--set", "n"], 2, "--set n: expected NAME=VALUE"),
        (&["kupiec", "--set", "n=1", "--set", "n=2"], 2, "--set n: it is set twice"),
        (&["kupiec", "p.csv"], 2, "kupiec_pof takes no file but numbers: --set n=… --set exceedances=…"),
        (&["kupiec"], 5, "kupiec_pof was not computed: n is missing"),
        (&["ewma", "p.csv"], 2, "ewma_vol wants one column: --column NAME[,NAME…] names 0"),
        (&["correlation", "p.csv", "-c", "close"], 2, "correlation wants two columns or more"),
        (
            &["liquidity", "p.csv", "-c", "close"],
            2,
            "liquidity wants columns for price and volume, in this order",
        ),
        (&["ewma", "p.csv", "-c", "clos"], 5, "p.csv:1: there is no column `clos` (did you mean `close`?)"),
        (
            &["ewma", "p.csv", "-c", "close", "--rows", "5..9"],
            5,
            "returns.rows: expected [from, to) within the 2 values",
        ),
        (&["ewma", "p.csv", "-c", "close", "--rows", "5"], 2, "two whole numbers such as 0..250"),
        (&["ewma", "n.json"], 5, "returns[2]: expected a number, found null"),
        (&["ewma", "n.json", "-c", "x"], 2, "--column, --transform and --rows are for CSV files"),
        (
            &["fhs", "p.csv", "-c", "close", "--set", "lambda=1"],
            5,
            "lambda is 1; expected more than 0 and less than 1",
        ),
        (
            &["hist_var_es", "p.csv", "-c", "close", "--set", "horizon=251"],
            5,
            "horizon: expected a whole number from 1 to 250, found 251",
        ),
        (
            &["age_weighted", "p.csv", "-c", "close", "--set", "horizon=3"],
            5,
            "there are 2 values; at least 3 are needed",
        ),
        (
            &["cornish_fisher", "p.csv", "-c", "close", "--rows", "0..1"],
            5,
            "skewness is not defined where all values are equal",
        ),
    ] {
        let mut all = vec!["model", "calc"];
        all.extend(args);
        let done = folder.run(&all);
        assert_eq!(done.code, code, "{args:?}: {}{}", done.out, done.err);
        assert!(done.err.contains(wanted), "{args:?}: {wanted} in {}", done.err);
    }
}

#[test]
fn records_that_cannot_be_used_are_named_by_line_and_column() {
    let folder = Folder::new();
    let fills = |rows: &str| format!("time,symbol,side,quantity,price,type,id,of\n{rows}\n");
    let day = "2026-01-02T00:00:00Z";
    for (measure, text, wanted) in [
        (
            "pnl",
            "symbol,side,quantity,pric\nA,buy,1,2".to_owned(),
            "r.csv:2: there is no field `pric` (did you mean `price`?)",
        ),
        (
            "pnl",
            fills(",A,buy,1,2,,,\n,A,bye,1,2,,,"),
            "r.csv:3: column `side`: expected one of buy, sell, found \"bye\"",
        ),
        ("pnl", fills(",A,buy,1,,,,"), "r.csv:2: column `price` is missing: expected a number"),
        (
            "pnl",
            fills(",A,buy,1e400,1,,,"),
            "r.csv:2: column `quantity`: expected a number with at most 16 digits",
        ),
        ("pnl", fills(",A,buy,1,1.0000000000001,,,"), "12 behind it, found \"1.0000000000001\""),
        ("pnl", fills(",A,buy,NaN,1,,,"), "r.csv:2: column `quantity`: expected a number"),
        (
            "pnl",
            fills(",A,buy,0,1,,,"),
            "r.csv:2: last_quantity: it is 0; expected the quantity of the fill, above zero",
        ),
        (
            "pnl",
            fills(",A,,,,bust,y,z"),
            "r.csv:2: reference_execution_id: execution z of order order is not remembered",
        ),
        ("pnl", fills(",A,,,,bust,y,"), "r.csv:2: column `of` is missing: expected the id of the fill"),
        (
            "pnl",
            fills(&format!("{day},A,buy,1,1,,,\n2026-01-01T00:00:00Z,A,buy,1,1,,,")),
            "r.csv:3: its time is before that",
        ),
        ("pnl", "symbol,side,quantity,price\n".to_owned(), "fills: there is no record in it"),
        (
            "daily_pnl",
            "time,equity\n2026-01-02,5\n".to_owned(),
            "r.csv:2: column `time`: expected RFC 3339 with an offset",
        ),
        ("daily_pnl", "time,equity\n,5\n".to_owned(), "r.csv:2: column `time` is missing"),
        (
            "conduct",
            format!("time,type,order,symbol,side\n{day},newish,o,A,buy"),
            "column `type`: expected one of new, rejected",
        ),
    ] {
        folder.write("r.csv", &text);
        let done = folder.run(&["model", "calc", measure, "r.csv"]);
        assert_eq!(done.code, 5, "{text}: {}{}", done.out, done.err);
        assert!(done.err.contains(wanted), "{wanted} in {}", done.err);
    }
    folder.write("r.json", "[{\"symbol\": \"A\", \"side\": \"buy\", \"quantity\": 1, \"price\": true}]");
    let from_json = folder.run(&["model", "calc", "pnl", "r.json"]);
    assert!(from_json.err.contains("fills[0].price: expected a number"), "{}", from_json.err);
    for (args, code, wanted) in [
        (&["pnl", "r.csv", "--column", "price"][..], 2, "pnl takes the columns that the file names"),
        (&["pnl"], 5, "fills is missing: expected a list of objects"),
        (
            &["pnl", "--set", "fills=[]", "--set", "method=hifo"],
            5,
            "method: expected average_cost, fifo or lifo",
        ),
        (
            &["daily_pnl", "--set", "accounts=[]", "--set", "time_zone=Mars"],
            5,
            "time_zone: expected a time zone's name",
        ),
        (
            &["daily_pnl", "--set", "accounts=[]", "--set", "starts=24"],
            5,
            "starts: expected hours after midnight",
        ),
        (
            &["stress", "--set", "values=1,2", "--set", "shocks=-2"],
            5,
            "shocks[0]: expected a share from -1 to 100",
        ),
        (&["stress", "--set", "values=1,2", "--set", "shocks=0.1,0.2,0.3"], 5, "have 2 and 3 values"),
        (
            &["stress", "--set", "values=1,2", "--set", "volatility=2"],
            5,
            "returns is missing: expected returns beside volatility",
        ),
        (&["conduct", "--set", "orders=[]", "--set", "window=0"], 5, "window: expected seconds"),
    ] {
        let all: Vec<&str> = ["model", "calc"].iter().chain(args).copied().collect();
        let done = folder.run(&all);
        assert_eq!(done.code, code, "{args:?}: {}{}", done.out, done.err);
        assert!(done.err.contains(wanted), "{args:?}: {wanted} in {}", done.err);
    }
}

#[test]
fn help_lists_the_measures_and_what_they_take() {
    let done = Folder::new().run(&["model", "calc", "--help"]);
    for wanted in
        ["Examples:", "fhs_var, fhs, filtered", "exceedances: how many were worse", "(default 0.94)"]
    {
        assert!(done.out.contains(wanted), "{wanted} in {}", done.out);
    }
    assert!(Folder::new().run(&["model", "check", "--help"]).out.contains("Exit code 0 if every figure"));
}
