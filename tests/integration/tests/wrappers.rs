//! What wraps the output of serializers: compression, encryption, encoding.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use larder::{
    Cache, CacheManager, ErrorKind, Format, ImportMode, Imported, Lookup, ManualClock, MissCause,
};
use larder_core::wrapper::numbers::{AES_256_GCM, BASE64, LZ4, XCHACHA20_POLY1305, ZLIB, ZSTD};
use larder_core::{Bytes, Entry, Wrappers};
use larder_integration::{strings, until};

const FIRST: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SECOND: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

async fn users(text: &str) -> Cache<String, String> {
    open(text).await.cache("users").unwrap()
}

async fn open(text: &str) -> CacheManager {
    CacheManager::builder()
        .text("caches.toml", Format::Toml, text)
        .environment(
            [("FIRST", FIRST), ("SECOND", SECOND)].map(|(name, key)| (name.into(), key.into())),
        )
        .clock(Arc::new(ManualClock::new()))
        .build()
        .await
        .unwrap()
}

/// A cache over files with a serializer that is wrapped in this way.
fn files(dir: &Path, wrapping: &str) -> String {
    format!(
        "[caches.users]\nserializer = {{ kind = \"messagepack\"{wrapping} }}\n\
         l1.backend = {{ kind = \"file\", dir = '{}' }}\n",
        dir.join("users").display()
    )
}

/// A tier over a puppet, in which tests look at entries.
fn puppet(tier: &str, name: &str, wrapping: &str) -> String {
    format!(
        "{tier}.backend = {{ kind = \"test.puppet\", name = \"{name}\" }}\n\
         {tier}.serializer = {{ kind = \"messagepack\"{wrapping} }}\n"
    )
}

fn over_puppet(name: &str, wrapping: &str) -> String {
    format!("[caches.users]\n{}", puppet("l1", name, wrapping))
}

fn cipher(kind: &str, keys: &str) -> String {
    format!(", encrypt = {{ kind = \"{kind}\", keys = [{keys}] }}")
}

const AES: &str = "aes-256-gcm";
const CHACHA: &str = "xchacha20-poly1305";
const KEY: &str = "\"${env:FIRST}\"";

/// The entry that a puppet holds.
fn entry(name: &str, key: &str) -> Entry {
    strings(name).entries.lock().unwrap().get(key).expect("it is stored").clone()
}

fn put(name: &str, key: &str, entry: Entry) {
    strings(name).entries.lock().unwrap().insert(key.to_owned(), entry);
}

/// A text that compresses.
fn long() -> String {
    "all work and no play ".repeat(500)
}

/// The cache says that the bytes make no value, counts it, and has removed them.
async fn assert_undecodable(users: &Cache<String, String>, key: &str) {
    let before = users.stats().snapshot().tiers[0].undecodable;
    assert_eq!(users.lookup(key).await.unwrap(), Lookup::Miss(MissCause::Decode));
    assert_eq!(users.stats().snapshot().tiers[0].undecodable, before + 1);
    assert_eq!(users.lookup(key).await.unwrap(), Lookup::Miss(MissCause::Cold), "removed");
}

#[tokio::test]
async fn entries_survive_the_process_whatever_wraps_them() {
    let (aes, chacha) = (cipher(AES, KEY), cipher(CHACHA, KEY));
    for wrapping in [
        ", compress = \"zstd\"",
        ", compress = \"lz4\"",
        ", compress = { kind = \"zlib\", level = 9 }",
        ", encode = \"base64\"",
        &aes,
        &chacha,
        &format!(", compress = \"zstd\"{chacha}, encode = \"base64\""),
        &format!(", compress = \"lz4\", compress_min = \"1B\"{aes}, encode = \"base64\""),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let text = files(dir.path(), wrapping);
        let before = users(&text).await;
        before.set("long", long()).await.unwrap();
        before.set("short", "Ada".into()).await.unwrap();
        let after = users(&text).await;
        assert_eq!(after.get("long").await.unwrap(), Some(long()), "{wrapping}");
        assert_eq!(after.get("short").await.unwrap().as_deref(), Some("Ada"), "{wrapping}");
        assert_eq!(after.stats().snapshot().tiers[0].undecodable, 0, "{wrapping}");
    }
}

