//! With a runtime: what is done at once, what is done elsewhere, and what goes on in the background.

use std::sync::mpsc;

use tokio::runtime::{Builder, Runtime};

use super::*;

/// A runtime whose blocking pool has a single thread.
fn runtime() -> Runtime {
    Builder::new_current_thread().max_blocking_threads(1).build().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_in_memory_is_read_without_a_trip_to_another_thread() {
    let (_outer, dir) = temporary();
    let runtime = runtime();
    let backend = runtime.block_on(FileConfig::new(&dir).build(&BuildContext::new("users")));
    let backend = backend.unwrap();
    runtime.block_on(backend.set("42", entry(b"value"))).unwrap();
    let (release, wait) = mpsc::channel::<()>();
    let busy = runtime.spawn_blocking(move || wait.recv().ok());
    let _entered = runtime.enter();
    let mut context = Context::from_waker(Waker::noop());
    match pin!(backend.get("42")).poll(&mut context) {
        Poll::Ready(found) => {
            assert_eq!(found.unwrap(), Some(entry(b"value")));
            let keys = pin!(backend.get_many(&["42", "42"])).poll(&mut context);
            let Poll::Ready(Ok(found)) = keys else { panic!("it did not answer at once") };
            assert_eq!(found, [Some(entry(b"value")), Some(entry(b"value"))]);
        }
        // Some file systems cannot tell.
        Poll::Pending => assert!(!knows_what_is_in_memory(&dir), "it should have known"),
    }
    assert!(pin!(backend.set("42", entry(b"new"))).poll(&mut context).is_pending());
    release.send(()).unwrap();
    runtime.block_on(busy).unwrap();
}

/// Whether the file system of the tests is one of those that should answer at once.
#[cfg(target_os = "linux")]
fn knows_what_is_in_memory(dir: &Path) -> bool {
    let output = std::process::Command::new("stat").args(["-f", "-c", "%T"]).arg(dir).output();
    let name = String::from_utf8(output.unwrap().stdout).unwrap();
    ["ext2/ext3", "xfs", "btrfs", "tmpfs"].contains(&name.trim())
}

#[test]
fn a_clear_is_done_before_its_files_are_gone_and_a_close_stops_the_sweep() {
    let (_outer, dir) = temporary();
    let runtime = runtime();
    runtime.block_on(async {
        let backend = FileConfig::new(&dir).build(&BuildContext::new("users")).await.unwrap();
        let entries = (0..1500).map(|number: u32| (number.to_string(), entry(b"value")));
        backend.set_many(entries.collect()).await.unwrap();
        let files = entry_files(&dir);
        backend.clear().await.unwrap();
        backend.close().await.unwrap();
        assert_eq!(backend.get("7").await.unwrap(), None);
        assert!(files.iter().all(|file| file.exists()), "no turn begins after the close");
        drop(backend);
        let backend = FileConfig::new(&dir).build(&BuildContext::new("users")).await.unwrap();
        backend.start().await.unwrap();
        while files.iter().any(|file| file.exists()) {
            tokio::task::yield_now().await;
        }
        assert_eq!(backend.health().await.unwrap().entries, Some(0));
        backend.close().await.unwrap();
    });
}
