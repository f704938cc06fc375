//! Small configs and what the checks say about them, or make of them.

mod support;

use std::time::Duration;

use larder_config::check::{CheckEnvironment, Checked, check};
use larder_config::loader::Loader;
use larder_config::model::{PluginNode, SerializerSpec, TierSource};
use larder_config::parse::Format;
use larder_core::{Life, Tier};
use serde_json::json;

fn load(text: &str, variables: &[(&str, &str)]) -> Checked {
    let variables = variables.iter();
    let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let resolved = Loader::new()
        .text("/etc/shop/caches.toml", Format::Toml, text)
        .environment(variables)
        .resolve();
    check(&resolved, &support::registry(), &CheckEnvironment::isolated())
}

/// Code, message and the text under the primary label of every diagnostic.
fn found(text: &str) -> Vec<String> {
    let report = load(text, &[]).report;
    let describe = |one: &larder_config::diagnostic::Diagnostic| {
        let at = one.primary.as_ref().map(|label| report.sources().text(&label.at));
        format!("{} {} @ {}", one.code, one.message, at.unwrap_or_default())
    };
    report.diagnostics().iter().map(describe).collect()
}

#[test]
fn tiers_have_one_source_each_and_none_is_left_out() {
    for (text, expected) in [
        ("[caches.a]\nttl = '1h'\n", "C0208 cache `a` has no tier to keep entries in @ [caches.a]"),
        (
            "[caches.a]\nl2.backend = { kind = 'memory', capacity = 5 }\n",
            "C0407 cache `a` has tier `l2` without `l1` @ l2",
        ),
        ("[caches.a]\nl1.policy = 'lru'\n", "C0208 tier `l1` of cache `a` has no backend @ l1"),
        (
            "[caches.a]\nl1.cache = 'b'\nl1.backend = { kind = 'memory', capacity = 5 }\n\
             [caches.b]\nbackend = { kind = 'memory', capacity = 5 }\n",
            "C0407 tier `l1` of cache `a` has both a backend and a cache @ cache",
        ),
        (
            "[caches.users]\nbackend = { kind = 'memory', capacity = 5 }\n\
             [caches.b]\nl1.cache = 'user'\n",
            "C0402 unknown cache `user` @ 'user'",
        ),
        (
            "[caches.a]\nl1.cache = 'a'\n",
            "C0401 caches refer to each other in a cycle: a → a @ 'a'",
        ),
        (
            "[patterns.'t-*']\nbackend = { kind = 'file', dir = '/var/t' }\n",
            "C0407 all caches of pattern `t-*` would use the same directory `/var/t` @ '/var/t'",
        ),
        (
            "[caches.a]\nbackend = { capacity = 5 }\n",
            "C0208 backend `caches.a.backend` has no `kind` @ backend",
        ),
        (
            "[caches.a]\nbackend = 5\n",
            "C0204 expected a backend for `caches.a.backend`, found an integer @ 5",
        ),
        ("cashes = 1\n", "C0203 unknown option `cashes` @ cashes"),
    ] {
        assert_eq!(found(text), [expected], "{text}");
    }
}

/// The message and the first advice about one option of a cache.
fn advice(option: &str) -> String {
    let text = format!("[caches.a]\nbackend = {{ kind = 'memory', capacity = 5 }}\n{option}\n");
    let report = load(&text, &[]).report;
    let [one] = report.diagnostics() else {
        panic!("one mistake in {option}: {report}");
    };
    let fix = one.fix.as_ref().map(|fix| format!("{} -> {}", fix.message, fix.edits[0].text));
    let advice = fix.or_else(|| one.help.first().or(one.notes.first()).cloned());
    format!("{} {}; {}", one.code, one.message, advice.unwrap_or_default())
}

#[test]
fn a_backend_behind_a_feature_comes_with_the_name_of_the_feature() {
    for kind in ["foyer", "redb"] {
        let report = load(&format!("[caches.a]\nbackend = {{ kind = '{kind}' }}\n"), &[]).report;
        let [one] = report.diagnostics() else {
            panic!("one mistake: {report}");
        };
        assert_eq!(one.code, "C0202");
        let command = format!("cargo add larder --features {kind}");
        assert!(one.help.iter().any(|help| help.contains(&command)), "{report}");
    }
}

