use super::*;
use crate::tree::{Source, SourceKind, Sources, Value};

struct Parsed {
    sources: Sources,
    root: Option<Node>,
    diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    fn of(format: Format, text: &str) -> Self {
        let mut sources = Sources::default();
        let id = sources.add(Source {
            name: "test".to_owned(),
            text: text.to_owned(),
            kind: SourceKind::File,
            included_by: None,
        });
        let mut diagnostics = Vec::new();
        let root = parse(id, text, format, &mut diagnostics);
        assert_eq!(root.is_none(), !diagnostics.is_empty());
        Self { sources, root, diagnostics }
    }

    /// The text of a key and of its value, as they are written.
    fn written(&self, path: &[&str]) -> (&str, &str) {
        let (last, parents) = path.split_last().unwrap();
        let parents: Vec<String> = parents.iter().map(|key| (*key).to_owned()).collect();
        let parent = self.root.as_ref().unwrap().find(&parents).unwrap();
        let item = parent.as_table().unwrap().get(last).unwrap();
        (self.sources.text(&item.key_at), self.sources.text(&item.node.at))
    }

    fn value(&self, key: &str) -> &Value {
        &self.root.as_ref().unwrap().find(&[key.to_owned()]).unwrap().value
    }

    /// Message, text at the primary place and label of every diagnostic.
    fn report(&self) -> Vec<(&str, &str, &str)> {
        let mut lines = Vec::new();
        for one in &self.diagnostics {
            let label = one.primary.as_ref().unwrap();
            lines.push((one.message.as_str(), self.sources.text(&label.at), label.text.as_str()));
        }
        lines
    }

    /// The text at the second place of the first diagnostic.
    fn second(&self) -> &str {
        self.sources.text(&self.diagnostics[0].secondary[0].at)
    }
}

#[test]
fn toml_keeps_the_place_of_keys_values_and_headers() {
    let text = "[caches.\"api.users\"]\nl1.backend = { kind = 'memory' }\n[a]\nb = [1, 2]\n";
    let parsed = Parsed::of(Format::Toml, text);
    let users = parsed.written(&["caches", "api.users"]);
    assert_eq!(users, ("[caches.\"api.users\"]", "[caches.\"api.users\"]"));
    let kind = ["caches", "api.users", "l1", "backend", "kind"];
    assert_eq!(parsed.written(&kind), ("kind", "'memory'"));
    assert_eq!(parsed.written(&kind[..4]), ("backend", "{ kind = 'memory' }"));
    assert_eq!(parsed.written(&["a", "b"]), ("b", "[1, 2]"));
}

#[test]
fn the_order_of_the_file_is_kept() {
    for (format, text) in [
        (Format::Toml, "z = 1\nb = 1\nm.x = 1\na = 1\n"),
        (Format::Yaml, "z: 1\nb: 1\nm: {x: 1}\na: 1\n"),
    ] {
        let parsed = Parsed::of(format, text);
        let root = parsed.root.as_ref().unwrap().as_table().unwrap();
        let keys: Vec<&str> = root.iter().map(|item| item.key.as_str()).collect();
        assert_eq!(keys, ["z", "b", "m", "a"]);
    }
}

#[test]
fn yaml_and_json_keep_the_place_of_keys_and_values() {
    let parsed = Parsed::of(Format::Yaml, "caches:\n  users: {ttl: 1m}\n  404:\n    - x\n");
    assert_eq!(parsed.written(&["caches", "users", "ttl"]), ("ttl", "1m"));
    assert_eq!(parsed.written(&["caches", "404"]).0, "404");
    let parsed = Parsed::of(Format::Json, "{\n\t\"a\": {\"b\": \"\\ud83d\\ude00\\/\"}\n}");
    assert_eq!(parsed.written(&["a", "b"]), ("\"b\"", "\"\\ud83d\\ude00\\/\""));
}

