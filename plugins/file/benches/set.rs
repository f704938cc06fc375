//! The time of a `set` next to the least that any file cache has to do: write a file aside and
//! rename it over the old one, in a directory of the same kind.
//!
//! Run with `cargo bench -p larder-file --bench set`. Medians of alternating rounds.

#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

use std::fs;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use larder_core::backend::Backend;
use larder_core::{BuildContext, Bytes, Entry, EntryMeta, PluginConfig};
use larder_file::FileConfig;

const KEYS: usize = 256;
const ROUNDS: usize = 41;
const VALUE: [u8; 1024] = [7; 1024];

/// The result of a future that is ready at once, as all are where no runtime is.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("without a runtime nothing waits"),
    }
}

/// Microseconds of one call, if `work` makes one for each key.
fn round(work: impl Fn(usize)) -> f64 {
    let start = Instant::now();
    (0..KEYS).for_each(work);
    start.elapsed().as_secs_f64() * 1e6 / KEYS as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn write_and_rename(dir: &Path, key: usize) {
    let aside = dir.join(format!("aside/{key}"));
    fs::write(&aside, VALUE).expect("the disk takes files");
    fs::rename(aside, dir.join(format!("{:02x}/{key}", key % 256))).expect("they can be renamed");
}

fn main() {
    let dir = tempfile::tempdir().expect("there is a directory for temporary files");
    let plain = dir.path().join("plain");
    fs::create_dir_all(plain.join("aside")).expect("directories can be made");
    for shard in 0..=u8::MAX {
        fs::create_dir(plain.join(format!("{shard:02x}"))).expect("directories can be made");
    }
    let config = FileConfig::new(dir.path().join("ours"));
    let backend = now(config.build(&BuildContext::new("bench"))).expect("the directory is ours");
    let entry = Entry { value: Bytes::from_static(&VALUE), meta: EntryMeta::default() };
    let keys: Vec<String> = (0..KEYS).map(|key| format!("key:{key}")).collect();
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let our_time = round(|key| now(backend.set(&keys[key], entry.clone())).expect("it is set"));
        let their_time = round(|key| write_and_rename(&plain, key));
        ours.push(our_time);
        theirs.push(their_time);
        ratios.push(our_time / their_time);
    }
    let ratio = median(ratios);
    println!(
        "set of 1 KiB {:.1} µs, write and rename {:.1} µs, ratio {ratio:.2}",
        median(ours),
        median(theirs)
    );
}