#[test]
fn a_refused_value_comes_with_what_to_write_instead() {
    for (option, expected) in [
        (
            "ttl = '2y'",
            "C0206 `y` (year) is not accepted as a duration unit; for 730 days write `730d`",
        ),
        (
            "ttl = 'soon'",
            "C0209 `soon` is not a duration; units: ns us ms s m h d w, also combined: \"1h30m\"; \"never\" switches expiry off",
        ),
        (
            "ttl = true",
            "C0204 expected a duration such as `30s`, or `never`, for `caches.a.ttl`, found a boolean; `ttl`: how long entries live from the time they are written; `never` switches expiry off (duration, default never)",
        ),
        (
            "max_value_size = 1048576",
            "C0207 size without a unit; write `\"1MiB\"` for 1,048,576 bytes",
        ),
        (
            "max_value_size = '5k'",
            "C0207 ambiguous size `5k`; `\"5KiB\"` = 5,120 bytes; `\"5kB\"` = 5,000 bytes",
        ),
        (
            "max_value_size = '5XB'",
            "C0209 `5XB` is not a size; units: B kB MB GB TB KiB MiB GiB TiB",
        ),
        (
            "ttl_jitter = 2",
            "C0209 `caches.a.ttl_jitter` must be from 0 to 1, or `0%` to `100%`; write `\"2%\"` for 2 percent",
        ),
        (
            "ttl_jitter = '110%'",
            "C0209 `caches.a.ttl_jitter` must be from 0 to 1, or `0%` to `100%`; ",
        ),
        (
            "allow = 'W0401'",
            "C0204 expected a list of strings for `caches.a.allow`, found a string; `allow`: codes of warnings that are accepted for this cache (list of strings)",
        ),
        (
            "time_to_live = '5s'",
            "C0203 unknown option `time_to_live` for cache `a`; here it is called `ttl` -> ttl",
        ),
        (
            "serializer = 'json'",
            "C0202 serializer `json` is known, but this program was built without it; add the crate and link it:\n    cargo add larder-serializers\n    use larder_serializers as _;      // in main.rs: an unused crate is not linked",
        ),
        (
            "serializer = 'pickle'",
            "C0202 serializer `pickle` is known, but this program was built without it; turn the feature on:\n    cargo add larder --features pickle",
        ),
        (
            "serializer = 'jsn'",
            "C0201 unknown serializer kind `jsn`; `json` has a similar name, and is not part of this program",
        ),
        (
            "serializer = 'acme.json'",
            "C0201 unknown serializer kind `acme.json`; it is of another vendor: name its crate in code (`use the_crate as _;`), or ask the program that has it",
        ),
    ] {
        assert_eq!(advice(option), expected);
    }
}

#[cfg(unix)]
#[test]
fn directories_are_compared_after_links_and_dots_are_resolved() {
    let folder = tempfile::tempdir().expect("a folder");
    let real = folder.path().join("real");
    std::fs::create_dir(&real).expect("a folder");
    std::os::unix::fs::symlink(&real, folder.path().join("link")).expect("a link");
    let root = folder.path().canonicalize().expect("it exists");
    let root = root.to_str().expect("a plain path");
    let conflicts = |first: &str, second: &str| {
        let text = format!(
            "[caches.a]\nbackend = {{ kind = 'file', dir = '{root}/{first}' }}\n\
             [caches.b]\nbackend = {{ kind = 'file', dir = '{root}/{second}' }}\n"
        );
        found(&text)
    };
    assert_eq!(conflicts("real", "other"), [""; 0]);
    assert_eq!(conflicts("real", "real2"), [""; 0]);
    let same = format!("C0404 two caches use the same directory `{root}/real` @ ");
    assert_eq!(conflicts("real", "link"), [format!("{same}'{root}/link'")]);
    assert_eq!(conflicts("real", "link/x/.."), [format!("{same}'{root}/link/x/..'")]);
    let inside = format!(
        "C0404 cache directory `{root}/real/x` lies inside cache directory `{root}/real` @ \
         '{root}/link/x'"
    );
    assert_eq!(conflicts("real", "link/x"), [inside]);
}