#[tokio::test]
async fn an_entry_names_what_it_went_through_and_short_ones_are_not_compressed() {
    const NAME: &str = "wrappers-names";
    for (wrapping, of_long, of_short) in [
        ("", &[][..], &[][..]),
        (", compress = \"zstd\"", &[ZSTD], &[]),
        (", compress = \"lz4\", encode = \"base64\"", &[BASE64, LZ4], &[BASE64]),
        (", compress = \"zlib\", compress_min = \"64KiB\"", &[], &[]),
        (
            &format!(", encode = \"base64\"{}, compress = \"zlib\"", cipher(AES, KEY)),
            &[BASE64, AES_256_GCM, ZLIB],
            &[BASE64, AES_256_GCM],
        ),
        (&cipher(CHACHA, KEY), &[XCHACHA20_POLY1305], &[XCHACHA20_POLY1305]),
    ] {
        let users = users(&over_puppet(NAME, wrapping)).await;
        users.set("long", long()).await.unwrap();
        users.set("short", "Ada".into()).await.unwrap();
        assert_eq!(entry(NAME, "long").meta.wrappers.numbers(), of_long, "{wrapping}");
        assert_eq!(entry(NAME, "short").meta.wrappers.numbers(), of_short, "{wrapping}");
        let is_smaller = entry(NAME, "long").value.len() < long().len() / 10;
        let compresses = of_long.iter().any(|number| [ZSTD, LZ4, ZLIB].contains(number));
        assert_eq!(is_smaller, compresses, "{wrapping}");
    }
}

#[tokio::test]
async fn what_does_not_get_smaller_is_stored_as_it_is() {
    const NAME: &str = "wrappers-noise";
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let noise: Vec<u64> = (0..1000).map(|_| random.u64(u64::MAX / 2..)).collect();
    let manager = open(&over_puppet(NAME, ", compress = \"lz4\"")).await;
    let users = manager.cache::<String, Vec<u64>>("users").unwrap();
    users.set("noise", noise.clone()).await.unwrap();
    assert!(entry(NAME, "noise").meta.wrappers.is_empty());
    assert_eq!(users.get("noise").await.unwrap(), Some(noise));
}

#[tokio::test]
async fn entries_stay_readable_when_the_config_compresses_otherwise_or_encodes() {
    let dir = tempfile::tempdir().unwrap();
    let mut stored: Vec<String> = Vec::new();
    for wrapping in [
        "",
        ", compress = \"zstd\"",
        ", compress = \"lz4\", encode = \"base64\"",
        ", compress = \"zlib\"",
        ", encode = \"base64\"",
        "",
    ] {
        let users = users(&files(dir.path(), wrapping)).await;
        for key in &stored {
            assert_eq!(
                users.get(key.as_str()).await.unwrap(),
                Some(long()),
                "{key} after {wrapping}"
            );
        }
        let key = format!("key {}", stored.len());
        users.set(&*key, long()).await.unwrap();
        stored.push(key);
    }
}

#[tokio::test]
async fn keys_are_rotated_without_losing_an_entry_and_a_removed_key_loses_its_own() {
    let dir = tempfile::tempdir().unwrap();
    for kind in [AES, CHACHA] {
        let at = dir.path().join(kind);
        let text = |keys: &str| files(&at, &cipher(kind, keys));
        users(&text(KEY)).await.set("old", "1".into()).await.unwrap();
        let both = users(&text("\"${env:SECOND}\", \"${env:FIRST}\"")).await;
        assert_eq!(both.get("old").await.unwrap().as_deref(), Some("1"));
        both.set("new", "2".into()).await.unwrap();
        let second = users(&text("\"${env:SECOND}\"")).await;
        assert_eq!(second.get("new").await.unwrap().as_deref(), Some("2"));
        assert_undecodable(&second, "old").await;
        let none = users(&files(&at, "")).await;
        assert_undecodable(&none, "new").await;
    }
}

