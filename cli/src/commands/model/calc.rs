//! `tapewatch model calc`: a measure of one's own numbers.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::cases::{kind, parse};
use super::comparison::words_of;
use super::family::{Columns, Family, help};
use super::figure::Figures;
use super::question::Question;
use super::table::Tables;
use crate::{CliError, topic_name};

const EXAMPLES: &str = "\
Examples:
  tapewatch model calc var closes.csv --column close --transform simple_return
  tapewatch model calc gaussian pnl.csv --column pnl --set alpha=0.025
  tapewatch model calc correlation closes.csv --column AAPL,MSFT,JPM --transform simple_return
  tapewatch model calc liquidity bars.csv --column close,volume --set position_value=5e6
  tapewatch model calc kupiec --set n=250 --set exceedances=5
  tapewatch model calc pnl fills.csv --set method=fifo --set 'marks={\"AAPL\": 212.5}'
  tapewatch model calc christoffersen question.json --json

A CSV file names its columns in its first line. A JSON file is a list of numbers (the family's
series, or of objects: its records), or an object with the inputs and parameters by their names,
as in a reference case. What takes records finds them in a CSV by the names in its first line.
Numbers are doubles; NaN and infinities are refused.";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\nMeasures, and what they take:\n{}", help()))]
pub struct Args {
    /// Which measure, such as var, gaussian, fhs, kupiec, correlation: --help lists all
    measure: String,
    /// Numbers: a .csv or .json file; none for measures of two counts
    file: Option<PathBuf>,
    /// The column of the CSV, or several
    #[arg(long, short, value_name = "NAME", value_delimiter = ',')]
    column: Vec<String>,
    /// What to make of a column of prices
    #[arg(long, value_name = "HOW", value_parser = ["simple_return", "abs_return", "squared_return_x1e4"])]
    transform: Option<String>,
    /// These rows alone, of what the transform gave: from the first (0) up to, and without, the last
    #[arg(long, value_name = "FROM..TO", value_parser = rows)]
    rows: Option<(u64, u64)>,
    /// An input or parameter; a list is written with commas
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// One JSON object a measure
    #[arg(long)]
    json: bool,
}

