//! Four processes write to one directory, and are killed at random: this test binary starts itself.
//!
//! With `LARDER_SOAK` set there are ten times as many kills.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

use larder_core::backend::Deadlines;

use super::*;

const DIR: &str = "LARDER_FILE_TEST_KILLS_DIR";
const WRITER: &str = "LARDER_FILE_TEST_WRITER";
const FIRST: &str = "LARDER_FILE_TEST_FIRST";
const SEED: &str = "LARDER_FILE_TEST_SEED";
const WRITERS: u64 = 4;
const KEYS: u64 = 8;

/// A value that tells whether it is complete and whose it is: a key and a number, over and over.
fn value(key: &str, number: u64) -> Vec<u8> {
    let size = usize::try_from(number * 7919 % 600).unwrap() + 1;
    format!("{key}={number:016x};").repeat(size).into_bytes()
}

fn number_of(key: &str, found: &Entry) -> u64 {
    let text = std::str::from_utf8(&found.value).unwrap();
    let first = text.split(';').next().unwrap();
    let number = first.strip_prefix(key).and_then(|rest| rest.strip_prefix('='));
    let number = number.unwrap_or_else(|| panic!("the value of another key: {first}"));
    let number = u64::from_str_radix(number, 16).unwrap();
    assert_eq!(found.value, value(key, number), "the value is torn");
    number
}

fn own_key(writer: u64, key: u64) -> String {
    format!("own:{writer}:{key}")
}

fn shared_key(key: u64) -> String {
    format!("shared:{key}")
}

/// Not a test by itself: what a child does. Changes keys of its own, which nobody else does, and
/// keys that all change, until it is killed; says of its own keys what is written.
#[test]
fn child_writes() {
    let Ok(dir) = env::var(DIR) else { return };
    let number = |name| env::var(name).unwrap().parse::<u64>().unwrap();
    let (writer, first) = (number(WRITER), number(FIRST));
    let mut random = fastrand::Rng::with_seed(number(SEED));
    let backend = open(Path::new(&dir));
    let mut out = std::io::stdout();
    for number in first.. {
        let key = random.u64(..KEYS);
        let own = own_key(writer, key);
        set(&backend, &own, &value(&own, number));
        writeln!(out, "\nwritten {key} {number}").unwrap();
        let shared = shared_key(random.u64(..KEYS));
        match random.u8(..10) {
            0 => drop(now(backend.delete(&shared)).unwrap()),
            1 => drop(now(backend.touch(&shared, Deadlines::default())).unwrap()),
            2 => drop(now(backend.lease(&shared, Duration::from_secs(60))).unwrap()),
            3 => {
                let mut newer = entry(&value(&shared, number));
                newer.meta.stamp.origin = u32::try_from(number).unwrap();
                now(backend.put_if_newer(&shared, newer)).unwrap();
            }
            _ => set(&backend, &shared, &value(&shared, number)),
        }
        if let Some(found) = get(&backend, &shared) {
            number_of(&shared, &found);
        }
    }
}

/// A child, and the thread that hears it: what it says of a key and a number.
struct Writer {
    number: u64,
    child: Child,
    heard: Receiver<(u64, u64)>,
    listener: JoinHandle<()>,
}

impl Writer {
    fn start(dir: &Path, number: u64, first: u64, seed: u64) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "kills::child_writes", "--nocapture"])
            .env(DIR, dir)
            .env(WRITER, number.to_string())
            .env(FIRST, first.to_string())
            .env(SEED, seed.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (say, heard) = mpsc::channel();
        let listener = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // The last line may be cut off by the kill, but not so that it is another number:
                // lines are written with one call.
                let Some(said) = line.strip_prefix("written ") else { continue };
                let Some((key, number)) = said.split_once(' ') else { continue };
                if let (Ok(key), Ok(number)) = (key.parse(), number.parse()) {
                    // Nobody listens any more once the test has failed.
                    say.send((key, number)).ok();
                }
            }
        });
        Self { number, child, heard, listener }
    }

    /// Kills it after it wrote so often; all it said.
    fn kill_after(mut self, count: usize) -> Vec<(u64, u64)> {
        let mut said: Vec<_> = self.heard.iter().take(count).collect();
        assert_eq!(said.len(), count, "it goes on writing until it is killed");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.listener.join().unwrap();
        said.extend(self.heard.try_iter());
        said
    }
}

#[test]
fn after_any_number_of_kills_every_entry_is_complete_and_as_new_as_was_said() {
    let rounds = if env::var_os("LARDER_SOAK").is_some() { 10_000 } else { 1000 };
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    let mut said = BTreeMap::new();
    let mut writers: Vec<_> =
        (0..WRITERS).map(|writer| Writer::start(&dir, writer, 1, random.u64(..))).collect();
    for round in 0..rounds {
        let index = random.usize(..writers.len());
        let killed = writers.swap_remove(index);
        let writer = killed.number;
        let mut last = 0;
        for (key, number) in killed.kill_after(random.usize(1..10)) {
            said.insert((writer, key), number);
            last = number;
        }
        let key = random.u64(..KEYS);
        if let Some(found) = get(&backend, &shared_key(key)) {
            number_of(&shared_key(key), &found);
        }
        let own = own_key(writer, key);
        let found = get(&backend, &own).map(|found| number_of(&own, &found));
        assert!(found >= said.get(&(writer, key)).copied(), "round {round}: {own} was lost");
        // The number after the last one may be written, but not said.
        writers.push(Writer::start(&dir, writer, last + 2, random.u64(..)));
    }
    for writer in writers {
        writer.kill_after(1);
    }
    for ((writer, key), number) in said {
        let own = own_key(writer, key);
        let found = get(&backend, &own).map(|found| number_of(&own, &found));
        assert!(found >= Some(number), "{own} was lost");
    }
    assert_eq!(corrupt(&backend), 0, "a kill tears nothing");
    nothing_is_left_over(&backend, &dir);
}

/// What the killed ones left is removed, and the counters are right again after a while.
fn nothing_is_left_over(backend: &FileBackend, dir: &Path) {
    now(backend.start()).unwrap();
    assert_eq!(files_below(&dir.join("v1/tmp")), Vec::<PathBuf>::new());
    assert_eq!(files_below(&dir.join("v1/leases")), Vec::<PathBuf>::new());
    let writers = files_below(&dir.join("v1/locks"));
    let writers = writers.iter().filter(|path| path.to_string_lossy().contains("/w-"));
    assert_eq!(writers.count(), 1, "only this process lives");
    for number in 0..=u8::MAX {
        set(backend, "counted", &[number]);
    }
    let health = now(backend.health()).unwrap();
    assert_eq!(health.entries, Some(entry_files(dir).len() as u64));
}
