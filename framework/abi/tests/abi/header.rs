//! The compilers of C and C++ see the structs and numbers that Rust sees.

use std::collections::BTreeMap;

use larder_abi::call::{self, health, level};
use larder_abi::descriptor::unwinds;
use larder_abi::layout::{LAYOUTS, SIZED, SIZES};
use larder_abi::table::{cap, codec, hit, kind, trigger};
use larder_abi::value::{self, mutation, scope};
use larder_abi::{HEADER, Status};

use crate::compile::{LANGUAGES, run};
use crate::table;

#[test]
fn every_field_lies_where_rust_has_it() {
    let source = program_that_prints_the_table();
    for language in LANGUAGES {
        for options in [&["-O0"][..], &["-O3", "-flto"], &["-DLARDER_TARGET_MINOR=0"]] {
            assert_eq!(run(language, options, &source), table(), "{language:?} {options:?}");
        }
    }
}

fn program_that_prints_the_table() -> String {
    let mut source = "#include \"larder_plugin.h\"\n#include <stdio.h>\n".to_owned();
    source += "#define ALIGN(type) offsetof(struct { char c; type t; }, t)\n";
    source += "#ifdef __cplusplus\n#undef ALIGN\n#define ALIGN(type) alignof(type)\n#endif\n";
    source += "int main(void) {\n";
    for layout in LAYOUTS {
        let name = layout.name;
        let sort = if layout.is_extensible { "extensible" } else { "frozen" };
        source += &format!(
            "printf(\"{name} {sort} %u %u\\n\", (unsigned)sizeof({name}), (unsigned)ALIGN({name}));\n"
        );
        for (field, ..) in layout.fields {
            source += &format!(
                "printf(\"  {field} %u %u\\n\", (unsigned)offsetof({name}, {field}), \
                 (unsigned)sizeof((({name} *)0)->{field}));\n"
            );
        }
    }
    source + "return 0;\n}\n"
}

#[test]
fn every_struct_of_the_header_is_mirrored() {
    let of_header: Vec<&str> = HEADER
        .lines()
        .filter_map(|line| line.strip_prefix("typedef struct ")?.strip_suffix(" {"))
        .collect();
    let mut mirrored: Vec<&str> = LAYOUTS.iter().map(|layout| layout.name).collect();
    assert_eq!(of_header.len(), mirrored.len());
    mirrored.retain(|name| !of_header.contains(name));
    assert_eq!(mirrored, [""; 0], "in Rust alone");
}

#[test]
fn what_may_grow_says_its_size_first_and_the_stamp_has_all_that_a_plugin_needs() {
    for layout in LAYOUTS {
        assert_eq!(layout.fields[0].0 == "struct_size", layout.is_extensible, "{}", layout.name);
    }
    for (name, size) in SIZED.iter().zip(SIZES) {
        let layout = LAYOUTS.iter().find(|layout| layout.name == *name).unwrap();
        assert_eq!(layout.size, size as usize);
        assert!(HEADER.contains(&format!("sizeof({name})")), "{name} is in LARDER_LAYOUT");
    }
}

#[test]
fn numbers_are_those_of_the_header() {
    let ours = numbers_of_rust();
    let mut source =
        "#include \"larder_plugin.h\"\n#include <stdio.h>\nint main(void) {\n".to_owned();
    for name in ours.keys() {
        source += &format!("printf(\"{name} %lld\\n\", (long long)(LARDER_{name}));\n");
    }
    source += "return 0;\n}\n";
    let expected: String = ours.iter().map(|(name, number)| format!("{name} {number}\n")).collect();
    for language in LANGUAGES {
        assert_eq!(run(language, &[], &source), expected);
    }
}

#[test]
fn every_number_of_the_header_is_mirrored() {
    let ours = numbers_of_rust();
    let not_numbers = [
        "ABI_MAJOR",
        "ABI_MINOR",
        "TARGET_MINOR",
        "LAYOUT_LEN",
        "IS_BIG_ENDIAN",
        "NEVER",
        "UNLIMITED",
        "STAMP_DECLARE",
        "STAMP_SECTION",
        "PLUGIN_H",
        "EXPORT",
        "LAYOUT",
        "STAMP_MAGIC",
    ];
    for line in HEADER.lines() {
        let Some(rest) = line.strip_prefix("#define LARDER_") else { continue };
        let name: String =
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let is_function = rest[name.len()..].starts_with('(');
        assert!(
            is_function || not_numbers.contains(&name.as_str()) || ours.contains_key(&name),
            "LARDER_{name} is not in Rust"
        );
    }
}

#[test]
fn no_number_stands_for_two_things() {
    let mut seen = BTreeMap::new();
    for (name, number) in numbers_of_rust() {
        let group = name.split('_').next().unwrap_or_default().to_owned();
        let grouped = ["KIND", "CAP", "HIT", "CODEC", "SCOPE", "MUTATION", "LOG", "UNWINDS"];
        if grouped.contains(&group.as_str()) {
            let before = seen.insert((group, number), name.clone());
            assert_eq!(before, None, "{name} is {number}");
        }
    }
    let mut statuses: Vec<i32> = Status::NAMED.iter().map(|(status, _)| status.0).collect();
    statuses.dedup();
    assert_eq!(statuses.len(), Status::NAMED.len());
}

/// The numbers of Rust by their names in the header.
fn numbers_of_rust() -> BTreeMap<String, i64> {
    let mut all = BTreeMap::new();
    let mut add = |name: &str, number: i64| {
        assert_eq!(all.insert(name.to_owned(), number), None, "{name}");
    };
    for (status, word) in Status::NAMED {
        add(&word.to_uppercase(), i64::from(status.0));
    }
    macro_rules! group {
        ($prefix:literal, $module:ident, $($name:ident)*) => {
            $(add(concat!($prefix, stringify!($name)), $module::$name as i64);)*
        };
    }
    group!("SCOPE_", scope, ALL GLOB KEY PREFIX TAG VERSION);
    group!("MUTATION_", mutation, PUT DELETE INVALIDATE);
    group!("", value, INVALIDATION_KEEP WARM_HAS_VALUE);
    group!("", call, ERROR_RETRYABLE);
    group!("HEALTH_", health, ENTRIES BYTES);
    group!("LOG_", level, ERROR WARN INFO DEBUG TRACE);
    group!("KIND_", kind, BACKEND POLICY CODEC INVALIDATOR WARMER REPLICATOR);
    group!("CAP_", cap, POLICY TTL TOUCH TAGS SCAN BATCH PERSIST SHARED PUT_IF_NEWER);
    group!("CAP_", cap, LEASE HEADER_READ SYNC BLOCKING);
    group!("HIT_", hit, NONE BIT COUNTER RECORD EXCLUSIVE);
    group!("CODEC_", codec, SERIALIZER COMPRESS ENCRYPT ENCODE);
    group!("WARM_", trigger, DEMAND FAILOVER SCHEDULE STARTUP);
    group!("UNWINDS_", unwinds, NOT_RUST YES ABORT);
    all
}
