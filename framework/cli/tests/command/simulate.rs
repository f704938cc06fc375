//! `larder simulate`.

use std::fs;

use roxmltree::Document;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::Value;

use crate::support::Folder;

/// Four keys, one after the other, three times.
fn small_loop() -> Vec<u32> {
    [0, 1, 2, 3].repeat(3)
}

fn bytes(keys: &[u32]) -> Vec<u8> {
    keys.iter().copied().flat_map(u32::to_le_bytes).collect()
}

fn packed(content: &[u8]) -> Vec<u8> {
    compress_to_vec(content, CompressionLevel::Fastest)
}

fn with_file(name: &str, content: impl AsRef<[u8]>) -> Folder {
    let folder = Folder::new();
    add(&folder, name, content);
    folder
}

fn add(folder: &Folder, name: &str, content: impl AsRef<[u8]>) {
    fs::write(folder.path().join(name), content).expect("the folder can be written to");
}

/// The hits of each policy and size.
fn hits(folder: &Folder, arguments: &[&str]) -> Vec<(String, u64, u64)> {
    let said = folder.run(&[&["simulate", "--format", "json"], arguments].concat());
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    let document: Value = serde_json::from_str(&said.stdout).expect("it is JSON");
    let results = document["traces"][0]["results"].as_array().expect("there are results");
    let result = |result: &Value| {
        let number = |name: &str| result[name].as_u64().expect("it is a number");
        (
            result["policy"].as_str().unwrap_or_default().to_owned(),
            number("capacity"),
            number("hits"),
        )
    };
    results.iter().map(result).collect()
}

#[test]
fn a_loop_that_is_larger_than_the_cache_never_hits_under_lru() {
    let folder = with_file("loop.u32", bytes(&small_loop()));
    let common = ["simulate", "--trace", "loop.u32", "--policies", "lru,fifo,opt", "--capacity"];
    folder.golden("simulate", &[&common[..], &["3,4"]].concat());
    folder.golden("simulate-json", &[&common[..], &["3,50%", "--format", "json"]].concat());
}

#[test]
fn each_of_several_traces_has_a_table() {
    let folder = with_file("loop.u32", bytes(&small_loop()));
    // A trace under which `fifo` and `lru` differ: the hit on `a` saves it from `c` under `lru`.
    add(&folder, "keys.txt", "a\nb\na\r\n\nc\na\nb\n");
    folder.golden(
        "simulate-traces",
        &["simulate", "--trace", "loop.u32", "keys.txt", "--policies=lru,fifo", "--capacity=2,50%"],
    );
}

#[test]
fn traces_of_every_form_have_the_same_hits() {
    let keys: Vec<u32> = (0..3000_u32).map(|number| number * number % 97).collect();
    let text: String = keys.iter().map(|key| format!("user:{key}\n")).collect();
    let folder = with_file("trace.u32", bytes(&keys));
    add(&folder, "trace.u32.zst", packed(&bytes(&keys)));
    add(&folder, "trace", &text);
    let (first, second) = text.split_at(text.len() / 2);
    add(&folder, "trace.txt.zst", [packed(first.as_bytes()), packed(second.as_bytes())].concat());
    let of = |name| hits(&folder, &["--trace", name, "--policies=lru,opt", "--capacity=7,20%"]);
    let expected = of("trace.u32");
    assert!(expected.iter().all(|(_, _, hits)| (1..3000).contains(hits)), "{expected:?}");
    for name in ["trace.u32.zst", "trace", "trace.txt.zst"] {
        assert_eq!(of(name), expected, "{name}");
    }
}

#[test]
fn all_policies_take_part_and_none_is_better_than_the_optimum() {
    let keys: Vec<u32> =
        (0..20_000_u32).map(|n| n.wrapping_mul(2_654_435_761) >> (n % 13 + 17)).collect();
    let folder = with_file("trace.u32", bytes(&keys));
    let found = hits(&folder, &["--trace", "trace.u32", "--capacity", "100,1k"]);
    let optimum = |size| {
        let found = found.iter().find(|(policy, found, _)| policy == "opt" && *found == size);
        found.expect("`opt` takes part").2
    };
    for (policy, size, hits) in &found {
        assert!(*hits > 0 && *hits <= optimum(*size), "{policy} at {size}: {hits}");
    }
    for policy in ["clock", "fifo", "lfu", "lru", "random", "s3-fifo", "sieve", "ttl"] {
        assert!(found.iter().any(|(found, ..)| found == policy), "{policy} takes no part");
    }
}