#[test]
fn values_from_outside_are_read_as_the_option_wants_them() {
    let text = "[caches.a]\nbackend = { kind = 'memory', capacity = '${env:SIZE}' }\n\
                resilience.single_flight = true\nttl = '1h'\n";
    let single_flight = ("LARDER__CACHES__A__RESILIENCE__SINGLE_FLIGHT", "false");
    let checked = load(text, &[("SIZE", "500"), single_flight]);
    let config = checked.config.unwrap_or_else(|| panic!("{}", checked.report));
    let cache = &config.caches["a"];
    assert!(!cache.resilience.single_flight);
    let TierSource::Backend(backend) = &cache.tiers[0].source else {
        panic!("it has a backend");
    };
    assert_eq!(backend.options, json!({ "capacity": 500 }));
    let report = load(text, &[("SIZE", "many")]).report;
    let message = &report.diagnostics()[0].message;
    assert_eq!(
        message,
        "expected an integer for `caches.a.backend.capacity`, found text from `${env:SIZE}`"
    );
}

#[test]
fn the_model_holds_what_the_config_says_and_defaults_for_the_rest() {
    let text = "[connections.main]\nkind = 'redis'\nurl = 'redis://a'\n\
                [caches.a]\nttl = '1h'\nnegative_ttl = '5s'\nmax_value_size = '1MiB'\n\
                allow = ['W0401']\n\
                [caches.a.l1]\nbackend = { kind = 'file', dir = 'build' }\npolicy = 'lru'\n\
                ttl = '1m'\n\
                [caches.a.l2]\nbackend = { kind = 'redis', connection = 'main' }\n\
                [patterns.'z-*']\nbackend = { kind = 'memory', capacity = 1 }\n\
                [patterns.'a-*']\nbackend = { kind = 'memory', capacity = 1 }\nmax_instances = 3\n";
    let checked = load(text, &[]);
    let config = checked.config.unwrap_or_else(|| panic!("{}", checked.report));
    let cache = &config.caches["a"];
    assert_eq!(cache.ttl, Life::For(Duration::from_secs(3600)));
    assert_eq!(cache.idle_ttl, Life::Never);
    assert_eq!(cache.negative_ttl, Some(Duration::from_secs(5)));
    assert_eq!(cache.max_value_bytes, Some(1 << 20));
    assert_eq!(cache.serializer.node.kind, "messagepack");
    assert!(cache.resilience.single_flight);
    let tiers: Vec<Tier> = cache.tiers.iter().map(|tier| tier.tier).collect();
    assert_eq!(tiers, [Tier::L1, Tier::L2]);
    assert_eq!(cache.tiers[0].ttl, Some(Life::For(Duration::from_secs(60))));
    assert_eq!(cache.tiers[0].policy.as_ref().map(|policy| &*policy.kind), Some("lru"));
    let TierSource::Backend(file) = &cache.tiers[0].source else {
        panic!("it has a backend");
    };
    assert_eq!(file.path.to_string(), "caches.a.l1.backend");
    assert_eq!(file.options, json!({ "dir": "/etc/shop/build" }), "relative to the file");
    let patterns: Vec<&str> = config.patterns.iter().map(|one| &*one.pattern).collect();
    assert_eq!(patterns, ["z-*", "a-*"], "in the order of the file");
    assert_eq!(config.patterns[1].max_instances, Some(3));
    assert_eq!(config.connections["main"].kind, "redis");
}

#[test]
fn a_kind_from_a_library_says_so() {
    let text = "allow = ['W0201']\n[plugins.acme]\nlibrary = 'a.so'\nprovides = ['backend:acme.x']\n\
                [caches.a]\nbackend = { kind = 'acme.x', size = 5 }\n";
    let expected = "C0202 backend `acme.x` comes from a library, which cannot be loaded @ 'acme.x'";
    assert_eq!(found(text), [expected]);
}

#[test]
fn warnings_are_accepted_per_cache() {
    let tiers = "ttl = '1h'\nl1.backend = { kind = 'memory', capacity = 1 }\n\
                 l2.backend = { kind = 'redis', connection = 'main' }\n";
    let text = format!(
        "[connections.main]\nkind = 'redis'\nurl = 'redis://a'\n\
         [caches.a]\nallow = ['W0401']\n{tiers}[caches.b]\n{tiers}"
    );
    let expected = "W0401 `b` keeps an in-process tier over a shared one without a backplane @ \
                    [caches.b]";
    assert_eq!(found(&text), [expected]);
    assert!(load(&text, &[]).config.is_some());
}

