//! A scenario's stage: a cluster with fresh topics, settings, a tape, programs, and the judgement at the end.

pub(crate) mod brokers;
pub(crate) mod feeder;
pub(crate) mod journals;
mod judge;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod registry;
pub(crate) mod sweep;
pub(crate) mod tape;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tapewatch_config::Settings;
use tapewatch_consumers::workers;
use tapewatch_eventlog::{Log, OpenOptions, OutRecord, TopicPartition, open};
use tapewatch_schemas::catalogue::{self, EXEC_REPORTS, RISK};
use tempfile::TempDir;

use feeder::Feeder;
use journals::Journals;
use process::{Process, command, program};
use proxy::Proxy;
use tape::{Outputs, tape, undisturbed};

/// Bound of every wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Tasks of a worker.
pub(crate) const TASKS: i32 = 4;
/// A silent member keeps its partitions so long, and a silent broker its (`scripts/faults`) not much longer.
pub(crate) const SESSION: Duration = Duration::from_secs(3);

/// Short sessions and small rounds, so that there are many moments between two of them; under the tape's
/// clock, so that what comes out does not depend on when things went wrong.
const SETTINGS: [(&str, &str); 7] = [
    ("TAPEWATCH_ENV", "demo"),
    ("TAPEWATCH_LOG__KAFKA__REPLICATION", "3"),
    ("TAPEWATCH_RUNTIME__SESSION", "3s"),
    ("TAPEWATCH_RUNTIME__MAX_RECORDS", "500"),
    ("TAPEWATCH_RUNTIME__LINGER", "1ms"),
    ("TAPEWATCH_RUNTIME__SNAPSHOT_ROUNDS", "50"),
    ("TAPEWATCH_BREAKER__WAIT", "1h"),
];

/// Scenarios share the cluster: one at a time.
static CLUSTER: Mutex<()> = Mutex::new(());

/// A cluster with fresh topics, and a folder.
pub(crate) struct Stage {
    pub(crate) log: Arc<dyn Log>,
    own_brokers: bool,
    pub(crate) settings: Vec<(String, String)>,
    address: String,
    hazard: String,
    folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Stage {
    /// A stage for a scenario with brokers that can be hurt; none, and it says so, if there are none.
    pub(crate) fn with_brokers(hazard: &str) -> Option<Self> {
        Self::with_brokers_and(hazard, &[])
    }

    /// As [`Stage::with_brokers`], with these settings over the usual ones.
    pub(crate) fn with_brokers_and(hazard: &str, settings: &[(&str, &str)]) -> Option<Self> {
        let stage = Self::open_with(hazard, settings)?;
        if !stage.own_brokers {
            eprintln!("skipped: KAFKA_DATA_DIR does not name the brokers of TAPEWATCH_TEST_KAFKA");
            return None;
        }
        Some(stage)
    }

    /// A stage for a scenario; none, and it says so, without brokers.
    pub(crate) fn open(hazard: &str) -> Option<Self> {
        Self::open_with(hazard, &[])
    }

    /// As [`Stage::open`], with these settings over the usual ones.
    pub(crate) fn open_with(hazard: &str, settings: &[(&str, &str)]) -> Option<Self> {
        let Ok(address) = std::env::var("TAPEWATCH_TEST_KAFKA") else {
            eprintln!("skipped: no TAPEWATCH_TEST_KAFKA. scripts/faults starts brokers");
            return None;
        };
        let alone = CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
        let own_brokers = brokers::healed(&address);
        let log = open(&address, &OpenOptions::default()).expect("the cluster answers");
        sweep::sweep(&address, &log);
        Some(Self::set(hazard, settings, address, log, own_brokers, alone))
    }

    /// A stage over an embedded log; none, and it says so, unless `scripts/faults` runs this.
    pub(crate) fn embedded(hazard: &str, url: &str) -> Option<Self> {
        Self::embedded_with(hazard, url, &[])
    }

    /// As [`Stage::embedded`], with these settings over the usual ones.
    pub(crate) fn embedded_with(hazard: &str, url: &str, settings: &[(&str, &str)]) -> Option<Self> {
        if std::env::var_os("TAPEWATCH_TEST_KAFKA").is_none() {
            eprintln!("skipped: scripts/faults builds the programs for it");
            return None;
        }
        let alone = CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
        let log = open(url, &OpenOptions::default()).expect("a file");
        Some(Self::set(hazard, settings, url.to_owned(), log, false, alone))
    }

    fn set(
        hazard: &str,
        settings: &[(&str, &str)],
        address: String,
        log: Arc<dyn Log>,
        own_brokers: bool,
        alone: MutexGuard<'static, ()>,
    ) -> Self {
        let mut all: Vec<(String, String)> =
            SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for (name, value) in settings {
            all.retain(|(there, _)| there != name);
            all.push(((*name).to_owned(), (*value).to_owned()));
        }
        let stage = Self {
            log,
            own_brokers,
            settings: all,
            address,
            hazard: hazard.to_owned(),
            folder: TempDir::new().unwrap(),
            _alone: alone,
        };
        stage.log.create(&workers::topic_specs(&stage.loaded())).expect("fresh topics");
        stage
    }

    /// The settings as a program reads them.
    pub(crate) fn loaded(&self) -> Settings {
        let environment = self.settings.iter().find(|(name, _)| name == "TAPEWATCH_ENV");
        let environment = environment.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty());
        let others = self.settings.iter().filter(|(name, _)| name != "TAPEWATCH_ENV").cloned();
        let mut settings = Settings::load(None, environment, others).expect("good settings");
        settings.log.url.clone_from(&self.address);
        settings
    }

