//! The long text of every code, for `larder explain`.

mod libraries;

/// Codes and texts, sorted.
type Texts = &'static [(&'static str, &'static str)];

/// Every code with its text, sorted. `C01xx` syntax, `C02xx` options, `C03xx` layers and
/// interpolation, `C04xx` relations, `C05xx` environment, `C06xx` plugin libraries, `Wxxxx`
/// warnings.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    [ERRORS, libraries::ERRORS, WARNINGS].into_iter().flatten().copied()
}

/// The errors but those of libraries.
const ERRORS: Texts = &[
    (
        "C0101",
        "\
The file is not valid TOML.

The first mistake of a line is shown; later ones often only follow from it. A table that was opened
with dotted keys (`l1.backend = …` inside `[caches.x]`) cannot be opened again with a header
(`[caches.x.l1]`): write all of it one way.",
    ),
    (
        "C0102",
        "\
The file is not valid YAML, or not valid JSON, which is read as YAML.

YAML forbids tabs as indentation, and the same key twice in one mapping. `on`, `off`, `yes` and `no`
are plain strings here, as YAML 1.2 says.",
    ),
    (
        "C0103",
        "\
A config file cannot be read: it does not exist, it may not be read, it is too large, or its
extension is none of .toml, .yaml, .yml and .json.

Without it half of the config would be missing, so nothing else is checked.",
    ),
    (
        "C0104",
        "\
`include` cannot be followed.

It is a list of paths or globs, relative to the file that holds it. A file must not include itself,
not through others either.",
    ),
    (
        "C0105",
        "\
A value is of a kind that a config cannot hold: a date, a number that is not finite, or a whole
number that does not fit 64 bits.

If it is meant as text, put quotes around it.",
    ),
    (
        "C0201",
        "\
No plugin of this kind is registered for this role.

The role is part of the name: `redis` the backend and `redis` the connection are two plugins. A
stand-alone `larder` only knows the plugins that are linked into it; a program with plugins of its
own can link the command line into itself.",
    ),
    (
        "C0202",
        "\
The kind is known, but this program cannot use it.

Either the crate that has it is not linked: add it to Cargo.toml and name it in code (`use
larder_memory as _;`), because a crate that nobody names is not linked. Or the crate is there
without the feature that has it: turn it on (`cargo add larder --features pickle`). Or it is planned
and not part of this release. Or it comes from a library that was not loaded: this build does not
load libraries, or the library does not bring it.",
    ),
    (
        "C0203",
        "\
The plugin, or the section, has no option of this name.

Unknown options are errors, because a typo would otherwise silently mean the default. Names that
other cache libraries use for the same thing are recognised, and the message says how the option is
called here.",
    ),
    (
        "C0204",
        "\
The value is of another type than the option takes.

Text from variables, arguments and whole-value references such as `${env:N}` is read as the option
wants it; values written in the file have the type they are written with, so `\"16\"` is a string.",
    ),
    (
        "C0205",
        "\
A duration needs a unit, because half of the readers take `1800` as seconds and half as
milliseconds.

Units: ns us ms s m h d w, also combined: `1h30m`. `never` switches expiry off.",
    ),
    (
        "C0206",
        "\
Months and years are not accepted as units of durations.

They have no fixed length, and `5M` is mostly meant as five minutes, which is `5m`. Write days for
months: `150d`.",
    ),
    (
        "C0207",
        "\
A size needs an exact unit.

`256M` is 256,000,000 bytes to some tools and 268,435,456 to others. Units: B kB MB GB TB for powers
of 1000, KiB MiB GiB TiB for powers of 1024.",
    ),
    (
        "C0208",
        "\
Something required is missing, here and in everything that is inherited.

Requirements are checked after templates, defaults, profiles and overrides were applied, so any of
these can supply it.",
    ),
    (
        "C0209",
        "\
The value has the right type and is not one that the option takes: not one of the listed values, out
of range, or not of the right form.",
    ),
    (
        "C0210",
        "\
The plugin refuses its options.

Each option by itself is fine; the plugin says why they do not work, or do not work together.",
    ),
    (
        "C0211",
        "\
The config passed all checks and cannot be decoded. This is a mistake of Larder, not of the config;
please report it.",
    ),
    (
        "C0301",
        "\
A variable that the config refers to is not set.

`${env:NAME:-default}` gives a default, `${env:NAME:?message}` a message of your own. An empty
variable is set.",
    ),
    (
        "C0302",
        "\
A file that the config refers to with `${file:/path}` cannot be read.

It must exist, be readable by this process, be text, and be at most 1 MiB. A line break at its end
is dropped.",
    ),
    (
        "C0303",
        "\
A variable `LARDER__…`, or an argument `--set`, names nothing in the config.

The path is matched against what exists after merging: letter case does not count, and `-` and `.`
are written `_`. A stray override is an error, because a typo in it would otherwise do nothing.",
    ),
    (
        "C0304",
        "\
`${…}` is not a reference that Larder knows.

References are `${env:NAME}`, `${env:NAME:-default}`, `${env:NAME:?message}` and `${file:/path}`.
Write `$${` for the text `${` itself. A `$` without a brace is a plain character.",
    ),
    (
        "C0305",
        "\
There is no profile of this name.

A profile is chosen with `--profile` or LARDER_PROFILE and stands in the file as `[profile.NAME]`.",
    ),
    (
        "C0306",
        "\
A part of the config that layers are made of has the wrong form: `extends` and `unset` are names,
sections and profiles are tables.",
    ),
    (
        "C0307",
        "\
A `figment::Provider` of the application failed, or returned a value that a config cannot hold.",
    ),
    (
        "C0401",
        "\
Caches use each other as tiers in a circle, so a look-up would never end.

Let them share a third cache that has a backend of its own.",
    ),
    (
        "C0402",
        "\
A name refers to nothing: a template in `extends`, a connection of a plugin, or a cache that is used
as a tier.",
    ),
    (
        "C0403",
        "\
The backend does not take an eviction policy.

It evicts by itself, so the setting would do nothing, and you would believe that it does.",
    ),
    (
        "C0404",
        "\
Two caches use the same directory, or one inside the other, or keys of the same server with prefixes
of which one begins with the other.

They would evict each other's entries, and clearing one would clear the other. Directories are
compared after resolving `.`, `..` and symbolic links.",
    ),
    (
        "C0405",
        "\
The same thing is defined in two files of one layer.

Which one wins would depend on the order of the files. To change a cache per environment use
`[profile.NAME]`.",
    ),
    (
        "C0406",
        "\
A cache has both the short form (`backend`, `policy`) and `l1`, which say the same thing.

`backend = \"memory\"` is short for `l1.backend = \"memory\"`; use one of them.",
    ),
    (
        "C0407",
        "\
The parts of a cache do not fit together: a tier is left out above another one, has two sources, or
every cache of a pattern would use the one thing that only one cache can use.",
    ),
    (
        "C0408",
        "\
Something that stands around a serializer is in the wrong place: a wrapper in the option of another
role, a wrapper as the serializer, a serializer as a wrapper, or `compress_min` where nothing
compresses.

A wrapper has one role: it compresses, encrypts or encodes what the serializer wrote, and stands in
the option of that name: `serializer = { kind = \"messagepack\", compress = \"zstd\" }`. The order
is always compress, encrypt, encode, however they are written.",
    ),
    (
        "C0409",
        "\
`persist` cannot work here. It saves the values that memory holds in front of a cache, to a file of
that cache alone.

Files and servers keep their entries by themselves. A cache that another one uses as a tier holds
bytes for both, and a pattern would save all of its caches to one file. The file is written by the
serializer of the cache, so that has to encrypt where a tier does.",
    ),
    (
        "C0501",
        "\
A connection cannot be used: its server cannot be reached, is not trusted, refuses the login, or is
of another kind or age than is needed.

The config itself is valid. `larder check` asks servers only with `--online`. A program with this
config starts all the same, does without the tier, and tries again for as long as it runs.",
    ),
];