#[test]
fn a_soft_limit_that_is_longer_than_the_hard_one_is_named() {
    let cache = "[caches.a]\nl1.backend = { kind = 'memory', capacity = 1 }\n\
                 l2 = { backend = { kind = 'file', dir = '/a' }, timeout = '1s', soft_timeout = ";
    let with = |tier: &str, rest: &str| found(&format!("{cache}'{tier}' }}\n{rest}"));
    let loads = "resilience.soft_timeout = '6s'\nresilience.hard_timeout = ";
    assert_eq!(with("1s", &format!("{loads}'6s'\n")), [""; 0], "as long is not longer");
    assert_eq!(with("1s", &format!("{loads}'never'\n")), [""; 0]);
    let expected = "W0404 `resilience.soft_timeout` of cache `a` never counts @ '6s'";
    assert_eq!(with("1s", &format!("{loads}'5s'\n")), [expected]);
    let expected = "W0404 `soft_timeout` of tier `l2` of cache `a` never counts @ '2s'";
    assert_eq!(with("2s", ""), [expected]);
    let rule = "rules = [{ match = 'a:*', resilience.hard_timeout = '2s' }, { match = 'b:*' }]\n";
    let expected = "W0404 `resilience.soft_timeout` of rule 1 of cache `a` never counts @ '6s'";
    assert_eq!(with("1s", &format!("{loads}'1m'\n{rule}")), [expected]);
}

#[test]
fn processes_are_told_of_changes_over_connections_only() {
    let tiers = |lower: &str| {
        format!(
            "[connections.main]\nkind = 'redis'\nurl = 'redis://a'\n[caches.a]\nttl = '1h'\n\
             l1.backend = {{ kind = 'memory', capacity = 1 }}\nl2.backend = {lower}\n"
        )
    };
    let warning = "W0401 `a` keeps an in-process tier over a shared one without a backplane @ \
                   [caches.a]";
    assert_eq!(found(&tiers("{ kind = 'redis', connection = 'main' }")), [warning]);
    assert_eq!(found(&tiers("{ kind = 'file', dir = '/a' }")), [""; 0], "as there is no backplane");
}

#[test]
fn a_ttl_that_is_no_duration_is_not_named_as_a_bound() {
    let warning = |ttl: &str| {
        let text = format!(
            "[connections.main]\nkind = 'redis'\nurl = 'redis://a'\n[caches.a]\nttl = '{ttl}'\n\
             l1.backend = {{ kind = 'memory', capacity = 1 }}\n\
             l2.backend = {{ kind = 'redis', connection = 'main' }}\n"
        );
        let report = load(&text, &[]).report.to_string();
        report.lines().find_map(|line| line.split_once("^ reads ")).map(|(_, said)| said.to_owned())
    };
    assert_eq!(warning("1h").as_deref(), Some("may be up to 1h old (ttl)"));
    assert_eq!(warning("never").as_deref(), Some("may be old without limit: there is no ttl"));
    assert_eq!(warning("1 parsec").as_deref(), Some("may be as old as `ttl` lets them be"));
}

#[test]
fn an_inherited_mistake_is_reported_once_where_it_was_made() {
    let text = "[templates.t]\ntll = '1h'\n\
                backend = { kind = 'file', dir = '/a', max_entries = 'x', fsnc = 'data' }\n\
                [caches.a]\nextends = 't'\n[caches.b]\nextends = 't'\nbackend.dir = '/b'\n";
    let expected = [
        "C0203 unknown option `tll` for template `t` @ tll",
        "C0204 expected an integer for `templates.t.backend.max_entries`, found a string @ 'x'",
        "C0203 unknown option `fsnc` for backend `file` @ fsnc",
    ];
    assert_eq!(found(text), expected);
    let text = "[defaults]\nttl = 5\n[caches.a]\nbackend = { kind = 'memory', capacity = 1 }\n\
                [caches.b]\nbackend = { kind = 'memory', capacity = 1 }\n";
    assert_eq!(found(text), ["C0205 duration without a unit @ 5"]);
}

