//! Every message that people see: one mistake in the example config each, in TOML and in YAML,
//! compared with `tests/golden/*.txt`. `SNAPSHOTS=overwrite cargo test` writes them anew.

mod mistakes;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;

use larder_config::check::connection_problem;
use larder_config::check::{CheckEnvironment, Checked, check};
use larder_config::diagnostic::Severity;
use larder_config::loader::Loader;
use larder_config::parse::Format;
use larder_config::render::{RenderOptions, Report};
use larder_core::library::{Fault, LibraryLoader, LibraryRequest, Refusal};
use larder_core::{Descriptor, KeyPath, Problem, Registry, Slot, Source};

use self::mistakes::MISTAKES;

const TOML: &str = include_str!("../golden/caches.toml");
const YAML: &str = include_str!("../golden/caches.yaml");

fn replaced(text: &str, replacements: &[(&str, &str)]) -> String {
    replacements.iter().fold(text.to_owned(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "{from:?} must occur once");
        text.replace(from, to)
    })
}

fn environment() -> CheckEnvironment {
    CheckEnvironment::isolated().container_limit(2 << 30, "/sys/fs/cgroup/memory.max")
}

fn checked(format: Format, text: &str, variables: &[(&str, &str)]) -> Checked {
    let name = if format == Format::Toml { "caches.toml" } else { "caches.yaml" };
    let secrets = [
        ("REDIS_MAIN_PASSWORD", "hunter2-main"),
        ("REDIS_US_PASSWORD", "hunter2-us"),
        ("ADMIN_TOKEN", "hunter2-admin"),
    ];
    let eu = ("REDIS_EU_PASSWORD", "hunter2-eu");
    let eu = (!variables.iter().any(|(name, _)| *name == "REDIS_EU_PASSWD")).then_some(eu);
    let variables = secrets.iter().chain(&eu).chain(variables);
    let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let resolved = Loader::new().text(name, format, text).environment(variables).resolve();
    check(&resolved, &support::registry(), &environment())
}

/// All but the warnings about sections that this release ignores.
fn relevant(report: &Report) -> String {
    let shown = report.diagnostics().iter().filter(|one| one.code != "W0201");
    let texts: Vec<String> =
        shown.map(|one| report.render_one(one, RenderOptions::default().width(220))).collect();
    texts.join("\n")
}

fn codes(report: &Report) -> Vec<&'static str> {
    let codes = report.diagnostics().iter().map(|one| one.code);
    codes.filter(|code| *code != "W0201").collect()
}

