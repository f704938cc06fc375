//! Plugins in libraries, from the config to a cache, with a library of the C compiler here.
#![cfg(target_os = "linux")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use minisign::KeyPair;

use crate::support::{Folder, Said, golden};

const PROVIDES: &str = "provides = [\"backend:acme.cache\"]\n";

/// A folder with a plugin and a config that names it. What ran of it is in `ran`.
fn folder(options: &[&str], config: &str) -> Folder {
    let folder = Folder::with(config);
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let library = folder.path().join("acme.so");
    let output = Command::new(&compiler)
        .args(["-std=gnu11", "-shared", "-fPIC", "-w", "-DNAME=\"acme.cache\""])
        .arg(format!("-I{root}/abi/include"))
        .arg(format!("-DPROBE=\"{}\"", folder.path().join("ran").display()))
        .arg("-o")
        .arg(&library)
        .arg(format!("{root}/dynamic/tests/loading/plugin.c"))
        .args(options)
        .output()
        .unwrap_or_else(|error| panic!("install `{compiler}` or set CC: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&library, mode).expect("it was just made");
    folder
}

fn section(more: &str) -> String {
    format!("[plugins.\"acme.cache\"]\nlibrary = \"acme.so\"\n{PROVIDES}{more}")
}

/// Compares without what differs between machines.
fn compare(name: &str, folder: &Folder, arguments: &[&str]) -> Said {
    let Said { code, stdout, stderr } = folder.run(arguments);
    let path = folder.path().canonicalize().expect("it is there");
    let generic = |text: String| {
        let text = text.replace(path.to_str().expect("a plain path"), "[DIR]");
        let words = text.split_inclusive([' ', '"', '\n']).map(|word| {
            let is_hash = word.len() == 65 && word[..64].bytes().all(|b| b.is_ascii_hexdigit());
            if is_hash { word.replace(&word[..64], "[SHA256]") } else { word.to_owned() }
        });
        words.collect::<String>()
    };
    let said = Said { code, stdout: generic(stdout), stderr: generic(stderr) };
    golden(name, arguments, &said);
    said
}

fn ran(folder: &Folder) -> bool {
    folder.path().join("ran").exists()
}

/// What `pin` prints, which is a line of the config.
fn pin(folder: &Folder) -> String {
    let said = folder.run(&["plugins", "pin", "acme.cache"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    assert!(!ran(folder));
    said.stdout
}

#[test]
fn a_library_is_pinned_and_then_used() {
    const CACHE: &str = "[caches.users]\nbackend = { kind = \"acme.cache\", size = 3 }\n";
    let options = ["-DSCHEMA=with_size", "-DCAPS=LARDER_CAP_PERSIST"];
    let folder = folder(&options, &format!("{}{CACHE}", section("")));
    compare("libraries-not-pinned", &folder, &["check"]);
    compare("libraries-verify-not-pinned", &folder, &["plugins", "verify"]);
    compare("libraries-schema-not-pinned", &folder, &["schema", "-o", "caches.schema.json"]);
    assert!(!ran(&folder) && !folder.path().join("caches.schema.json").exists());

    let line = pin(&folder);
    folder.write("caches.toml", &format!("{}{CACHE}", section(&line)));
    compare("libraries-verify", &folder, &["plugins", "verify"]);
    let json = folder.run(&["plugins", "verify", "acme.cache", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("it is JSON");
    assert_eq!((&json[0]["ok"], &json[0]["abi"]), (&true.into(), &"1.0".into()));
    assert!(!ran(&folder), "to verify runs nothing");

    compare("libraries-check", &folder, &["check"]);
    compare("libraries-info", &folder, &["plugins", "info", "acme.cache"]);
    let listed = folder.run(&["plugins", "list", "--format", "json"]).stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("it is JSON");
    let first = &listed["plugins"][0];
    assert_eq!(
        (&first["kind"], &first["source"]),
        (&"acme.cache".into(), &"plugin acme.cache".into())
    );
    compare("libraries-explain", &folder, &["explain", "acme.cache"]);
    let schema = folder.run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&schema.stdout).expect("it is JSON");
    let size = &schema["definitions"]["backend.acme.cache"]["properties"]["size"];
    assert_eq!(size["type"], "integer", "{size}");
    let got = folder.run(&["get", "users", "42"]);
    assert_eq!((got.code, got.stdout.as_str()), (1, ""), "{}", got.stderr);

    let file = folder.run(&["plugins", "info", "./acme.so", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&file.stdout).expect("it is JSON");
    assert_eq!(json["components"][0]["kind"], "acme.cache");
}

#[test]
fn options_of_a_library_are_checked_like_those_of_others() {
    let cache = "[caches.users]\nbackend = { kind = \"acme.cache\", sise = 3 }\n";
    let config = format!("{}{cache}", section("trust = \"path\"\n"));
    let folder = folder(&["-DSCHEMA=with_size"], &config);
    compare("libraries-option", &folder, &["check"]);
}

#[test]
fn a_kind_of_the_program_stays_that_of_the_program() {
    let config = section("trust = \"path\"\n").replace("backend:acme.cache", "backend:memory");
    let folder = folder(&["-DKIND=\"memory\""], &config);
    compare("libraries-taken", &folder, &["check"]);
}

#[test]
fn a_library_that_was_replaced_does_not_run() {
    let folder = folder(&[], &section(&format!("sha256 = \"{}\"\n", "0".repeat(64))));
    compare("libraries-pin", &folder, &["check"]);
    assert!(!ran(&folder));
}

#[test]
fn who_signed_a_library_is_shown_and_a_stranger_is_refused_where_the_keys_are() {
    let (signer, other) = (
        KeyPair::generate_unencrypted_keypair().expect("a key"),
        KeyPair::generate_unencrypted_keypair().expect("a key"),
    );
    let key = signer.pk.to_base64();
    let folder = folder(&[], &section(&format!("signed_by = \"{key}\"\n")));
    let sign = |KeyPair { pk, sk }: &KeyPair| {
        let library = std::fs::read(folder.path().join("acme.so")).expect("it was compiled");
        let signature = minisign::sign(Some(pk), sk, &library[..], None, None).expect("signed");
        folder.write("acme.so.minisig", &signature.into_string());
    };
    sign(&other);
    let said = folder.run(&["check"]);
    for part in ["C0627", "caches.toml:4:", &key, &other.pk.to_base64()[..13]] {
        assert!(said.stdout.contains(part), "no {part} in {}", said.stdout);
    }
    assert!(!ran(&folder));

    sign(&signer);
    let signed = format!("signed by {key}");
    let said = folder.run(&["plugins", "verify"]);
    assert!(said.code == 0 && said.stdout.contains(&signed), "{}{}", said.stdout, said.stderr);
    let object = |arguments: &[&str]| {
        let said = folder.run(arguments).stdout;
        serde_json::from_str::<serde_json::Value>(&said).expect("it is JSON")
    };
    let verified = object(&["plugins", "verify", "--format", "json"]);
    assert_eq!(verified[0]["signed_by"], key.as_str());
    assert!(!ran(&folder), "to verify runs nothing");

    let said = folder.run(&["plugins", "info", "acme.cache"]).stdout;
    assert!(said.contains(&format!("signed  by {key}")), "{said}");
    let described = object(&["plugins", "info", "acme.cache", "--format", "json"]);
    assert_eq!(described["signed_by"], key.as_str());
}

#[test]
fn a_library_that_nobody_names_is_not_found() {
    let folder = Folder::with("[caches.users]\nbackend = \"memory\"\n");
    folder.golden("libraries-none", &["plugins", "verify"]);
    folder.golden("libraries-unknown", &["plugins", "info", "acme.cache"]);
    folder.golden("libraries-no-file", &["plugins", "pin", "/nowhere/acme.so"]);
}