#[tokio::test]
async fn where_entries_are_encrypted_a_plain_one_is_refused() {
    const NAME: &str = "wrappers-plain";
    let plain = users(&over_puppet(NAME, "")).await;
    plain.set("a", "written by anybody".into()).await.unwrap();
    plain.set("b", long()).await.unwrap();
    let encrypted = users(&over_puppet(NAME, &cipher(CHACHA, KEY))).await;
    assert_undecodable(&encrypted, "a").await;
    encrypted.set("a", "by us".into()).await.unwrap();
    assert_eq!(encrypted.get("a").await.unwrap().as_deref(), Some("by us"));
}

#[tokio::test]
async fn an_encrypted_entry_that_is_changed_or_moved_is_a_miss() {
    const NAME: &str = "wrappers-moved";
    let text = over_puppet(NAME, &cipher(AES, KEY));
    let others = format!("{text}[caches.orders]\n{}", puppet("l1", NAME, &cipher(AES, KEY)));
    let manager = open(&others).await;
    let users: Cache<String, String> = manager.cache("users").unwrap();
    let orders: Cache<String, String> = manager.cache("orders").unwrap();
    users.set("a", "Ada".into()).await.unwrap();
    let sealed = entry(NAME, "a");
    assert_undecodable(&orders, "a").await;

    put(NAME, "a", sealed.clone());
    assert_eq!(users.get("a").await.unwrap().as_deref(), Some("Ada"), "nothing was wrong with it");
    put(NAME, "b", sealed.clone());
    assert_undecodable(&users, "b").await;
    let mut bytes = sealed.value.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    put(NAME, "a", Entry { value: bytes.into(), ..sealed.clone() });
    assert_undecodable(&users, "a").await;
    let mut other_format = sealed;
    other_format.meta.format = larder_core::serializer::formats::JSON;
    put(NAME, "a", other_format);
    assert_undecodable(&users, "a").await;
}

#[tokio::test]
async fn a_secret_value_stands_in_no_file() {
    const SECRET: &str = "4929-1234-5678-9012";
    let found = |dir: &Path| {
        let mut folders = vec![dir.to_owned()];
        let mut found = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let bytes = std::fs::read(path).unwrap();
                    let mut windows = bytes.windows(SECRET.len());
                    found += usize::from(windows.any(|window| window == SECRET.as_bytes()));
                }
            }
        }
        found
    };
    for (wrapping, expected) in
        [(String::new(), 2), (cipher(AES, KEY), 0), (cipher(CHACHA, KEY), 0)]
    {
        let dir = tempfile::tempdir().unwrap();
        let users = users(&files(dir.path(), &wrapping)).await;
        users.set("card", SECRET.into()).await.unwrap();
        users.get_or_load("loaded", || async { Ok::<_, String>(SECRET.to_owned()) }).await.unwrap();
        assert_eq!(found(dir.path()), expected, "{wrapping}");
    }
}

/// A Zstandard frame that stands for 8 GiB of one letter, in 256 KiB.
fn bomb() -> Bytes {
    const BLOCKS: u32 = 65_536;
    let mut frame = b"\x28\xb5\x2f\xfd\xe0".to_vec();
    frame.extend_from_slice(&(u64::from(BLOCKS) << 17).to_le_bytes());
    for block in 1..=BLOCKS {
        let header = u32::from(block == BLOCKS) | 1 << 1 | (128 << 10) << 3;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(b'x');
    }
    frame.into()
}

