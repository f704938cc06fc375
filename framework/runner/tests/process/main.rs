//! Libraries in processes of their own: what their ends cost, and what they do not.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod crash;
mod hang;
mod lives;
mod start;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other programs of tests use the rest of it")]
mod support;

use std::sync::Arc;
use std::time::Duration;

use larder_core::{Backend, Entry, ErrorKind};

/// How long a test waits for what must come.
const LIMIT: Duration = Duration::from_secs(60);

/// An entry with this value.
fn entry(value: &str) -> Entry {
    Entry { value: value.as_bytes().to_vec().into(), ..Entry::default() }
}

/// The value of a key; `None` for a miss.
async fn value(backend: &Arc<dyn Backend>, key: &str) -> Option<String> {
    let found = backend.get(key).await.unwrap_or_else(|error| panic!("{error}"));
    found.map(|entry| String::from_utf8(entry.value.to_vec()).unwrap())
}

/// Waits until a backend answers again, and sees that it fails as one that is down until then.
async fn comes_back(backend: &Arc<dyn Backend>) {
    larder_servers::until("the backend answers again", LIMIT, async || {
        match backend.get("anything").await {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
                false
            }
        }
    })
    .await;
}

/// The processes that run this library.
fn processes(name: &str) -> Vec<u32> {
    let folders = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok());
    let is_ours = |number: &u32| {
        let of = |file: &str| std::fs::read(format!("/proc/{number}/{file}")).unwrap_or_default();
        let command = String::from_utf8_lossy(&of("cmdline")).into_owned();
        let is_named = command.split('\0').nth(1) == Some(name);
        let parent = format!("PPid:\t{}\n", std::process::id());
        is_named && String::from_utf8_lossy(&of("status")).contains(&parent)
    };
    numbers.filter(is_ours).collect()
}

/// The only process that runs this library.
fn process(name: &str) -> rustix::process::Pid {
    let found = processes(name);
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    let number = i32::try_from(found[0]).unwrap();
    rustix::process::Pid::from_raw(number).expect("it has a number")
}

fn signal(name: &str, signal: rustix::process::Signal) {
    rustix::process::kill_process(process(name), signal).unwrap();
}
