//! All settings, and how they are loaded.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{ConfigError, ConfigErrors};
use crate::layer::{self, Node, Table};
use crate::section::{Context, Section};
use crate::{
    Alerting, Breaker, DeadLetters, Firm, Log, Producer, Registry, Risk, Runtime, Telemetry, Topics,
    environment, variables,
};

/// The defaults, with what each setting means.
const DEFAULTS: &str = include_str!("../tapewatch.toml");

/// Every setting, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The log and how to connect to it.
    pub log: Log,
    /// How topics are cut and kept.
    pub topics: Topics,
    /// Where schemas are kept, if in a registry.
    pub registry: Registry,
    /// What producers do while the log is away.
    pub producer: Producer,
    /// How workers run.
    pub runtime: Runtime,
    /// When a bad source is left alone.
    pub breaker: Breaker,
    /// What becomes of bad records.
    pub dead_letters: DeadLetters,
    /// What risk measures and bounds.
    pub risk: Risk,
    /// What is above the portfolio, and its limits.
    pub firm: Firm,
    /// What is an alert.
    pub alerting: Alerting,
    /// Logs and metrics of the programs.
    pub telemetry: Telemetry,
    /// Hashes of the reference files, by the path of the setting that names them.
    pub(crate) references: BTreeMap<String, String>,
    /// What was read, with its origins and without the secrets.
    pub(crate) merged: Table,
}

impl Settings {
    /// Reads the defaults, over them the file at `path`, over it the environment `env`, over it those of
    /// `vars` that begin with `TAPEWATCH_`. Paths in the settings are relative to the file's folder.
    ///
    /// # Errors
    /// Every fault of all of them, with its path and its file and line or its variable.
    pub fn load(
        path: Option<&Path>,
        env: Option<&str>,
        vars: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let folder = path.and_then(Path::parent).map_or_else(PathBuf::new, Path::to_owned);
        let mut merged = layer::parse(DEFAULTS, None, &mut errors);
        let mut file = path.map(|path| read_file(path, &mut errors)).unwrap_or_default();
        let over = environment::take(&mut file, &folder, env, &mut errors);
        layer::overlay(&mut merged, file);
        layer::overlay(&mut merged, over);
        layer::overlay(&mut merged, variables::layer(vars, &mut errors));

        let context = Context {
            folder,
            errors: RefCell::new(errors),
            secrets: RefCell::default(),
            references: RefCell::default(),
        };
        let mut root = Section::root(&merged, &context);
        let mut settings = Self::read(&mut root);
        root.refuse_unknown();
        let errors = context.errors.into_inner();
        if !errors.is_empty() {
            return Err(ConfigErrors(errors));
        }
        for path in context.secrets.into_inner() {
            layer::hide(&mut merged, &path);
        }
        settings.references = context.references.into_inner();
        settings.merged = merged;
        Ok(settings)
    }

    fn read(root: &mut Section<'_>) -> Self {
        let log = root.group("log", Log::read);
        let topics = root.group("topics", Topics::read);
        let registry = root.group("registry", Registry::read);
        let producer = root.group("producer", Producer::read);
        let runtime = root.group("runtime", Runtime::read);
        let breaker = root.group("breaker", Breaker::read);
        let dead_letters = root.group("dead_letters", DeadLetters::read);
        let risk = root.group("risk", Risk::read);
        let firm = root.group("firm", |group| Firm::read(group, &risk));
        let limits: Vec<&str> = (risk.limits.iter().chain(firm.limits.iter().map(|one| &one.limit)))
            .map(|limit| limit.name.as_str())
            .collect();
        let alerting = root.group("alerting", |group| Alerting::read(group, &limits));
        let telemetry = root.group("telemetry", Telemetry::read);
        let (references, merged) = (BTreeMap::new(), Table::new());
        Self {
            log,
            topics,
            registry,
            producer,
            runtime,
            breaker,
            dead_letters,
            risk,
            firm,
            alerting,
            telemetry,
            references,
            merged,
        }
    }

    /// What [`Settings::read`] asks for.
    pub(crate) fn described() -> serde_json::Value {
        let context = Context {
            folder: PathBuf::new(),
            errors: RefCell::default(),
            secrets: RefCell::default(),
            references: RefCell::default(),
        };
        let mut root = Section::described(&context);
        Self::read(&mut root);
        root.description().expect("it was described")
    }

    /// The built-in defaults, without file, environment or variables.
    pub fn defaults() -> Self {
        Self::load(None, None, std::iter::empty()).expect("the built-in defaults are tested to be valid")
    }

    /// The names of the environments that a file's text holds, as far as it can be read.
    pub fn environments(text: &str) -> Vec<String> {
        let table = layer::parse(text, None, &mut Vec::new());
        match table.get(environment::KEY).map(|entry| &entry.node) {
            Some(Node::Table(inside)) => inside.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// The names of the environments that need no file.
    pub fn built_in_environments() -> impl Iterator<Item = &'static str> {
        environment::built_in()
    }

    /// The text of the built-in defaults: a file to begin with.
    pub const fn default_file() -> &'static str {
        DEFAULTS
    }
}

fn read_file(path: &Path, errors: &mut Vec<ConfigError>) -> Table {
    match fs::read_to_string(path) {
        Ok(text) => layer::parse(&text, Some(&path.display().to_string()), errors),
        Err(error) => {
            errors.push(ConfigError::Unreadable { file: path.into(), why: error.to_string() });
            Table::new()
        }
    }
}