#[tokio::test]
async fn a_bomb_is_a_miss_that_takes_no_memory() {
    const NAME: &str = "wrappers-bomb";
    for wrapping in ["", ", compress = { kind = \"zstd\", max_size = \"1GiB\" }"] {
        let users = users(&over_puppet(NAME, wrapping)).await;
        users.set("a", "Ada".into()).await.unwrap();
        let mut entry = entry(NAME, "a");
        entry.value = bomb();
        entry.meta.wrappers = Wrappers::new(&[ZSTD]).unwrap();
        put(NAME, "a", entry.clone());
        assert_undecodable(&users, "a").await;
        entry.meta.wrappers = Wrappers::new(&[ZSTD, ZSTD, ZSTD]).unwrap();
        put(NAME, "a", entry.clone());
        assert_undecodable(&users, "a").await;
        entry.meta.wrappers = Wrappers::new(&[0x9999]).unwrap();
        put(NAME, "a", entry);
        assert_undecodable(&users, "a").await;
    }
}

#[tokio::test]
async fn the_limit_of_a_cache_is_on_values_and_not_on_what_is_stored() {
    const NAME: &str = "wrappers-limit";
    let limited = |limit: &str, wrapping: &str| {
        let tier = puppet("l1", NAME, wrapping);
        format!("[caches.users]\nmax_value_size = \"{limit}\"\n{tier}")
    };
    let wrapping = format!(", compress = \"zstd\"{}, encode = \"base64\"", cipher(AES, KEY));
    let open = |limit: &'static str| users_of(limited(limit, &wrapping));
    let wide = open("20KiB").await;
    wide.set("long", long()).await.unwrap();
    let narrow = open("1KiB").await;
    let error = narrow.set("other", long()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity, "although it would be stored in few bytes");
    let whole = "x".repeat(1000);
    narrow.set("whole", whole.clone()).await.unwrap();
    assert_eq!(narrow.get("whole").await.unwrap(), Some(whole), "the wrapping does not count");
    assert_undecodable(&narrow, "long").await;
}

async fn users_of(text: String) -> Cache<String, String> {
    users(&text).await
}

#[tokio::test]
async fn tiers_that_want_the_same_bytes_share_them_and_others_do_not() {
    let aes = cipher(AES, KEY);
    let second = cipher(AES, "\"${env:SECOND}\"");
    let same = |wrapping: &'static str, other: String, shared: bool, round: u8| {
        let aes = aes.clone();
        async move {
            let (above, below) = (format!("wrappers-l1-{round}"), format!("wrappers-l2-{round}"));
            let above_text = puppet("l1", &above, &format!("{wrapping}{aes}"));
            let text = format!("[caches.users]\n{above_text}{}", puppet("l2", &below, &other));
            let users = users(&text).await;
            users.set("a", long()).await.unwrap();
            let (upper, lower) = (entry(&above, "a"), entry(&below, "a"));
            assert_eq!(upper.value == lower.value, shared, "{text}");
        }
    };
    same("", aes.clone(), true, 1).await;
    same("", second, false, 2).await;
    same(", compress = \"zstd\"", aes.clone(), false, 3).await;
    same(", compress = \"zstd\"", format!(", compress = \"zstd\"{aes}"), true, 4).await;
    let level = format!(", compress = {{ kind = \"zstd\", level = 4 }}{aes}");
    same(", compress = \"zstd\"", level, false, 5).await;
}

