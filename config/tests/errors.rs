//! Everything that is wrong is found at once, each with its path and place.
#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use std::fs;
use std::path::Path;

use tapewatch_config::{ConfigError, ConfigErrors, Settings};
use tempfile::TempDir;

fn errors(text: &str, vars: &[(&str, &str)]) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("t.toml");
    fs::write(&path, text).unwrap();
    let vars = vars.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let Err(ConfigErrors(errors)) = Settings::load(Some(&path), None, vars) else { return Vec::new() };
    let prefix = format!("{}/", folder.path().display());
    errors.iter().map(|error| error.to_string().replace(&prefix, "")).collect()
}

fn one(text: &str) -> String {
    let all = errors(text, &[]);
    assert_eq!(all.len(), 1, "{all:#?}");
    all[0].clone()
}

#[test]
fn all_faults_of_a_file_are_found_at_once() {
    let text = "\
[runtime]
lingr = \"5ms\"
max_idle = 10
clock = \"sundial\"

[topics]
partitions = 0

[[risk.limits]]
name = \"a\"
measure = \"leverage\"
hard = 2

[[risk.limits]]
name = \"a\"
measure = \"leverag\"
hard = -3

[colour]
red = 1
";
    let found = errors(text, &[("TAPEWATCH_BREAKER__WINDW", "1"), ("TAPEWATCH_BREAKER__WAIT", "soon")]);
    let expected = [
        "topics.partitions (t.toml:7): 0 does not fit; expected a whole number from 1 to 10000",
        "runtime.clock (t.toml:4): \"sundial\" does not fit; expected one of wall, tape",
        "runtime.max_idle (t.toml:3): 10 does not fit; expected a duration such as",
        "runtime.lingr (t.toml:2): there is no such setting; expected `linger`",
        "breaker.wait (TAPEWATCH_BREAKER__WAIT): \"soon\" does not fit; expected a duration above 0",
        "breaker.windw (TAPEWATCH_BREAKER__WINDW): there is no such setting; expected TAPEWATCH_BREAKER__WINDOW",
        "risk.limits[1].hard (t.toml:17): -3 does not fit; expected a number of at least 0",
        "risk.limits[1].measure (t.toml:16): there is no measure \"leverag\"; expected \"leverage\"",
        "risk.limits[1].name (t.toml:15): `a` is there already, at limits[0]; expected a name that is not taken",
        "colour (t.toml:19): there is no such setting; expected one of log, topics,",
    ];
    for wanted in expected {
        assert!(found.iter().any(|error| error.starts_with(wanted)), "{wanted}\nnot in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn a_missing_file_says_which() {
    let errors = Settings::load(Some(Path::new("/nowhere/t.toml")), None, std::iter::empty()).unwrap_err();
    assert!(matches!(&errors.0[..], [ConfigError::Unreadable { .. }]));
    assert!(errors.to_string().starts_with("/nowhere/t.toml cannot be read: "), "{errors}");
}

#[test]
fn what_is_not_toml_names_line_and_column() {
    let found = errors("[runtime]\nclock = wall\n[topics]\npartitions = \n", &[]);
    assert!(found.iter().any(|e| e.starts_with("t.toml:2:9: this is not TOML")), "{found:#?}");
    assert!(found.iter().any(|e| e.starts_with("t.toml:4:")), "{found:#?}");
}

#[test]
fn a_window_is_a_count_or_a_stretch_that_holds_enough_and_has_a_bound() {
    let lit = "[[risk.limits]]\nname = \"a\"\nmeasure = \"leverage\"\nhard = 3\n";
    for of in ["[risk.history]\ninterval = \"1h\"", "[risk.var]\nsample = \"1h\"\nbacktest = 0"] {
        let path = &of[1..of.find(']').unwrap()];
        let found = |window: &str, minimum: u32| {
            errors(&format!("{lit}{of}\nwindow = {window}\nminimum = {minimum}\n"), &[])
        };
        assert_eq!(found("\"5d\"", 120), [""; 0]);
        let short = found("\"5d\"", 121);
        let expected =
            format!("a whole number from 2 to 120: there are never more in {path}.window = \"5d\"");
        assert!(short.len() == 1 && short[0].contains(&format!("{path}.minimum")), "{short:?}");
        assert!(short[0].ends_with(&expected), "{short:?}");
        for bad in ["\"1h\"", "\"200y\"", "\"500\"", "1", "\"400000d\"", "1.5"] {
            let refused = found(bad, 2);
            assert!(
                refused.len() == 1
                    && refused[0].contains("does not fit; expected a whole number from 2 to 10"),
                "{refused:?}"
            );
            assert!(refused[0].contains("or a stretch of time such as \"365d\""), "{refused:?}");
        }
    }
    let endless = one(&format!("{lit}[risk.var]\nsample = \"fill\"\nwindow = \"365d\""));
    assert!(
        endless.ends_with(
            "risk.var.window (t.toml:7): \"365d\" is a stretch of time, in which there may be any number of fills; \
             expected a whole number, or an interval as risk.var.sample"
        ),
        "{endless}"
    );
}

#[test]
fn bounds_between_settings_are_checked() {
    assert!(one("[runtime]\nlinger_max = \"1ms\"").contains("from runtime.linger"));
    assert!(one("[breaker]\nminimum_calls = 21").contains("at most breaker.window"));
    assert!(one("[risk.var]\nlevels = [0.99, 0.95]").contains("rising"));
    assert!(one("[[risk.limits]]\nname = \"a\"\nmeasure = \"leverage\"").contains("soft, hard or both"));
    for horizons in ["[]", "[10]", "[1, 10, 5]", "[1, 1]"] {
        let said = one(&format!("[risk.var]\nhorizons = {horizons}"));
        assert!(said.contains("risk.var.horizons (t.toml:2): they do not rise from 1"), "{said}");
    }
    let said = one("[risk.var]\nhorizons = [1, 251]");
    assert!(
        said.contains(
            "risk.var.horizons[1] (t.toml:2): 251 does not fit; expected a whole number from 1 to 250"
        ),
        "{said}"
    );
    let said = one("[risk.var]\ncontributions = 101");
    assert!(said.ends_with("101 does not fit; expected a whole number from 0, for none, to 100"), "{said}");
    let long = "[risk.var]\nhorizons = [1, 102]\nwindow = 200\n";
    let said = one(long);
    assert_eq!(
        said,
        "risk.var.horizons (t.toml:2): risk.var.window = 200 never holds risk.var.minimum = 100 stretches of 102; \
         expected risk.var.horizons up to 101, a longer window, or a smaller minimum"
    );
    assert!(errors(&long.replace("102", "101"), &[]).is_empty());
    let said = one("[risk.var]\nhorizons = [1, 10]\n[risk.history]\nwindow = 100\n");
    assert!(said.contains("risk.var.horizons (t.toml:2): risk.history.window = 100 never holds"), "{said}");
    let said = one("[risk]\nlimits = []\n[risk.var]\nhorizons = [1, 10]\nmodels = [\"historical\"]\n\
         [risk.history]\nwindow = 100\n[[firm.scopes]]\nscope = \"firm:a\"");
    assert!(
        said.starts_with("firm.scopes") && said.contains("risk.history.window = 100 never holds"),
        "{said}"
    );
    let said = one("[risk.var]\nhorizons = [1, 10]\nwindow = \"105d\"\n");
    assert!(
        said.contains("risk.var.window = \"105d\" never holds risk.var.minimum = 100 stretches of 10"),
        "{said}"
    );
    let text = "[[risk.limits]]\nname = \"a\"\nmeasure = \"leverage\"\nsoft = 3\nhard = 2";
    assert!(one(text).starts_with("risk.limits[0].soft (t.toml:4): 3 is over hard, which is 2"));
    assert!(one("[[risk.limits]]\nname = \"a\"\nmeasure = \"var_97\"\nhard = 2").contains("no measure"));
    let typo = one("[[risk.limits]]\nname = \"a\"\nmeasure = \"var_99_ligth\"\nhard = 1");
    assert!(typo.ends_with("expected \"var_99_light\""), "{typo}");
    let unread = one("[[firm.limits]]\nname = \"a\"\nmeasure = \"position\"\nhard = 1");
    assert!(unread.contains("nothing that they could be on"), "{unread}");
    let lagging = one("[risk]\nholdings_at_change = false\n[[firm.scopes]]\nscope = \"firm:a\"");
    assert!(lagging.starts_with("firm.scopes") && lagging.contains("at_change is false"), "{lagging}");
    let unnamed = one("[[firm.scopes]]\nscope = \"alpha\"");
    assert!(unnamed.ends_with("expected strategy:ID, desk:ID or firm:ID"), "{unnamed}");
    // The default limit on a light is one too many.
    let stress = |rest: &str| one(&format!("[[risk.stress]]\nname = \"a\"\n{rest}"));
    assert!(stress("").contains("nothing happens in it"), "{}", stress(""));
    let both = "shocks = [{ price = -0.1 }]\nfrom = 2025-10-10T20:45:00Z\nuntil = 2025-10-10T22:45:00Z";
    assert!(stress(both).contains("prices move as they did, too"), "{}", stress(both));
    let back = "from = 2025-10-10T20:45:00Z\nuntil = 2025-10-10T20:45:00Z";
    assert!(
        stress(back).contains("risk.stress[0].until (t.toml:4): it is not later than from"),
        "{}",
        stress(back)
    );
    assert!(stress("from = 2025-10-10T20:45:00Z").contains("risk.stress[0].until"));
    for (shocks, problem) in [
        ("[{ price = -1.5 }]", "-1.5 does not fit; expected a share from -1 to 100"),
        ("[{ price = -0.1 }]\nlevel = 0.99", "the market stays as it is; expected volatility"),
        ("[{ price = -0.1 }]\ncorrelation = 1.1", "1.1 does not fit; expected a share from -1 to 1"),
        ("[{ price = 0.0000001 }]", "of at most 6 digits"),
        ("[{ price = -0.1 }, { symbols = [\"A\"], price = 0.1 }]", "shocks[0] is of all symbols"),
        ("[{ sectors = [\"alts\"], price = 0.1 }]", "no instrument is of the sector \"alts\""),
    ] {
        let text = stress(&format!("shocks = {shocks}"));
        assert!(text.contains(problem), "{text}");
    }
    let limit = "[[risk.limits]]\nname = \"l\"\nmeasure = \"currency_share\"\nhard = 0.5";
    assert!(one(limit).contains("risk.limits[0].measure"), "no currency is converted");
    assert!(one("[[risk.stress]]\nname = \"worst\"\nshocks = [{ price = 1 }]").contains("other than worst"));
    let none = "[[risk.limits]]\nname = \"a\"\nmeasure = \"stress_worst\"\nhard = 1";
    assert!(one(none).contains("there is no measure \"stress_worst\""), "{}", one(none));
    let dark = one("[risk.var]\nbacktest = 0");
    assert!(dark.contains("var_99_revalued_light is the light of a backtest, and there are none"), "{dark}");
    let misspelt = one("[risk.var]\nmodels = [\"historical\", \"revalud\"]");
    assert!(misspelt.contains("risk.var.models[1]") && misspelt.contains("revalued_gaussian"), "{misspelt}");
    assert!(!misspelt.contains("risk.limits") && !misspelt.contains("names none"), "{misspelt}");
    let text = "[risk.var]\nsample = \"1h\"\nmodels = [\"revalued\"]\n[[risk.limits]]\nname = \"a\"\n\
                measure = \"var_99_revalued_light\"\nhard = 1";
    assert!(one(text).contains("risk.var.sample equal to risk.history.interval"), "{}", one(text));
    assert!(one("[log.kafka]\nsecurity = \"sasl_ssl\"").contains("no login"));
    assert!(one("[log.kafka.properties]\n\"group.id\" = \"x\"").contains("workers name their groups"));
    assert!(one("[dead_letters]\non_dead_letter = \"hold\"").contains("hold_key"));
    assert!(one("[dead_letters.topics]\n\"market.data.v1\" = \"hold_key\"").contains("no such setting"));
    let rule = |rest: &str| one(&format!("[[alerting.rules]]\nname = \"a\"\nseverity = \"info\"\n{rest}"));
    assert!(rule("on = \"limit\"").starts_with("alerting.rules[0].status (t.toml:1): it is missing"));
    assert!(rule("on = \"limit\"\nstatus = \"breached\"\nlimit = \"x\"").contains("there is no limit \"x\""));
    let measure =
        "on = \"measure\"\nmeasure = \"leverage\"\ncomparison = \"below\"\nthreshold = 2\nclear = 1";
    assert!(rule(measure).contains("1 is on the bad side; expected at least the threshold, which is 2"));
    assert!(rule("on = \"health\"\nraised_by = \"late\"\nstatus = 1").contains("there is no such setting"));
    assert!(one("[topics]\nschemas_dir = \"absent\"").contains("absent cannot be read"));
    assert!(one("runtime = 5").contains("[runtime]"));
    assert!(one("[environments]\nprod = 1\n[risk]\ncurrency = 5").contains("risk.currency"));
}

#[test]
fn a_file_of_prices_is_checked_cell_by_cell() {
    let folder = TempDir::new().unwrap();
    let errors = |text: &str| {
        fs::write(folder.path().join("closes.csv"), text).unwrap();
        let settings = "[risk.history]\nsymbols = 3\nprices = \"closes.csv\"\n";
        fs::write(folder.path().join("t.toml"), settings).unwrap();
        let loaded = Settings::load(Some(&folder.path().join("t.toml")), None, std::iter::empty());
        let prefix = format!("{}/", folder.path().display());
        loaded.map_or_else(|errors| errors.to_string().replace(&prefix, ""), |_| String::new())
    };
    assert_eq!(errors("time,A,B\n2026-05-28,1,\n\n2026-05-29,1.5,2e3\n2026-05-30T21:00:00Z,2,2\n"), "");
    let found = errors("time,A,B,A\n2026-05-29,1,x,\n2026-05-29,1,2,inf\nmonday,1,2,3\n2026-06-01,1\n");
    let expected = [
        "risk.history.prices (closes.csv:1): `A` is there already, in column 2; expected each symbol once",
        "risk.history.prices.B (closes.csv:2): \"x\" does not fit; expected a number, or nothing",
        "risk.history.prices.time (closes.csv:3): \"2026-05-29\" is not later than the line before; expected rising",
        "risk.history.prices.A (closes.csv:3): \"inf\" does not fit; expected a number",
        "risk.history.prices.time (closes.csv:4): \"monday\" does not fit; expected a day such as",
        "risk.history.prices (closes.csv:5): 2 cells; expected 4, as the header has",
    ];
    for (line, wanted) in found.lines().zip(expected) {
        assert!(line.starts_with(wanted), "{line}, not {wanted}");
    }
    assert_eq!(found.lines().count(), expected.len(), "{found}");
    assert!(errors("time,A,B,C,D\n").contains("4 symbols; expected at most 3"), "{found}");
    assert!(errors("").contains("a column without a symbol"), "nothing in it");
    // A day that clocks make shorter is one; what came a minute later is none.
    let times =
        ["2026-03-06T21:00:00Z", "2026-03-09T20:00:00Z", "2026-03-10T19:00:00Z", "2026-03-10T19:01:00Z"];
    let close = errors(&format!("time,A\n{}", times.map(|time| format!("{time},1\n")).concat()));
    assert_eq!(
        close.trim_end(),
        "risk.history.prices.time (closes.csv:5): \"2026-03-10T19:01:00Z\" is less than half an interval after the line \
         before; expected lines 1d apart, which is risk.history.interval"
    );
    let many = errors(&format!("time,A\n{}", "x,1\n".repeat(50)));
    assert_eq!(many.lines().count(), 21, "{many}");
    assert!(many.ends_with("30 more faults in closes.csv; expected a file without"), "{many}");
}

#[test]
fn an_instruments_file_is_checked_with_its_own_lines() {
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join("i.toml"),
        "[[instruments]]\nsymbol = \"ES\"\nmultiplier = 0\ncurrency = \"USD\"\nsectr = \"x\"\n",
    )
    .unwrap();
    fs::write(folder.path().join("t.toml"), "[risk]\ninstruments = \"i.toml\"\n").unwrap();
    let path = folder.path().join("t.toml");
    let shown = Settings::load(Some(&path), None, std::iter::empty()).unwrap_err().to_string();
    assert!(shown.contains("i.toml:3): 0 does not fit; expected a number above 0"), "{shown}");
    assert!(shown.contains("i.toml:5): there is no such setting; expected `sector`"), "{shown}");
}

#[test]
fn schedules_and_what_names_them_are_checked() {
    let schedule = |rest: &str| one(&format!("[[risk.schedules]]\nname = \"s\"\n{rest}"));
    assert!(schedule("").starts_with("risk.schedules[0].days") && schedule("").contains("all of the time"));
    assert!(schedule("from = \"9h\"\nto = \"9h\"").contains("all of the time"));
    assert!(schedule("to = \"24h\"").contains("all of the time"));
    assert!(schedule("from = \"24h\"").contains("below 24 hours"));
    assert!(schedule("from = \"9h\"\nto = \"25h\"").contains("at most 24 hours"));
    assert!(schedule("days = [\"mon\", \"mon\"]").contains("each day once"));
    assert!(schedule("days = [\"Monday\"]").contains("expected one of mon, tue"));
    assert!(schedule("days = [\"mon\"]\ntime_zone = \"Mars/Olympus\"").contains("a time zone's name"));
    let twice = "[[risk.schedules]]\nname = \"s\"\ndays = [\"mon\"]\n".repeat(2);
    assert!(one(&twice).contains("`s` is there already"), "{}", one(&twice));
    let limit = |rest: &str| {
        one(&format!(
            "[[risk.schedules]]\nname = \"s\"\ndays = [\"mon\"]\n\
             [[risk.limits]]\nname = \"a\"\nmeasure = \"leverage\"\nhard = 3\n{rest}"
        ))
    };
    let unknown = limit("during = \"t\"");
    assert!(unknown.starts_with("risk.limits[0].during (t.toml:8)"), "{unknown}");
    assert!(unknown.ends_with("expected one of risk.schedules: s"), "{unknown}");
    assert!(limit("during = \"s\"\noutside = \"s\"").contains("expected during or outside"));
    assert!(limit("of = \"equity\"").contains("leverage is no sum of money"));
    let text = "[[risk.limits]]\nname = \"a\"\nmeasure = \"position\"\nhard = 3\nof = \"cash\"";
    assert!(one(text).contains("expected one of equity"));
    let scoped = "[[firm.scopes]]\nscope = \"firm:a\"\n[[firm.limits]]\nname = \"b\"\n\
                  measure = \"netted_exposure\"\nhard = 1\nof = \"equity\"";
    assert_eq!(errors(scoped, &[]), [] as [&str; 0]);
    let water = scoped.replace("netted_exposure", "under_water");
    assert!(one(&water).contains("under_water is no sum of money"), "{}", one(&water));
}

#[test]
fn what_only_looks_like_a_light_is_none_and_names_that_are_taken_are_refused() {
    let text = "[risk.var]\nbacktest = 0\n[[risk.stress]]\nname = \"red_light\"\nshocks = [{ price = -0.1 }]\n\
                [[risk.limits]]\nname = \"a\"\nmeasure = \"stress_red_light\"\nof = \"equity\"\nhard = 1\n";
    assert_eq!(errors(text, &[]), [] as [&str; 0]);
    let within = one("[risk.conduct]\nwindow = \"1s\"\nduplicates_within = \"10s\"\n");
    assert!(within.contains("risk.conduct.duplicates_within") && within.contains("at most"), "{within}");
}

#[test]
fn there_is_a_most_of_orders_scenarios_and_sectors() {
    let orders =
        |most: u32| errors(&format!("[risk.conduct]\nwindow = \"1s\"\norders = {most}\n"), &[]).join("");
    assert!(orders(100_001).contains("from 1 to 100000") && orders(100_000).is_empty());
    let scenario = |n| format!("[[risk.stress]]\nname = \"s{n}\"\nshocks = [{{ price = -0.1 }}]\n");
    let scenarios = |most: u32| errors(&(0..most).map(scenario).collect::<String>(), &[]).join("");
    assert!(
        scenarios(101).contains("there are 101 scenarios; expected at most 100") && scenarios(100).is_empty()
    );
    let sectors = |most: u32| {
        let folder = tempfile::tempdir().unwrap();
        let one = |n| format!("[[instruments]]\nsymbol = \"S{n}\"\nmultiplier = 1\nsector = \"s{n}\"\n");
        std::fs::write(folder.path().join("i.toml"), (0..most).map(one).collect::<String>()).unwrap();
        std::fs::write(folder.path().join("t.toml"), "[risk]\ninstruments = \"i.toml\"\n").unwrap();
        let loaded = Settings::load(Some(&folder.path().join("t.toml")), None, std::iter::empty());
        loaded.err().map_or(String::new(), |error| error.to_string())
    };
    assert!(sectors(1_001).contains("there are 1001 sectors"), "{}", sectors(1_001));
    assert_eq!(sectors(1_000), "");
}

#[test]
fn liquidity_is_looked_at_before_it_has_limits() {
    let limit =
        "[[risk.limits]]\nname = \"a\"\nmeasure = \"liquidation_cost\"\nof = \"equity\"\nhard = 0.1\n";
    let unasked = one(limit);
    assert!(unasked.starts_with("risk.limits[0].measure"), "{unasked}");
    assert!(unasked.contains("expected risk.liquidity.participation"), "{unasked}");
    assert_eq!(errors(&format!("[risk.liquidity]\nparticipation = 0.1\n{limit}"), &[]), [] as [&str; 0]);
    let section = |text: &str| one(&format!("[risk.liquidity]\n{text}\n"));
    for share in ["0", "1.01", "-0.1"] {
        assert!(section(&format!("participation = {share}")).contains("a share of the volume"), "{share}");
    }
    assert!(section("days = 367\nminimum = 1").contains("from 1 to 366"));
    assert!(section("days = 3\nminimum = 4").contains("from 1 to risk.liquidity.days"));
    let scoped = "[[firm.scopes]]\nscope = \"firm:a\"\n[[firm.limits]]\nname = \"b\"\n\
                  measure = \"beyond_touch\"\nhard = 0.5\n";
    assert!(one(scoped).contains("beyond_touch is of liquidity, which is not looked at"), "{}", one(scoped));
    assert_eq!(errors(&format!("[risk.liquidity]\nparticipation = 0.1\n{scoped}"), &[]), [] as [&str; 0]);
    let days = limit.replace("liquidation_cost", "days_to_liquidate");
    assert!(
        section(&format!("participation = 0.1\n{days}")).contains("days_to_liquidate is no sum of money")
    );
}

#[test]
fn overrides_are_checked_against_limits_and_each_other() {
    let text = "\
[[risk.limits]]
name = \"position\"
measure = \"position\"
soft = 80
hard = 100
portfolios = [\"p\", \"q\"]

[[risk.overrides]]
limit = \"positon\"
hard = 150
until = \"2026-05-02T00:00:00Z\"
who = \"ada\"
why = \"  \"

[[risk.overrides]]
limit = \"position\"
portfolios = [\"r\"]
hard = 50
from = \"2026-05-02T00:00:00Z\"
until = \"2026-05-01T00:00:00Z\"
who = \"ada\"
why = \"a reason\"

[[risk.overrides]]
limit = \"position\"
portfolios = [\"p\"]
until = \"tomorrow\"
who = \"ada\"
why = \"a reason\"

[[risk.overrides]]
limit = \"position\"
portfolios = [\"q\"]
soft = 120
from = \"2026-05-03T00:00:00Z\"
until = \"2026-05-05T00:00:00Z\"
who = \"ada\"
why = \"a reason\"

[[risk.overrides]]
limit = \"position\"
hard = 150
from = \"2026-05-04T00:00:00Z\"
until = \"2026-05-06T00:00:00Z\"
why = \"a reason\"
";
    let found = errors(text, &[]);
    let expected = [
        "risk.overrides[0].limit (t.toml:9): there is no limit \"positon\"; expected \"position\"",
        "risk.overrides[0].why (t.toml:13): \"  \" does not fit; expected words",
        "risk.overrides[1].portfolios[0] (t.toml:17): \"r\" does not fit; expected some of what the limit is on",
        "risk.overrides[1].hard (t.toml:18): 50 is under the limit's own soft, which is 80",
        "risk.overrides[1].until (t.toml:20): it is not after from",
        "risk.overrides[2].until (t.toml:27): \"tomorrow\" does not fit; expected a time with an offset",
        "risk.overrides[2].hard (t.toml:24): it bounds nothing",
        "risk.overrides[3].soft (t.toml:34): 120 is over hard, which is 100",
        "risk.overrides[4].who (t.toml:40): it is missing",
        "risk.overrides[4].until (t.toml:44): overrides[3] is for the same limit at the same time",
    ];
    for wanted in expected {
        assert!(found.iter().any(|error| error.starts_with(wanted)), "{wanted}\nnot in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn a_rate_is_of_two_currencies_and_stands_once() {
    let text = "[[risk.rates]]\nsymbol = \"EURUSD\"\nbase = \"EUR\"\nquote = \"USD\"\n\
                [[risk.rates]]\nsymbol = \"EURUSD\"\nbase = \"USD\"\nquote = \"EUR\"\n\
                [[risk.rates]]\nsymbol = \"X\"\nbase = \"EUR\"\nquote = \"EUR\"";
    let found = errors(text, &[]);
    for expected in [
        "risk.rates[1].symbol (t.toml:6): `EURUSD` is there already, at rates[0]",
        "risk.rates[1].base (t.toml:7): rates[0] converts USD and EUR, too",
        "risk.rates[2].quote (t.toml:12): EUR is what the price is of",
    ] {
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{found:?}");
    }
}
