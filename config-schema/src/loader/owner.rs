//! Who owns a file that cannot be read, and who we are.

use std::path::Path;

/// The note of a refused file; `None` where systems have no such owners.
#[cfg(unix)]
pub(super) fn note(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let uid = rustix::process::geteuid().as_raw();
    let process = match name(&users, uid) {
        Some(user) => format!("this process runs as uid {uid} ({user})"),
        None => format!("this process runs as uid {uid}"),
    };
    let Ok(metadata) = std::fs::metadata(path) else {
        return Some(process);
    };
    let named = |list: &str, id: u32| name(list, id).unwrap_or_else(|| id.to_string());
    let owner = named(&users, metadata.uid());
    let group = named(&groups, metadata.gid());
    let mode = metadata.mode() & 0o7777;
    Some(format!("file owner {owner}:{group}, mode {mode:04o}; {process}"))
}

/// The note of a refused file; `None` where systems have no such owners.
#[cfg(not(unix))]
pub(super) fn note(_: &Path) -> Option<String> {
    None
}

/// The name of an id in the form of `/etc/passwd` and `/etc/group`.
#[cfg(unix)]
fn name(list: &str, id: u32) -> Option<String> {
    let id = id.to_string();
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::{name, note};

    #[test]
    fn the_note_has_the_mode_and_both_owners() {
        use std::os::unix::fs::PermissionsExt;

        let file = tempfile::NamedTempFile::new().unwrap();
        let mode = std::fs::Permissions::from_mode(0o400);
        std::fs::set_permissions(file.path(), mode).unwrap();
        let note = note(file.path()).unwrap();
        let uid = rustix::process::geteuid().as_raw();
        assert!(note.starts_with("file owner "), "{note}");
        assert!(note.contains(", mode 0400; this process runs as uid "), "{note}");
        assert!(note.contains(&format!("uid {uid}")), "{note}");
    }

    #[test]
    fn ids_are_looked_up_in_the_third_field() {
        let list = "root:x:0:0:root:/root:/bin/sh\nshop:x:1000:1000::/home/shop:/bin/sh\n";
        assert_eq!(name(list, 1000).as_deref(), Some("shop"));
        assert_eq!(name(list, 7), None);
    }
}
