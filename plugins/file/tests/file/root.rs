use std::fs;

use larder_core::{CacheError, ErrorKind};

use super::*;

fn refusal(dir: &Path) -> CacheError {
    let error = build(FileConfig::new(dir), &BuildContext::new("users")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("hint: "), "{error}");
    error
}

#[test]
fn a_new_directory_is_marked_and_complete() {
    let (_outer, dir) = temporary();
    open(&dir);
    let tag = fs::read_to_string(dir.join("CACHEDIR.TAG")).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
    let meta = fs::read_to_string(dir.join("v1/meta.toml")).unwrap();
    assert!(meta.contains("format = 1\ncache = \"users\"\nsalt = \""), "{meta}");
    open(&dir);
    assert_eq!(fs::read_to_string(dir.join("v1/meta.toml")).unwrap(), meta);
}

#[test]
fn an_empty_directory_that_exists_is_used() {
    let outer = tempfile::tempdir().unwrap();
    open(outer.path());
}

#[test]
fn a_directory_with_files_of_others_is_refused_and_left_alone() {
    let outer = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("notes.txt", "mine"),
        ("CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# by cargo\n"),
    ] {
        let dir = outer.path().join(format!("with-{name}"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(name), text).unwrap();
        let error = refusal(&dir);
        assert_eq!(error.context("found"), Some(name));
        assert_eq!(files_below(&dir), [dir.join(name)]);
        assert_eq!(fs::read_to_string(dir.join(name)).unwrap(), text);
    }
    let dir = outer.path().join("with-v1");
    fs::create_dir_all(dir.join("v1")).unwrap();
    fs::write(dir.join("v1/meta.toml"), "[package]\nname = \"theirs\"\n").unwrap();
    refusal(&dir);
}

#[test]
fn the_tag_of_another_program_does_not_make_its_directory_ours() {
    let outer = tempfile::tempdir().unwrap();
    let signature = "Signature: 8a477f597d28d172789f06886806bc55";
    let tags = [String::new(), signature.to_owned(), format!("{signature}\n")];
    for (number, tag) in tags.iter().enumerate() {
        for theirs in ["notes.txt", "v1/notes.txt", "v1/meta.toml"] {
            let dir = outer.path().join(format!("{number}-{}", theirs.replace('/', "-")));
            fs::create_dir_all(dir.join(theirs).parent().unwrap()).unwrap();
            fs::write(dir.join("CACHEDIR.TAG"), tag).unwrap();
            fs::write(dir.join(theirs), "mine").unwrap();
            refusal(&dir);
            assert_eq!(fs::read_to_string(dir.join("CACHEDIR.TAG")).unwrap(), *tag);
            assert_eq!(files_below(&dir).len(), 2, "{theirs} with {tag:?}");
        }
    }
}

#[test]
fn a_file_is_refused() {
    let (_outer, dir) = temporary();
    fs::write(&dir, "mine").unwrap();
    assert_eq!(refusal(&dir).context("found"), Some("a file"));
    assert_eq!(fs::read_to_string(&dir).unwrap(), "mine");
}

#[test]
fn the_directory_of_another_cache_is_refused() {
    let (_outer, dir) = temporary();
    build(FileConfig::new(&dir), &BuildContext::new("orders")).unwrap();
    let error = refusal(&dir);
    assert_eq!(error.context("found"), Some("orders"));
    assert_eq!(error.context("expected"), Some("users"));
}

#[test]
fn a_directory_of_a_later_version_is_refused() {
    let (_outer, dir) = temporary();
    open(&dir);
    let meta = dir.join("v1/meta.toml");
    let later = fs::read_to_string(&meta).unwrap().replace("format = 1", "format = 2");
    fs::write(&meta, &later).unwrap();
    assert_eq!(refusal(&dir).context("found"), Some("format 2"));
    assert_eq!(fs::read_to_string(&meta).unwrap(), later);
}

