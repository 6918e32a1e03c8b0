//! The configuration version changes with what outputs depend on, and with nothing else.
#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use std::fs;

use tapewatch_config::Settings;
use tempfile::TempDir;

fn load(files: &[(&str, &str)], vars: &[(&str, &str)]) -> Settings {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let vars = vars.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Settings::load(Some(&folder.path().join("t.toml")), None, vars).unwrap()
}

fn version(text: &str) -> String {
    load(&[("t.toml", text)], &[]).version().to_string()
}

const SCHEDULED: &str = "\
[[risk.schedules]]
name = \"morning\"
time_zone = \"Europe/Berlin\"
days = [\"mon\"]
to = \"12h\"
[[risk.limits]]
name = \"a\"
measure = \"leverage\"
hard = 3
during = \"morning\"
";

const OVERRIDDEN: &str = "\
[[risk.overrides]]
limit = \"leverage\"
hard = 4
until = \"2026-05-02T00:00:00Z\"
who = \"ada\"
why = \"a reason\"
";

#[test]
fn layout_and_spelling_do_not_change_it() {
    let one = "[risk.var]\nwindow = 250\nminimum = 20\n[breaker]\nwait = \"60s\"\nfailure_rate = 0.50\n";
    let same = "# a comment\n[breaker]\nfailure_rate=0.5\nwait   = '1m'\n\n[risk]\nvar.minimum = 20\nvar.window = 2_5_0\n";
    assert_eq!(version(one), version(same));
    let by_variable = load(
        &[("t.toml", "[risk.var]\nminimum = 20\n[breaker]\nwait = \"60s\"")],
        &[("TAPEWATCH_RISK__VAR__WINDOW", "250")],
    );
    assert_eq!(version(one), by_variable.version().to_string());
    let limit = |hard: &str| {
        version(&format!("[[risk.limits]]\nname = \"a\"\nmeasure = \"leverage\"\nhard = {hard}"))
    };
    assert_eq!(limit("3.0"), limit("3"));
    let days = |days: &str| version(&SCHEDULED.replace("\"mon\"", days));
    assert_eq!(days("\"mon\", \"sun\""), days("\"sun\", \"mon\""));
    let until = |until: &str| version(&OVERRIDDEN.replace("\"2026-05-02T00:00:00Z\"", until));
    assert_eq!(until("2026-05-02T02:00:00+02:00"), version(OVERRIDDEN));
    assert_ne!(limit("3.0"), limit("3.1"));
}

#[test]
fn connections_secrets_telemetry_and_batching_are_outside_it() {
    let default = version("");
    for outside in [
        "[log]\nurl = \"kafka:a:9092\"",
        "[log.kafka]\nsecurity = \"sasl_plaintext\"\n[log.kafka.sasl]\nmechanism = \"PLAIN\"\nusername = \"u\"\npassword = \"p\"",
        "[telemetry]\nlevel = \"debug\"",
        "[runtime]\nlinger = \"7ms\"\nmax_records = 5\nstart = \"latest\"\nsnapshot_rounds = 3",
        "[topics]\nretention = \"30d\"",
        "[environments.x.risk]\ncurrency = \"EUR\"",
    ] {
        assert_eq!(version(outside), default, "{outside}");
    }
}

#[test]
fn everything_that_changes_outputs_changes_it() {
    let mut seen = vec![version("")];
    for inside in [
        "[runtime]\nclock = \"tape\"",
        "[runtime]\nmax_skew = \"6s\"",
        "[risk.history]\ninterval = \"1h\"\n[risk.var]\nsample = \"1h\"",
        "[risk.history]\nwindow = 500",
        "[risk.history]\nwindow = \"100d\"",
        "[risk.history]\nwindow = \"101d\"",
        "[risk.var]\nhorizons = [1, 10]",
        "[risk.var]\ncontributions = 5",
        "[risk.liquidity]\nparticipation = 0.1",
        "[risk.liquidity]\nparticipation = 0.1\ndays = 10",
        "[topics]\npartitions = 6",
        "[topics]\npartitioner = \"crc32\"",
        "[breaker]\nwindow = 30",
        "[dead_letters]\nmax_bytes = \"64KiB\"",
        "[dead_letters]\non_dead_letter = \"hold_key\"",
        "[dead_letters.topics]\n\"exec.reports.v1\" = \"hold_key\"",
        "[risk]\ncurrency = \"EUR\"",
        "[risk.freshness]\nmarks = \"2m\"",
        "[[risk.limits]]\nname = \"a\"\nmeasure = \"leverage\"\nhard = 3",
        "[[risk.limits]]\nname = \"a\"\nmeasure = \"position\"\nhard = 3",
        "[[risk.limits]]\nname = \"a\"\nmeasure = \"position\"\nhard = 3\nof = \"equity\"",
        SCHEDULED,
        &SCHEDULED.replace("during", "outside"),
        &SCHEDULED.replace("\"mon\"", "\"tue\""),
        &SCHEDULED.replace("Europe/Berlin", "Europe/London"),
        OVERRIDDEN,
        &OVERRIDDEN.replace("ada", "bob"),
        &OVERRIDDEN.replace("00:00:00Z", "00:00:01Z"),
        "[alerting]\nrules = []",
    ] {
        let version = version(inside);
        assert!(!seen.contains(&version), "{inside}");
        seen.push(version);
    }
}

#[test]
fn a_reference_file_stands_in_it_by_its_bytes_and_not_by_its_name() {
    let body = "[[instruments]]\nsymbol = \"ES\"\nmultiplier = 50\ncurrency = \"USD\"\n";
    let with = |name: &str, body: &str| {
        let text = format!("[risk]\ninstruments = \"{name}\"\n");
        load(&[("t.toml", &text), (name, body)], &[]).version()
    };
    assert_eq!(with("a.toml", body), with("b.toml", body));
    assert_ne!(with("a.toml", body), with("a.toml", &body.replace("50", "51")));
    let with = |body: &str| {
        load(&[("t.toml", "[risk.history]\nprices = \"a.csv\"\n"), ("a.csv", body)], &[]).version()
    };
    assert_eq!(with("time,A\n2026-05-29,1\n"), with("time,A\n2026-05-29,1\n"));
    assert_ne!(with("time,A\n2026-05-29,1\n"), with("time,A\n2026-05-29,2\n"));
}

#[test]
fn schemas_of_a_folder_stand_in_it_by_what_they_hold() {
    let with = |name: &str, body: &str| {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("schemas")).unwrap();
        fs::write(folder.path().join("schemas").join(name), body).unwrap();
        fs::write(folder.path().join("t.toml"), "[topics]\nschemas_dir = \"schemas\"\n").unwrap();
        Settings::load(Some(&folder.path().join("t.toml")), None, std::iter::empty()).unwrap()
    };
    let one = with("one.avsc", "\"long\"");
    assert_eq!(one.topics.schemas[0].text, "\"long\"");
    assert_eq!(one.version(), with("two.avsc", "\"long\"").version());
    assert_ne!(one.version(), with("one.avsc", "\"int\"").version());
    assert!(with("notes.txt", "x").topics.schemas.is_empty());
}

#[test]
fn the_canonical_form_is_sorted_json_and_the_version_its_hash() {
    let settings = Settings::defaults();
    let text = settings.canonical();
    assert!(text.starts_with("{\"alerting\":{\"control\":{\"people\":[],"), "{text}");
    assert!(text.contains("\"runtime\":{\"clock\":\"wall\",\"heartbeat_every\":1000000,"), "{text}");
    let version = settings.version();
    assert_eq!(version.to_string(), blake3::hash(text.as_bytes()).to_hex().to_string());
    assert_eq!(version.to_string().len(), 64);
    assert_eq!(version.short(), version.to_string()[..16]);
}
