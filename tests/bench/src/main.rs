//! `larder-bench [hit] [config] [--json]`: Larder next to its peers, as ratios; see
//! `docs/benchmarks.md`.

use std::error::Error;
use std::process::ExitCode;
use std::{env, io};

use crate::report::{Format, Report};

mod config;
mod harness;
mod hit;
mod report;
mod texts;

/// Why a measurement could not be made.
type Failure = Box<dyn Error + Send + Sync>;

/// What to measure and how to say it.
#[derive(Clone, Copy, Debug)]
struct Request {
    config: bool,
    hit: bool,
    format: Format,
}

fn main() -> Result<ExitCode, Failure> {
    let Some(request) = parse(env::args().skip(1)) else {
        eprintln!("usage: larder-bench [hit] [config] [--json]");
        return Ok(ExitCode::from(2));
    };
    let mut report = Report::begin(io::stdout().lock(), request.format)?;
    if request.config {
        config::run(&mut report)?;
    }
    if request.hit {
        hit::run(&mut report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the arguments; without a case all of them run. `None` for one that is not known.
fn parse(arguments: impl Iterator<Item = String>) -> Option<Request> {
    let mut request = Request { config: false, hit: false, format: Format::Table };
    for argument in arguments {
        match argument.as_str() {
            "config" => request.config = true,
            "hit" => request.hit = true,
            "--json" => request.format = Format::JsonLines,
            _ => return None,
        }
    }
    if !request.config && !request.hit {
        (request.config, request.hit) = (true, true);
    }
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Option<Request> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn without_a_case_all_of_them_run() {
        let request = parsed("--json").unwrap();
        assert!(request.config && request.hit);
        assert_eq!(request.format, Format::JsonLines);
    }

    #[test]
    fn a_named_case_runs_alone_and_an_unknown_one_is_refused() {
        let request = parsed("hit").unwrap();
        assert!(request.hit && !request.config);
        assert!(parsed("hits").is_none());
    }
}
