//! When a write is forced to the disk.

use larder_core::ErrorKind;

use super::*;

#[tokio::test]
async fn eventual_durability_flushes_once_a_second() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let mut config = RedbConfig::new(&dir);
    config.durability = Durability::Eventual;
    let context = BuildContext::new("users").clock(Arc::new(clock.clone()));
    let backend = config.build(&context).await.unwrap();
    backend.start().await.unwrap();
    let database = dir.join("cache.redb");
    let on_disk = || {
        let bytes = std::fs::read(&database).unwrap();
        bytes.windows(7).any(|window| window == b"kumquat")
    };
    backend.set("a", entry(&b"kumquat ".repeat(100))).await.unwrap();
    assert!(!on_disk(), "it is only in memory");
    while clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance(Duration::from_secs(1));
    while !on_disk() {
        tokio::task::yield_now().await;
    }
}

#[cfg(unix)]
const FAILING_DIR: &str = "LARDER_REDB_TEST_FAILING_DIR";

/// Not a test by itself: what a child does whose disk refuses everything for a while.
#[cfg(unix)]
#[test]
fn child_flushes_in_vain() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Ok(dir) = std::env::var(FAILING_DIR) else { return };
    let mut config = RedbConfig::new(&dir);
    config.durability = Durability::Eventual;
    let backend = build(config).unwrap();
    for key in ["overwritten", "deleted"] {
        set(&backend, key, b"old");
    }
    now(backend.flush()).unwrap();
    set(&backend, "overwritten", b"value");
    now(backend.delete("deleted")).unwrap();
    let usual = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(0), ..usual }).unwrap();
    now(backend.flush()).unwrap_err();
    setrlimit(Resource::Fsize, usual).unwrap();
    assert_ne!(get(&backend, "overwritten"), Some(entry(b"old")));
    assert_eq!(get(&backend, "deleted"), None);
    set(&backend, "another", b"value");
    now(backend.flush()).unwrap();
    println!("nothing came back");
}

#[cfg(unix)]
#[test]
fn a_flush_that_fails_brings_nothing_back() {
    let (_outer, dir) = temporary();
    let output = std::process::Command::new("bash")
        // The signal would end the process before it sees the error.
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "durability::child_flushes_in_vain", "--nocapture"])
        .env(FAILING_DIR, &dir)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && text.contains("nothing came back"), "{text}{errors}");
}

#[test]
fn eventual_durability_without_a_runtime_says_what_to_do() {
    let (_outer, dir) = temporary();
    let mut config = RedbConfig::new(&dir);
    config.durability = Durability::Eventual;
    let backend = build(config).unwrap();
    let error = now(backend.start()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`immediate`"), "{error}");
}

#[test]
fn an_orderly_close_keeps_everything_whatever_the_durability() {
    for durability in [Durability::None, Durability::Eventual, Durability::Immediate] {
        let (_outer, dir) = temporary();
        let mut config = RedbConfig::new(&dir);
        config.durability = durability;
        let backend = build(config.clone()).unwrap();
        for key in 0..50 {
            set(&backend, &key.to_string(), b"value");
        }
        now(backend.delete("7")).unwrap();
        now(backend.close()).unwrap();
        let backend = build(config).unwrap();
        for key in 0..50 {
            assert_eq!(get(&backend, &key.to_string()).is_some(), key != 7, "{durability:?}");
        }
    }
}

#[test]
fn after_a_close_every_call_says_so() {
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    now(backend.close()).unwrap();
    now(backend.close()).unwrap();
    assert_eq!(now(backend.get("a")).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(now(backend.set("a", entry(b"value"))).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(now(backend.clear()).unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_write_whose_caller_has_gone_before_it_began_does_nothing() {
    let (_outer, dir) = temporary();
    let backend = config(&dir).build(&BuildContext::new("users")).await.unwrap();
    {
        let mut setting = pin!(backend.set("a", entry(b"value")));
        let mut context = Context::from_waker(Waker::noop());
        drop(setting.as_mut().poll(&mut context));
    }
    // Whether it was in time or not, the entry is whole, and the backend works.
    if let Some(found) = backend.get("a").await.unwrap() {
        assert_eq!(found, entry(b"value"));
    }
    backend.set("a", entry(b"other")).await.unwrap();
    assert_eq!(backend.get("a").await.unwrap(), Some(entry(b"other")));
}
