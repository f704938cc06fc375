//! The serializer `pickle` and a real Python, in both directions.
//!
//! Needs `python3` (3.8 or later, for protocol 5) on the path, or where `PYTHON` says; fails with
//! the reason where there is none.

#![cfg(feature = "pickle")]
#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use larder_core::{Serializer, erased_serde};
use larder_serializers::{Pickle, PickleConfig};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Reads expressions, one a line, and writes what each is pickled as, by both picklers of Python
/// and with every protocol: `PROTOCOL HEX`, and an empty line.
const DUMP: &str = r"
import pickle, sys
for line in sys.stdin:
    value = eval(line)
    for protocol in range(6):
        for dumps in pickle.dumps, pickle._dumps:
            print(protocol, dumps(value, protocol).hex())
    print()
";

/// Reads a pickle in hex and an expression, one pair a line, and fails unless both unpicklers of
/// Python make the value of the expression from it, and its disassembler, which is stricter, finds
/// nothing wrong.
const LOAD: &str = r"
import io, pickle, pickletools, sys
for line in sys.stdin:
    data, expression = line.split(' ', 1)
    data, expected = bytes.fromhex(data), repr(eval(expression))
    pickletools.dis(data, io.StringIO())
    for loads in pickle.loads, pickle._loads:
        assert repr(loads(data)) == expected, (repr(loads(data)), expected)
    print('ok')
";