fn rows(text: &str) -> Result<(u64, u64), String> {
    let bounds = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    bounds.filter(|(from, to)| from < to).ok_or_else(|| "expected two whole numbers such as 0..250".into())
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let families = Family::called(&args.measure);
    if families.is_empty() {
        let near = topic_name::nearest(&args.measure, Family::names().into_iter());
        let near = near.map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
        let all = "`tapewatch model calc --help` lists all";
        return Err(CliError::Usage(format!("there is no measure `{}`.{near} {all}", args.measure)));
    }
    let params = set(&args.set)?;
    let mut out = io::stdout().lock();
    for family in families {
        let inputs = inputs(args, family)?;
        if let Some(name) = inputs.keys().chain(params.keys()).find(|name| !is_taken(family, name)) {
            return Err(not_taken(family, name));
        }
        let folder = args.file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let tables = Tables::new(folder.to_owned());
        let question = Question { inputs: &inputs, params: &params, tables: &tables };
        let figures = (family.compute)(&question)
            .map_err(|why| CliError::Input(format!("{} was not computed: {why}", family.name)))?;
        if args.json {
            let line = json!({
                "measure": family.name,
                "convention": family.convention,
                "inputs": inputs,
                "params": params,
                "figures": figures.0,
            });
            writeln!(out, "{line}")?;
        } else {
            print(args, family, &figures, &mut out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The figures, and by which convention of what.
fn print(args: &Args, family: &Family, figures: &Figures, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}: {}", family.name, family.about)?;
    if let (Some(file), false) = (&args.file, args.column.is_empty()) {
        let how = args.transform.as_deref().unwrap_or("its values as they are");
        writeln!(out, "of {}, {}: {how}", file.display(), args.column.join(" and "))?;
    }
    let mut line = String::new();
    for word in family.convention.split_whitespace() {
        if line.chars().count() + word.chars().count() > 110 {
            writeln!(out, "{line}")?;
            line.clear();
        }
        line.push_str(if line.is_empty() { "" } else { " " });
        line.push_str(word);
    }
    writeln!(out, "{line}")?;
    let width = figures.0.keys().map(String::len).max().unwrap_or_default();
    for (name, figure) in &figures.0 {
        writeln!(out, "  {name:width$}  {}", words_of(figure))?;
    }
    Ok(())
}

/// What references to a file are made of, where the inputs as a whole are one.
const REFERENCE: [&str; 5] = ["csv", "cols", "transform", "rows", "round"];

fn is_taken(family: &Family, name: &str) -> bool {
    family.takes.iter().any(|(taken, _)| *taken == name) || REFERENCE.contains(&name)
}

fn not_taken(family: &Family, name: &str) -> CliError {
    let names = || family.takes.iter().map(|(taken, _)| *taken);
    let near = topic_name::nearest(name, names())
        .map(|near| format!(" (did you mean `{near}`?)"))
        .unwrap_or_default();
    let all = names().collect::<Vec<_>>().join(", ");
    CliError::Usage(format!("{} takes no `{name}`{near}; it takes {all}", family.name))
}

/// The parameters of `--set`.
fn set(assignments: &[String]) -> Result<Map<String, Value>, CliError> {
    let mut params = Map::new();
    for assignment in assignments {
        let Some((name, text)) = assignment.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            let example = "expected NAME=VALUE such as alpha=0.05";
            return Err(CliError::Usage(format!("--set {assignment}: {example}")));
        };
        // 0.05 and [1,2] as they are; 0.05,0.01 is a list; what is no number is a text.
        let value = serde_json::from_str(text)
            .or_else(|_| serde_json::from_str(&format!("[{text}]")))
            .unwrap_or_else(|_| Value::String(text.into()));
        if params.insert(name.to_owned(), value).is_some() {
            return Err(CliError::Usage(format!("--set {name}: it is set twice")));
        }
    }
    Ok(params)
}

/// The inputs that a file and the columns of it are.
fn inputs(args: &Args, family: &Family) -> Result<Map<String, Value>, CliError> {
    let Some(file) = &args.file else { return Ok(Map::new()) };
    if family.columns == Columns::None {
        let names =
            family.takes.iter().map(|(name, _)| format!("--set {name}=…")).collect::<Vec<_>>().join(" ");
        return Err(CliError::Usage(format!("{} takes no file but numbers: {names}", family.name)));
    }
    if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        return from_json(args, family, file);
    }
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut reference = Map::from_iter([("csv".to_owned(), Value::from(name))]);
    if let Some(transform) = &args.transform {
        reference.insert("transform".into(), transform.as_str().into());
    }
    if let Some((from, to)) = args.rows {
        reference.insert("rows".into(), json!([from, to]));
    }
    if let Columns::Records(records) = family.columns {
        if !args.column.is_empty() || args.transform.is_some() || args.rows.is_some() {
            let words =
                "takes the columns that the file names: --column, --transform and --rows are for series";
            return Err(CliError::Usage(format!("{} {words}", family.name)));
        }
        return Ok(Map::from_iter([(records.to_owned(), Value::Object(reference))]));
    }
    let wrong = |wanted: &str| {
        let have = args.column.len();
        let words = format!("{} wants {wanted}: --column NAME[,NAME…] names {have}", family.name);
        Err(CliError::Usage(words))
    };
    match (family.columns, args.column.as_slice()) {
        (Columns::One(series), [column]) => {
            reference.insert("col".into(), column.as_str().into());
            return Ok(Map::from_iter([(series.to_owned(), Value::Object(reference))]));
        }
        (Columns::One(_), _) => return wrong("one column"),
        (Columns::Several, columns) if columns.len() > 1 => {
            reference.insert("cols".into(), columns.into());
        }
        (Columns::Several | Columns::None | Columns::Records(_), _) => return wrong("two columns or more"),
        (Columns::Named(names), columns) if columns.len() == names.len() => {
            let pairs = names.iter().zip(columns);
            reference.extend(pairs.map(|(name, column)| ((*name).to_owned(), column.as_str().into())));
        }
        (Columns::Named(names), _) => {
            return wrong(&format!("columns for {}, in this order", names.join(" and ")));
        }
    }
    Ok(reference)
}

/// A list is the family's series; an object has inputs and parameters by name, in two parts or together.
fn from_json(args: &Args, family: &Family, file: &Path) -> Result<Map<String, Value>, CliError> {
    if !args.column.is_empty() || args.transform.is_some() || args.rows.is_some() {
        let words =
            "--column, --transform and --rows are for CSV files; a JSON file refers to columns itself";
        return Err(CliError::Usage(words.into()));
    }
    let name = file.display();
    match (parse(file)?, family.columns) {
        (Value::Array(values), Columns::One(series) | Columns::Records(series)) => {
            Ok(Map::from_iter([(series.to_owned(), values.into())]))
        }
        (Value::Array(values), Columns::Several) => {
            Ok(Map::from_iter([("returns".to_owned(), values.into())]))
        }
        (Value::Object(object), _) => {
            let parts =
                ["inputs", "params"].iter().filter_map(|part| object.get(*part).and_then(Value::as_object));
            let parts: Map<String, Value> =
                parts.flatten().map(|(name, value)| (name.clone(), value.clone())).collect();
            Ok(if parts.is_empty() { object } else { parts })
        }
        (other, _) => {
            let found = kind(&other);
            Err(CliError::Input(format!(
                "{name}: expected an object with {}'s inputs; found {found}",
                family.name
            )))
        }
    }
}
