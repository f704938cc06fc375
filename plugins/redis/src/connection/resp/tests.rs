//! Answers whole, in pieces, and of nonsense.

use super::*;

/// The ends of all answers in these bytes, which come in pieces of these lengths.
fn ends(bytes: &[u8], mut piece: impl FnMut() -> usize) -> Result<Vec<usize>, Broken> {
    let (mut scan, mut ends, mut start, mut there) = (Scan::default(), Vec::new(), 0, 0);
    while there < bytes.len() {
        there = (there + piece().max(1)).min(bytes.len());
        while let Some(length) = scan.end(&bytes[start..there])? {
            start += length;
            ends.push(start);
            if start == there {
                break;
            }
        }
    }
    Ok(ends)
}

#[test]
fn the_end_of_every_kind_of_answer_is_found_wherever_it_is_cut() {
    let answers: &[&[u8]] = &[
        b"+OK\r\n",
        b"-ERR no such thing\r\n",
        b":42\r\n",
        b"_\r\n",
        b"#t\r\n",
        b",1.5\r\n",
        b"(123456789012345678901234567890\r\n",
        b"$-1\r\n",
        b"$0\r\n\r\n",
        b"$4\r\n\r\n\r\n\r\n",
        b"=7\r\ntxt:abc\r\n",
        b"!3\r\nERR\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*3\r\n$1\r\na\r\n_\r\n*1\r\n:1\r\n",
        b"~2\r\n+a\r\n+b\r\n",
        b"%2\r\n+a\r\n:1\r\n+b\r\n%0\r\n",
        b"|1\r\n+ttl\r\n:3600\r\n$1\r\na\r\n",
        b">2\r\n+invalidate\r\n_\r\n",
    ];
    let bytes = answers.concat();
    let wanted: Vec<usize> = answers
        .iter()
        .scan(0, |end, answer| {
            *end += answer.len();
            Some(*end)
        })
        .collect();
    for piece in 1..=bytes.len() {
        assert_eq!(ends(&bytes, || piece).as_ref(), Ok(&wanted), "pieces of {piece}");
    }
}

#[test]
fn nonsense_is_refused_and_never_taken_for_a_length() {
    for bytes in [
        &b"HTTP/1.1 400 Bad Request\r\n"[..],
        b"\x16\x03\x01\n",
        b"+no return\n",
        b"$\r\n",
        b"$-2\r\n",
        b"$+1\r\n",
        b"$1x\r\n",
        b"$?\r\n",
        b"$2\r\nabcd\r\n",
        b"$99999999999999999999\r\n",
        b"*18446744073709551615\r\n",
        b"%9223372036854775807\r\n",
        b"~-1\r\n",
    ] {
        assert_eq!(ends(bytes, || 1), Err(Broken), "{}", bytes.escape_ascii());
    }
    let endless = vec![b'+'; LONGEST_LINE];
    assert_eq!(ends(&endless, || 4096), Err(Broken));
}

#[test]
fn what_never_ends_takes_no_more_room_than_what_arrived() {
    // Each is a length that no server ever sends, and nothing behind it.
    for bytes in [&b"$1000000000000\r\nx"[..], b"*1000000000000\r\n:1\r\n"] {
        assert_eq!(Scan::default().end(bytes), Ok(None));
        assert!(Strings::of_list(bytes, 7).is_none());
    }
    // Lists in lists, as deep as they like.
    let deep = b"*1\r\n".repeat(100_000);
    assert_eq!(Scan::default().end(&deep), Ok(None));
}

#[test]
fn strings_are_read_and_everything_else_is_odd() {
    let list = b"*4\r\n$1\r\na\r\n_\r\n$-1\r\n$0\r\n\r\n";
    let mut strings = Strings::of_list(list, 4).unwrap();
    for wanted in [Some("a"), None, None, Some("")] {
        assert_eq!(strings.next(), Some(wanted.map(Bytes::from)));
    }
    assert!(Strings::of_list(list, 3).is_none());
    assert!(Strings::of_list(b"-LOADING\r\n", 1).is_none());
    assert_eq!(Strings::of_string(b"$2\r\nab\r\n").next(), Some(Some("ab".into())));
    assert_eq!(Strings::of_string(b"_\r\n").next(), Some(None));
    for odd in [&b"-WRONGTYPE of it\r\n"[..], b":1\r\n", b"*1\r\n+a\r\n", b"$5\r\nab\r\n"] {
        assert_eq!(Strings::of_string(odd).next(), None, "{}", odd.escape_ascii());
    }
}

#[test]
fn commands_are_written_as_the_crate_writes_them() {
    let long = "k".repeat(1234);
    let mut ours = Vec::new();
    write_command(&mut ours, 3);
    ["MGET", "", &long].iter().for_each(|word| write_word(&mut ours, word));
    assert_eq!(ours, redis::cmd("MGET").arg("").arg(&long).get_packed_command());
}

/// Appends some answer.
fn write_any(random: &mut fastrand::Rng, out: &mut Vec<u8>, depth: usize) {
    let length = random.usize(..6);
    let kind = if depth == 0 { random.u8(..6) } else { random.u8(..9) };
    match kind {
        0 => out.extend_from_slice(b"+text\r\n"),
        1 => out.extend_from_slice(b"-ERR it failed\r\n"),
        2 => out.extend_from_slice(format!(":{}\r\n", random.i64(..)).as_bytes()),
        3 => out.extend_from_slice(b"_\r\n"),
        4 => out.extend_from_slice(b"#t\r\n"),
        5 => {
            let text: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..)).collect();
            write_line(out, b'$', text.len());
            out.extend_from_slice(&text);
            out.extend_from_slice(b"\r\n");
        }
        6 | 7 => {
            write_line(out, if kind == 6 { b'*' } else { b'~' }, length);
            (0..length).for_each(|_| write_any(random, out, depth - 1));
        }
        _ => {
            write_line(out, b'%', length);
            (0..2 * length).for_each(|_| write_any(random, out, depth - 1));
        }
    }
}

#[test]
fn answers_end_where_the_crate_says_and_no_bytes_make_a_panic() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..500 {
        let (mut bytes, mut wanted) = (Vec::new(), Vec::new());
        for _ in 0..random.usize(1..6) {
            let start = bytes.len();
            write_any(&mut random, &mut bytes, 3);
            let by_crate = redis::parse_redis_value(&bytes[start..]).unwrap();
            assert_eq!(value(&bytes[start..]), Ok(by_crate), "seed {seed}");
            wanted.push(bytes.len());
        }
        let mut pieces = random.fork();
        assert_eq!(ends(&bytes, || pieces.usize(1..50)), Ok(wanted), "seed {seed}");
        for _ in 0..10 {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        // Whatever it says, it says something.
        ends(&bytes, || pieces.usize(1..50)).ok();
        value(&bytes).ok();
        let mut strings = Strings::of_string(&bytes);
        while strings.next().is_some() {}
    }
}
