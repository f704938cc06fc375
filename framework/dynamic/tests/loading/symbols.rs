//! Libraries without the entry function, or with one that is not theirs.

use larder_core::library::Fault;

use crate::support::{nothing, plugin};

#[test]
fn a_library_without_an_entry_function_is_refused() {
    let made = plugin("acme.no-entry", &["-DENTRY=larder_entry_v9"]);
    assert!(made.refused(Fault::Symbols).contains("expected the function `larder_entry_v1`"));
}

#[test]
fn an_entry_function_that_is_data_is_not_called() {
    made_of_data().refused(Fault::Symbols);
}

fn made_of_data() -> crate::support::Made {
    plugin("acme.data", &["-DENTRY_IS_DATA"])
}

#[test]
fn the_entry_function_of_another_library_does_not_count() {
    let made = plugin("acme.below", &[]);
    std::fs::rename(made.at("acme.so"), made.at("libbelow.so")).unwrap();
    let (folder, run) = (made.at(""), format!("-Wl,-rpath,{}", made.at("").display()));
    let search = format!("-L{}", folder.display());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/loading/plugin.c");
    let needs = ["-DENTRY=another", "-Wl,--no-as-needed", &search, "-lbelow", &run];
    made.compile(source, "acme.so", &needs);
    made.refused(Fault::Symbols);
}

#[test]
fn a_function_that_nobody_has_is_found_out_when_it_is_loaded() {
    let made = nothing("acme.undefined");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/loading/plugin.c");
    let text = "int nobody_has_this(void); int use(void) { return nobody_has_this(); }";
    std::fs::write(made.at("use.c"), text).unwrap();
    let more = made.at("use.c");
    made.compile(source, "acme.so", &[more.to_str().unwrap()]);
    let text = made.refused(Fault::Link);
    assert!(text.contains("nobody_has_this") && text.contains("--no-undefined"), "{text}");
}

#[test]
fn a_library_below_that_is_not_there_is_named() {
    let made = plugin("acme.gone", &[]);
    std::fs::rename(made.at("acme.so"), made.at("libgone.so")).unwrap();
    let search = format!("-L{}", made.at("").display());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/loading/plugin.c");
    made.compile(source, "acme.so", &["-Wl,--no-as-needed", &search, "-lgone"]);
    let text = made.refused(Fault::Link);
    assert!(text.contains("libgone.so") && text.contains("install it"), "{text}");
}

#[test]
fn a_library_that_wants_thread_local_memory_of_the_start_is_told_what_to_build_without() {
    let made = nothing("acme.initial-exec");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/loading/plugin.c");
    let text = "__thread char much[1 << 20]; char *use(void) { return much; }";
    std::fs::write(made.at("use.c"), text).unwrap();
    let more = made.at("use.c");
    made.compile(source, "acme.so", &["-ftls-model=initial-exec", more.to_str().unwrap()]);
    let text = made.refused(Fault::Link);
    assert!(text.contains("static TLS") && text.contains("initial-exec"), "{text}");
}

/// Built and run by the long version of `tests/run.sh`, where the target can be had.
#[cfg(all(target_env = "musl", target_feature = "crt-static"))]
#[test]
fn a_program_that_is_linked_statically_loads_nothing_and_says_so() {
    let text = plugin("acme.static", &[]).refused(Fault::Unsupported);
    assert!(text.contains("linked statically") && text.contains("-crt-static"), "{text}");
}
