use larder_core::wrapper::numbers;
use larder_core::{ByteSize, Registry, Slot, WrapContext, Wrapper};

use super::base64::Base64;
use super::lz4::{Lz4, Lz4Config};
use super::zlib::{Zlib, ZlibConfig};
use super::zstd::{Zstd, ZstdConfig};
use super::*;

/// What the frozen bytes below stand for.
const TEXT: &[u8] = b"larder larder larder larder larder larder!";

fn wrappers() -> [(&'static str, Box<dyn Wrapper>); 4] {
    [
        ("base64", Box::new(Base64)),
        ("lz4", Box::new(Lz4::new(&Lz4Config::default()))),
        ("zlib", Box::new(Zlib::new(&ZlibConfig::default()))),
        ("zstd", Box::new(Zstd::new(&ZstdConfig::default()))),
    ]
}

fn wrapper(kind: &str) -> Box<dyn Wrapper> {
    let mut wrappers = wrappers().into_iter();
    wrappers.find(|(own, _)| *own == kind).expect("a known kind").1
}

fn context() -> WrapContext<'static> {
    WrapContext::new("users", "42", 2)
}

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn reason(error: &CacheError) -> String {
    error.source().expect("there is a reason").to_string()
}

/// Bytes that compress, and bytes that do not.
fn samples() -> Vec<Vec<u8>> {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut samples = Vec::new();
    for size in [0, 1, 2, 3, 63, 1024, 70_000, 300_000] {
        samples.push(vec![7; size]);
        samples.push((0..size).map(|_| random.u8(..)).collect());
        samples.push((0..size).map(|_| random.u8(b'a'..b'f')).collect());
    }
    samples
}

#[test]
fn what_is_wrapped_comes_back() {
    for sample in samples() {
        for (kind, wrapper) in wrappers() {
            let wrapped = wrapper.wrap(&sample, &context()).unwrap();
            let limit = context().max_size(sample.len());
            assert_eq!(wrapper.undo(&wrapped, &limit).unwrap(), sample, "{kind}");
        }
    }
}

/// Made with the tools of others: `zstd` of the command line, `zlib` and `base64` of Python, LZ4
/// by hand.
#[test]
fn frozen_bytes_are_read_for_ever() {
    for (kind, number, bytes) in [
        (
            "base64",
            numbers::BASE64,
            "624746795a47567949477868636d526c6369427359584a6b5a584967624746795a47567949477868636d526c6369427359584a6b5a584968",
        ),
        ("lz4", numbers::LZ4, "0000002a7f6c61726465722007000b507264657221"),
        ("zlib", numbers::ZLIB, "0000002a789ccb492c4a492d52c8214829020054ae0f9e"),
        ("zstd", numbers::ZSTD, "28b52ffd202a750000406c617264657220210100728a11"),
    ] {
        let wrapper = wrapper(kind);
        assert_eq!(wrapper.number(), number);
        assert_eq!(wrapper.undo(&hex(bytes), &context()).unwrap(), TEXT, "{kind}");
    }
}

#[test]
fn every_level_is_read_by_all() {
    let sample = samples().pop().unwrap();
    for level in 1..=9 {
        let zlib = Zlib::new(&ZlibConfig { level, ..ZlibConfig::default() });
        let wrapped = zlib.wrap(&sample, &context()).unwrap();
        assert_eq!(wrapper("zlib").undo(&wrapped, &context()).unwrap(), sample);
        let level = i32::try_from(level * 2).unwrap();
        let zstd = Zstd::new(&ZstdConfig { level, ..ZstdConfig::default() });
        let wrapped = zstd.wrap(&sample, &context()).unwrap();
        assert_eq!(wrapper("zstd").undo(&wrapped, &context()).unwrap(), sample);
    }
}

#[test]
fn cut_bytes_are_refused_at_every_length() {
    for (kind, wrapper) in wrappers() {
        let wrapped = wrapper.wrap(TEXT, &context()).unwrap();
        for length in 0..wrapped.len() {
            let undone = wrapper.undo(&wrapped[..length], &context());
            // Four characters of base64 stand for themselves.
            let is_shorter = undone.as_ref().is_ok_and(|undone| undone.len() < TEXT.len());
            assert!(undone.is_err() || kind == "base64" && is_shorter, "{kind} {length}");
        }
        let longer = [wrapped.as_slice(), b"x"].concat();
        assert!(wrapper.undo(&longer, &context()).is_err(), "{kind}");
    }
}

#[test]
fn flipped_bits_and_random_bytes_never_panic_nor_exceed_the_limit() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let limit = context().max_size(TEXT.len());
    for (kind, wrapper) in wrappers() {
        let wrapped = wrapper.wrap(TEXT, &context()).unwrap();
        for bit in 0..wrapped.len() * 8 {
            let mut flipped = wrapped.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(undone) = wrapper.undo(&flipped, &limit) {
                assert!(undone.len() <= TEXT.len(), "{kind}");
                assert!(kind != "zlib" || undone == TEXT, "the Adler-32 tells");
            }
        }
        for _ in 0..2_000 {
            let mut bytes = vec![0; random.usize(..200)];
            random.fill(&mut bytes);
            let undone = wrapper.undo(&bytes, &limit);
            assert!(undone.map_or(0, |undone| undone.len()) <= TEXT.len(), "{kind}");
        }
    }
}

