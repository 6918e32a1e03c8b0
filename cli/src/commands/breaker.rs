//! `tapewatch breaker resume|skip`.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use tapewatch_consumers::workers::NAMES;

use super::words;
use crate::{CliError, Context};

/// What to do with a breaker.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Close an open breaker by hand: what is bad so far goes into one range letter, and the source is read
    /// again. It is journalled with who did it and why
    Resume(Close),
    /// Give up what stands before an open breaker, good records too, and close it behind them: each is counted as
    /// skipped, and it is journalled with who did it and why. What rests on fills that were skipped is unknown until
    /// positions say it
    Skip {
        /// Whose breaker, and who decides it
        #[command(flatten)]
        close: Close,
        /// Give up only what is below this offset [default: all that there is now]
        #[arg(long, value_name = "OFFSET")]
        to: Option<i64>,
    },
}

/// Whose breaker, and who decides it.
#[derive(Clone, Debug, Args)]
pub struct Close {
    /// The worker
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
    worker: String,
    /// The source, such as exec.reports.v1/3
    #[arg(value_name = "TOPIC/PARTITION")]
    source: String,
    /// The worker's admin endpoint, as it prints it at the start
    #[arg(long, value_name = "HOST:PORT")]
    admin: String,
    /// Who decides it
    #[arg(long, value_name = "NAME")]
    who: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: String,
}

/// How long the worker may take to answer: it answers once the rounds are journalled, or after 30 s that they are not yet.
const PATIENCE: Duration = Duration::from_secs(40);
/// The longest answer that is read, bytes.
const LONGEST: u64 = 64 * 1024;

/// Runs it.
pub fn run(command: Command, _context: &Context) -> Result<ExitCode, CliError> {
    let (what, close, to) = match command {
        Command::Resume(close) => ("resume", close, None),
        Command::Skip { close, to } => ("skip", close, to.map(|to| to.to_string())),
    };
    let Close { worker, source, admin, who, why } = close;
    words("who", &who)?;
    words("why", &why)?;
    let (topic, partition) = source
        .rsplit_once('/')
        .filter(|(_, partition)| partition.parse::<i32>().is_ok())
        .ok_or_else(|| CliError::Usage(format!("`{source}` is no source: expected TOPIC/PARTITION")))?;
    let address = admin.trim_start_matches("http://").trim_end_matches('/');
    let asked = [
        ("worker", worker.as_str()),
        ("topic", topic),
        ("partition", partition),
        ("who", &who),
        ("why", &why),
    ];
    let asked = asked.into_iter().chain(to.as_deref().map(|to| ("to", to)));
    let query: Vec<String> = asked.map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    let answer = post(address, &format!("/breaker/{what}?{}", query.join("&"))).map_err(|error| {
        CliError::Away(format!(
            "{worker}'s admin endpoint {address} does not answer: {error}. Is the worker running, and is that the \
             address that it prints at its start?"
        ))
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status.starts_with('2') {
        writeln!(io::stdout(), "{}", body.trim())?;
        Ok(ExitCode::SUCCESS)
    } else {
        Err(CliError::Failed(format!("{worker} at {address} answered {status}: {}", body.trim())))
    }
}

fn post(address: &str, target: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer)?;
    Ok(answer)
}

/// Percent-encoding of everything but letters, digits and `-._~` (RFC 3986).
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(byte.into()),
            other => write!(escaped, "%{other:02X}").expect("writing to a string does not fail"),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_escaped() {
        assert_eq!(escaped("a b&c=ü"), "a%20b%26c%3D%C3%BC");
    }
}
