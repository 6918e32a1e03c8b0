//! Layers: defaults, file, environment, variables; and secrets from files.
#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tapewatch_config::{Clock, Comparison, Condition, LimitStatus, Sampling, Settings, Start, WindowLength};
use tempfile::TempDir;

fn file(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("tapewatch.toml");
    fs::write(&path, text).unwrap();
    path
}

fn load(path: &Path, env: Option<&str>, vars: &[(&str, &str)]) -> Result<Settings, String> {
    let vars = vars.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Settings::load(Some(path), env, vars).map_err(|errors| errors.to_string())
}

#[test]
fn the_defaults_are_valid_and_what_the_documentation_says() {
    let settings = Settings::defaults();
    assert_eq!(settings.log.url, "sqlite:tapewatch.db");
    assert_eq!(settings.topics.partitions, 12);
    assert_eq!(settings.runtime.max_bytes, 8 << 20);
    assert_eq!(settings.runtime.start, Start::Earliest);
    assert_eq!(settings.runtime.clock, Clock::Wall);
    assert_eq!(settings.breaker.wait, Duration::from_secs(30));
    let limits: Vec<_> =
        settings.risk.limits.iter().map(|l| (l.measure.as_str(), l.hard.unwrap_or_default())).collect();
    let expected = [
        ("var_95_revalued", 200_000.0),
        ("var_99_revalued", 300_000.0),
        ("var_99_revalued_light", 1.0),
        ("position", 100_000.0),
        ("leverage", 3.0),
        ("max_correlation", 0.0),
        ("drawdown", 0.2),
    ];
    assert_eq!(limits, expected);
    assert_eq!(settings.risk.var.levels, [9500, 9900]);
    let day = Duration::from_secs(86_400);
    assert_eq!((settings.risk.var.sample, settings.risk.history.interval), (Sampling::Every(day), day));
    assert_eq!(settings.risk.history.window, WindowLength::Observations(1000));
    let breached = Condition::Limit { limit: None, status: LimitStatus::Breached };
    assert_eq!(settings.alerting.rules[0].condition, breached);
}

#[test]
fn the_default_file_is_a_file_that_can_be_loaded() {
    let folder = TempDir::new().unwrap();
    let loaded = load(&file(&folder, Settings::default_file()), None, &[]).unwrap();
    assert_eq!(loaded.version(), Settings::defaults().version());
}

#[test]
fn an_environment_lies_over_the_file_and_variables_over_both() {
    let folder = TempDir::new().unwrap();
    let path = file(
        &folder,
        "[runtime]\nlinger = \"1ms\"\nmax_idle = \"1s\"\nmax_skew = \"1s\"\n\
         [environments.prod.runtime]\nmax_idle = \"2s\"\nmax_skew = \"2s\"\n",
    );
    let settings = load(&path, Some("prod"), &[("TAPEWATCH_RUNTIME__MAX_SKEW", "3s")]).unwrap();
    assert_eq!(settings.runtime.linger, Duration::from_millis(1));
    assert_eq!(settings.runtime.max_idle, Duration::from_secs(2));
    assert_eq!(settings.runtime.max_skew, Duration::from_secs(3));
    let settings = load(&path, None, &[]).unwrap();
    assert_eq!(settings.runtime.max_idle, Duration::from_secs(1));
}

#[test]
fn an_environment_may_be_a_file_beside_it_or_built_in() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "[topics]\npartitions = 6\n");
    fs::create_dir(folder.path().join("environments")).unwrap();
    fs::write(folder.path().join("environments/staging.toml"), "[topics]\npartitions = 7\n").unwrap();
    assert_eq!(load(&path, Some("staging"), &[]).unwrap().topics.partitions, 7);
    assert_eq!(load(&path, Some("demo"), &[]).unwrap().runtime.clock, Clock::Tape);
    assert!(load(&path, Some("kafka"), &[]).unwrap().log.url.starts_with("kafka:"));
    let error = load(&path, Some("stagin"), &[]).unwrap_err();
    assert_eq!(error, "there is no environment `stagin`; expected `staging`");
}