#[tokio::test]
async fn what_is_copied_upwards_is_wrapped_as_the_upper_tier_wants_it() {
    const ABOVE: &str = "wrappers-above";
    const BELOW: &str = "wrappers-below";
    let both = cipher(AES, "\"${env:SECOND}\", \"${env:FIRST}\"");
    for (above, below, expected) in [
        (cipher(AES, KEY), ", compress = \"zstd\"".to_owned(), &[AES_256_GCM][..]),
        (", compress = \"lz4\"".to_owned(), cipher(CHACHA, KEY), &[LZ4]),
        (", encode = \"base64\"".to_owned(), String::new(), &[BASE64]),
        (both, cipher(AES, KEY), &[AES_256_GCM]),
        (cipher(AES, KEY), cipher(AES, KEY), &[AES_256_GCM]),
        (String::new(), String::new(), &[]),
    ] {
        let tiers = puppet("l1", ABOVE, &above) + &puppet("l2", BELOW, &below);
        let users = users(&format!("[caches.users]\n{tiers}")).await;
        users.set("a", long()).await.unwrap();
        users.set("b", long()).await.unwrap();
        strings(ABOVE).entries.lock().unwrap().clear();
        assert_eq!(users.get("a").await.unwrap(), Some(long()));
        until("the copy", || strings(ABOVE).entries.lock().unwrap().contains_key("a")).await;
        assert_eq!(entry(ABOVE, "a").meta.wrappers.numbers(), expected, "{tiers}");
        strings(BELOW).entries.lock().unwrap().clear();
        assert_eq!(users.get("a").await.unwrap(), Some(long()), "the copy is readable\n{tiers}");
    }
}

#[tokio::test]
async fn stacked_caches_read_what_the_other_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "[defaults]\nserializer = {{ kind = \"messagepack\"{} }}\n\
         [caches.shared]\nl1.backend = {{ kind = \"file\", dir = '{}' }}\n\
         [caches.users]\nl1.backend = \"memory\"\nl2.cache = \"shared\"\n",
        cipher(CHACHA, KEY),
        dir.path().join("shared").display()
    );
    let manager = open(&text).await;
    let users: Cache<String, String> = manager.cache("users").unwrap();
    let shared: Cache<String, String> = manager.cache("shared").unwrap();
    users.set("a", "Ada".into()).await.unwrap();
    shared.set("b", "Bob".into()).await.unwrap();
    assert_eq!(shared.get("a").await.unwrap().as_deref(), Some("Ada"));
    assert_eq!(users.get("b").await.unwrap().as_deref(), Some("Bob"));
}

/// A snapshot of a cache.
async fn exported(cache: &Cache<String, String>) -> Vec<u8> {
    cache.export(Vec::new()).await.unwrap().1
}

#[tokio::test]
async fn a_snapshot_of_memory_is_encrypted_like_everything_else() {
    let text = |keys: &str| {
        let cipher = cipher(CHACHA, keys);
        format!(
            "[caches.users]\nbackend = \"memory\"\n\
             serializer = {{ kind = \"messagepack\"{cipher}, compress = \"lz4\" }}\n"
        )
    };
    let before = users(&text(KEY)).await;
    before.set("a", "4929-1234-5678-9012".into()).await.unwrap();
    before.set("long", long()).await.unwrap();
    before.set("b", String::new()).await.unwrap();
    let snapshot = exported(&before).await;
    assert!(snapshot.len() < long().len() / 10, "compressed");
    assert!(!snapshot.windows(9).any(|window| window == b"4929-1234"));
    let after = users(&text(KEY)).await;
    let imported = after.import(Cursor::new(snapshot.clone()), ImportMode::Replace).await.unwrap();
    assert_eq!(imported.entries, 3);
    assert_eq!(after.get("a").await.unwrap().as_deref(), Some("4929-1234-5678-9012"));
    assert_eq!(after.get("long").await.unwrap(), Some(long()));
    let stranger = users(&text("\"${env:SECOND}\"")).await;
    let imported = stranger.import(Cursor::new(snapshot), ImportMode::Replace).await.unwrap();
    assert_eq!((imported.entries, imported.refused), (0, 3));
}

