//! The codes of [`Fault`](larder_core::library::Fault)s: libraries that were refused.

/// Codes and texts, sorted.
pub(super) const ERRORS: super::Texts = &[
    (
        "C0601",
        "\
The library of a plugin is not the one that was pinned with `sha256`, so it is not loaded.

If you replaced it on purpose, write the new hash into the config. If not, find out who did.",
    ),
    (
        "C0602",
        "\
The library of a plugin was built for another plugin ABI, or is no plugin at all.

The version is read from a stamp in the file, before any code of it runs. Get a build for the ABI of
this program.",
    ),
    (
        "C0603",
        "\
The library of a plugin cannot be read.

A relative path is relative to the config file that names it.",
    ),
    (
        "C0604",
        "\
The path of a library leads over a symbolic link.

Who can change the link decides which code runs, and the checks of owners and modes would look at
another place. Name the file itself.",
    ),
    (
        "C0605",
        "\
Others than root and the user of this process can change a library, or put another one in its place.

The file and every directory above it must belong to root or to that user, and neither their group
nor everybody may write to them. A directory such as `/tmp`, where only the owner may rename an
entry, may stand further up and not hold the library itself.",
    ),
    (
        "C0606",
        "\
The library of a plugin is a directory, a device or a pipe, or larger than 256 MiB.

Name the file of the library itself.",
    ),
    (
        "C0607",
        "\
The file is no shared library for this machine and system.

The system itself would often say less, such as that there is no such file. Get a build for this
machine.",
    ),
    (
        "C0608",
        "\
The library of a plugin is damaged, or a part of it is missing.

To load it would end the process with a bus error. Copy it again, and when you replace a library,
write the new one beside it and rename it.",
    ),
    (
        "C0609",
        "\
The stamp of a library cannot be used: it has several, or one that is not whole.

Each plugin is a library of its own, with one `LARDER_DEFINE_STAMP` in it.",
    ),
    (
        "C0610",
        "\
A library was compiled with another layout of structs than the plugin header has.

Its compiler saw other sizes, or another size of pointers. Build it without flags that change
packing, for this machine.",
    ),
    (
        "C0611",
        "\
A library needs a newer Larder: it says that it cannot do without functions that this one does not
have.

Use a newer Larder, or an older build of the plugin.",
    ),
    (
        "C0612",
        "\
A library is not pinned, so it is not loaded.

A plugin has all the rights of the process. `sha256` says which bytes may run; `larder plugins pin`
prints it. Or `signed_by` says whose signature it must have. While you work on a plugin,
`trust = \"path\"` says that everybody who can write to the file may run code in this process.",
    ),
    (
        "C0613",
        "\
The name in the stamp of a library is not that of its section.

`[plugins.NAME]` has the name that the plugin has, so that a path to the wrong file is found out.
Rename the section, or correct the path.",
    ),
    (
        "C0614",
        "\
A library does not export what a plugin exports: the function `larder_entry_v1` and the constant
`larder_stamp_v1`.

They must be in the library itself. What a library that it needs exports does not count.",
    ),
    (
        "C0615",
        "\
The system could not load a library.

Its message is shown, with a hint if it is known. Often another library is missing, or the plugin
was built on a newer system.",
    ),
    (
        "C0616",
        "\
The entry function of a library says that it cannot start.

The message is that of the plugin.",
    ),
    (
        "C0617",
        "\
What a library says about itself breaks a rule of the plugin header.

Its code has run, and it is not used. Report it to the author of the plugin.",
    ),
    (
        "C0618",
        "\
The schema of the options of a component cannot be used, so they cannot be checked.

It must be a JSON object of at most 1 MiB that describes an object. Report it to the author of the
plugin.",
    ),
    (
        "C0619",
        "\
A library registers what `provides` does not list, or does not register what it lists.

`provides` says what you expect of a library, so that an update does not bring more than that.",
    ),
    (
        "C0620",
        "\
A library is in a directory from which this program loads none.

The program limits where libraries may be, whatever the config says. Put the library there.",
    ),
    (
        "C0621",
        "\
This system, or this build of the program, cannot load libraries.

A program that is linked statically with musl cannot, and on some systems Larder does not yet know
how to check them. Link the plugin into the program.",
    ),
    (
        "C0622",
        "\
Two plugins have the same kind.

One of the program and one of a library, or two of libraries. Libraries stay in memory: a new file
takes the place of an old one with the same kinds only if it has the same name, and else after a
restart. Remove one of them, or ask its author for a name of the form `vendor.kind`.",
    ),
    (
        "C0623",
        "\
The program that runs a library in a process of its own is not there, or cannot be used.

`isolation = \"process\"` needs `larder-runner` of the same release as the program. It is the file
that `runner` of the section names; else the one that the environment variable `LARDER_RUNNER`
names; else `larder-runner` in the directory of the program. Like a library, it must be a file that
nobody but root and the user of this process can change.",
    ),
    (
        "C0624",
        "\
A plugin of this kind cannot be used from a process of its own; only backends, serializers and
wrappers can.

A policy is asked on every eviction, while the store waits for it: a trip to another process would
cost more than any policy saves. Remove `isolation = \"process\"`, or use another plugin here.",
    ),
    (
        "C0625",
        "\
A library must be signed, and there is no signature.

`signed_by` lists the keys of those who may sign it. The signature is in a file beside the library
that has its name and `.minisig` at the end. Put there the one that came with the library, or sign
it: `minisign -Sm libacme.so`.",
    ),
    (
        "C0626",
        "\
The signature of a library cannot be used: it is cut off, is no regular file, or is no signature of
minisign.

It has four lines, of which the third begins with `trusted comment:`. Signatures of the old kind
(`minisign -Sl`) are not taken. Copy it again, or have the library signed anew.",
    ),
    (
        "C0627",
        "\
A library is signed with a key that `signed_by` does not list.

If you trust whoever has that key, add the key. The beginning of a key is in its signatures; the
whole key comes from its owner.",
    ),
    (
        "C0628",
        "\
The signature of a library was made for something else.

It is that of another library or of another build, or the library or the signature was changed since
it was signed. Get both again from whoever signed them.",
    ),
    (
        "C0629",
        "\
An entry of `signed_by` is no public key of minisign, or there is none at all.

A public key is the second line of the `.pub` file that `minisign -G` writes: 56 characters that
begin with `RW`. The secret key has no place in a config.",
    ),
];
