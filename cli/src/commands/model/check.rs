//! `tapewatch model check`: reference cases through the workers' kernels.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::cases::{self, Case};
use super::comparison::Comparison;
use super::family::{FAMILIES, Family};
use super::question::Question;
use super::table::Tables;
use super::tolerance::Tolerance;
use crate::{CliError, Context, exit};

const EXAMPLES: &str = "\
FILE holds a list `cases`; each has an id, a family, inputs, params, expected figures, a tolerance:
  {\"id\": \"kupiec-1\", \"family\": \"kupiec_pof\", \"inputs\": {\"n\": 250, \"exceedances\": 5},
   \"params\": {\"alpha\": 0.01}, \"expected\": {\"rate\": 0.02}, \"tolerance\": \"rel 1e-10\"}
An input series is a list of numbers, or a column of a CSV in the data folder:
  {\"csv\": \"closes.csv\", \"col\": \"close\", \"transform\": \"simple_return\", \"rows\": [0, 250], \"round\": 6}
where rows [from, to) are cut out of what the transform gave: simple_return, abs_return or
squared_return_x1e4.
A tolerance is `rel X` or `abs X`, and `counts exact` beside it: `counts exact; rel 1e-8`.

Examples:
  tapewatch model check cases.json                      every case; data are in data beside it
  tapewatch model check cases.json --family var,kupiec  those families alone
  tapewatch model check cases.json --json | jq -c 'select(.pass == false)'

Exit code 0 if every figure of every case is within its tolerance; 1 if one is not, or a case, a
family or a figure is not known, or nothing was there to check; 5 if the file cannot be read.";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The cases, as JSON
    file: PathBuf,
    /// The folder of the files that cases refer to [default: data beside FILE]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Of these families alone, by their names or shorter ones (`model calc --help` lists them)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    family: Vec<String>,
    /// One JSON object a figure, and one at the end
    #[arg(long)]
    json: bool,
}

/// How one figure, or a case as a whole, came out.
struct Line<'a> {
    case: &'a Case,
    key: Option<&'a str>,
    outcome: Result<Comparison, String>,
}

/// How many of what.
#[derive(Default)]
struct Count {
    cases: usize,
    failed_cases: usize,
    figures: usize,
    failed_figures: usize,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CliError> {
    let cases = cases::read(&args.file)?;
    let folder = args.data.clone().unwrap_or_else(|| args.file.with_file_name("data"));
    if args.data.is_some() && !folder.is_dir() {
        return Err(CliError::Input(format!("--data {}: there is no such folder", folder.display())));
    }
    let picked = pick(&cases, &args.family)?;
    let tables = Tables::new(folder);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut count = Count::default();
    for case in picked {
        let lines = run_case(case, &tables);
        let failed = lines.iter().filter(|line| !line.passes()).count();
        count.cases += 1;
        count.failed_cases += usize::from(failed > 0);
        count.figures += lines.iter().filter(|line| line.key.is_some()).count();
        count.failed_figures += lines.iter().filter(|line| line.key.is_some() && !line.passes()).count();
        if args.json {
            lines.iter().try_for_each(|line| writeln!(out, "{}", line.json()))?;
        } else {
            print_case(case, &lines, context, &mut out)?;
        }
    }
    let Count { cases, failed_cases, figures, failed_figures } = count;
    if args.json {
        let summary = json!({"cases": cases, "failed_cases": failed_cases, "figures": figures, "failed_figures": failed_figures});
        writeln!(out, "{summary}")?;
    } else {
        writeln!(
            out,
            "{cases} cases, {failed_cases} failed; {figures} figures compared, {failed_figures} failed"
        )?;
    }
    out.flush()?;
    Ok(if cases > 0 && failed_cases == 0 { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

/// The cases of the families that are asked for.
fn pick<'a>(cases: &'a [Case], names: &[String]) -> Result<Vec<&'a Case>, CliError> {
    if names.is_empty() {
        return Ok(cases.iter().collect());
    }
    let mut wanted: Vec<&str> = Vec::new();
    for name in names {
        let called = Family::called(name);
        wanted.extend(called.iter().map(|family| family.name));
        // One that only the file knows is picked, and said not to be known.
        let in_file = cases.iter().find(|case| case.family == *name);
        wanted.extend(in_file.map(|case| case.family.as_str()));
        if called.is_empty() && in_file.is_none() {
            let near = crate::topic_name::nearest(name, Family::names().into_iter());
            let near = near.map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
            return Err(CliError::Usage(format!(
                "--family {name}: there is no such family here or in the file.{near}"
            )));
        }
    }
    Ok(cases.iter().filter(|case| wanted.contains(&case.family.as_str())).collect())
}

/// Computes a case and compares every figure that it expects.
fn run_case<'a>(case: &'a Case, tables: &Tables) -> Vec<Line<'a>> {
    let whole = |why: String| vec![Line { case, key: None, outcome: Err(why) }];
    let Some(family) = Family::named(&case.family) else {
        let known = FAMILIES.iter().map(|family| family.name).collect::<Vec<_>>().join(", ");
        return whole(format!(
            "the family `{}` is not known to this release, which knows {known}",
            case.family
        ));
    };
    let Some(tolerance) = Tolerance::parse(&case.tolerance) else {
        let expected = "`rel X` or `abs X`, and `counts exact` beside it";
        return whole(format!(
            "the tolerance is not understood: expected {expected}, found `{}`",
            case.tolerance
        ));
    };
    let question = Question { inputs: &case.inputs, params: &case.params, tables };
    let figures = match (family.compute)(&question) {
        Ok(figures) => figures,
        Err(why) => return whole(why.to_string()),
    };
    let compare = |(key, expected): (&'a String, &Value)| {
        let outcome = figures.0.get(key).map_or_else(
            || Err(format!("the family {} has no such figure", family.name)),
            |got| Ok(Comparison::of(expected, got, tolerance)),
        );
        Line { case, key: Some(key), outcome }
    };
    case.expected.iter().map(compare).collect()
}

impl Line<'_> {
    fn passes(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|comparison| comparison.pass)
    }

    fn json(&self) -> Value {
        let Case { id, family, tolerance, .. } = self.case;
        let mut line = json!({"case": id, "family": family, "key": self.key, "pass": self.passes()});
        match &self.outcome {
            Ok(it) => {
                line["at"] = it.place.as_str().into();
                line["expected"] = it.expected.clone();
                line["got"] = it.got.clone();
                line["difference"] = it.difference.into();
                line["allowed"] = it.allowed.into();
                line["tolerance"] = tolerance.as_str().into();
            }
            Err(why) => line["why"] = why.as_str().into(),
        }
        line
    }
}

fn print_case(case: &Case, lines: &[Line<'_>], context: &Context, out: &mut impl Write) -> io::Result<()> {
    let title = format!("{} ({}, {})", case.id, case.family, case.tolerance);
    writeln!(out, "{}", context.paint.bold(&title))?;
    for line in lines {
        let mark = if line.passes() { "pass".to_owned() } else { context.paint.red("FAIL") };
        let key = line.key.unwrap_or("-");
        match &line.outcome {
            Ok(it) => writeln!(out, "  {mark}  {key}{}: {}", it.place, it.words())?,
            Err(why) => writeln!(out, "  {mark}  {key}: {why}")?,
        }
    }
    // What the case says of itself is what to look at first.
    if lines.iter().any(|line| !line.passes()) && !case.convention.is_empty() {
        writeln!(out, "  {}", context.paint.dim(&format!("the case's convention: {}", case.convention)))?;
    }
    Ok(())
}
