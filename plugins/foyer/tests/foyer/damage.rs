//! Damaged files, and processes that are killed.

use std::env;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::*;

const DIR: &str = "LARDER_FOYER_TEST_DIR";
const KEYS: u64 = 300;

async fn fill_and_close(dir: &Path) {
    let backend = open(dir).await;
    for key in 0..KEYS {
        backend.set(&key.to_string(), numbered(key)).await.unwrap();
    }
    backend.close().await.unwrap();
}

/// How many entries are there, all of which must be right; the cache must take new ones.
async fn count(dir: &Path) -> u64 {
    let backend = open(dir).await;
    let mut there = 0;
    for key in 0..KEYS {
        if let Some(found) = get(&backend, &key.to_string()).await {
            assert_eq!(number_of(&found), key);
            there += 1;
        }
    }
    set(&backend, "new", b"value").await;
    assert_eq!(get(&backend, "new").await, Some(entry(b"value")));
    there
}

#[tokio::test]
async fn damaged_data_costs_entries_and_gives_no_wrong_ones() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for share in [2000, 200, 20] {
        let (_outer, dir) = temporary();
        fill_and_close(&dir).await;
        for file in std::fs::read_dir(dir.join("data")).unwrap() {
            let path = file.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            for _ in 0..bytes.len() / share {
                let at = random.usize(..bytes.len());
                bytes[at] ^= 1 << random.u8(..8);
            }
            std::fs::write(path, bytes).unwrap();
        }
        assert!(count(&dir).await < KEYS);
    }
}

#[tokio::test]
async fn data_that_is_cut_off_or_gone_is_no_error() {
    for length in [None, Some(0), Some(100), Some(5000), Some(40_000)] {
        let (_outer, dir) = temporary();
        fill_and_close(&dir).await;
        for file in std::fs::read_dir(dir.join("data")).unwrap() {
            let path = file.unwrap().path();
            match length {
                None => std::fs::remove_file(path).unwrap(),
                Some(length) => {
                    std::fs::File::options()
                        .write(true)
                        .open(path)
                        .unwrap()
                        .set_len(length)
                        .unwrap();
                }
            }
        }
        assert!(count(&dir).await < KEYS, "{length:?}");
    }
}

#[tokio::test]
async fn without_its_whole_list_of_versions_the_cache_begins_empty() {
    let (_outer, dir) = temporary();
    fill_and_close(&dir).await;
    let path = dir.join("versions");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
    assert_eq!(count(&dir).await, 0);
}

#[tokio::test]
async fn data_of_another_time_is_not_taken_for_the_last_word() {
    let (_outer, dir) = temporary();
    fill_and_close(&dir).await;
    let files = || std::fs::read_dir(dir.join("data")).unwrap().map(|file| file.unwrap().path());
    let old: Vec<(PathBuf, Vec<u8>)> =
        files().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    let backend = open(&dir).await;
    for key in 0..KEYS / 2 {
        backend.set(&key.to_string(), numbered(key + 1000)).await.unwrap();
    }
    backend.close().await.unwrap();
    drop(backend);
    for (path, bytes) in old {
        std::fs::write(path, bytes).unwrap();
    }
    let backend = open(&dir).await;
    for key in 0..KEYS {
        let found = get(&backend, &key.to_string()).await.map(|found| number_of(&found));
        assert_eq!(found, (key >= KEYS / 2).then_some(key), "{key}");
    }
}

/// Not a test by itself: what a child does. Writes until it is killed, and says that it does.
#[tokio::test]
async fn child_writes() {
    let Ok(dir) = env::var(DIR) else { return };
    let backend = open(Path::new(&dir)).await;
    let mut out = std::io::stdout();
    for number in 0.. {
        let key = number % KEYS;
        backend.set(&key.to_string(), numbered(number)).await.unwrap();
        writeln!(out, "\nwritten {number}").unwrap();
    }
}

#[tokio::test]
async fn after_kill_9_the_cache_is_empty_and_until_then_it_is_locked() {
    let (_outer, dir) = temporary();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "damage::child_writes", "--nocapture"])
        .env(DIR, &dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut written = lines.map(|line| line.unwrap()).filter(|line| line.starts_with("written"));
    assert!(written.nth(1000).is_some(), "the child writes");
    let error = build(config(&dir)).await.unwrap_err();
    assert!(error.to_string().contains("in use by another process"), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(count(&dir).await, 0);
}
