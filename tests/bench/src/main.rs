//! `larder-bench [peers [--case NAME] [--threads N,…]] [overhead] [config]
//! [file [--entries N] [--dir DIR]] [plugins] [redis [--part NAME]] [--json]`: Larder next to its
//! peers, as ratios; see `docs/benchmarks.md`.

use std::error::Error;
use std::process::ExitCode;
use std::{env, io};

use crate::peers::{Case, Threads};
use crate::redis::Part;
use crate::report::{Format, Report};

mod config;
mod contest;
mod file;
mod harness;
mod keys;
mod overhead;
mod peers;
mod plugins;
mod redis;
mod report;
mod tables;
mod texts;

/// Why a measurement could not be made.
type Failure = Box<dyn Error + Send + Sync>;

/// What to measure and how to say it.
#[derive(Clone, Debug)]
struct Request {
    config: bool,
    file: Option<file::Options>,
    overhead: bool,
    peers: Vec<Case>,
    plugins: bool,
    redis: Vec<Part>,
    threads: Threads,
    format: Format,
}

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some((file::CHILD, rest)) = arguments.split_first().map(|(word, rest)| (&**word, rest)) {
        file::run_child(rest)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(request) = parse(arguments.into_iter()) else {
        let cases = Case::ALL.map(Case::name).join(", ");
        eprintln!(
            "usage: larder-bench [peers [--case NAME] [--threads N,…]] [overhead] [config] \
             [file [--entries N] [--dir DIR]] [plugins] [redis [--part NAME]] [--json]"
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
    if let Some(options) = request.file {
        file::run(&mut report, &options)?;
    }
    if request.plugins {
        plugins::run(&mut report)?;
    }
    for part in request.redis {
        part.run(&mut report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the arguments; without a subject all of them run but `file`, which fills the disk,
/// `plugins`, which needs a C compiler, and `redis`, which needs a server. `None` for what is not
/// known, and for what belongs to a subject that is not named.
fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Request> {
    let (mut config, mut overhead, mut peers, mut redis) = (false, false, false, false);
    let (mut plugins, mut parts) = (false, Vec::new());
    let (mut file, mut file_options) = (false, file::Options::default());
    let mut cases = Vec::new();
    let mut threads = Threads::default();
    let mut format = Format::Table;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "config" => config = true,
            "file" => file = true,
            "overhead" => overhead = true,
            "peers" => peers = true,
            "plugins" => plugins = true,
            "redis" => redis = true,
            "--case" => cases.push(Case::named(&arguments.next()?)?),
            "--part" => parts.push(Part::named(&arguments.next()?)?),
            "--threads" => threads = Threads(Some(counts(&arguments.next()?)?)),
            "--entries" => file_options.entries = arguments.next()?.parse().ok()?,
            "--dir" => file_options.dir = Some(arguments.next()?.into()),
            "--json" => format = Format::JsonLines,
            _ => return None,
        }
    }
    if !peers && (!cases.is_empty() || threads != Threads::default()) {
        return None;
    }
    if !file && file_options != file::Options::default() {
        return None;
    }
    if !redis && !parts.is_empty() {
        return None;
    }
    if redis && parts.is_empty() {
        parts = Part::REPORTING.to_vec();
    }
    if !config && !file && !overhead && !peers && !plugins && !redis {
        (config, overhead, peers) = (true, true, true);
    }
    if peers && cases.is_empty() {
        cases = Case::ALL.to_vec();
    }
    let file = file.then_some(file_options);
    Some(Request { config, file, overhead, peers: cases, plugins, redis: parts, threads, format })
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
    fn files_are_measured_only_when_they_are_named() {
        assert_eq!(parsed("").unwrap().file, None);
        let request = parsed("file --entries 10 --dir /var/cache").unwrap();
        let options = file::Options { entries: 10, dir: Some("/var/cache".into()) };
        assert_eq!(request.file, Some(options));
        assert!(!request.config && !request.overhead && request.peers.is_empty());
    }

    #[test]
    fn redis_is_measured_only_when_it_is_named() {
        assert!(parsed("").unwrap().redis.is_empty());
        let request = parsed("redis").unwrap();
        assert_eq!(request.redis, Part::REPORTING);
        assert!(!request.config && !request.overhead);
        assert!(request.peers.is_empty() && request.file.is_none());
    }

    #[test]
    fn a_named_part_of_redis_is_measured_alone() {
        assert_eq!(parsed("redis --part gets").unwrap().redis, [Part::Gets]);
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
            "config --entries 10",
            "redis --part hits",
            "config --part gets",
            "file --entries many",
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
