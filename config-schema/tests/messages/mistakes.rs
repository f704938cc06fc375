//! The mistakes: what is changed in the example, and which codes must come out.

/// One mistake.
pub(crate) struct Mistake {
    /// The name of the golden file.
    pub(crate) name: &'static str,
    /// What is replaced by what in the TOML file.
    pub(crate) toml: &'static [(&'static str, &'static str)],
    /// What is replaced by what in the YAML file.
    pub(crate) yaml: &'static [(&'static str, &'static str)],
    /// Variables that are set as well.
    pub(crate) variables: &'static [(&'static str, &'static str)],
    /// The codes that must come out, errors and the warnings about relations.
    pub(crate) codes: &'static [&'static str],
}

impl Mistake {
    const fn new(
        name: &'static str,
        codes: &'static [&'static str],
        toml: &'static [(&'static str, &'static str)],
        yaml: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { name, toml, yaml, variables: &[], codes }
    }

    const fn variables(mut self, variables: &'static [(&'static str, &'static str)]) -> Self {
        self.variables = variables;
        self
    }
}

/// One mistake each.
pub(crate) const MISTAKES: &[Mistake] = &[
    Mistake::new(
        "01-unknown-kind",
        &["C0201"],
        &[("kind = \"memory\", capacity = 100_000", "kind = \"memmory\", capacity = 100_000")],
        &[("kind: memory, capacity: 100000", "kind: memmory, capacity: 100000")],
    ),
    Mistake::new(
        "02-not-available",
        &["C0202"],
        &[(
            "{ kind = \"redis\", connection = \"eu\", prefix = \"profiles:\", read_from = \"replica\" }",
            "{ kind = \"memcached\", servers = [\"mc1:11211\"] }",
        )],
        &[(
            "{ kind: redis, connection: eu, prefix: \"profiles:\", read_from: replica }",
            "{ kind: memcached, servers: [\"mc1:11211\"] }",
        )],
    ),
    Mistake::new(
        "03-foreign-option",
        &["C0203"],
        &[("max_bytes = \"20GiB\"", "max_size  = \"20GiB\"")],
        &[("max_bytes: 20GiB", "max_size: 20GiB")],
    ),
    Mistake::new(
        "03-mistyped-option",
        &["C0203"],
        &[("idle_ttl = \"10m\"", "idle_tll = \"10m\"")],
        &[("idle_ttl: 10m", "idle_tll: 10m")],
    ),
    Mistake::new(
        "04-wrong-type",
        &["C0204"],
        &[("pool_size       = 16", "pool_size       = \"16\"")],
        &[("pool_size: 16", "pool_size: \"16\"")],
    ),
    Mistake::new(
        "05a-duration-without-unit",
        &["C0205"],
        &[("ttl      = \"30m\"", "ttl      = 1800")],
        &[("ttl: 30m\n", "ttl: 1800\n")],
    ),
    Mistake::new(
        "05b-month",
        &["C0206"],
        &[("idle_ttl = \"10m\"", "idle_ttl = \"5M\"")],
        &[("idle_ttl: 10m", "idle_ttl: 5M")],
    ),
    Mistake::new(
        "06-ambiguous-size",
        &["C0207"],
        &[("max_bytes = \"256MiB\"", "max_bytes = \"256M\"")],
        &[("max_bytes: 256MiB", "max_bytes: 256M")],
    ),
    Mistake::new("07-missing-variable", &["C0301"], &[], &[])
        .variables(&[("REDIS_EU_PASSWD", "hunter2-eu")]),
    Mistake::new(
        "08-secret-file",
        &["C0302"],
        &[("${env:REDIS_MAIN_PASSWORD}", "${file:/nowhere/secrets/redis-main}")],
        &[("${env:REDIS_MAIN_PASSWORD}", "${file:/nowhere/secrets/redis-main}")],
    ),
    Mistake::new(
        "09-cycle",
        &["C0401"],
        &[
            (
                "l2.backend.prefix   = \"products:\"",
                "l2.backend.prefix   = \"products:\"\nl3.cache = \"profiles\"",
            ),
            (
                "l2.backend = { kind = \"redis\", connection = \"eu\", prefix = \"profiles:\", read_from = \"replica\" }",
                "l2.cache = \"products\"",
            ),
        ],
        &[
            (
                "      backend: { prefix: \"products:\" }",
                "      backend: { prefix: \"products:\" }\n    l3:\n      cache: profiles",
            ),
            (
                "backend: { kind: redis, connection: eu, prefix: \"profiles:\", read_from: replica }",
                "cache: products",
            ),
        ],
    ),
    Mistake::new(
        "10-unknown-template",
        &["C0402"],
        &[("extends = \"hot-shared\"", "extends = \"hot_shared\"")],
        &[("extends: hot-shared", "extends: hot_shared")],
    ),
    Mistake::new(
        "10-unknown-connection",
        &["C0402"],
        &[("kind = \"redis\", connection = \"main\"", "kind = \"redis\", connection = \"mian\"")],
        &[("kind: redis, connection: main", "kind: redis, connection: mian")],
    ),
    Mistake::new(
        "11-policy-on-redis",
        &["C0403"],
        &[(
            "l2.backend.prefix   = \"products:\"",
            "l2.backend.prefix   = \"products:\"\nl2.policy = \"lru\"",
        )],
        &[(
            "backend: { prefix: \"products:\" }",
            "backend: { prefix: \"products:\" }\n      policy: lru",
        )],
    ),
    Mistake::new(
        "12-one-directory",
        &["C0404"],
        &[(
            "# ── 5.",
            "[caches.thumbnails]\nl1.backend = { kind = \"file\", dir = \"/var/cache/shop/../shop/build\", max_bytes = \"5GiB\" }\n# ── 5.",
        )],
        &[(
            "  geo:  ",
            "  thumbnails:\n    l1:\n      backend: { kind: file, dir: /var/cache/shop/../shop/build, max_bytes: 5GiB }\n  geo:  ",
        )],
    ),
    Mistake::new(
        "12-prefix-of-a-prefix",
        &["C0404"],
        &[
            ("prefix = \"profiles:\"", "prefix = \"products:v2:\""),
            ("connection = \"eu\", prefix", "connection = \"main\", prefix"),
        ],
        &[("connection: eu, prefix: \"profiles:\"", "connection: main, prefix: \"products:v2:\"")],
    ),
    Mistake::new("17a-syntax", &["C0101"], &[("idle_ttl = \"10m\"", "idle_ttl = \"10m")], &[]),
    Mistake::new("17b-syntax", &["C0102"], &[], &[("    kind: redis\n", "\tkind: redis\n")]),
    Mistake::new(
        "18-required",
        &["C0208"],
        &[("dir       = \"/var/cache/shop/build\"\n", "")],
        &[("        dir: /var/cache/shop/build\n", "")],
    ),
    Mistake::new("19-stray-variable", &["C0303"], &[], &[])
        .variables(&[("LARDER__CACHES__PRODUCT__TTL", "2h")]),
    Mistake::new("20-variable", &["C0205"], &[], &[])
        .variables(&[("LARDER__CACHES__SESSIONS__TTL", "1800")]),
    Mistake::new(
        "w1-stale-reads",
        &["W0401"],
        &[(
            "invalidation = { tags = true, backplane = { kind = \"redis-pubsub\", connection = \"main\" } }",
            "invalidation = { tags = true }",
        )],
        &[(
            "      tags: true\n      backplane: { kind: redis-pubsub, connection: main }",
            "      tags: true",
        )],
    ),
    Mistake::new(
        "w2-container",
        &["W0402"],
        &[("max_bytes = \"256MiB\"", "max_bytes = \"3GiB\"")],
        &[("max_bytes: 256MiB", "max_bytes: 3GiB")],
    ),
    Mistake::new(
        "x1-choice",
        &["C0209"],
        &[("durability = \"none\"", "durability = \"nine\"")],
        &[("durability: none", "durability: nine")],
    ),
    Mistake::new(
        "x2-range",
        &["C0209"],
        &[("pool_size       = 16", "pool_size       = 0")],
        &[("pool_size: 16", "pool_size: 0")],
    ),
    Mistake::new(
        "x3-plugin-says-no",
        &["C0210"],
        &[("kind = \"memory\", capacity = 100_000", "kind = \"memory\"")],
        &[("kind: memory, capacity: 100000", "kind: memory")],
    ),
    Mistake::new(
        "x4-literal-secret",
        &["C0203"],
        &[(
            "username        = \"shop\"\npassword        = \"${env:REDIS_MAIN_PASSWORD}\"",
            "passwrd = \"hunter2\"\n",
        )],
        &[],
    ),
    Mistake::new(
        "21-unknown-wrapper",
        &["C0201"],
        &[("compress = \"zstd\"", "compress = \"zstdd\"")],
        &[("compress: zstd", "compress: zstdd")],
    ),
    Mistake::new(
        "21-wrapper-not-linked",
        &["C0202"],
        &[("compress = \"zstd\"", "compress = \"lz4\"")],
        &[("compress: zstd", "compress: lz4")],
    ),
    Mistake::new(
        "22-wrapper-of-another-role",
        &["C0408"],
        &[("compress = \"zstd\", compress_min = \"4KiB\"", "compress = \"base64\"")],
        &[("compress: zstd, compress_min: 4KiB", "compress: { kind: base64 }")],
    ),
    Mistake::new(
        "22-nothing-compresses",
        &["C0408"],
        &[("compress = \"zstd\", ", "")],
        &[("compress: zstd, ", "")],
    ),
    Mistake::new(
        "22-wrapper-as-serializer",
        &["C0408"],
        &[("{ kind = \"raw\", compress = \"zstd\", compress_min = \"4KiB\" }", "\"zstd\"")],
        &[("{ kind: raw, compress: zstd, compress_min: 4KiB }", "{ kind: zstd }")],
    ),
    Mistake::new(
        "22-serializer-as-wrapper",
        &["C0408"],
        &[("compress = \"zstd\"", "compress = \"raw\"")],
        &[("compress: zstd", "compress: raw")],
    ),
    Mistake::new(
        "23-options-of-a-wrapper",
        &["C0209", "C0203"],
        &[("compress = \"zstd\"", "compress = { kind = \"zstd\", level = 23, levle = 3 }")],
        &[("compress: zstd", "compress: { kind: zstd, level: 23, levle: 3 }")],
    ),
    Mistake::new(
        "23-key-is-not-a-list",
        &["C0204"],
        &[(
            "compress = \"zstd\"",
            "compress = \"zstd\", encrypt = { kind = \"aes-256-gcm\", keys = \"hunter2\" }",
        )],
        &[("compress: zstd", "compress: zstd, encrypt: { kind: aes-256-gcm, keys: hunter2 }")],
    ),
];
