//! Faults that need a process of their own: without rights, without descriptors, on a disk of its
//! own. This test binary starts itself.

use std::env;
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output};

use larder_core::{ByteSize, ErrorKind};

use super::*;

const DIR: &str = "LARDER_FILE_TEST_FAULT_DIR";
const NOBODY: u32 = 65534;

/// A command that runs one test of this binary as a child.
fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", &format!("faults::children::{test}"), "--nocapture"]).env(DIR, dir);
    command
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(is_done(&output), "{}", text(&output));
}

fn is_done(output: &Output) -> bool {
    output.status.success() && text(output).contains("\nchild done")
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

/// The directory of a child, if this is one.
fn my_dir() -> Option<PathBuf> {
    env::var_os(DIR).map(PathBuf::from)
}

/// Says that a test was left out, which would else look like one that passed.
#[expect(clippy::explicit_write, reason = "what the macros print is captured")]
fn skip(test: &str, reason: &str) {
    writeln!(std::io::stderr(), "skipped {test}: {reason}").unwrap();
}

/// Runs a test as somebody whom permissions bind.
fn succeeds_without_rights(test: &str) {
    let outer = tempfile::tempdir().unwrap();
    fs::set_permissions(outer.path(), Permissions::from_mode(0o755)).unwrap();
    let dir = outer.path().join("cache");
    fs::create_dir(&dir).unwrap();
    if chown(&dir, Some(NOBODY), Some(NOBODY)).is_err() {
        // Only root can give a directory away, and only root needs to.
        succeeds(&mut child(test, &dir));
        return;
    }
    // The binary may lie where only root can go.
    let binary = outer.path().join("test");
    fs::copy(env::current_exe().unwrap(), &binary).unwrap();
    let mut command = Command::new(binary);
    command.args(["--exact", &format!("faults::children::{test}"), "--nocapture"]).env(DIR, &dir);
    succeeds(command.current_dir("/").uid(NOBODY).gid(NOBODY));
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Not a test by itself.
#[test]
fn child_may_not_write() {
    let Some(dir) = my_dir() else { return };
    let backend = open(&dir);
    set(&backend, "42", b"old");
    let shard = only_file(&dir).parent().unwrap().to_owned();
    set(&backend, "43", b"other");
    permit(&shard, 0o500);
    let error = now(backend.set("42", entry(b"new"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert_eq!(
        get(&backend, "42"),
        None,
        "the old value cannot be removed, but not returned either"
    );
    assert!(!now(backend.touch("42", Default::default())).unwrap());
    let degraded = now(backend.health()).unwrap().degraded;
    assert_eq!(degraded.as_deref(), Some("`1` files could not be removed"));
    assert_eq!(get(&backend, "43"), Some(entry(b"other")));
    permit(&shard, 0o700);
    assert_eq!(get(&backend, "42"), None);
    assert_eq!(entry_files(&dir).len(), 1, "it was removed as soon as that could be done");
    assert_eq!(now(backend.health()).unwrap().degraded, None);
    set(&backend, "42", b"new");
    assert_eq!(get(&backend, "42"), Some(entry(b"new")));
    println!("\nchild done");
}

#[test]
fn in_a_read_only_directory_writes_fail_and_reads_go_on() {
    succeeds_without_rights("child_may_not_write");
}

/// Not a test by itself.
#[test]
fn child_may_not_enter() {
    let Some(dir) = my_dir() else { return };
    let backend = open(&dir);
    set(&backend, "42", b"value");
    let file = only_file(&dir);
    let shard = file.parent().unwrap();
    for lost in [shard, &dir.join("v1"), &dir] {
        permit(lost, 0);
        let error = now(backend.get("42")).map(|found| assert_eq!(found, None)).err();
        assert!(error.is_none_or(|error| error.kind() == ErrorKind::Connection));
        let error = now(backend.set("43", entry(b"value"))).err();
        assert!(error.is_none_or(|error| error.kind() == ErrorKind::Connection));
        permit(lost, 0o700);
        assert_eq!(get(&backend, "42"), Some(entry(b"value")), "{}", lost.display());
    }
    permit(&file, 0);
    assert_eq!(get(&backend, "42"), None, "what its owner cannot read is removed");
    assert!(!file.exists());
    println!("\nchild done");
}

#[test]
fn permissions_that_are_lost_are_errors_or_misses_until_they_are_back() {
    succeeds_without_rights("child_may_not_enter");
}

/// Not a test by itself.
#[test]
fn child_has_no_descriptors() {
    let Some(dir) = my_dir() else { return };
    let backend = open(&dir);
    for key in ["42", "43"] {
        set(&backend, key, b"old");
    }
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    for _ in 0..2 {
        for result in [
            now(backend.set("42", entry(b"new"))),
            now(backend.get("43")).map(|_| ()),
            now(backend.delete("43")).map(|_| ()),
            now(backend.touch("43", Default::default())).map(|_| ()),
        ] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Connection);
        }
        assert_eq!(get_or_error(&backend, "42"), None, "the write failed");
    }
    drop(taken);
    assert_eq!(get(&backend, "42"), None, "neither the old value nor the new one");
    assert_eq!(get(&backend, "43"), Some(entry(b"old")));
    set(&backend, "42", b"new");
    assert_eq!(get(&backend, "42"), Some(entry(b"new")));
    assert_eq!(corrupt(&backend), 0);
    println!("\nchild done");
}

fn get_or_error(backend: &FileBackend, key: &str) -> Option<Entry> {
    now(backend.get(key)).unwrap_or(None)
}

#[test]
fn without_descriptors_calls_fail_and_nothing_is_lost_or_mixed_up() {
    let (_outer, dir) = temporary();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]).arg(env::current_exe().unwrap());
    let test = "faults::children::child_has_no_descriptors";
    succeeds(command.args(["--exact", test, "--nocapture"]).env(DIR, &dir));
}

/// Not a test by itself: what a child does on a disk of 4 MiB.
#[test]
fn child_fills_the_disk() {
    let Some(disk) = my_dir() else { return };
    let (dir, foreign) = (disk.join("cache"), disk.join("foreign"));
    let clock = ManualClock::new();
    let backend = open_at(&dir, &clock);
    let value = |number: u64| number.to_be_bytes().repeat(1000);
    for number in 0..1000 {
        set(&backend, &format!("key:{number}"), &value(number));
        if let Some(found) = get(&backend, &format!("key:{}", number / 2)) {
            assert_eq!(found.value, value(number / 2));
        }
    }
    assert!(entry_files(&dir).len() > 200, "no more went than had to");
    // Somebody else takes what is left. The old value is too short to make room for another one.
    now(backend.clear()).unwrap();
    set(&backend, "42", b"old");
    let mut other = File::create(&foreign).unwrap();
    while other.write_all(&[7; 4096]).is_ok() {}
    let error = now(backend.set("42", entry(&value(8)))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity, "{error}");
    assert_eq!(get(&backend, "42"), None, "neither the old value nor a part of the new one");
    assert!(now(backend.health()).unwrap().degraded.is_some());
    drop(other);
    fs::remove_file(&foreign).unwrap();
    now(backend.set("42", entry(b"new"))).unwrap_err();
    clock.advance(Duration::from_secs(60));
    set(&backend, "42", b"new");
    assert_eq!(get(&backend, "42"), Some(entry(b"new")), "there is room again");
    assert!(files_below(&dir.join("v1/tmp")).is_empty());
    println!("\nchild done");
}

/// Not a test by itself: what a child does that leaves half of a disk of 4 MiB to others.
#[test]
fn child_keeps_a_reserve() {
    let Some(disk) = my_dir() else { return };
    let mut config = FileConfig::new(disk.join("cache"));
    config.min_free = Some(ByteSize(2 << 20));
    let backend = build(config, &BuildContext::new("users")).unwrap();
    for number in 0..1000 {
        set(&backend, &format!("key:{number}"), &[7; 8000]);
    }
    // What is left is told by what somebody else can write.
    let mut other = File::create(disk.join("foreign")).unwrap();
    let written = (0..1024).take_while(|_| other.write_all(&[7; 4096]).is_ok()).count();
    assert!(written >= 400, "{written} blocks of 4 KiB");
    assert!(entry_files(&disk.join("cache")).len() > 100, "no more went than had to");
    println!("\nchild done");
}

/// Runs a test on a small disk in memory that nobody else sees.
fn succeeds_on_a_small_disk(test: &str) {
    let outer = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=4m,mode=700 tmpfs \"$LARDER_FILE_TEST_FAULT_DIR\" \
                  || { echo cannot mount; exit 1; }; exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(env::current_exe().unwrap());
    command.args(["--exact", &format!("faults::children::{test}"), "--nocapture"]);
    let Ok(output) = command.env(DIR, outer.path()).output() else {
        return skip(test, "there is no `unshare`");
    };
    let text = text(&output);
    if text.contains("cannot mount") || text.contains("unshare failed") {
        return skip(test, "only root can mount a disk");
    }
    assert!(is_done(&output), "{text}");
}

#[test]
fn a_full_disk_costs_entries_and_then_writes_but_never_wrong_values() {
    succeeds_on_a_small_disk("child_fills_the_disk");
}

#[test]
fn the_reserve_is_left_on_the_disk() {
    succeeds_on_a_small_disk("child_keeps_a_reserve");
}

/// Not a test by itself: takes a lease, says so, and waits to be killed.
#[test]
fn child_holds_a_lease() {
    let Some(dir) = my_dir() else { return };
    let backend = open(&dir);
    let lease = now(backend.lease("42", Duration::from_secs(3600))).unwrap();
    assert!(matches!(lease, Lease::Granted { .. }));
    println!("\nleased");
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn the_lease_of_a_process_that_was_killed_is_free_at_once() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    let (_outer, dir) = temporary();
    let backend = open(&dir);
    let mut command = child("child_holds_a_lease", &dir);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "leased"));
    let lease = || now(backend.lease("42", Duration::from_secs(60))).unwrap();
    assert!(matches!(lease(), Lease::Held { .. }));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(matches!(lease(), Lease::Granted { .. }));
}