#[test]
fn a_crash_at_any_point_of_the_first_start_heals() {
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    let tag = fs::read(dir.join("CACHEDIR.TAG")).unwrap();
    for length in 0..tag.len() {
        fs::remove_dir_all(dir.join("v1")).ok();
        fs::write(dir.join("CACHEDIR.TAG"), &tag[..length]).unwrap();
        open(&dir);
        assert_eq!(fs::read(dir.join("CACHEDIR.TAG")).unwrap(), tag);
    }
    set(&backend, "42", b"value");
    for damage in [&b""[..], b"format = 1\n", b"\xff\xff"] {
        fs::write(dir.join("v1/meta.toml"), damage).unwrap();
        let healed = open(&dir);
        assert_eq!(get(&healed, "42"), None, "the salt is lost, and the entries with it");
        now(healed.start()).unwrap();
        assert!(entry_files(&dir).is_empty());
        set(&healed, "42", b"value");
        assert_eq!(get(&backend, "42"), Some(entry(b"value")), "others go along");
    }
}

#[test]
fn what_a_removal_left_is_ours_unless_something_else_lies_there() {
    let (_outer, dir) = temporary();
    let backend = open(&dir);
    let remove = || {
        fs::remove_file(dir.join("CACHEDIR.TAG")).unwrap();
        fs::remove_file(dir.join("v1/meta.toml")).unwrap();
    };
    remove();
    set(&backend, "42", b"value");
    remove();
    for foreign in ["notes.txt", "v1/notes.txt"] {
        fs::write(dir.join(foreign), "mine").unwrap();
        refusal(&dir);
        fs::remove_file(dir.join(foreign)).unwrap();
    }
    assert_eq!(get(&open(&dir), "42"), None, "the salt is lost");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o7777
    }

    #[test]
    fn only_the_owner_can_enter_and_read() {
        let (_outer, dir) = temporary();
        let backend = open(&dir.join("deeper"));
        set(&backend, "42", b"value");
        for path in ["", "deeper", "deeper/v1", "deeper/v1/d", "deeper/v1/tmp"] {
            assert_eq!(mode(&dir.join(path)), 0o700, "{path}");
        }
        assert_eq!(mode(&only_file(&dir.join("deeper"))), 0o600);
    }

    #[test]
    fn links_are_refused_at_every_level() {
        let outer = tempfile::tempdir().unwrap();
        let target = outer.path().join("target");
        fs::create_dir(&target).unwrap();
        for inner in ["", "v1", "v1/tmp", "v1/locks", "v1/leases", "v1/usage", "v1/d"] {
            let dir = outer.path().join("cache");
            fs::remove_dir_all(&dir).ok();
            open(&dir);
            let link = dir.join(inner);
            fs::remove_dir_all(&link).ok();
            symlink(&target, link.components().collect::<PathBuf>()).unwrap();
            assert_eq!(refusal(&dir).context("found"), Some("a symbolic link"), "{inner}");
            fs::remove_file(link.components().collect::<PathBuf>()).unwrap();
        }
        assert_eq!(files_below(&target), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_directory_that_others_can_write_is_refused() {
        for mode in [0o770, 0o707, 0o1777] {
            let outer = tempfile::tempdir().unwrap();
            fs::set_permissions(outer.path(), PermissionsExt::from_mode(mode)).unwrap();
            let found = format!("mode {mode:o}");
            assert_eq!(refusal(outer.path()).context("found"), Some(&*found));
            assert!(files_below(outer.path()).is_empty());
        }
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        let outer = tempfile::tempdir().unwrap();
        // Only root can give a directory away; for anybody else `/` is somebody else's.
        let dir = match chown(outer.path(), Some(12345), None) {
            Ok(()) => outer.path(),
            Err(_) => Path::new("/"),
        };
        let error = refusal(dir);
        assert!(error.context("found").unwrap().starts_with("owned by user"));
    }
}