#[test]
fn a_template_that_nobody_extends_is_checked_as_a_part() {
    let text = "[templates.t]\nl1.backend.capacity = '${env:N}'\nl1.ttl = '1h'\n";
    assert_eq!(found(text), [""; 0], "nothing is required of a part");
    let text = "[defaults]\nserializer = 'messagepak'\n\
                [templates.t]\ntll = '1h'\nl1.backend = { kind = 'memory', capacity = 'x' }\n";
    let expected = [
        "C0201 unknown serializer kind `messagepak` @ 'messagepak'",
        "C0203 unknown option `tll` for template `t` @ tll",
        "C0204 expected an integer for `templates.t.l1.backend.capacity`, found a string @ 'x'",
    ];
    assert_eq!(found(text), expected);
}

#[test]
fn secrets_stay_hidden_wherever_they_are_written() {
    for text in [
        // A syntax error on the line of a secret.
        "[connections.main]\nkind = 'redis'\npassword = \"hunter2\n",
        // A password in an address, beside a mistake on the same line.
        "connections.main = { kind = 'redis', url = 'redis://u:hunter2@host', pool = 1 }\n",
        // A wrong type.
        "[connections.main]\nkind = 'redis'\nurl = 'a'\npassword = ['hunter2']\n",
        // An option of a plugin that is not there.
        "connections.main = { kind = 'memcached', password = 'hunter2' }\n",
        // A reference where a duration is wanted.
        "[caches.a]\nttl = '${env:PASSWORD}'\n",
        // A section that does not exist.
        "[conections.main]\npassword = 'hunter2'\n",
    ] {
        let checked = load(text, &[("PASSWORD", "hunter2")]);
        assert!(checked.report.has_errors(), "{text}");
        let shown = checked.report.to_string() + &checked.report.json_lines();
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let text = "[connections.main]\nkind = 'redis'\nurl = 'a'\npool_size = 0\n";
    let checked = load(text, &[("LARDER__CONNECTIONS__MAIN__PASSWORD", "hunter2")]);
    assert!(!checked.report.to_string().contains("hunter2"));
}

#[test]
fn the_error_prints_like_the_command_line() {
    let error = load("[caches.a]\nttl = 5\n", &[]).into_config().expect_err("two mistakes");
    assert_eq!(error.diagnostics().len(), 2);
    let text = format!("{error:?}");
    assert!(text.starts_with("error[C0208]: cache `a` has no tier"), "{text}");
    assert!(text.ends_with("/etc/shop/caches.toml: 2 errors; nothing was changed"), "{text}");
}

#[test]
fn only_memory_in_front_is_saved_and_each_cache_to_a_file_of_its_own() {
    let memory = "backend = { kind = 'memory', capacity = 5 }\n";
    for (text, expected) in [
        (
            format!(
                "[caches.a]\n{memory}persist.path = 'x/../a'\n\
                     [caches.b]\n{memory}persist.path = '/etc/shop/a'\n"
            ),
            "C0409 two caches are saved to the same file `/etc/shop/a` @ '/etc/shop/a'",
        ),
        (
            format!("[defaults]\npersist.path = 'a'\n[caches.a]\n{memory}[caches.b]\n{memory}"),
            "C0409 two caches are saved to the same file `/etc/shop/a` @ 'a'",
        ),
        (
            "[caches.a]\nbackend = { kind = 'file', dir = '/var/t' }\npersist = { path = 'a' }\n"
                .to_owned(),
            "C0409 cache `a` has no memory in front to save @ { path = 'a' }",
        ),
        (
            format!("[caches.a]\nl1.cache = 'b'\npersist = {{ path = 'a' }}\n[caches.b]\n{memory}"),
            "C0409 cache `a` has no memory of its own to save @ { path = 'a' }",
        ),
        (
            format!("[caches.a]\nl1.cache = 'b'\n[caches.b]\n{memory}persist = {{ path = 'a' }}\n"),
            "C0409 cache `b` cannot be saved, as cache `a` uses it as a tier @ { path = 'a' }",
        ),
        (
            format!("[patterns.'t-*']\n{memory}persist = {{ path = 'a' }}\n"),
            "C0409 all caches of pattern `t-*` would be saved to the same file @ { path = 'a' }",
        ),
        (
            format!("[caches.a]\n{memory}persist = {{ every = '5m' }}\n"),
            "C0208 `caches.a.persist` needs option `path` @ persist",
        ),
        (
            format!("[caches.a]\n{memory}persist = {{ path = 'a', every = 5 }}\n"),
            "C0205 duration without a unit @ 5",
        ),
    ] {
        assert_eq!(found(&text), [expected], "{text}");
    }
}

#[test]
fn a_file_to_save_to_is_relative_to_the_config_and_its_interval_may_be_absent() {
    let memory = "backend = { kind = 'memory', capacity = 5 }\n";
    for (persist, every) in [("", None), (", every = '90s'", Some(90)), (", every = '0s'", None)] {
        let text = format!("[caches.a]\n{memory}persist = {{ path = 'x/a'{persist} }}\n");
        let config = load(&text, &[]).config.unwrap();
        let persist = config.caches["a"].persist.clone().unwrap();
        assert_eq!(persist.path, std::path::Path::new("/etc/shop/x/a"));
        assert_eq!(persist.every, every.map(Duration::from_secs));
    }
}

/// The serializer of cache `a` with these defaults and this option.
fn serializer(defaults: &str, own: &str) -> SerializerSpec {
    let text = format!(
        "[defaults]\nserializer = {defaults}\n\
         [caches.a]\nbackend = {{ kind = 'memory', capacity = 5 }}\n{own}\n"
    );
    let checked = load(&text, &[("KEY", "hunter2")]);
    let config = checked.config.unwrap_or_else(|| panic!("{}", checked.report));
    config.caches["a"].serializer.clone()
}

#[test]
fn wrappers_stand_at_the_serializer_by_role() {
    let spec = serializer(
        "'messagepack'",
        "serializer = { kind = 'raw', encode = 'base64', compress_min = '4KiB',
            compress = { kind = 'zstd', level = 3 },
            encrypt = { kind = 'aes-256-gcm', keys = ['${env:KEY}'] } }",
    );
    let SerializerSpec { node, compress, compress_min_bytes, encrypt, encode, .. } = spec;
    let compress = compress.expect("it compresses");
    assert_eq!((node.kind.as_str(), node.options), ("raw", json!({})));
    assert_eq!((compress.kind.as_str(), compress.options), ("zstd", json!({ "level": 3 })));
    assert_eq!(compress.path.to_string(), "caches.a.serializer.compress");
    assert_eq!(compress_min_bytes, 4096);
    assert_eq!(encrypt.expect("it encrypts").options, json!({ "keys": ["hunter2"] }));
    assert_eq!(encode.expect("it encodes").kind, "base64");
    assert_eq!(serializer("'raw'", "").compress_min_bytes, 1024);
}