#[test]
fn yaml_follows_the_core_schema_of_version_1_2() {
    let text = "a: on\nb: true\nc: 0123\nd: 10%\ne: 1.5\nf:\ng: &x [1]\nh: *x\n";
    let parsed = Parsed::of(Format::Yaml, text);
    assert_eq!(parsed.value("a"), &Value::String("on".to_owned()));
    assert_eq!(parsed.value("b"), &Value::Bool(true));
    assert_eq!(parsed.value("c"), &Value::String("0123".to_owned()));
    assert_eq!(parsed.value("d"), &Value::String("10%".to_owned()));
    assert_eq!(parsed.value("e"), &Value::Float(1.5));
    assert_eq!(parsed.value("f"), &Value::Null);
    assert_eq!(parsed.written(&["h"]), ("h", "*x"));
}

#[test]
fn an_empty_text_is_an_empty_table() {
    for (format, text) in [(Format::Toml, ""), (Format::Yaml, "# nothing\n"), (Format::Json, "{}")]
    {
        let root = Parsed::of(format, text).root.unwrap();
        assert!(root.as_table().unwrap().is_empty());
    }
}

#[test]
fn an_unterminated_string_is_shown_from_its_quote() {
    let label = "no closing `\"` before the end of the line";
    let parsed = Parsed::of(Format::Toml, "a = 1\nidle_ttl = \"10m\nb = 2\nc = \nd = x\n");
    assert_eq!(parsed.report()[0], ("unterminated string", "\"10m", label));
    assert_eq!(parsed.diagnostics[0].notes, ["2 more syntax errors follow; nothing was applied"]);
    let parsed = Parsed::of(Format::Toml, "a = '''x\n");
    let label = "no closing `'''` before the end of the file";
    assert_eq!(parsed.report(), [("unterminated string", "'''", label)]);
}

#[test]
fn text_without_quotes_comes_with_a_fix() {
    let parsed = Parsed::of(Format::Toml, "ttl = 10m\nx =  # later\nttl: 1m\n");
    assert_eq!(
        parsed.report(),
        [
            ("text without quotes", "10m", "not a number, `true` or `false`"),
            ("missing value", "x =", "nothing after the `=`"),
            ("key with no value", "ttl: 1m", "expected `=` and a value"),
        ]
    );
    let fix = parsed.diagnostics[0].fix.as_ref().unwrap();
    assert_eq!(fix.edits[0].text, "\"10m\"");
}

#[test]
fn a_table_begun_with_dots_cannot_be_opened() {
    let text = "[caches.x]\nl1.backend = \"m\"\n[caches.x.l1]\nttl = 1\n";
    let parsed = Parsed::of(Format::Toml, text);
    let message = "`[caches.x.l1]` cannot be opened: `l1` was begun with dotted keys";
    let label = "TOML allows only one of the two forms";
    assert_eq!(parsed.report(), [(message, "[caches.x.l1]", label)]);
    assert_eq!(parsed.second(), "l1.backend = \"m\"");
}

#[test]
fn what_is_defined_twice_is_shown_at_both_places() {
    let parsed = Parsed::of(Format::Toml, "[a]\nx = 1\n[a] # again\ny = 1\n");
    assert_eq!(parsed.report(), [("`[a]` is opened twice", "[a]", "opened again here")]);
    assert_eq!(parsed.second(), "[a]");
    for (format, text) in [
        (Format::Toml, "[a]\nx = 1\n[b]\nx = 1\nx = 2\n"),
        (Format::Yaml, "a: 1\nb: {x: 1, x: 2}\n"),
        (Format::Json, "{\"a\": {\"x\": 1, \"x\": 2}}"),
    ] {
        let parsed = Parsed::of(format, text);
        let (message, written, label) = parsed.report()[0];
        assert_eq!((message, label), ("`x` is set twice", "set again here"));
        assert_eq!(written.trim_matches('"'), "x");
        let (first, second) =
            (&parsed.diagnostics[0].secondary[0].at, &parsed.diagnostics[0].primary);
        assert!(first.span.start < second.as_ref().unwrap().at.span.start);
    }
}

