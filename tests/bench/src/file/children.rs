//! What takes processes of their own: the memory of an idle one, and several that write.
//!
//! The program starts itself with the word `file-child`.

use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use larder::Blocking;

use super::sides::builder;
use super::{key, value};
use crate::Failure;
use crate::report::{Report, Row, Unit};

/// The word that makes this program a child.
pub(crate) const WORD: &str = "file-child";

const WRITERS: u64 = 4;
const WRITES: u64 = 5000;

/// How many keys all writers share.
const SHARED: u64 = 64;

/// How many entries the directory has that an idle process is compared with.
const FEW: u64 = 100;

/// What a child does: `idle DIR` says how much memory it has, `write DIR NUMBER` writes.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    match arguments {
        [word, dir] if word == "idle" => {
            let cache = open(Path::new(dir))?;
            cache.get(&key(0))?.ok_or("the first entry is missing")?;
            let memory = resident()?;
            writeln!(std::io::stdout(), "{memory}")?;
            Ok(())
        }
        [word, dir, number] if word == "write" => write(Path::new(dir), number.parse()?),
        _ => Err("unknown work of a child".into()),
    }
}

/// Keys of one's own, which must not get lost, in turn with keys that all write.
fn write(dir: &Path, writer: u64) -> Result<(), Failure> {
    let cache = open(dir)?;
    for number in 0..WRITES {
        cache.set(&own_key(writer, number), value(number))?;
        cache.set(&key(number % SHARED), value(number))?;
        if let Some(found) = cache.get(&key(number * 7 % SHARED))? {
            check(&found, number * 7 % SHARED)?;
        }
    }
    Ok(())
}

/// Several processes write in one directory; how many values were lost or mixed, which must be
/// none.
pub(crate) fn writers<W: Write>(report: &mut Report<W>, dir: &Path) -> Result<(), Failure> {
    let children: Vec<Child> = (0..WRITERS)
        .map(|writer| child(&["write", &dir.display().to_string(), &writer.to_string()]))
        .collect::<Result<_, _>>()?;
    for mut child in children {
        if !child.wait()?.success() {
            return Err("a writer failed; what it said stands above".into());
        }
    }
    let cache = open(dir)?;
    let mut wrong = 0_u32;
    for writer in 0..WRITERS {
        for number in 0..WRITES {
            let found = cache.get(&own_key(writer, number))?;
            wrong += u32::from(found.is_none_or(|found| found != value(number)));
        }
    }
    for number in 0..SHARED {
        let found = cache.get(&key(number))?;
        wrong += u32::from(found.is_none_or(|found| check(&found, number).is_err()));
    }
    let case = format!("file wrong of {WRITERS} writers");
    report.add(&Row::none_of(case, wrong))?;
    Ok(())
}

/// The memory of a process that has opened a directory with many entries, next to one with few.
pub(crate) fn idle<W: Write>(
    report: &mut Report<W>,
    scratch: &Path,
    entries: u64,
) -> Result<(), Failure> {
    let mut memory = [0.0; 2];
    for (memory, (name, count)) in memory.iter_mut().zip([("many", entries), ("few", FEW)]) {
        let dir = scratch.join(name);
        let cache = open(&dir)?;
        for number in 0..count {
            // As small as can be: the disk gives a block to each anyway.
            cache.set(&key(number), String::new())?;
        }
        let output = child(&["idle", &dir.display().to_string()])?.wait_with_output()?;
        *memory = String::from_utf8(output.stdout)?.trim().parse()?;
    }
    let case = format!("file idle {entries} entries");
    report.add(&Row::next_to(case, Unit::Bytes, memory[0], memory[1], "100 entries"))?;
    Ok(())
}

fn open(dir: &Path) -> Result<Blocking<String, String>, Failure> {
    Ok(builder(dir, "").build_blocking()?.cache("bench")?.blocking())
}

fn own_key(writer: u64, number: u64) -> String {
    format!("writer:{writer}:{number}")
}

/// Whether a value is one that somebody wrote under the shared key of this number.
fn check(found: &str, of_key: u64) -> Result<(), Failure> {
    let number = found.get(..16).and_then(|number| u64::from_str_radix(number, 16).ok());
    match number {
        Some(number) if number % SHARED == of_key && found == value(number) => Ok(()),
        _ => Err(format!("the value of `{}` is mixed", key(of_key)).into()),
    }
}

fn child(arguments: &[&str]) -> Result<Child, Failure> {
    let mut command = Command::new(env::current_exe()?);
    Ok(command.arg(WORD).args(arguments).stdout(Stdio::piped()).spawn()?)
}

/// The memory of this process that is in use, in bytes.
fn resident() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .ok_or("the system does not say how much memory the process has")?
        .trim()
        .parse()?;
    Ok(kilobytes * 1024)
}
