//! Several real processes on one directory: this test binary starts itself.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use larder_core::ErrorKind;

use super::*;

const DIR: &str = "LARDER_FILE_TEST_DIR";
const LIMITED_DIR: &str = "LARDER_FILE_TEST_LIMITED_DIR";
const SEED: &str = "LARDER_FILE_TEST_SEED";
const KEYS: u64 = 8;

/// A value that tells whether it is complete: its number, over and over.
fn value(number: u64) -> Vec<u8> {
    let size = usize::try_from(number * 7919 % 40_000).unwrap() + 1;
    number.to_be_bytes().repeat(size)
}

fn number_of(found: &Entry) -> u64 {
    let number = u64::from_be_bytes(found.value[..8].try_into().unwrap());
    assert_eq!(found.value, value(number), "the value is torn");
    number
}

/// Not a test by itself: what a child does. Writes until it is killed, and says what is written.
#[test]
fn child_writes() {
    let Ok(dir) = env::var(DIR) else { return };
    let seed = env::var(SEED).unwrap().parse().unwrap();
    let mut random = fastrand::Rng::with_seed(seed);
    let backend = open(Path::new(&dir));
    let mut out = std::io::stdout();
    for number in 1.. {
        let key = random.u64(..KEYS);
        set(&backend, &key.to_string(), &value(number));
        writeln!(out, "\nwritten {key} {number}").unwrap();
    }
}

fn start(dir: &Path, seed: u64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "processes::child_writes", "--nocapture"])
        .env(DIR, dir)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_clear_holds_while_another_process_writes() {
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    set(&backend, "mine", b"value");
    let mut child = start(&dir, 7);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut wait_for_write = || {
        let written = lines.find_map(|line| {
            let line = line.unwrap();
            let rest = line.strip_prefix("written ")?.to_owned();
            let (_, number) = rest.split_once(' ')?;
            number.parse::<u64>().ok()
        });
        written.expect("the child goes on writing")
    };
    let mut last = 0;
    for _ in 0..30 {
        last = last.max(wait_for_write());
        now(backend.clear()).unwrap();
        assert_eq!(get(&backend, "mine"), None);
        for key in 0..KEYS {
            if let Some(found) = get(&backend, &key.to_string()) {
                assert!(number_of(&found) > last, "it was there before the clear");
            }
        }
        set(&backend, "mine", b"value");
        assert_eq!(get(&backend, "mine"), Some(entry(b"value")));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Not a test by itself: what a child does whose files may have 64 KiB at most.
#[test]
fn child_meets_a_limit() {
    let Ok(dir) = env::var(LIMITED_DIR) else {
        return;
    };
    let dir = Path::new(&dir);
    let backend = open(dir);
    for number in 0..40 {
        set(&backend, &format!("other:{number}"), b"value");
    }
    set(&backend, "42", b"old");
    let error = now(backend.set("42", entry(&[1; 100_000]))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity, "{error}");
    assert_eq!(get(&backend, "42"), None, "neither the old value nor a part of the new one");
    assert!(files_below(&dir.join("v1/tmp")).is_empty());
    assert_eq!(entry_files(dir).len(), 40, "one file is too long; that the others go helps nobody");
    set(&backend, "42", &[1; 50_000]);
    assert_eq!(get(&backend, "42"), Some(entry(&[1; 50_000])));
    println!("\nchild done");
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_in_the_middle_of_a_write_leaves_nothing() {
    let (_outer, dir) = temporary();
    // The limit counts blocks of 512 bytes; signal 25 (XFSZ) would end the child.
    let script = "trap '' 25; ulimit -f 128; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "processes::child_meets_a_limit", "--nocapture"])
        .env(LIMITED_DIR, &dir)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("\nchild done"), "{text}{errors}");
}