/// Gives a program its input and returns what it writes.
fn python(program: &str, input: &str) -> String {
    let name = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let child = Command::new(&name)
        .args(["-I", "-S", "-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!(
            "`{name}` cannot be run ({error}); these tests compare with a real Python: install \
             python3 (on Debian: apt-get install python3), or name one in PYTHON"
        )
    });
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input.as_bytes()).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{name} failed: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn write(value: &dyn erased_serde::Serialize, protocol: u8) -> Vec<u8> {
    let mut config = PickleConfig::default();
    config.protocol = protocol;
    let mut out = Vec::new();
    Pickle::new(config).serialize(value, &mut out).unwrap();
    out
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> larder_core::Result<T> {
    let mut found = None;
    Pickle::default().deserialize(bytes, &mut |deserializer| {
        found = Some(erased_serde::deserialize(deserializer)?);
        Ok(())
    })?;
    Ok(found.unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// What Python pickles an expression as, with each protocol.
fn dumped(expression: &str) -> Vec<(u8, Vec<u8>)> {
    let lines = python(DUMP, &format!("{expression}\n"));
    let pickles = lines.lines().filter_map(|line| line.split_once(' '));
    let pickles: Vec<_> =
        pickles.map(|(protocol, bytes)| (protocol.parse().unwrap(), unhex(bytes))).collect();
    assert_eq!(pickles.len(), 12);
    pickles
}

/// Whether Python's value is read as this one, from every protocol.
fn is_read<T>(expression: &str, expected: &T)
where
    T: DeserializeOwned + PartialEq + fmt::Debug,
{
    for (protocol, bytes) in dumped(expression) {
        let found: T = read(&bytes)
            .unwrap_or_else(|error| panic!("{expression}, protocol {protocol}: {error:?}"));
        assert_eq!(&found, expected, "{expression}, protocol {protocol}");
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Plan {
    Free,
    Paid { cents: u32 },
    Trial(u8, char),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    plan: Plan,
    tags: BTreeSet<String>,
}

fn user() -> User {
    let tags = ["a".to_owned(), "ü".to_owned()].into();
    User { id: u64::MAX, name: "Zoë €😀".into(), plan: Plan::Paid { cents: 900 }, tags }
}

/// Bytes that go through serde as bytes.
#[derive(Debug, PartialEq)]
struct Blob(Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

#[test]
fn python_reads_what_we_write_with_every_protocol() {
    let many: Vec<u16> = (0..2500).collect();
    let table: BTreeMap<u16, bool> = (0..1200).map(|n| (n, n % 2 == 0)).collect();
    let all_bytes: Vec<u8> = (0..=255).collect();
    let small = [-1_i64, -128, -129, i64::from(i32::MIN)];
    let cases: Vec<(Box<dyn erased_serde::Serialize>, &str)> = vec![
        (Box::new(()), "None"),
        (Box::new(None::<u8>), "None"),
        (Box::new((true, false)), "(True, False)"),
        (Box::new([0, 255, 256, 65_535, 65_536]), "(0, 255, 256, 65535, 65536)"),
        (Box::new(small), "(-1, -128, -129, -2**31)"),
        (Box::new((u32::MAX, i64::MIN, u64::MAX)), "(2**32 - 1, -2**63, 2**64 - 1)"),
        (Box::new((i128::MIN, i128::MAX, u128::MAX)), "(-2**127, 2**127 - 1, 2**128 - 1)"),
        (Box::new((1.5, -0.0, 0.1, 1e300)), "(1.5, -0.0, 0.1, 1e300)"),
        (Box::new([f64::INFINITY, f64::NAN]), "(float('inf'), float('nan'))"),
        (Box::new("a'\\ü€😀"), r"'a\'\\ü€😀'"),
        (Box::new("x".repeat(300)), "'x' * 300"),
        (Box::new('ß'), "'ß'"),
        (Box::new(Ipv4Addr::LOCALHOST), "'127.0.0.1'"),
        (Box::new(Blob(vec![])), "b''"),
        (Box::new(Blob(all_bytes)), "bytes(range(256))"),
        (Box::new(Blob(vec![b'z'; 300])), "b'z' * 300"),
        (Box::new(vec![1, 2]), "[1, 2]"),
        (Box::new(Vec::<u8>::new()), "[]"),
        (Box::new(many), "list(range(2500))"),
        (Box::new(table), "{n: n % 2 == 0 for n in range(1200)}"),
        (Box::new(((), ("a",), [1; 5])), "(None, ('a',), (1, 1, 1, 1, 1))"),
        (Box::new(BTreeMap::<u8, u8>::new()), "{}"),
        (Box::new(BTreeMap::from([((vec![1, 2], 'x'), vec![3])])), "{((1, 2), 'x'): [3]}"),
        (Box::new([Plan::Free, Plan::Trial(1, 'x')]), "('Free', {'Trial': (1, 'x')})"),
        (
            Box::new(user()),
            "{'id': 2**64 - 1, 'name': 'Zoë €😀', 'plan': {'Paid': {'cents': 900}}, \
             'tags': ['a', 'ü']}",
        ),
    ];
    for protocol in 2..=5 {
        let pickles = cases.iter().map(|(value, expected)| {
            let bytes = write(&**value, protocol);
            format!("{} {expected}\n", hex(&bytes))
        });
        let found = python(LOAD, &pickles.collect::<String>());
        assert_eq!(found, "ok\n".repeat(cases.len()), "protocol {protocol}");
    }
}

#[test]
fn we_read_the_numbers_that_python_writes() {
    is_read("None", &());
    is_read("None", &None::<u8>);
    is_read("(True, False)", &(true, false));
    let positive = [0, 1, 255, 256, 65_535, 65_536, 2_147_483_647, 2_147_483_648, 1_u64 << 63];
    is_read("(0, 1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**63)", &positive);
    let negative = [-1, -128, -129, -2_147_483_648, -2_147_483_649, i64::MIN];
    is_read("(-1, -128, -129, -2**31, -2**31 - 1, -2**63)", &negative);
    is_read("(2**127 - 1, -2**127, 2**128 - 1)", &(i128::MAX, i128::MIN, u128::MAX));
    is_read("(1.5, -0.0, 1e300, float('inf'), 7)", &(1.5, -0.0, 1e300, f64::INFINITY, 7.0));
}

#[test]
fn we_read_the_text_and_bytes_that_python_writes() {
    is_read(r"'a\'\\\n\x00\x1a\r ü€😀\\u20ac'", &"a'\\\n\0\x1a\r ü€😀\\u20ac".to_owned());
    is_read("'x' * 70000", &"x".repeat(70_000));
    is_read("'ß'", &'ß');
    is_read("'127.0.0.1'", &Ipv4Addr::LOCALHOST);
    is_read("bytes(range(256))", &(0..=255).collect::<Vec<u8>>());
    is_read("bytearray(range(256))", &(0..=255).collect::<Vec<u8>>());
    let empty = Vec::<u8>::new();
    is_read("(b'', bytearray(), [b'a' * 300])", &(empty.clone(), empty, [vec![b'a'; 300]]));
}

#[test]
fn we_read_the_collections_that_python_writes() {
    is_read("[]", &Vec::<u8>::new());
    is_read("()", &Vec::<u8>::new());
    is_read("list(range(2500))", &(0..2500).collect::<Vec<u16>>());
    is_read("((1,), (1, 2), (1, 2, 3), (1, 2, 3, 4))", &([1], [1, 2], [1, 2, 3], [1, 2, 3, 4]));
    let table: BTreeMap<u16, String> = (0..1200).map(|n| (n, n.to_string())).collect();
    is_read("{n: str(n) for n in range(1200)}", &table);
    let inner = BTreeMap::from([("k".to_owned(), ())]);
    is_read("{(1, 'a'): {'k': None}}", &BTreeMap::from([((1, 'a'), inner)]));
    let sets = [[1, 2, 3].into(), BTreeSet::new(), (0..2000).collect::<BTreeSet<u16>>()];
    is_read("[{1, 2, 3}, set(), set(range(2000))]", &sets);
    let sets = [BTreeSet::from(["a".to_owned()]), BTreeSet::new()];
    is_read("[frozenset({'a'}), frozenset()]", &sets);
}

#[test]
fn we_read_the_structs_and_variants_that_python_writes() {
    let plans = [Plan::Free, Plan::Paid { cents: 900 }, Plan::Trial(3, 'é')];
    is_read("['Free', {'Paid': {'cents': 900}}, {'Trial': (3, 'é')}]", &plans);
    is_read(
        "(lambda tag: {'name': 'Zoë €😀', 'extra': [{}], 'tags': {tag, 'ü', tag}, \
         'id': 2**64 - 1, 'plan': {'Paid': {'cents': 900}}})('a')",
        &user(),
    );
    let row = || ["x".to_owned()];
    is_read("(lambda row: [row, row, (row, row)])(['x'])", &(row(), row(), (row(), row())));
}

#[test]
fn what_python_pickles_of_classes_and_functions_is_refused() {
    for expression in [
        "print",
        "object()",
        "Exception('x')",
        "1j",
        "range(3)",
        "__import__('datetime').date(2026, 1, 1)",
        "__import__('decimal').Decimal('1.5')",
        "__import__('collections').OrderedDict(a=1)",
        "type('T', (), {'__reduce__': lambda self: (print, ('called',))})()",
    ] {
        for (protocol, bytes) in dumped(expression) {
            let error = read::<serde::de::IgnoredAny>(&bytes).unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            let is_named = cause.contains("GLOBAL` of `");
            assert!(is_named, "{expression}, protocol {protocol}: {cause}");
        }
    }
}

#[test]
fn integers_beyond_128_bits_and_lone_surrogates_are_refused() {
    for expression in ["2**128", "-2**127 - 1", "10**60", r"'\ud800'"] {
        for (protocol, bytes) in dumped(expression) {
            assert!(read::<i128>(&bytes).is_err(), "{expression}, protocol {protocol}");
            assert!(read::<String>(&bytes).is_err(), "{expression}, protocol {protocol}");
        }
    }
}