#[test]
fn variables_hold_any_type() {
    let folder = TempDir::new().unwrap();
    let vars = [
        ("TAPEWATCH_TOPICS__PARTITIONS", "3"),
        ("TAPEWATCH_TELEMETRY__METRICS", "false"),
        ("TAPEWATCH_BREAKER__FAILURE_RATE", "0.25"),
        ("TAPEWATCH_RISK__VAR__LEVELS", "[0.9, 0.95, 0.99]"),
        ("TAPEWATCH_LOG__KAFKA__PROPERTIES__SOCKET_TIMEOUT_MS", "30000"),
        ("TAPEWATCH_ENV", "not a setting"),
    ];
    let settings = load(&file(&folder, ""), None, &vars).unwrap();
    assert_eq!(settings.topics.partitions, 3);
    assert!(!settings.telemetry.metrics);
    assert_eq!(settings.breaker.failure_rate, 0.25);
    assert_eq!(settings.risk.var.levels.len(), 3);
    assert_eq!(settings.log.kafka.properties["socket.timeout.ms"], "30000");
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
    let body = |password: &str| {
        format!(
            "[log.kafka]\nsecurity = \"sasl_plaintext\"\n[log.kafka.sasl]\nmechanism = \"PLAIN\"\n\
             username = \"u\"\n{password}\n"
        )
    };
    for password in
        ["password_file = \"secret\"", "password = { file = \"secret\" }", "password = \"hunter2\""]
    {
        let settings = load(&file(&folder, &body(password)), None, &[]).unwrap();
        let sasl = settings.log.kafka.sasl.as_ref().unwrap();
        assert_eq!(sasl.password.as_ref().unwrap().expose(), "hunter2");
        let connection = settings.log.kafka.librdkafka();
        assert_eq!(connection["security.protocol"], "sasl_plaintext");
        assert_eq!(connection["sasl.password"], "hunter2");
        for shown in [format!("{settings:?}"), settings.show(), settings.canonical()] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
    let vars = [("TAPEWATCH_LOG__KAFKA__SASL__PASSWORD", "hunter2")];
    let settings = load(&file(&folder, &body("")), None, &vars).unwrap();
    assert!(!format!("{settings:?}{}", settings.show()).contains("hunter2"));
    let error = load(&file(&folder, &body("password_file = \"absent\"")), None, &[]).unwrap_err();
    assert!(error.contains("log.kafka.sasl.password_file") && error.contains("absent"), "{error}");
    let error = load(&file(&folder, &body("password = [\"hunter2\"]")), None, &[]).unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn what_is_shown_can_be_loaded_again() {
    let folder = TempDir::new().unwrap();
    let vars = [("TAPEWATCH_RUNTIME__MAX_SKEW", "3s"), ("TAPEWATCH_TOPICS__PARTITIONS", "3")];
    let first = load(&file(&folder, "[log.kafka.properties]\n\"a.b\" = \"c\\\"d\"\n"), None, &vars).unwrap();
    let second = load(&file(&folder, &first.show()), None, &[]).unwrap();
    assert_eq!(first.canonical(), second.canonical());
    assert_eq!(first.log, second.log);
    assert!(first.show().contains("max_skew = \"3s\"  # TAPEWATCH_RUNTIME__MAX_SKEW"), "{}", first.show());
}

#[test]
fn rules_on_measures_have_a_threshold() {
    let folder = TempDir::new().unwrap();
    let text = "[[alerting.rules]]\nname = \"var\"\nseverity = \"critical\"\non = \"measure\"\n\
                measure = \"var_99\"\ncomparison = \"above\"\nthreshold = 250_000\nclear = 200_000\nfor = \"30s\"\n";
    let settings = load(&file(&folder, text), None, &[]).unwrap();
    let rule = &settings.alerting.rules[0];
    let wanted = Condition::Measure {
        measure: "var_99".into(),
        comparison: Comparison::Above,
        threshold: 250_000.0,
        clear: Some(200_000.0),
    };
    assert_eq!(rule.condition, wanted);
    assert_eq!(rule.lasting, Duration::from_secs(30));
    assert_eq!(settings.alerting.rules.len(), 1, "a list is replaced whole");
}
