//! `pickle`, which is a language; what a real Python makes of it is in `tests/python.rs`.

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::*;
use crate::MAX_DEPTH;

/// Reads a pickle, whatever the protocol.
fn load<T: DeserializeOwned>(bytes: impl AsRef<[u8]>) -> Result<T> {
    read(&Pickle::default(), bytes.as_ref())
}

fn refused(bytes: &[u8], why: &str) {
    assert_eq!(cause(load::<IgnoredAny>(bytes)), why, "{}", bytes.escape_ascii());
}

#[test]
fn operations_that_could_run_code_are_refused_by_name() {
    let of =
        |name: &str| format!("the operation `{name}` is refused, because only plain data is read");
    refused(b"(ios\nsystem\n.", &of("INST"));
    refused(b"(N(o.", &of("OBJ"));
    refused(b"\x80\x02N)\x81.", &of("NEWOBJ"));
    refused(b"\x80\x04N)}\x92.", &of("NEWOBJ_EX"));
    refused(b"\x80\x02}}b.", &of("BUILD"));
    refused(b"\x80\x02\x82\x01.", &of("EXT1"));
    refused(b"\x80\x02\x83\x01\0.", &of("EXT2"));
    refused(b"\x80\x02\x84\x01\0\0\0.", &of("EXT4"));
    refused(b"P1\n.", &of("PERSID"));
    refused(b"NQ.", &of("BINPERSID"));
    refused(b"\x80\x05\x97.", &of("NEXT_BUFFER"));
    refused(b"\x80\x05N\x98.", &of("READONLY_BUFFER"));
}

