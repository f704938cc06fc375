//! When processes begin and end.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use larder_core::library::LibraryRequest;
use larder_core::{BuildContext, CacheError};
use rustix::process::{Pid, Signal};
use serde_json::json;

use crate::support::{self, poisonous};
use crate::{LIMIT, comes_back, entry, processes, signal, value};

#[tokio::test]
async fn instances_share_a_process_that_ends_with_the_last() {
    let library = poisonous("shared");
    let first = library.open(json!({}), &BuildContext::new("first")).await;
    let second = library.open(json!({}), &BuildContext::new("second")).await;
    first.set("key", entry("first")).await.unwrap();
    assert_eq!(value(&second, "key").await, None, "each has entries of its own");
    assert_eq!(processes("shared").len(), 1);
    first.close().await.unwrap();
    drop(first);
    second.set("key", entry("second")).await.unwrap();
    assert_eq!(processes("shared").len(), 1);
    drop(second);
    larder_servers::until("the process ends, and is no zombie", LIMIT, async || {
        processes("shared").is_empty()
    })
    .await;
    let third = library.open(json!({}), &BuildContext::new("third")).await;
    assert_eq!(value(&third, "key").await, None);
}

#[tokio::test]
async fn instances_are_made_again_with_the_same_options() {
    let library = poisonous("faithful");
    let small = library.open(json!({"capacity": 1}), &BuildContext::new("small")).await;
    let large = library.open(json!({"capacity": 5}), &BuildContext::new("large")).await;
    small.start().await.unwrap();
    signal("faithful", Signal::KILL);
    larder_servers::until("the end is seen", LIMIT, async || small.get("x").await.is_err()).await;
    comes_back(&small).await;
    comes_back(&large).await;
    small.set("one", entry("1")).await.unwrap();
    let full: Result<(), CacheError> = small.set("two", entry("2")).await;
    assert_eq!(full.unwrap_err().kind(), larder_core::ErrorKind::Capacity);
    large.set("one", entry("1")).await.unwrap();
    large.set("two", entry("2")).await.unwrap();
}

#[tokio::test]
async fn a_library_that_was_moved_is_started_again_from_where_it_is() {
    let library = poisonous("moved");
    drop(library.open(json!({}), &BuildContext::new("before")).await);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("plugin.so");
    std::fs::copy(library.path(), &path).unwrap();
    let request = support::isolated(LibraryRequest::new("moved", &path), support::RUNNER);
    drop(library);
    let backend = support::open(&request, json!({}), &BuildContext::new("after")).await;
    larder_servers::until("only its own process is left", LIMIT, async || {
        processes("moved").len() == 1
    })
    .await;
    signal("moved", Signal::KILL);
    larder_servers::until("the end is seen", LIMIT, async || backend.get("x").await.is_err()).await;
    comes_back(&backend).await;
}

#[tokio::test]
async fn a_file_that_was_replaced_has_a_process_of_its_own_and_the_old_one_does_not_start_again() {
    let library = poisonous("renewed");
    let old = library.open(json!({}), &BuildContext::new("old")).await;
    let [number] = processes("renewed")[..] else { panic!("it has one process") };
    library.replace();
    old.set("key", entry("old")).await.unwrap();
    let new = library.open(json!({}), &BuildContext::new("new")).await;
    assert_eq!(processes("renewed").len(), 2);
    assert_eq!(value(&new, "key").await, None);
    let number = Pid::from_raw(number.try_into().unwrap()).unwrap();
    rustix::process::kill_process(number, Signal::KILL).unwrap();
    larder_servers::until("it is said why the old one is away", LIMIT, async || {
        let down = old.get("key").await.expect_err("it has ended").to_string();
        down.contains("C0601") || down.contains("SHA-256")
    })
    .await;
    assert_eq!(value(&new, "key").await, None, "the new one goes on");
}

/// Names the library for a program that is killed.
const HOST: &str = "LARDER_TEST_HOST";

/// Is that program, if it is told so: it opens a backend and waits to be killed.
#[tokio::test]
async fn what_a_program_does_that_is_killed() {
    let Ok(path) = std::env::var(HOST) else { return };
    let request = support::isolated(LibraryRequest::new("orphaned", path), support::RUNNER);
    let backend = support::open(&request, json!({}), &BuildContext::new("host")).await;
    backend.set("key", entry("value")).await.unwrap();
    eprintln!("runner {}", processes("orphaned")[0]);
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn a_program_that_is_killed_takes_its_processes_with_it() {
    let library = poisonous("orphaned");
    let mut host = Command::new(std::env::current_exe().unwrap());
    host.args(["--exact", "lives::what_a_program_does_that_is_killed", "--nocapture"]);
    host.env(HOST, library.path()).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut host = host.stdout(Stdio::null()).spawn().unwrap();
    let said = BufReader::new(host.stderr.take().unwrap());
    let mut lines = said.lines().map_while(Result::ok);
    let runner = lines.find_map(|line| line.strip_prefix("runner ").map(str::to_owned));
    let runner = format!("/proc/{}/cmdline", runner.expect("it has a runner"));
    let is_there = || std::fs::read(&runner).is_ok_and(|command| !command.is_empty());
    assert!(is_there());
    host.kill().unwrap();
    host.wait().unwrap();
    larder_servers::eventually("the runner ends", LIMIT, || (!is_there()).then_some(()));
}

/// Every start takes a socket, a pipe and three threads, and gives them back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_starts_leave_nothing_behind() {
    let library = poisonous("repeated");
    let request = library.request();
    let context = BuildContext::new("repeated");
    let open = async || drop(support::open(&request, json!({}), &context).await);
    open().await;
    let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
    for _ in 0..100 {
        open().await;
    }
    larder_servers::until("all processes have ended", LIMIT, async || {
        processes("repeated").is_empty()
    })
    .await;
    // Tests beside this one have files and threads as well, but not hundreds.
    let (files, threads) = (count("/proc/self/fd"), count("/proc/self/task"));
    assert!(files < 150, "{files} files are open");
    assert!(threads < 150, "{threads} threads run");
}
