//! `larder-bench [peers [--case NAME] [--threads N,…]] [overhead] [config] [--json]`: Larder next
//! to its peers, as ratios; see `docs/benchmarks.md`.

use std::error::Error;
use std::process::ExitCode;
use std::{env, io};

use crate::peers::{Case, Threads};
use crate::report::{Format, Report};

mod config;
mod contest;
mod harness;
mod keys;
mod overhead;
mod peers;
mod report;
mod tables;
mod texts;

/// Why a measurement could not be made.
type Failure = Box<dyn Error + Send + Sync>;

/// What to measure and how to say it.
#[derive(Clone, Debug)]
struct Request {
    config: bool,
    overhead: bool,
    peers: Vec<Case>,
    threads: Threads,
    format: Format,
}

fn main() -> Result<ExitCode, Failure> {
    let Some(request) = parse(env::args().skip(1)) else {
        let cases = Case::ALL.map(Case::name).join(", ");
        eprintln!(
            "usage: larder-bench [peers [--case NAME] [--threads N,…]] [overhead] [config] [--json]"
        );
        eprintln!("cases of `peers`: {cases}");
        eprintln!("`--threads` is for the cases cloudflare, hit and scale");
        return Ok(ExitCode::from(2));
    };
    let mut report = Report::begin(io::stdout().lock(), request.format)?;
    for case in request.peers {
        case.run(&mut report, &request.threads)?;
    }
    if request.overhead {
        overhead::run(&mut report)?;
    }
    if request.config {
        config::run(&mut report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the arguments; without a subject all of them run. `None` for what is not known, and for
/// a case or threads without `peers`.
fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Request> {
    let (mut config, mut overhead, mut peers) = (false, false, false);
    let mut cases = Vec::new();
    let mut threads = Threads::default();
    let mut format = Format::Table;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "config" => config = true,
            "overhead" => overhead = true,
            "peers" => peers = true,
            "--case" => cases.push(Case::named(&arguments.next()?)?),
            "--threads" => threads = Threads(Some(counts(&arguments.next()?)?)),
            "--json" => format = Format::JsonLines,
            _ => return None,
        }
    }
    if !peers && (!cases.is_empty() || threads != Threads::default()) {
        return None;
    }
    if !config && !overhead && !peers {
        (config, overhead, peers) = (true, true, true);
    }
    if peers && cases.is_empty() {
        cases = Case::ALL.to_vec();
    }
    Some(Request { config, overhead, peers: cases, threads, format })
}

/// Reads numbers with commas in between; none of them may be zero.
fn counts(text: &str) -> Option<Vec<usize>> {
    let count = |text: &str| text.parse().ok().filter(|count| *count > 0);
    text.split(',').map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Option<Request> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn without_a_subject_all_of_them_run() {
        let request = parsed("--json").unwrap();
        assert!(request.config && request.overhead);
        assert_eq!(request.peers, Case::ALL);
        assert_eq!(request.format, Format::JsonLines);
    }

    #[test]
    fn a_named_case_runs_alone() {
        let request = parsed("peers --case hit").unwrap();
        assert!(!request.config && !request.overhead);
        assert_eq!(request.peers, [Case::Hit]);
    }

    #[test]
    fn the_numbers_of_threads_can_be_chosen() {
        let request = parsed("peers --case scale --threads 4,16").unwrap();
        assert_eq!(request.peers, [Case::Scale]);
        assert_eq!(request.threads, Threads(Some(vec![4, 16])));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for line in [
            "hits",
            "peers --case hits",
            "peers --case",
            "--case hit",
            "config --case hit",
            "peers --threads",
            "peers --threads 0",
            "peers --threads 2,x",
            "overhead --threads 2",
        ] {
            assert!(parsed(line).is_none(), "{line}");
        }
    }

    #[test]
    fn every_case_answers_to_its_name() {
        for case in Case::ALL {
            assert_eq!(Case::named(case.name()), Some(case));
        }
    }
}
