//! Directories that must not be used, and disks that refuse.

use std::fs;

use larder_core::{CacheError, ErrorKind, KeyPath};

use super::*;

fn refusal(config: RedbConfig) -> CacheError {
    let error = build(config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("hint: "), "{error}");
    error
}

#[test]
fn a_path_that_is_a_file_is_refused() {
    let (_outer, dir) = temporary();
    fs::write(&dir, "text").unwrap();
    assert_eq!(refusal(config(&dir)).context("found"), Some("a file"));
    assert_eq!(fs::read(&dir).unwrap(), b"text");
}

#[cfg(unix)]
#[test]
fn a_link_is_refused() {
    let (outer, dir) = temporary();
    std::os::unix::fs::symlink(outer.path(), &dir).unwrap();
    assert_eq!(refusal(config(&dir)).context("found"), Some("a symbolic link"));
}

#[cfg(unix)]
#[test]
fn a_directory_that_others_can_change_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_outer, dir) = temporary();
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o770)).unwrap();
    assert_eq!(refusal(config(&dir)).context("found"), Some("mode 770"));
}

#[test]
fn a_directory_with_other_files_is_refused_and_left_alone() {
    let (_outer, dir) = temporary();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("letter.txt"), "text").unwrap();
    assert_eq!(refusal(config(&dir)).context("found"), Some("letter.txt"));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
}

#[test]
fn a_second_cache_on_the_directory_is_refused_until_the_first_is_closed() {
    let (_outer, dir) = temporary();
    let first = open(&dir);
    set(&first, "a", b"value");
    assert!(refusal(config(&dir)).message().contains("in use"));
    assert_eq!(get(&first, "a"), Some(entry(b"value")), "the first one goes on");
    now(first.close()).unwrap();
    open(&dir);
}

#[test]
fn options_without_sense_are_named() {
    let mut config = RedbConfig::new("");
    (config.max_entries, config.max_bytes) = (Some(0), Some(ByteSize(0)));
    let problems = config.validate(&KeyPath::root()).unwrap_err();
    let text = format!("{problems:?}");
    assert!(text.contains("the directory is empty"), "{text}");
    assert_eq!(text.matches("leaves no room").count(), 2, "{text}");
}

/// Not a test by itself: what a child does whose files may have 256 KiB at most.
#[test]
fn child_meets_a_limit() {
    let Ok(dir) = std::env::var("LARDER_REDB_TEST_LIMITED_DIR") else { return };
    let backend = build(RedbConfig::new(&dir)).unwrap();
    let mut refused = 0;
    for number in 0..200_u8 {
        let key = (number % 40).to_string();
        let value = vec![number; 20_000];
        match now(backend.set(&key, entry(&value))) {
            Ok(()) => assert_eq!(get(&backend, &key), Some(entry(&value))),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Capacity, "{error}");
                assert!(error.to_string().contains("hint: free space"), "{error}");
                assert_eq!(get(&backend, &key), None, "the old one must not come back");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "the limit was met");
    set(&backend, "small", b"value");
    println!("refused {refused}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_refuses_new_entries_and_gives_no_old_ones() {
    let (_outer, dir) = temporary();
    let this = std::env::current_exe().unwrap();
    // Blocks of 1 KiB in bash; the signal would end the process before it sees the error.
    let script = "trap '' XFSZ; ulimit -f 256; exec \"$0\" \"$@\"";
    let output = std::process::Command::new("bash")
        .args(["-c", script])
        .arg(this)
        .args(["--exact", "directory::child_meets_a_limit", "--nocapture"])
        .env("LARDER_REDB_TEST_LIMITED_DIR", &dir)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && text.contains("refused "), "{text}{errors}");
}

#[test]
fn every_option_stands_in_the_manual() {
    let manual = include_str!("../../../../docs/disk-engines.md");
    let (_, section) = manual.split_once("## `redb`").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let schema = larder_core::schemars::schema_for!(RedbConfig);
    let options = schema.get("properties").unwrap().as_object().unwrap();
    for option in options.keys() {
        assert!(section.contains(&format!("| `{option}` |")), "{option}");
    }
    assert_eq!(section.matches("\n| `").count(), options.len());
}