fn golden(name: &str, text: String) {
    let path = format!("{}/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    snapbox::assert_data_eq!(text, snapbox::Data::read_from(path.as_ref(), None).raw());
}

#[test]
fn the_example_is_valid_in_both_languages() {
    for (format, text) in [(Format::Toml, TOML), (Format::Yaml, YAML)] {
        let checked = checked(format, text, &[]);
        assert!(codes(&checked.report).is_empty(), "{}", checked.report);
        let config = checked.config.expect("no errors");
        assert_eq!(config.caches.len(), 5);
        assert_eq!(config.patterns.len(), 1);
        assert_eq!(config.connections.len(), 3);
    }
}

#[test]
fn every_mistake_reads_as_its_golden_file_says() {
    for mistake in MISTAKES {
        for (format, text, changes) in
            [(Format::Toml, TOML, mistake.toml), (Format::Yaml, YAML, mistake.yaml)]
        {
            if changes.is_empty() && mistake.variables.is_empty() {
                continue;
            }
            let text = replaced(text, changes);
            let checked = checked(format, &text, mistake.variables);
            let extension = if format == Format::Toml { "toml" } else { "yaml" };
            let text = relevant(&checked.report);
            assert!(!text.contains("hunter2"), "a secret is shown:\n{text}");
            golden(&format!("{}.{extension}", mistake.name), text);
            assert_eq!(codes(&checked.report), mistake.codes, "{} {extension}", mistake.name);
            let is_error = mistake.codes.iter().any(|code| code.starts_with('C'));
            assert_eq!(checked.config.is_none(), is_error);
            assert_eq!(checked.report.count(Severity::Error) > 0, is_error);
        }
    }
}

/// Every mistake of one kind in one file: all are reported, each once, and the last line counts.
fn assert_all_at_once(format: Format, text: &str, name: &str) {
    let checked = checked(format, text, &[("LARDER__CACHES__PRODUCT__TTL", "2h")]);
    let mut found = codes(&checked.report);
    found.sort_unstable();
    let expected =
        ["C0201", "C0203", "C0203", "C0203", "C0204", "C0204", "C0205", "C0206", "C0207", "C0303"];
    assert_eq!(found, expected, "{}", checked.report);
    let summary = checked.report.summary();
    assert!(summary.contains(": 10 errors, "), "{summary}");
    golden(name, relevant(&checked.report) + "\n" + &summary + "\n");
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let text = replaced(
        TOML,
        &[
            ("kind = \"memory\", capacity = 100_000", "kind = \"memmory\", capacity = 100_000"),
            ("max_bytes = \"20GiB\"", "max_size  = \"20GiB\""),
            ("pool_size       = 16", "pool_size       = \"16\""),
            ("ttl      = \"30m\"", "ttl      = 1800"),
            ("idle_ttl = \"10m\"", "idle_ttl = \"5M\""),
            ("max_bytes = \"256MiB\"", "max_bytes = \"256M\""),
            ("debounce  = \"500ms\"", "debounse  = \"500ms\""),
            ("[patterns.", "[cashes.x]\n[patterns."),
            ("dir       = \"/var/cache/shop/build\"", "dir       = 7"),
        ],
    );
    assert_all_at_once(Format::Toml, &text, "all-at-once.toml");
    let text = replaced(
        YAML,
        &[
            ("kind: memory, capacity: 100000", "kind: memmory, capacity: 100000"),
            ("max_bytes: 20GiB", "max_size: 20GiB"),
            ("pool_size: 16", "pool_size: \"16\""),
            ("ttl: 30m\n", "ttl: 1800\n"),
            ("idle_ttl: 10m", "idle_ttl: 5M"),
            ("max_bytes: 256MiB", "max_bytes: 256M"),
            ("debounce: 500ms", "debounse: 500ms"),
            ("\npatterns:", "\ncashes: { x: {} }\npatterns:"),
            ("dir: /var/cache/shop/build", "dir: 7"),
        ],
    );
    assert_all_at_once(Format::Yaml, &text, "all-at-once.yaml");
}

#[test]
fn the_sections_of_later_releases_are_named_and_accepted_on_request() {
    let report = checked(Format::Toml, TOML, &[]).report;
    golden("w3-not-available", report.to_string() + "\n");
    let accepted = replaced(TOML, &[("version = 1\n", "version = 1\nallow = [\"W0201\"]\n")]);
    assert_eq!(checked(Format::Toml, &accepted, &[]).report.diagnostics().len(), 0);
}

#[test]
fn a_linked_crate_is_what_a_released_kind_needs() {
    let resolved = Loader::new()
        .text("caches.toml", Format::Toml, "[caches.a]\nbackend = \"memory\"\n")
        .resolve();
    let checked = check(&resolved, &Registry::empty(), &CheckEnvironment::isolated());
    golden("02-not-linked.toml", relevant(&checked.report));
}

#[test]
fn a_connection_that_cannot_be_reached_points_at_its_address() {
    for (name, format, text) in
        [("caches.toml", Format::Toml, TOML), ("caches.yaml", Format::Yaml, YAML)]
    {
        let resolved = Loader::new().text(name, format, text).resolve();
        let problem = connection_problem(
            &resolved.root,
            &resolved.sources,
            "main",
            &connection_refused(),
            Severity::Error,
        );
        let report = Report::new(vec![problem], resolved.sources);
        golden(&name.replace("caches", "13-unreachable"), relevant(&report));
    }
}

fn connection_refused() -> Problem {
    let url = KeyPath::from_segments(["connections", "main", "url"]);
    let message = "cannot reach the server: connection refused (os error 111)";
    Problem::new(url, message)
        .label("10.2.0.17:6380")
        .help("start the server, or correct its address")
}

#[test]
fn a_prefix_that_is_the_default_of_another_cache_is_found() {
    let text = "[connections.main]\nkind = \"redis\"\nurl = \"redis://a\"\n\
                [caches.users]\nbackend = { kind = \"redis\", connection = \"main\" }\n\
                [caches.people]\n\
                backend = { kind = \"redis\", connection = \"main\", prefix = \"users:\" }\n\
                [patterns.\"users*\"]\nbackend = { kind = \"redis\", connection = \"main\" }\n";
    golden("12-default-prefix.toml", relevant(&checked(Format::Toml, text, &[]).report));
}

/// Refuses every library for one reason.
#[derive(Debug)]
struct Refuses(Refusal);

impl LibraryLoader for Refuses {
    fn load(&self, request: &LibraryRequest) -> Result<Vec<Descriptor>, Box<Refusal>> {
        assert_eq!(request.name, "acme-lmdb");
        assert_eq!(request.path, Path::new("/opt/shop/libacme_lmdb.so"));
        assert_eq!(request.provides.as_deref(), Some(&["backend:acme.lmdb".to_owned()][..]));
        Err(Box::new(self.0.clone()))
    }
}

const FOUND: &str = "39362bc54de8ed86b767e0d39ec3f0c5c07ebe3e2f23537d667d849ad93c48a4";

/// The report about a config whose library is refused.
fn library_report(extension: &str, refusal: Refusal, more: &str) -> String {
    let (format, sign) = match extension {
        "toml" => (Format::Toml, "   = "),
        _ => (Format::Yaml, ": "),
    };
    let more = more.replace(" = ", sign);
    let text = match format {
        Format::Toml => format!(
            "[plugins.acme-lmdb]\nlibrary  = \"libacme_lmdb.so\"\n\
             provides = [\"backend:acme.lmdb\"]\n{more}[caches.geo]\n\
             backend = {{ kind = \"acme.lmdb\", path = \"/a\" }}\n"
        ),
        _ => format!(
            "plugins:\n  acme-lmdb:\n    library: libacme_lmdb.so\n    \
             provides: [\"backend:acme.lmdb\"]\n{}caches:\n  geo:\n    \
             backend: {{ kind: acme.lmdb, path: /a }}\n",
            more.lines().map(|line| format!("    {line}\n")).collect::<String>()
        ),
    };
    let name = format!("/opt/shop/caches.{extension}");
    let resolved = Loader::new().text(name, format, text).resolve();
    let environment = CheckEnvironment::isolated().libraries(Arc::new(Refuses(refusal)));
    let checked = check(&resolved, &Registry::empty(), &environment);
    assert!(checked.config.is_none());
    relevant(&checked.report)
}

#[test]
fn a_library_that_is_refused_is_shown_where_it_is_named() {
    let refusal = |fault: Fault, label: &str| {
        let message = "the library of plugin `acme-lmdb` cannot be used";
        Refusal::new(fault, message, label).note("the library is `/opt/shop/libacme_lmdb.so`")
    };
    let pin = format!("sha256 = \"{}\"\n", FOUND.replace(char::is_numeric, "0"));
    for language in ["toml", "yaml"] {
        let check = |name: &str, refusal: Refusal, more: &str| {
            golden(&format!("{name}.{language}"), library_report(language, refusal, more));
        };
        check("14-pin", refusal(Fault::Pin, "pinned").sha256(FOUND), &pin);
        check("14-not-pinned", refusal(Fault::NotPinned, "not pinned").sha256(FOUND), "");
        check("15-abi", refusal(Fault::Abi, "built for plugin ABI 2.1"), "");
        check("15-name", refusal(Fault::Name, "not `acme-bolt`").help("rename it"), "");
        check("15-provides", refusal(Fault::Provides, "does not list all"), "");
        let signed = "signed_by = [\"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\", \
                      \"hunter\"]\n";
        let key = refusal(Fault::Key, "no public key of minisign").entry(1);
        check("15-key-of-a-signer", key, signed);
        check("15-signer", refusal(Fault::Signer, "the key that signed it is not here"), signed);
        let one = refusal(Fault::Key, "no public key of minisign").entry(0);
        check("15-key-of-one-signer", one, "signed_by = \"hunter\"\n");
        check("15-not-signed", refusal(Fault::NotSigned, "not signed"), signed);
    }
}

/// Keeps what it was asked for.
#[derive(Debug, Default)]
struct Listens(std::sync::Mutex<Vec<LibraryRequest>>);

impl LibraryLoader for Listens {
    fn load(&self, request: &LibraryRequest) -> Result<Vec<Descriptor>, Box<Refusal>> {
        self.0.lock().expect("nobody panics with it").push(request.clone());
        Ok(Vec::new())
    }
}

#[test]
fn the_keys_of_signers_are_asked_for_and_never_left_out() {
    let asked = |signed_by: &str| {
        let text = format!("{LIBRARY}trust = 'path'\n{signed_by}\n");
        let resolved = Loader::new().text("caches.toml", Format::Toml, text).resolve();
        let heard = Arc::new(Listens::default());
        let environment =
            CheckEnvironment::isolated().libraries(Arc::clone(&heard) as Arc<dyn LibraryLoader>);
        let checked = check(&resolved, &without_libraries(), &environment);
        let asked: Vec<_> =
            heard.0.lock().unwrap().iter().map(|request| request.signed_by.clone()).collect();
        (asked, checked.report.to_string())
    };
    assert_eq!(asked("").0, [None]);
    assert_eq!(asked("signed_by = 'a'").0, [Some(vec!["a".to_owned()])]);
    let both = Some(vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(asked("signed_by = ['a', 'b']").0, [both]);
    assert_eq!(asked("signed_by = []").0, [Some(vec![])]);
    // A library is not loaded unsigned because the key cannot be read.
    for unreadable in ["1", "[1]", "'${env:NOBODY_SETS_THIS}'", "['a', '${env:NOBODY_SETS_THIS}']"]
    {
        let (asked, report) = asked(&format!("signed_by = {unreadable}"));
        assert_eq!(asked, [], "{unreadable}");
        assert!(report.contains("error"), "{unreadable}: {report}");
    }
    // Nor without its pin.
    let here = format!("{{ {} = '${{env:NOBODY_SETS_THIS}}' }}", std::env::consts::OS);
    for unreadable in ["1", "'${env:NOBODY_SETS_THIS}'", here.as_str()] {
        let (asked, report) = asked(&format!("trust = 'path'\nsha256 = {unreadable}"));
        assert_eq!(asked, [], "{unreadable}");
        assert!(report.contains("error"), "{unreadable}: {report}");
    }
}

/// Brings one backend.
#[derive(Debug)]
struct Brings(Descriptor);

impl LibraryLoader for Brings {
    fn load(&self, _: &LibraryRequest) -> Result<Vec<Descriptor>, Box<Refusal>> {
        Ok(vec![self.0])
    }
}

fn with_library(registry: &Registry, text: &str) -> Checked {
    let lmdb = support::registry();
    let lmdb = lmdb.find(Slot::Backend, "acme.lmdb").expect("it is there").descriptor;
    let resolved = Loader::new().text("caches.toml", Format::Toml, text).resolve();
    check(&resolved, registry, &CheckEnvironment::isolated().libraries(Arc::new(Brings(lmdb))))
}

/// The plugins of the program.
fn without_libraries() -> Registry {
    let all = support::registry();
    let linked = all.iter().filter(|plugin| plugin.source == Source::Explicit);
    linked.fold(Registry::empty(), |registry, plugin| registry.with(plugin.descriptor))
}

const LIBRARY: &str = "[plugins.acme]\nlibrary = 'a.so'\nprovides = ['backend:acme.lmdb']\n";

#[test]
fn options_of_a_plugin_from_a_library_are_checked_like_others() {
    let text = format!(
        "{LIBRARY}[caches.a]\nbackend = {{ kind = 'acme.lmdb', path = '/a', map_sise = '1GiB' }}\n"
    );
    let checked = with_library(&without_libraries(), &text);
    golden("15-option-of-a-library.toml", relevant(&checked.report));
    let text = text.replace("sise", "size");
    let checked = with_library(&without_libraries(), &text);
    assert_eq!(relevant(&checked.report), "");
    let found = checked.registry.find(Slot::Backend, "acme.lmdb").expect("it is registered");
    assert_eq!(found.source.to_string(), "plugin acme");
}

#[test]
fn a_kind_that_is_there_already_is_reported_at_the_library() {
    let checked = with_library(&support::registry(), LIBRARY);
    golden("15-taken.toml", relevant(&checked.report));
}

#[test]
fn a_build_that_loads_no_libraries_says_so() {
    let resolved = Loader::new().text("caches.toml", Format::Toml, LIBRARY).resolve();
    let checked = check(&resolved, &support::registry(), &CheckEnvironment::detect());
    golden("w3-no-libraries", checked.report.to_string() + "\n");
}

#[test]
fn a_cache_in_two_files_is_shown_in_both() {
    let toml = "[caches.sessions]\nbackend = { kind = \"memory\", capacity = 1 }\n";
    let yaml = "caches:\n  sessions:\n    backend: { kind: memory, capacity: 1 }\n";
    for (extension, main, team) in [
        ("toml", format!("include = [\"caches.d/*\"]\n{toml}"), format!("# team\n{toml}")),
        ("yaml", format!("include: [\"caches.d/*\"]\n{yaml}"), format!("# team\n{yaml}")),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("caches.d")).unwrap();
        let part = folder.path().join(format!("caches.d/20-team.{extension}"));
        std::fs::write(part, team).unwrap();
        let file = folder.path().join(format!("caches.{extension}"));
        std::fs::write(&file, main).unwrap();
        let resolved = Loader::new().file(&file).resolve();
        let checked = check(&resolved, &support::registry(), &CheckEnvironment::isolated());
        let folder = format!("{}/", folder.path().to_str().expect("a plain path"));
        let text = relevant(&checked.report).replace(&folder, "");
        golden(&format!("16-two-files.{extension}"), text);
    }
}