#[test]
fn names_of_all_that_is_not_plain_data_are_refused() {
    let of = |opcode: &str, name: &str| {
        format!("the operation `{opcode}` of `{name}` is refused, because only plain data is read")
    };
    refused(b"cos\nsystem\n(X\x04\0\0\0echotR.", &of("GLOBAL", "os.system"));
    refused(b"c__builtin__\neval\n.", &of("GLOBAL", "__builtin__.eval"));
    refused(b"cbuiltins\ngetattr\n.", &of("GLOBAL", "builtins.getattr"));
    refused(b"c_codecs\ndecode\n.", &of("GLOBAL", "_codecs.decode"));
    refused(b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", &of("STACK_GLOBAL", "posix.system"));
    let escaped = of("GLOBAL", "a\\n\\xff.b").replace("\\n", "\\t");
    refused(b"ca\t\xff\nb\n.", &escaped);
    let long = [b"c", &b"x".repeat(500)[..], b"\ny\n."].concat();
    refused(&long, &of("GLOBAL", &"x".repeat(80)));
    refused(
        b"S'abc'\n.",
        "the operation `STRING` is one of Python 2 with protocol 0, which is not \
        read",
    );
}

#[test]
fn calls_are_only_recognised_with_the_operands_that_python_writes() {
    let misused = "the operation `REDUCE` does not fit its operands";
    for bytes in [
        &b"cbuiltins\nset\n(NtR."[..],
        b"cbuiltins\nset\nNR.",
        b"cbuiltins\nset\n(]]tR.",
        b"cbuiltins\nbytes\n(K\x04tR.",
        b"cbuiltins\nbytearray\n(K\x04tR.",
        b"c_codecs\nencode\n(X\x01\0\0\0aX\x05\0\0\0utf-8tR.",
        b"c_codecs\nencode\n(X\x03\0\0\0\xe2\x82\xacX\x06\0\0\0latin1tR.",
        b"c_codecs\nencode\n(K\x01X\x06\0\0\0latin1tR.",
        b"N)R.",
    ] {
        refused(bytes, misused);
    }
    // A name that is not called is no value.
    let bare = load::<String>(b"cbuiltins\nset\n.");
    assert!(cause(bare).contains("the name of a type"));
}

#[test]
fn a_machine_that_is_misused_says_which_operation_it_was() {
    for (bytes, name) in [
        (&b"a."[..], "APPEND"),
        (b"Na.", "APPEND"),
        (b"NNa.", "APPEND"),
        (b"](Nu.", "SETITEMS"),
        (b"}(Nu.", "SETITEMS"),
        (b"}Ns.", "SETITEM"),
        (b"](N\x90.", "ADDITEMS"),
        (b"e.", "APPENDS"),
        (b"t.", "TUPLE"),
        (b"(Nd.", "DICT"),
        (b"N\x86.", "TUPLE2"),
        (b"N(\x85.", "TUPLE1"),
        (b"0.", "POP"),
        (b"(2.", "DUP"),
        (b"1.", "POP_MARK"),
        (b"\x94.", "MEMOIZE"),
        (b"h\0.", "BINGET"),
        (b"g7\n.", "GET"),
        (b"NN\x93.", "STACK_GLOBAL"),
        (b".", "STOP"),
        (b"(.", "STOP"),
    ] {
        let why = format!("the operation `{name}` does not fit its operands");
        refused(bytes, &why);
    }
    refused(b"\xff.", "the byte `ff` is no operation");
    refused(b"\x80\x06N.", "the protocol `6` is not known");
    refused(b"N.N.", "there are bytes after the end of the pickle");
    refused(b"X\x01\0\0\0\xff.", "the operand of the operation `BINUNICODE` is malformed");
    refused(b"I1.5\n.", "the operand of the operation `INT` is malformed");
    refused(b"L1LL\n.", "the operand of the operation `LONG` is malformed");
    refused(b"Fx\n.", "the operand of the operation `FLOAT` is malformed");
    refused(b"Vx\\u12\n.", "the operand of the operation `UNICODE` is malformed");
    refused(b"N\x8b\xff\xff\xff\xff.", "the operand of the operation `LONG4` is malformed");
    refused(b"\x8a\x12111111111111111111.", "an integer has more than 128 bits");
}

#[test]
fn the_machine_arranges_its_stack_as_python_does() {
    assert_eq!(load::<u8>(b"K\x01K\x020.").unwrap(), 1, "POP");
    assert_eq!(load::<u8>(b"K\x01(K\x02K\x031.").unwrap(), 1, "POP_MARK");
    assert_eq!(load::<u8>(b"K\x01(0.").unwrap(), 1, "POP of a mark");
    assert_eq!(load::<Vec<u8>>(b"](K\x072e.").unwrap(), [7, 7], "DUP");
    let shared = b"(](K\x01eq\x05(h\x05K\x02lh\x05K\x03at.";
    let shared: Value = load(shared).unwrap();
    assert_eq!(shared, json!([[1, 3], [[1, 3], 2], [1, 3]]), "a list is changed everywhere");
}

#[test]
fn a_value_that_contains_itself_is_refused() {
    for bytes in [
        &b"]\x94h\0a."[..],
        b"]\x94(h\0e.",
        b"}\x94K\x01h\0s.",
        b"]\x94](h\0ea.",
        b"](\x8f\x94(h\0\x90e.",
    ] {
        refused(bytes, "a value contains itself");
    }
}

#[test]
fn a_few_bytes_do_not_stand_for_billions_of_values() {
    let mut laughs = b"\x80\x04]\x94".to_vec();
    for level in 0..40 {
        laughs.extend([b'h', level, b'h', level, 0x86, 0x94]);
    }
    laughs.push(b'.');
    let too_much = "the bytes stand for far more than they are";
    refused(&laughs, too_much);
    let text =
        [&b"X\0\0\x01\0"[..], &b"x".repeat(1 << 16), b"\x940](", &b"h\0".repeat(1 << 16), b"e."];
    refused(&text.concat(), too_much);
    let encoded = [
        &b"c_codecs\nencode\nq\x01X\0\0\x01\0"[..],
        &b"x".repeat(1 << 16),
        b"q\x02X\x06\0\0\0latin1q\x03",
        &b"h\x01h\x02h\x03\x86R0".repeat(1 << 14),
        b".",
    ];
    refused(&encoded.concat(), too_much);
    let names = "a name of a field that is rather long, as such names go: sixty-four";
    let record =
        [&b"X\x43\0\0\0"[..], names.as_bytes(), b"\x940](", &b"}h\0Ns".repeat(1000), b"e."];
    let records: Vec<BTreeMap<String, ()>> = load(record.concat()).unwrap();
    assert_eq!(records.len(), 1000, "a table with the same names again and again is fine");
}

#[test]
fn the_depth_is_that_of_the_result() {
    let nest = |levels: usize| [b"]".repeat(levels), b"a".repeat(levels - 1), b".".to_vec()];
    assert_eq!(load::<Value>(nest(MAX_DEPTH).concat()).unwrap(), model::nest(MAX_DEPTH));
    let too_deep = "the value is nested deeper than `127` levels";
    refused(&nest(MAX_DEPTH + 1).concat(), too_deep);
    refused(&[&b")"[..], &b"\x85".repeat(1 << 18), b"."].concat(), too_deep);
    // Nested deeply where it is shared, and made first.
    let twice = [&b"](](]"[..], &b"]".repeat(200), &b"a".repeat(200), b"\x94ee(h\0e."].concat();
    refused(&twice, too_deep);
    let discarded = [&b")"[..], &b"\x85".repeat(1 << 18), b"0N."].concat();
    load::<()>(&discarded).unwrap();
}

#[test]
fn python_has_no_lists_or_dicts_in_keys() {
    let tuple = write(&pickle(4), &BTreeMap::from([(vec![1_u8], 2)])).unwrap();
    assert_eq!(tuple, b"\x80\x04}((K\x01tK\x02u.");
    let why = "Python cannot have a map in the key of a dict";
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
    struct Key {
        id: u8,
    }
    assert_eq!(cause(write(&pickle(4), &BTreeMap::from([(Key { id: 1 }, 2)]))), why);
    assert_eq!(cause(write(&pickle(4), &BTreeMap::from([([Key { id: 1 }], 2)]))), why);
    let why = "Python cannot have a variant in the key of a dict";
    assert_eq!(cause(write(&pickle(4), &BTreeMap::from([(Ok::<u8, u8>(1), 2)]))), why);
    write(&pickle(4), &BTreeMap::from([(1, Key { id: 1 })])).unwrap();
}

#[test]
fn variants_without_and_with_content_are_told_apart() {
    assert!(load::<Plan>(b"X\x04\0\0\0Paid.").is_err());
    assert!(load::<Plan>(b"}X\x04\0\0\0FreeK\x01s.").is_err());
    assert!(load::<Plan>(b"}.").is_err());
    assert_eq!(load::<Plan>(b"}X\x04\0\0\0FreeNs.").unwrap(), Plan::Free);
    assert!(load::<Plan>(b"}X\x05\0\0\0Trial(K\x01ts.").is_err(), "one is missing");
    assert!(load::<(u8, u8)>(b"(K\x01K\x02K\x03t.").is_err(), "one is left over");
}

#[test]
fn an_unknown_protocol_is_an_error_of_the_config() {
    use larder_core::{KeyPath, PluginConfig};
    for protocol in 2..=5 {
        assert!(PickleConfig { protocol }.validate(&KeyPath::default()).is_ok());
    }
    for protocol in [0, 1, 6, 255] {
        assert!(PickleConfig { protocol }.validate(&KeyPath::default()).is_err());
    }
    assert_eq!(PickleConfig::default().protocol, 4);
}

#[test]
fn memory_grows_with_the_bytes() {
    for piece in
        [&b"]"[..], b"}", b"\x8f", b"(", b"N", b"2", b"K\x01", b")\x85", b"N\x94", b"]a", b"(t"]
    {
        let bytes = [b"]", &piece.repeat((1 << 18) / piece.len())[..], b"."].concat();
        let used = allocation_counter::measure(|| drop(load::<IgnoredAny>(&bytes)));
        let most = 128 * bytes.len() as u64;
        let (piece, used) = (piece.escape_ascii(), used.bytes_max);
        println!("{piece}: {} bytes for each", used / bytes.len() as u64);
        assert!(used <= most, "{piece} took {used}");
    }
}