/// A frame of blocks that each stand for 128 KiB, and says that it stands for `claim` bytes.
fn zstd_bomb(claim: u64, blocks: u32) -> Vec<u8> {
    // One segment, eight bytes of content size.
    let mut frame = hex("28b52ffde0");
    frame.extend_from_slice(&claim.to_le_bytes());
    for block in 1..=blocks {
        let header = u32::from(block == blocks) | 1 << 1 | (128 << 10) << 3;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(b'x');
    }
    frame
}

/// A block that says that it stands for `claim` bytes, and stands for `size` of one byte.
fn lz4_bomb(claim: u32, size: usize) -> Vec<u8> {
    let mut bytes = claim.to_be_bytes().to_vec();
    // A literal, and a match with it that is as long as it takes.
    bytes.extend_from_slice(&[0x1f, b'x', 1, 0]);
    bytes.resize(bytes.len() + size / 255, 255);
    bytes.extend_from_slice(&[0, 0x50, b'x', b'x', b'x', b'x', b'x']);
    bytes
}

fn zlib_bomb(claim: u32, size: usize) -> Vec<u8> {
    let mut bytes = wrapper("zlib").wrap(&vec![b'x'; size], &context()).unwrap();
    bytes[..4].copy_from_slice(&claim.to_be_bytes());
    bytes
}

/// What undoing says, and how much memory it took on the way. What C takes is not counted: a
/// context of Zstandard is of a fixed size.
fn undo(kind: &str, bytes: &[u8], max: usize) -> (String, u64) {
    let wrapper = wrapper(kind);
    let mut said = String::new();
    let taken = allocation_counter::measure(|| {
        let undone = wrapper.undo(bytes, &context().max_size(max));
        said = undone.map_or_else(|error| reason(&error), |undone| undone.len().to_string());
    });
    (said, taken.bytes_max)
}

#[test]
fn a_bomb_takes_no_memory() {
    const GIB: u32 = 1 << 30;
    let bombs = [
        ("zstd", zstd_bomb(GIB.into(), 8192)),
        ("zstd", zstd_bomb(u64::MAX - 2, 8192)),
        ("lz4", lz4_bomb(GIB, 4 << 20)),
        ("zlib", zlib_bomb(GIB, 4 << 20)),
    ];
    for (kind, bomb) in bombs {
        assert!(bomb.len() < 40_000, "{kind} is small");
        let (said, taken) = undo(kind, &bomb, usize::MAX);
        assert_eq!(said, "they stand for more than is allowed", "{kind}");
        assert!(taken < 10_000, "{kind} took {taken}");
    }
}

#[test]
fn a_lie_about_the_length_takes_no_memory_either() {
    const CLAIM: u32 = 200 << 20;
    // So few bytes cannot stand for so many.
    for (kind, liar) in [
        ("zstd", zstd_bomb(CLAIM.into(), 2)),
        ("lz4", lz4_bomb(CLAIM, 4000)),
        ("zlib", zlib_bomb(CLAIM, 4000)),
    ] {
        let (said, taken) = undo(kind, &liar, usize::MAX);
        assert_eq!(said, "so few cannot stand for so many", "{kind}");
        assert!(taken < 10_000, "{kind} took {taken}");
    }
    // More comes out than was said.
    for (kind, liar) in [
        ("zstd", zstd_bomb(1000, 8192)),
        ("lz4", lz4_bomb(1000, 4 << 20)),
        ("zlib", zlib_bomb(1000, 4 << 20)),
    ] {
        let (said, taken) = undo(kind, &liar, usize::MAX);
        assert!(said.parse::<usize>().is_err(), "{kind} made {said} bytes");
        assert!(taken < 100_000, "{kind} took {taken}");
    }
    assert_eq!(undo("zstd", &zstd_bomb(4 << 20, 32), usize::MAX).0, "4194304", "no lie");
}

#[test]
fn the_limit_of_the_cache_holds_as_well_as_that_of_the_wrapper() {
    let small = Zstd::new(&ZstdConfig { max_size: ByteSize(100), ..ZstdConfig::default() });
    let wrapped = wrapper("zstd").wrap(&[7; 101], &context()).unwrap();
    assert!(small.undo(&wrapped, &context()).is_err());
    assert!(wrapper("zstd").undo(&wrapped, &context().max_size(100)).is_err());
    assert!(wrapper("zstd").undo(&wrapped, &context().max_size(101)).is_ok());
    let error = small.wrap(&[7; 101], &context()).unwrap_err();
    assert_eq!(reason(&error), "it is too large", "it could not be read again");
}

#[test]
fn base64_is_read_in_one_form_only() {
    let base64 = Base64;
    assert_eq!(base64.wrap(b"\xff\xfe", &context()).unwrap(), b"//4=");
    for other in ["//4", "__4=", "//4=\n", "//5=", " //4="] {
        assert!(base64.undo(other.as_bytes(), &context()).is_err(), "{other:?}");
    }
    assert!(base64.undo(b"AAAAAAAA", &context().max_size(6)).is_ok());
    assert!(base64.undo(b"AAAAAAAA", &context().max_size(5)).is_err());
}

#[test]
fn all_are_registered() {
    let registry = Registry::linked();
    let kinds: Vec<&str> =
        registry.of_slot(Slot::Wrapper).map(|wrapper| wrapper.descriptor.kind).collect();
    assert_eq!(kinds, ["aes-256-gcm", "base64", "lz4", "xchacha20-poly1305", "zlib", "zstd"]);
}
