//! Who could put another file in place of a library.

use std::os::unix::fs::symlink;

use larder_core::library::{Fault, LibraryRequest, Trust};

use crate::support::{loader, plugin, set_mode};

#[test]
fn links_are_not_followed() {
    let made = plugin("acme.links", &[]);
    std::fs::rename(made.at("acme.so"), made.at("real.so")).unwrap();
    symlink(made.at("real.so"), made.at("acme.so")).unwrap();
    let text = made.refused(Fault::Symlink);
    let hint = format!("name the file itself: `{}`", made.at("real.so").display());
    assert!(text.contains(&hint), "{text}");

    std::fs::create_dir(made.at("folder")).unwrap();
    set_mode(&made.at("folder"), 0o755);
    symlink(made.at("folder"), made.at("way")).unwrap();
    std::fs::rename(made.at("real.so"), made.at("folder/acme.so")).unwrap();
    let request = LibraryRequest::new("acme.links", made.at("way/acme.so")).trust(Trust::Path);
    let refusal = loader().open(&request).unwrap_err();
    assert_eq!(refusal.fault, Fault::Symlink, "{refusal}");
    assert_eq!(made.ran(), "");
}

#[test]
fn what_others_can_write_is_refused() {
    let made = plugin("acme.modes", &[]);
    let folder = made.at("");
    for mode in [0o757, 0o775, 0o777] {
        set_mode(&made.at("acme.so"), mode);
        let text = made.refused(Fault::Changeable);
        assert!(text.contains(&format!("mode is {mode:04o}")), "{text}");
    }
    set_mode(&made.at("acme.so"), 0o755);
    // The sticky bit keeps others from renaming the library, not from being there first.
    for mode in [0o757, 0o770, 0o1777] {
        set_mode(&folder, mode);
        let text = made.refused(Fault::Changeable);
        assert!(text.contains(&format!("mode is {mode:04o}")), "{text}");
    }
    set_mode(&folder, 0o700);
    made.open().unwrap();
}

#[test]
fn a_folder_further_up_counts_as_well() {
    let made = plugin("acme.above", &[]);
    for folder in ["one", "one/two"] {
        std::fs::create_dir(made.at(folder)).unwrap();
        set_mode(&made.at(folder), 0o755);
    }
    std::fs::rename(made.at("acme.so"), made.at("one/two/acme.so")).unwrap();
    let path = made.at("one/two/acme.so");
    let request = LibraryRequest::new("acme.above", path).trust(Trust::Path);
    set_mode(&made.at("one"), 0o777);
    let refusal = loader().open(&request).unwrap_err();
    assert_eq!(refusal.fault, Fault::Changeable, "{refusal}");
    // Nobody but its owner can rename what is in there, and that is us.
    set_mode(&made.at("one"), 0o1777);
    loader().open(&request).unwrap();
}

#[test]
fn a_library_of_another_user_is_refused() {
    let made = plugin("acme.owner", &[]);
    // Only root can give files away.
    if std::os::unix::fs::chown(made.at("acme.so"), Some(54_321), None).is_err() {
        return;
    }
    let text = made.refused(Fault::Changeable);
    assert!(text.contains("belongs to user 54321"), "{text}");
}

#[test]
fn steps_up_in_a_path_are_resolved_by_name() {
    let made = plugin("acme.steps", &[]);
    let path = made.at("nowhere/../acme.so");
    let request = LibraryRequest::new("acme.steps", &path).trust(Trust::Path);
    loader().examine(&request).unwrap();

    let outside = loader().only_below([made.at("nowhere")]).examine(&request).unwrap_err();
    assert_eq!(outside.fault, Fault::Outside, "{outside}");
    loader().only_below([made.at("")]).examine(&request).unwrap();
    let none: [&str; 0] = [];
    let refusal = loader().only_below(none).examine(&request).unwrap_err();
    assert!(refusal.to_string().contains("loads no libraries at all"), "{refusal}");
}

#[test]
fn a_path_that_no_file_can_have_is_refused() {
    for path in ["/a\0b.so", "/", "", ".."] {
        let request = LibraryRequest::new("acme.none", path).trust(Trust::Path);
        let refusal = loader().open(&request).unwrap_err();
        assert!([Fault::Unreadable, Fault::NotAFile].contains(&refusal.fault), "{refusal}");
        assert!(!refusal.to_string().contains('\0'), "{refusal}");
    }
}
