//! The fuzzer: libFuzzer around the target that the variable `LARDER_FUZZ` names.
//!
//! With `LARDER_FUZZ_SEEDS` it writes the seeds of every target into a folder of its own below
//! that one, prints the names of the targets, and ends.

#![no_main]

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use larder_fuzz::{TARGETS, Target, find};
use libfuzzer_sys::fuzz_target;

fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&'static Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("LARDER_FUZZ").unwrap_or_default();
        find(&name).unwrap_or_else(|| {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            panic!("LARDER_FUZZ is `{name}`, which is none of {}", names.join(", "))
        })
    })
}

#[expect(clippy::print_stdout, reason = "its output is read by a script")]
fn write_seeds(folder: &Path) -> io::Result<()> {
    for target in TARGETS {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
        println!("{}", target.name);
    }
    Ok(())
}

fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("LARDER_FUZZ_SEEDS") {
            write_seeds(Path::new(&folder)).expect("the seeds can be written");
            std::process::exit(0);
        }
    },
    |bytes: &[u8]| (chosen().run)(bytes)
);
