//! Structs only grow at their ends: every released version is a prefix of the next.

use std::fs;
use std::path::PathBuf;

use larder_abi::layout::{LAYOUTS, Layout};
use larder_abi::{ABI_MAJOR, ABI_MINOR};

use crate::table;

/// Structs by name: sort, size, and fields as lines.
type Table = Vec<(String, String, usize, Vec<String>)>;

fn path(minor: u16) -> PathBuf {
    let name = format!("released/{ABI_MAJOR}.{minor}.txt");
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn parse(text: &str) -> Table {
    let mut table = Table::new();
    for line in text.lines() {
        if let Some(field) = line.strip_prefix("  ") {
            table.last_mut().unwrap().3.push(field.to_owned());
        } else {
            let words: Vec<&str> = line.split(' ').collect();
            let size = words[2].parse().unwrap();
            table.push((words[0].to_owned(), words[1].to_owned(), size, Vec::new()));
        }
    }
    table
}

/// What of `older` cannot be read in `newer`.
fn broken(older: &Table, newer: &Table) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, sort, size, fields) in older {
        let Some((_, new_sort, new_size, new_fields)) = newer.iter().find(|new| new.0 == *name)
        else {
            broken.push(format!("{name} is gone"));
            continue;
        };
        if sort != new_sort {
            broken.push(format!("{name} is {new_sort}"));
        }
        if sort == "frozen" && (size != new_size || fields != new_fields) {
            broken.push(format!("{name} is frozen and changed"));
        }
        if new_size < size || !new_fields.starts_with(fields) {
            broken.push(format!("{name} did not grow at its end"));
        }
    }
    broken
}

/// `LARDER_ABI_FREEZE=1` writes the table of this version, which is done once, with the release.
#[test]
#[cfg(target_pointer_width = "64")]
fn this_version_is_the_one_that_was_released() {
    let path = path(ABI_MINOR);
    if std::env::var_os("LARDER_ABI_FREEZE").is_some() && !path.exists() {
        fs::write(&path, table()).unwrap();
    }
    let released = fs::read_to_string(&path).unwrap();
    assert_eq!(table(), released, "what was released never changes: begin a new minor version");
}

#[test]
#[cfg(target_pointer_width = "64")]
fn every_released_version_is_a_prefix_of_the_next() {
    let tables: Vec<Table> =
        (0..=ABI_MINOR).map(|minor| parse(&fs::read_to_string(path(minor)).unwrap())).collect();
    for pair in tables.windows(2) {
        assert_eq!(broken(&pair[0], &pair[1]), [""; 0]);
    }
    assert_eq!(parse(&table()), *tables.last().unwrap());
}

#[test]
fn a_field_that_moves_goes_or_comes_in_the_middle_is_noticed() {
    let older = parse(&table());
    let changed = |change: &dyn Fn(&mut Table)| {
        let mut newer = older.clone();
        change(&mut newer);
        broken(&older, &newer)
    };
    let at = |name| LAYOUTS.iter().position(|layout: &Layout| layout.name == name).unwrap();
    let (host, key) = (at("larder_host"), at("larder_key"));
    let appended = changed(&|table| {
        table[host].2 += 8;
        table[host].3.push("later 136 8".to_owned());
    });
    assert_eq!(appended, [""; 0], "what may grow grows at its end");
    let faults: [&dyn Fn(&mut Table); 5] = [
        &|table| table[host].3.insert(4, "between 32 8".to_owned()),
        &|table| drop(table[host].3.pop()),
        &|table| table[host].3[5] = "log 48 8".to_owned(),
        &|table| table[key].3.push("later 24 8".to_owned()),
        &|table| drop(table.remove(key)),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        assert_eq!(changed(fault).len(), 1, "fault {number}");
    }
}