#[tokio::test]
async fn an_import_wraps_anew_what_the_cache_could_not_read_or_must_not_keep() {
    const FROM: &str = "wrappers-from";
    const TO: &str = "wrappers-to";
    let to = |wrapping: &str| format!("[caches.people]\n{}", puppet("l1", TO, wrapping));
    let compressed = ", compress = \"zstd\"".to_owned();
    for (from, into, expected) in [
        (String::new(), cipher(AES, KEY), &[AES_256_GCM][..]),
        (cipher(AES, KEY), cipher(AES, KEY), &[AES_256_GCM]),
        (compressed.clone(), cipher(CHACHA, KEY), &[XCHACHA20_POLY1305]),
        (compressed, ", encode = \"base64\"".to_owned(), &[ZSTD]),
    ] {
        strings(TO).entries.lock().unwrap().clear();
        let users = users(&over_puppet(FROM, &from)).await;
        users.set("a", long()).await.unwrap();
        let snapshot = exported(&users).await;
        let manager = open(&to(&into)).await;
        let people: Cache<String, String> = manager.cache("people").unwrap();
        people.import(Cursor::new(snapshot), ImportMode::Replace).await.unwrap();
        assert_eq!(entry(TO, "a").meta.wrappers.numbers(), expected, "{from} into {into}");
        assert_eq!(people.get("a").await.unwrap(), Some(long()), "{from} into {into}");
    }
    // Without the key nothing can be made of it.
    let users = users(&over_puppet(FROM, &cipher(AES, KEY))).await;
    users.set("a", long()).await.unwrap();
    let people: Cache<String, String> = open(&to("")).await.cache("people").unwrap();
    let snapshot = Cursor::new(exported(&users).await);
    let imported = people.import(snapshot, ImportMode::Replace).await.unwrap();
    assert_eq!((imported.entries, imported.refused), (0, 1));
}

/// What a snapshot leaves in a cache `users` of this config.
async fn imported(text: &str, snapshot: &[u8]) -> (Cache<String, String>, Imported) {
    let users = users(text).await;
    let snapshot = Cursor::new(snapshot.to_vec());
    let imported = users.import(snapshot, ImportMode::Replace).await.unwrap();
    (users, imported)
}

#[tokio::test]
async fn a_snapshot_of_tiers_is_wrapped_as_the_last_one_is_whatever_a_tier_above_stores() {
    const UPPER: &str = "wrappers-snapshot-upper";
    const LOWER: &str = "wrappers-snapshot-lower";
    let other = format!(
        "l1.backend = {{ kind = \"test.puppet\", name = \"{UPPER}\" }}\nl1.serializer = \"json\"\n"
    );
    for upper in [puppet("l1", UPPER, ""), puppet("l1", UPPER, &cipher(CHACHA, KEY)), other] {
        let lower = puppet("l2", LOWER, &cipher(AES, KEY));
        let text = format!("[caches.users]\n{upper}{lower}");
        let before = users(&text).await;
        before.set("a", "4929-1234-5678-9012".into()).await.unwrap();
        let as_it_was = entry(UPPER, "a").meta.wrappers;
        let snapshot = exported(&before).await;
        assert!(!snapshot.windows(9).any(|window| window == b"4929-1234"), "{upper}");
        before.clear().await.unwrap();
        let (after, imported) = imported(&text, &snapshot).await;
        assert_eq!((imported.entries, imported.refused), (1, 0), "{upper}");
        assert_eq!(entry(UPPER, "a").meta.wrappers, as_it_was, "{upper}");
        assert_eq!(entry(LOWER, "a").meta.wrappers.numbers(), [AES_256_GCM], "{upper}");
        assert_eq!(after.get("a").await.unwrap().as_deref(), Some("4929-1234-5678-9012"));
    }
}

#[tokio::test]
async fn entries_that_belong_to_a_cache_above_the_last_come_back_from_a_snapshot() {
    let cipher = cipher(AES, KEY);
    let text = format!(
        "[defaults]\nserializer = {{ kind = \"messagepack\"{cipher} }}\n\
         [caches.users]\nl1.cache = \"upper\"\nl2.cache = \"lower\"\n\
         [caches.upper]\nbackend = {{ kind = \"test.puppet\", name = \"wrappers-stacked-upper\" }}\n\
         [caches.lower]\nbackend = {{ kind = \"test.puppet\", name = \"wrappers-stacked-lower\" }}\n"
    );
    let before = users(&text).await;
    before.set("a", "Ada".into()).await.unwrap();
    let snapshot = exported(&before).await;
    before.clear().await.unwrap();
    let (after, imported) = imported(&text, &snapshot).await;
    assert_eq!((imported.entries, imported.refused), (1, 0));
    assert_eq!(after.get("a").await.unwrap().as_deref(), Some("Ada"));
}

