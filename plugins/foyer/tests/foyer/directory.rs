//! Directories that must not be used, and other reasons not to open.

use std::fs;

use larder_core::{CacheError, ErrorKind, KeyPath};

use super::*;

async fn refusal(config: FoyerConfig) -> CacheError {
    let error = build(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("hint: "), "{error}");
    error
}

#[tokio::test]
async fn a_path_that_is_a_file_is_refused() {
    let (_outer, dir) = temporary();
    fs::write(&dir, "text").unwrap();
    let error = refusal(config(&dir)).await;
    assert_eq!(error.context("found"), Some("a file"));
    assert_eq!(fs::read(&dir).unwrap(), b"text");
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_is_refused() {
    let (outer, dir) = temporary();
    std::os::unix::fs::symlink(outer.path(), &dir).unwrap();
    assert_eq!(refusal(config(&dir)).await.context("found"), Some("a symbolic link"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_that_others_can_change_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_outer, dir) = temporary();
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o770)).unwrap();
    assert_eq!(refusal(config(&dir)).await.context("found"), Some("mode 770"));
}

#[tokio::test]
async fn a_directory_with_other_files_is_refused_and_left_alone() {
    let (_outer, dir) = temporary();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("letter.txt"), "text").unwrap();
    let error = refusal(config(&dir)).await;
    assert_eq!(error.context("found"), Some("letter.txt"));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
}

#[tokio::test]
async fn a_folder_of_data_that_is_not_ours_is_refused_and_left_alone() {
    let (_outer, dir) = temporary();
    let letter = dir.join("data/letter.txt");
    fs::create_dir_all(dir.join("data")).unwrap();
    fs::write(&letter, "text").unwrap();
    let signature = "Signature: 8a477f597d28d172789f06886806bc55\n";
    for tag in [None, Some(""), Some(signature), Some("tag of another program")] {
        if let Some(tag) = tag {
            fs::write(dir.join("CACHEDIR.TAG"), tag).unwrap();
        }
        let error = refusal(config(&dir)).await;
        assert!(error.message().contains("something else"), "{error}");
        assert_eq!(fs::read(&letter).unwrap(), b"text", "{tag:?}");
    }
}

#[tokio::test]
async fn a_directory_with_the_tag_of_another_program_is_refused() {
    let (_outer, dir) = temporary();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("CACHEDIR.TAG"), "tag of another program").unwrap();
    refusal(config(&dir)).await;
    fs::write(dir.join("CACHEDIR.TAG"), "Signature: 8a47").unwrap();
    for _ in 0..2 {
        open(&dir).await.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_second_cache_on_the_directory_is_refused_until_the_first_is_closed() {
    let (_outer, dir) = temporary();
    let first = open(&dir).await;
    let error = refusal(config(&dir)).await;
    assert!(error.message().contains("in use"), "{error}");
    first.close().await.unwrap();
    open(&dir).await;
}

#[tokio::test]
async fn a_disk_without_room_is_refused() {
    let (_outer, dir) = temporary();
    let error = refusal(FoyerConfig::new(&dir, ByteSize(1 << 60))).await;
    assert!(error.message().contains("no room"), "{error}");
}

#[test]
fn without_a_runtime_the_message_says_so() {
    let (_outer, dir) = temporary();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let building = std::pin::pin!(build(config(&dir)));
    let std::task::Poll::Ready(Err(error)) = building.poll(&mut context) else {
        panic!("there is no runtime to wait for");
    };
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("tokio runtime"), "{error}");
}

#[test]
fn options_without_sense_are_named() {
    let problems = FoyerConfig::new("", ByteSize(1000)).validate(&KeyPath::root()).unwrap_err();
    let text = format!("{problems:?}");
    assert!(text.contains("the directory is empty"), "{text}");
    assert!(text.contains("less than `1MiB`"), "{text}");
    FoyerConfig::new("cache", ByteSize(MIB)).validate(&KeyPath::root()).unwrap();
}

#[test]
fn every_option_stands_in_the_manual() {
    let manual = include_str!("../../../../docs/disk-engines.md");
    let (_, section) = manual.split_once("## `foyer`").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let schema = larder_core::schemars::schema_for!(FoyerConfig);
    let options = schema.get("properties").unwrap().as_object().unwrap();
    for option in options.keys() {
        assert!(section.contains(&format!("| `{option}` |")), "{option}");
    }
    assert_eq!(section.matches("\n| `").count(), options.len());
}