/// The warnings.
const WARNINGS: Texts = &[
    (
        "W0201",
        "\
An option or a section is known and checked, and this build does not act on it yet.

Ignoring it is safe: caches work, without that feature. Remove it, or put `W0201` into `allow`.",
    ),
    (
        "W0202",
        "\
`allow` holds something that is not the code of a warning.

Only warnings can be accepted, by their exact code such as `W0401`; errors cannot.",
    ),
    (
        "W0301",
        "\
`unset` names a key that nothing sets, so it does nothing; probably a typo.",
    ),
    (
        "W0401",
        "\
A cache keeps entries in this process, over a tier that several processes reach over a connection,
and nothing tells this process when another one changes an entry.

Reads may then be as old as the ttl of the first tier. Add a backplane, keep that ttl short, or put
`W0401` into `allow`.",
    ),
    (
        "W0402",
        "\
The limits of all caches in memory add up to more than the container may use.

The process would be killed before the caches are full. Patterns are counted as one cache, and
limits in entries are not counted at all.",
    ),
    (
        "W0403",
        "\
A rule never counts, because earlier rules match all of its keys.

The first rule that matches a key counts, and no other, so exceptions stand before what they are
exceptions from: `user:admin` before `user:*`, and `*` last.",
    ),
    (
        "W0404",
        "\
A soft limit is longer than the hard limit of the same calls, so it never counts.

A caller takes a stale value after the soft limit, and waits no longer than the hard one in any
case. Make the soft limit the shorter one, or leave it out.",
    ),
    (
        "W0501",
        "\
A connection can be used, and its server does something that may not be wanted.

A server that evicts when it is full is right for caches: what it evicts is a miss. It is wrong
where other programs keep data there that must not be lost. Put `W0501` into `allow` when it is
right.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use larder_core::library::Fault;

    use super::all;

    /// Every quoted code in a folder of sources, tests apart.
    fn collect(folder: &Path, codes: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, codes);
                continue;
            }
            let is_table = path.file_name().is_some_and(|name| name == "codes.rs");
            if is_table {
                continue;
            }
            for word in std::fs::read_to_string(&path).unwrap().split('"') {
                let is_code = word.len() == 5
                    && word.starts_with(['C', 'W'])
                    && word[1..].bytes().all(|byte| byte.is_ascii_digit());
                if is_code {
                    codes.insert(word.to_owned());
                }
            }
        }
    }

    #[test]
    fn every_code_in_use_has_a_text_and_every_text_a_use() {
        let mut used = BTreeSet::new();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        collect(&here.join("src"), &mut used);
        // The codes of libraries, which others refuse.
        used.extend(Fault::ALL.iter().map(|fault| fault.code().to_owned()));
        let known: BTreeSet<String> = all().map(|(code, _)| code.to_owned()).collect();
        assert_eq!(used, known);
        assert!(all().is_sorted_by_key(|(code, _)| code));
    }
}
