//! What every command has at hand: settings, the log, and how to write to people.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapewatch_config::Settings;
use tapewatch_eventlog::{Log, LogError, OpenOptions, open};

use crate::{CliError, Global, Paint};

/// The settings' file that is read without being named.
const FILE: &str = "tapewatch.toml";

/// Whether a command may make an embedded log that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It must be there.
    Existing,
    /// It may be made.
    Create,
}

/// What every command has at hand.
#[derive(Clone, Debug)]
pub struct Context {
    /// Options of every command.
    pub global: Global,
    /// Colour of standard output.
    pub paint: Paint,
    /// Colour of standard error.
    pub problems: Paint,
}

impl Context {
    /// From the options.
    pub fn new(global: Global) -> Self {
        let (paint, problems) = (Paint::for_stream(&io::stdout()), Paint::for_stream(&io::stderr()));
        Self { global, paint, problems }
    }

    /// The settings: file, environment, variables, and `--log` over all.
    pub fn settings(&self) -> Result<Settings, CliError> {
        self.settings_in(self.global.environment.as_deref())
    }

    /// The settings of another file, in the environment of `--env`; the log stays the one that `--log` names.
    pub fn settings_of(&self, file: Option<&Path>) -> Result<Settings, CliError> {
        Ok(Settings::load(file, self.global.environment.as_deref(), variables())?)
    }

    /// The settings in an environment, whatever `--env` says.
    pub fn settings_in(&self, environment: Option<&str>) -> Result<Settings, CliError> {
        let mut settings = Settings::load(self.file().as_deref(), environment, variables())?;
        if let Some(url) = &self.global.log {
            settings.log.url.clone_from(url);
        }
        Ok(settings)
    }

    /// The settings' file, if one was named or is here.
    pub fn file(&self) -> Option<PathBuf> {
        let here = || Path::new(FILE).is_file().then(|| PathBuf::from(FILE));
        self.global.config.clone().or_else(here)
    }

    /// The environments of the settings' file and beside it.
    pub fn environments(&self) -> BTreeSet<String> {
        let Some(file) = self.file() else { return BTreeSet::new() };
        let mut names: BTreeSet<String> =
            Settings::environments(&fs::read_to_string(&file).unwrap_or_default()).into_iter().collect();
        let folder = file.parent().map(|folder| folder.join("environments"));
        for entry in folder.into_iter().flat_map(fs::read_dir).flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "toml")
                && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
            {
                names.insert(name.to_owned());
            }
        }
        names
    }

    /// The environment, of those that are known here, whose settings have this configuration version; the inner one
    /// is none for the settings without any.
    pub fn environment_of(&self, configuration: &str) -> Option<Option<String>> {
        let built_in = Settings::built_in_environments().map(str::to_owned);
        let named = self.environments().into_iter().chain(built_in).map(Some);
        std::iter::once(None).chain(named).find(|name| {
            let settings = self.settings_in(name.as_deref());
            settings.is_ok_and(|settings| settings.version().to_string() == configuration)
        })
    }

    /// How the settings want a log to be opened.
    pub fn open_options(settings: &Settings) -> OpenOptions {
        OpenOptions {
            busy_timeout: settings.log.busy_timeout,
            kafka: settings.log.kafka.librdkafka(),
            ..OpenOptions::default()
        }
    }

    /// Opens the log that the settings name.
    pub fn open(&self, settings: &Settings, access: Access) -> Result<Arc<dyn Log>, CliError> {
        let url = &settings.log.url;
        if access == Access::Existing
            && let Some(path) = url.strip_prefix("sqlite:")
            && !path.starts_with(':')
            && !Path::new(path).exists()
        {
            let why = format!(
                "there is no file {path}. `tapewatch topics create --log {url}` makes it, or name another with --log"
            );
            return Err(LogError::Unreachable { log: url.clone(), why }.into());
        }
        Ok(open(url, &Self::open_options(settings))?)
    }
}

/// The environment's variables that are text.
fn variables() -> impl Iterator<Item = (String, String)> {
    env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
}
