//! Whatever a file or a variable holds: settings or errors, never a panic, and never a secret shown.
#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use std::fs;

use proptest::prelude::*;
use tapewatch_config::Settings;
use tempfile::TempDir;

const SECRET: &str = "hunter2hunter2";

/// The default file with a login, so that there is a secret in it.
fn file() -> String {
    let login = format!(
        "\n[log.kafka.sasl]\nmechanism = \"PLAIN\"\nusername = \"u\"\npassword = \"{SECRET}\"\n[log.kafka.properties]"
    );
    let defaults = Settings::default_file().replace("\n[log.kafka.properties]", &login);
    defaults.replace("security = \"plaintext\"", "security = \"sasl_ssl\"")
}

fn load(text: &str, vars: Vec<(String, String)>) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("t.toml");
    fs::write(&path, text).unwrap();
    match Settings::load(Some(&path), None, vars.into_iter()) {
        Ok(settings) => format!("{settings:?}{}{}", settings.show(), settings.canonical()),
        Err(errors) => {
            assert!(!errors.0.is_empty());
            errors.to_string()
        }
    }
}

#[test]
fn the_file_is_good_as_it_is() {
    assert!(load(&file(), Vec::new()).starts_with("Settings"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_damaged_line_is_an_error_or_harmless(at in 0_usize..10_000, damage in "[\\[\\]{}=\",.#a-z0-9 \\n-]{0,4}", cut in 0_usize..8) {
        let text = file();
        let lines: Vec<&str> = text.lines().collect();
        // The line with the secret may become any other setting, whose text an error shows.
        let at = at % lines.len();
        prop_assume!(!lines[at].contains(SECRET));
        let line: String = lines[at].chars().skip(cut).collect();
        let mut damaged: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        damaged[at] = format!("{damage}{line}");
        let shown = load(&damaged.join("\n"), Vec::new());
        prop_assert!(!shown.contains(SECRET), "{}", shown);
    }

    #[test]
    fn any_variable_is_an_error_or_a_setting(name in "[A-Z_]{0,24}", text in "\\PC{0,24}") {
        load("", vec![(format!("TAPEWATCH_{name}"), text)]);
    }

    #[test]
    fn any_text_for_a_known_setting_is_read_or_refused(index in 0_usize..9, text in "\\PC{0,24}") {
        let known = [
            "TOPICS__PARTITIONS", "RUNTIME__LINGER", "RUNTIME__START", "RUNTIME__MAX_BYTES", "RISK__VAR__LEVELS",
            "RISK__LIMITS", "BREAKER__FAILURE_RATE", "LOG__URL", "RUNTIME__ADMIN",
        ];
        load("", vec![(format!("TAPEWATCH_{}", known[index]), text)]);
    }
}