#[test]
fn options_of_policies_change_what_comes_of_them() {
    let keys: Vec<u32> =
        (0..5000_u32).map(|n| n.wrapping_mul(2_654_435_761) >> (n % 7 + 20)).collect();
    let folder = with_file("trace.u32", bytes(&keys));
    let policies = "s3-fifo,s3-fifo{small_ratio=60%,ghost_ratio=0.1}";
    let found =
        hits(&folder, &["--trace", "trace.u32", "--policies", policies, "--capacity", "300"]);
    assert_eq!(found[1].0, "s3-fifo{small_ratio=60%,ghost_ratio=0.1}");
    assert_ne!(found[0].2, found[1].2);
}

#[test]
fn arguments_that_make_no_sense_are_refused_with_a_hint() {
    let folder = with_file("loop.u32", bytes(&small_loop()));
    let simulate = |policies, capacity| {
        ["simulate", "--trace", "loop.u32", "--policies", policies, "--capacity", capacity]
    };
    folder.golden("simulate-unknown-policy", &simulate("lru,s3-fif", "3"));
    let said = folder.run(&simulate("arcade", "3"));
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    assert!(said.stderr.contains("; hint: there are `"), "{}", said.stderr);
    folder.golden("simulate-unclosed", &simulate("s3-fifo{small_ratio=20%", "3"));
    folder.golden("simulate-wrong-option", &simulate("s3-fifo{smal_ratio=20%}", "3"));
    folder.golden("simulate-no-room", &simulate("lru", "10,0"));
    folder.golden("simulate-bad-capacity", &simulate("lru", "1M"));
}

#[test]
fn traces_that_cannot_be_replayed_are_refused_with_a_hint() {
    let folder = Folder::new();
    let mut corrupt = packed(&bytes(&(0..1000).collect::<Vec<_>>()));
    let middle = corrupt.len() / 2;
    corrupt.truncate(middle);
    add(&folder, "corrupt.u32.zst", corrupt);
    add(&folder, "text.zst", "no zstd data");
    add(&folder, "truncated.u32", &bytes(&small_loop())[..10]);
    add(&folder, "binary", bytes(&[0, 0xffff_0a00]));
    add(&folder, "endless", vec![b'x'; 100_000]);
    add(&folder, "empty.txt", "\n\r\n\n");
    fs::create_dir(folder.path().join("folder")).expect("the folder can be written to");
    for (golden, name, code) in [
        ("simulate-missing", "missing.u32", 66),
        ("simulate-corrupt", "corrupt.u32.zst", 74),
        ("simulate-not-compressed", "text.zst", 74),
        ("simulate-truncated", "truncated.u32", 74),
        ("simulate-not-text", "binary", 74),
        ("simulate-long-line", "endless", 74),
        ("simulate-empty", "empty.txt", 74),
        ("simulate-folder", "folder", 74),
    ] {
        let arguments = ["simulate", "--trace", name, "--policies", "lru,opt", "--capacity", "3"];
        let said = folder.run(&arguments);
        assert_eq!((said.code, said.stdout.as_str()), (code, ""), "{name}: {}", said.stderr);
        folder.golden(golden, &arguments);
    }
}

#[test]
fn the_plot_has_every_policy_and_trace_in_it() {
    let folder = with_file("loop.u32", bytes(&small_loop()));
    add(&folder, "keys.txt", "a\nb\na\nc\n");
    let arguments = ["simulate", "--trace", "loop.u32", "keys.txt", "--policies", "lru,fifo,opt"];
    let said = folder.run(&[&arguments[..], &["--capacity", "1,2,3", "--plot", "p.svg"]].concat());
    assert_eq!((said.code, said.stderr.as_str()), (0, "drew `p.svg`\n"));
    let svg = folder.read("p.svg");
    let document = Document::parse(&svg).expect("it is XML");
    for text in ["loop.u32", "keys.txt", "lru", "fifo", "opt"] {
        assert!(document.descendants().any(|node| node.text() == Some(text)), "{text} is missing");
    }
    let said = folder.run(&[&arguments[..], &["--capacity=1", "--plot=no/such/p.svg"]].concat());
    assert_eq!(said.code, 74, "{}", said.stderr);
    assert!(said.stderr.starts_with("error: cannot write `no/such/p.svg`"), "{}", said.stderr);
}