#[tokio::test]
async fn an_import_limits_values_as_they_were_before_they_were_wrapped() {
    const FROM: &str = "wrappers-limit-from";
    const TO: &str = "wrappers-limit-to";
    let limited = |wrapping: &str| {
        format!("[caches.users]\nmax_value_size = \"1KiB\"\n{}", puppet("l1", TO, wrapping))
    };
    for (wrapping, len, fits) in
        [(", encode = \"base64\"", 1000, true), (", compress = \"zstd\"", 10_000, false)]
    {
        strings(TO).entries.lock().unwrap().clear();
        let from = users(&over_puppet(FROM, wrapping)).await;
        from.set("a", "x".repeat(len)).await.unwrap();
        let (users, imported) = imported(&limited(wrapping), &exported(&from).await).await;
        let counts = (imported.entries == 1, imported.refused == 1);
        assert_eq!(counts, (fits, !fits), "{wrapping}: {imported:?}");
        assert_eq!(users.get("a").await.unwrap().is_some(), fits, "{wrapping}");
    }
}

#[tokio::test]
async fn an_import_refuses_what_nobody_can_read_and_keeps_what_is_there() {
    const FROM: &str = "wrappers-unreadable-from";
    const TO: &str = "wrappers-unreadable-to";
    let (first, second) = (cipher(AES, KEY), cipher(AES, "\"${env:SECOND}\""));
    for (from, to, format) in [(&*first, &*second, None), ("", "", Some(0x9abc))] {
        let source = users(&over_puppet(FROM, from)).await;
        source.set("a", "theirs".into()).await.unwrap();
        if let Some(format) = format {
            let mut entry = entry(FROM, "a");
            entry.meta.format = format;
            put(FROM, "a", entry);
        }
        let snapshot = exported(&source).await;
        users(&over_puppet(TO, to)).await.set("a", "ours".into()).await.unwrap();
        let (users, imported) = imported(&over_puppet(TO, to), &snapshot).await;
        assert_eq!((imported.entries, imported.refused), (0, 1), "{format:?}");
        assert_eq!(users.get("a").await.unwrap().as_deref(), Some("ours"), "{format:?}");
    }
}

#[tokio::test]
async fn a_persist_file_holds_only_what_this_cache_encrypted_or_it_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let cache = |name: &str, wrapping: &str| {
        format!(
            "[caches.{name}]\nbackend = \"memory\"\n\
             serializer = {{ kind = \"messagepack\"{wrapping} }}\n\
             persist = {{ path = '{}' }}\n",
            path(name).display()
        )
    };
    let sealed = cache("guests", &cipher(AES, KEY)) + &cache("admins", &cipher(AES, KEY));
    let restored = async |text: &str, name: &str| {
        let manager = open(text).await;
        let cache: Cache<String, String> = manager.cache(name).unwrap();
        let restored = manager.restored(name).await.unwrap().unwrap();
        (restored.entries, restored.refused, cache.get("a").await.unwrap())
    };
    let manager = open(&sealed).await;
    manager.cache::<String, String>("guests").unwrap().set("a", "guest".into()).await.unwrap();
    manager.close().await.unwrap();
    assert_eq!(restored(&sealed, "guests").await, (1, 0, Some("guest".into())));

    std::fs::copy(path("guests"), path("admins")).unwrap();
    assert_eq!(restored(&sealed, "admins").await, (0, 1, None), "the file of another cache");

    let manager = open(&cache("admins", "")).await;
    manager.cache::<String, String>("admins").unwrap().set("a", "anybody".into()).await.unwrap();
    manager.close().await.unwrap();
    assert_eq!(restored(&sealed, "admins").await, (0, 1, None), "a file in plain");
}