    /// A path in the scenario's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Between a worker and the brokers.
    pub(crate) fn proxy(&self) -> Proxy {
        Proxy::before(&self.address)
    }

    /// Starts an instance of risk.
    pub(crate) fn risk(&self, instance: &str) -> Process {
        self.worker(RISK, instance, &self.address)
    }

    /// Starts an instance of risk whose every connection goes through a proxy.
    pub(crate) fn risk_behind(&self, proxy: &Proxy, instance: &str) -> Process {
        self.worker(RISK, instance, &proxy.address())
    }

    /// Starts an instance of a worker. Names are the scenario's own: no membership or transaction of an earlier
    /// one is in the way.
    pub(crate) fn worker(&self, worker: &str, instance: &str, address: &str) -> Process {
        let program = program(&format!("tapewatch-{worker}"));
        self.start(command(&program, self.folder.path(), &self.settings), worker, instance, address)
    }

    /// Starts a program as an instance of risk.
    pub(crate) fn program(&self, program: &Path, instance: &str) -> Process {
        self.start(command(program, self.folder.path(), &self.settings), RISK, instance, &self.address)
    }

    fn start(&self, mut command: Command, worker: &str, instance: &str, address: &str) -> Process {
        let instance = self.instance(instance);
        command.args(["--log", address, "--instance", &instance]);
        Process::start(command, &instance, self.path(&format!("{worker}-{instance}.log")))
    }

    /// The full name of an instance.
    pub(crate) fn instance(&self, name: &str) -> String {
        format!("{}-{name}", self.hazard)
    }

    /// Runs the command `tapewatch` to its end.
    pub(crate) fn tapewatch(&self, arguments: &[&str]) -> Output {
        let mut command = command(&program("tapewatch"), self.folder.path(), &self.settings);
        command.env("TAPEWATCH_LOG", &self.address).args(arguments).output().unwrap()
    }

    /// Where the co-partitioned inputs of risk end.
    pub(crate) fn ends(&self) -> BTreeMap<TopicPartition, i64> {
        let inputs = catalogue::worker(RISK).expect("a worker").inputs.iter();
        let all = inputs.flat_map(|topic| (0..TASKS).map(|task| TopicPartition::new(*topic, task)));
        all.map(|at| (at.clone(), self.log.bounds(&at).unwrap().end)).collect()
    }

    /// Waits until risk has taken execution reports and committed that: where from.
    pub(crate) fn taken(&self, worker: &mut Process) -> TopicPartition {
        let all: Vec<_> = (0..TASKS).map(|task| TopicPartition::new(EXEC_REPORTS, task)).collect();
        let mut found = None;
        until("execution reports to be taken", || {
            worker.lives();
            let offsets = self.log.group_offsets("tapewatch.risk", &all).unwrap();
            found = offsets.iter().position(|offset| offset.is_some_and(|offset| offset > 20));
            found.is_some()
        });
        all[found.expect("it was waited for")].clone()
    }

    /// Risk's journal from its beginning.
    pub(crate) fn journals(&self) -> Journals {
        self.journals_of(RISK)
    }

    /// A worker's journal from its beginning.
    pub(crate) fn journals_of(&self, worker: &str) -> Journals {
        Journals::follow(&self.log, worker, TASKS)
    }

    /// A tape on its way, and what comes out of it undisturbed. Where everything is run it is longer, as scenarios are.
    pub(crate) fn load(&self, bars: usize) -> (Feeder, Outputs) {
        let bars = if everything() { 4 * bars } else { bars };
        let tape = tape(&*self.log, bars);
        let expected = undisturbed(&self.loaded(), &tape);
        (self.feed(tape), expected)
    }

    /// Risk takes a tape that is not as the player made it, killed once on the way: its journal.
    pub(crate) fn taken_with_a_kill(&self, tape: Vec<Vec<OutRecord>>) -> Journals {
        let feeder = self.feed(tape);
        let mut journals = self.journals();
        let mut worker = self.risk("one");
        journals.all_go_on(&mut worker);
        worker.kill();
        let mut worker = self.risk("one");
        feeder.finish();
        journals.see_the_end(&mut worker);
        worker.stop();
        journals
    }

    /// A tape on its way that is not as the player made it.
    pub(crate) fn feed(&self, tape: Vec<Vec<OutRecord>>) -> Feeder {
        Feeder::start(&self.log, tape, Duration::from_millis(50))
    }

    /// The rest of the tape, the end of the worker, the judgement.
    pub(crate) fn finish(
        &self,
        feeder: Feeder,
        journals: &mut Journals,
        mut worker: Process,
        expected: &Outputs,
    ) {
        feeder.finish();
        journals.see_the_end(&mut worker);
        worker.stop();
        self.judge_risk(expected);
    }
}

/// Waits until something is so.
///
/// # Panics
/// If it takes longer than [`PATIENCE`].
pub(crate) fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// True if everything is to be run, as often as makes sense; else what fits into a few minutes.
pub(crate) fn everything() -> bool {
    std::env::var_os("TAPEWATCH_FAULTS_ALL").is_some()
}

/// Tells `scripts/faults` what was done to whom, how often.
pub(crate) fn injected(what: &str) {
    eprintln!("injected: {what}");
}