#[test]
fn values_that_a_config_has_not_are_all_reported() {
    let text = "a = 99999999999999999999\nb = 1979-05-27\nc = inf\nd = 0xffffffffffffffff\n";
    let parsed = Parsed::of(Format::Toml, text);
    let messages: Vec<_> =
        parsed.report().iter().map(|(message, text, _)| (*message, *text)).collect();
    assert_eq!(
        messages,
        [
            ("the number is too large", "99999999999999999999"),
            ("a date or time is not a config value", "1979-05-27"),
            ("a number that is not finite is not a config value", "inf"),
            ("the number is too large", "0xffffffffffffffff"),
        ]
    );
    let parsed = Parsed::of(Format::Yaml, "a: 99999999999999999999\nb: 18446744073709551615\n");
    assert_eq!(parsed.diagnostics.len(), 2);
    assert!(parsed.diagnostics.iter().all(|one| one.code == "C0105"));
}

#[test]
fn a_tab_is_found_where_it_is() {
    for text in ["eu:\n\tkind: redis\n", "eu:\n    a: 1\n\tkind: x\n", "eu:\n    a: x\n\tkind: x\n"]
    {
        let parsed = Parsed::of(Format::Yaml, text);
        assert_eq!(parsed.report(), [("tab used for indentation", "\t", "YAML forbids tabs here")]);
    }
    let help = "indent with 4 spaces like the lines around it";
    for text in ["eu:\n    a: x\n\tkind: x\n", "a:\n  eu:\n\tkind: x\n    b: x\n"] {
        assert_eq!(Parsed::of(Format::Yaml, text).diagnostics[0].help, [help]);
    }
}

#[test]
fn yaml_that_is_not_a_config_is_refused() {
    for (text, message) in [
        ("- 1\n", "the config is not a map"),
        ("a: 1\n---\nb: 1\n", "more than one YAML document"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", "merge keys (`<<`) are not supported"),
        ("a: [1, 2\nb: 1\n", "illegal placement of ':' indicator"),
        ("? [1]\n: 2\n", "expected string scalar"),
    ] {
        let parsed = Parsed::of(Format::Yaml, text);
        assert_eq!(parsed.report()[0].0, message);
        assert_eq!(parsed.diagnostics[0].code, "C0102");
    }
}

#[test]
fn json_is_stricter_than_yaml() {
    for text in ["{\"a\": 1,}", "{a: 1}", "{\"a\": 1} # x", "", "{\"a\": 'x'}"] {
        assert!(Parsed::of(Format::Json, text).root.is_none(), "{text}");
    }
    let parsed = Parsed::of(Format::Json, "{\n  \"a\": x\n}");
    assert_eq!(parsed.report(), [("expected value", "x", "")]);
}

#[test]
fn formats_are_told_by_extension() {
    let of = |path: &str| Format::of_path(Path::new(path));
    assert_eq!(of("a/b.TOML"), Some(Format::Toml));
    assert_eq!(of("b.yml"), Some(Format::Yaml));
    assert_eq!(of("b.json"), Some(Format::Json));
    assert_eq!((of("b.conf"), of("toml")), (None, None));
}

#[test]
fn a_byte_order_mark_and_windows_line_breaks_are_taken() {
    for (format, text) in [
        (Format::Toml, "\u{feff}[a]\r\nb = \"c\"\r\n"),
        (Format::Yaml, "\u{feff}a:\r\n  b: \"c\"\r\n"),
        (Format::Json, "\u{feff}{\"a\": {\r\n\"b\": \"c\"}}"),
    ] {
        assert_eq!(Parsed::of(format, text).written(&["a", "b"]).1, "\"c\"");
    }
    let parsed = Parsed::of(Format::Json, "\u{feff}{\"a\": x}");
    assert_eq!(parsed.report(), [("expected value", "x", "")]);
}