#[test]
fn another_serializer_keeps_what_wraps_it_and_another_wrapper_drops_options() {
    let encrypted = "{ kind = 'raw', compress = { kind = 'zstd', level = 3 }, \
                     encrypt = { kind = 'aes-256-gcm', keys = ['${env:KEY}'] } }";
    let spec = serializer(encrypted, "serializer = 'messagepack'");
    assert_eq!(spec.node.kind, "messagepack");
    assert!(spec.encrypt.is_some(), "an inherited encryption is not lost by the way");
    assert_eq!(spec.compress.expect("inherited").options, json!({ "level": 3 }));
    let spec = serializer(encrypted, "serializer = { compress = 'zstd' }");
    assert_eq!(spec.compress.expect("named again").options, json!({ "level": 3 }));
    let unset = "serializer = { kind = 'messagepack', unset = ['encrypt'] }";
    assert!(serializer(encrypted, unset).encrypt.is_none());
}

#[test]
fn the_serializer_of_a_tier_keeps_what_wraps_that_of_its_cache() {
    let cache = "serializer = { kind = 'raw', compress = 'zstd', compress_min = '4KiB', \
                 encrypt = { kind = 'aes-256-gcm', keys = ['${env:KEY}'] } }\n";
    // What a template and the cache say about the second tier, and what wraps its values.
    for (template, own, expected) in [
        ("", "'messagepack'", (Some("zstd"), 4096, Some("aes-256-gcm"), None)),
        (
            "",
            "{ kind = 'raw', encode = 'base64' }",
            (Some("zstd"), 4096, Some("aes-256-gcm"), Some("base64")),
        ),
        ("", "{ kind = 'raw', compress_min = '1B' }", (Some("zstd"), 1, Some("aes-256-gcm"), None)),
        ("", "{ kind = 'raw', unset = ['encrypt'] }", (Some("zstd"), 4096, None, None)),
        ("", "{ kind = 'raw', unset = ['compress'] }", (None, 1024, Some("aes-256-gcm"), None)),
        (
            "{ kind = 'raw', unset = ['encrypt'] }",
            "'messagepack'",
            (Some("zstd"), 4096, None, None),
        ),
        ("'raw'", "{ unset = ['encrypt'] }", (Some("zstd"), 4096, None, None)),
    ] {
        let template = match template {
            "" => String::new(),
            text => format!("l2.serializer = {text}\n"),
        };
        for (defaults, in_cache) in [(cache, ""), ("", cache)] {
            let text = format!(
                "[defaults]\n{defaults}[templates.t]\n{template}\
                 [caches.a]\nextends = 't'\n{in_cache}\
                 l1.backend = {{ kind = 'memory', capacity = 5 }}\n\
                 l2.backend = {{ kind = 'file', dir = '/var/a' }}\nl2.serializer = {own}\n"
            );
            let checked = load(&text, &[("KEY", "hunter2")]);
            assert!(checked.report.diagnostics().is_empty(), "{}", checked.report);
            let config = checked.config.expect("it is valid");
            let spec = config.caches["a"].tiers[1].serializer.clone().expect("it has its own");
            let kind = |node: &Option<PluginNode>| node.as_ref().map(|node| node.kind.clone());
            let [compress, encrypt, encode] =
                [&spec.compress, &spec.encrypt, &spec.encode].map(kind);
            let min = spec.compress_min_bytes;
            let found = (compress.as_deref(), min, encrypt.as_deref(), encode.as_deref());
            assert_eq!(found, expected, "{text}");
        }
    }
}

