//! The examples in C keep the contracts across the boundary.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock};

use futures_util::FutureExt;
use larder_conformance::{Place, backend, policy};
use larder_core::{Backend, BuildContext, Clock, Entry, ManualClock, PolicyFactory, Result};
use serde_json::json;

use crate::library::Component;
use crate::testing;

static SHELF: LazyLock<&Component> =
    LazyLock::new(|| testing::compiled("c-shelf", "examples/plugins/c-shelf/shelf.c"));

static CLOCK: LazyLock<&Component> =
    LazyLock::new(|| testing::compiled("c-clock", "examples/plugins/c-clock/clock.c"));

async fn shelf(place: Place) -> Result<Arc<dyn Backend>> {
    testing::build(*SHELF, json!({"capacity": 100_000}), &place.context()).await
}

fn clock() -> Arc<dyn PolicyFactory> {
    testing::policies(*CLOCK)
}

backend!(shelf as the_shelf_in_c_keeps_the_contract);
policy!(clock as the_clock_in_c_keeps_the_contract);

/// With valgrind, if the machine has it: no memory is lost, and none used that is not there.
#[test]
fn the_shelf_in_c_loses_no_memory() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = root.join("examples/plugins/c-shelf");
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("try");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"]);
    cc.arg(root.join("framework/abi/include")).arg("-o").arg(&program);
    cc.args([folder.join("try.c"), folder.join("shelf.c")]).arg("-lpthread");
    assert!(cc.status().unwrap().success(), "it does not compile");
    let has_valgrind = Command::new("valgrind").arg("--version").output().is_ok();
    let mut tried = match has_valgrind {
        true => Command::new("valgrind"),
        false => Command::new(&program),
    };
    if has_valgrind {
        tried.args(["--quiet", "--error-exitcode=9", "--leak-check=full"]);
        tried.args(["--show-leak-kinds=all", "--errors-for-leak-kinds=all"]).arg(&program);
    }
    let tried = tried.output().unwrap();
    assert!(tried.status.success(), "{}", String::from_utf8_lossy(&tried.stderr));
}

/// Neither a future nor a slot nor a copy that nobody asked for.
#[test]
fn an_answer_at_once_takes_no_memory() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    let context = BuildContext::new("allocations").clock(clock);
    let built = testing::build(*SHELF, json!({}), &context).now_or_never();
    let shelf = built.expect("it is built at once").unwrap();
    let entry = Entry { value: vec![7; 64].into(), ..Entry::default() };
    shelf.set("there", entry).now_or_never().expect("it is stored at once").unwrap();
    let allocations = |key: &str| {
        let counted = allocation_counter::measure(|| {
            let found = shelf.get_now(key).expect("it answers at once").unwrap();
            assert_eq!(found.is_some(), key == "there");
        });
        counted.count_total
    };
    // The first call of a thread makes its buffer.
    allocations("there");
    assert_eq!(allocations("not there"), 0);
    assert_eq!(allocations("there"), 0);
}