#[test]
fn memory_is_not_saved_in_plain_where_a_tier_encrypts() {
    let cipher = "serializer.encrypt = { kind = 'aes-256-gcm', keys = ['${env:KEY}'] }\n";
    let text = |own: &str, tier: &str| {
        format!(
            "[caches.a]\nl1.backend = {{ kind = 'memory', capacity = 5 }}\n\
             l2.backend = {{ kind = 'file', dir = '/var/a' }}\npersist.path = 'a'\n\
             serializer.kind = 'raw'\n{own}{tier}"
        )
    };
    let at_tier = format!("l2.serializer.kind = 'raw'\nl2.{cipher}");
    let report = load(&text("", &at_tier), &[("KEY", "hunter2")]).report;
    let [one] = report.diagnostics() else { panic!("one mistake: {report}") };
    let message = "cache `a` would be saved in plain, while its tier `l2` encrypts";
    assert_eq!((one.code, one.message.as_str()), ("C0409", message));
    for text in [text("", ""), text(cipher, ""), text(cipher, &at_tier)] {
        let report = load(&text, &[("KEY", "hunter2")]).report;
        assert!(report.diagnostics().is_empty(), "{report}");
    }
}

#[test]
fn nobody_stores_plain_values_in_a_cache_that_encrypts() {
    let cipher = "serializer = { kind = 'raw', \
                  encrypt = { kind = 'aes-256-gcm', keys = ['${env:KEY}'] } }\n";
    let config = |above: &str, below: &str, defaults: &str| {
        format!(
            "[defaults]\n{defaults}\n\
             [caches.a]\nl1.backend = {{ kind = 'memory', capacity = 5 }}\nl2.cache = 'b'\n{above}\
             [caches.b]\nbackend = {{ kind = 'file', dir = '/var/b' }}\n{below}"
        )
    };
    let codes = |text: &str| {
        let report = load(text, &[("KEY", "hunter2")]).report;
        let all = report.diagnostics().iter();
        all.map(|one| format!("{} {}", one.code, one.message)).collect::<Vec<_>>()
    };
    let refused = "C0407 tier `l2` of cache `a` would store plain values in cache `b`, which \
                   encrypts";
    assert_eq!(codes(&config("", cipher, "")), [refused]);
    assert_eq!(codes(&config("serializer = 'raw'\n", cipher, "")), [refused]);
    assert_eq!(codes(&config(cipher, cipher, "")), [""; 0]);
    assert_eq!(codes(&config(&format!("l2.{cipher}"), cipher, "")), [""; 0]);
    assert_eq!(codes(&config("", "", cipher)), [""; 0]);
    assert_eq!(codes(&config("", "", "")), [""; 0]);
}
