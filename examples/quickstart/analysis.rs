//! What is found in a file: how much it is, which identifiers it uses, and what was copied in it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Raised whenever the same file would be reported in another way, so that nobody is shown what an
/// older version of this program found.
pub(crate) const VERSION: u32 = 1;

/// What was found in one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileReport {
    pub(crate) lines: usize,
    pub(crate) words: usize,
    /// The most frequent identifiers with how often they occur, most frequent first.
    pub(crate) identifiers: Vec<(String, u32)>,
    pub(crate) copied: Copied,
}

/// The longest block of lines that stands in a file twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Copied {
    /// How many lines; 0 when no block does.
    pub(crate) lines: usize,
    /// The line where the first one begins, counted from 1.
    pub(crate) first: usize,
    /// The line where the second one begins.
    pub(crate) second: usize,
}

/// How many identifiers are kept.
const IDENTIFIERS: usize = 10;

/// How lines begin that are a comment in one of the usual languages.
const COMMENTS: [&str; 4] = ["//", "#", "*", "--"];

/// The comparison of all lines with all lines takes a time that grows with the square of their
/// number, so what is copied further down in a very long file is not found.
const COMPARED_LINES: usize = 4000;

/// Analyses a text.
pub(crate) fn analyse(text: &str) -> FileReport {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    FileReport {
        lines: lines.len(),
        words: text.split_whitespace().count(),
        identifiers: frequent_identifiers(&lines),
        copied: longest_copy(&lines[..lines.len().min(COMPARED_LINES)]),
    }
}

fn frequent_identifiers(lines: &[&str]) -> Vec<(String, u32)> {
    let mut counts: HashMap<&str, u32> = HashMap::new();
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let is_identifier = |word: &&str| word.len() > 2 && !word.starts_with(char::is_numeric);
    let is_code = |line: &&&str| !COMMENTS.iter().any(|mark| line.starts_with(mark));
    for line in lines.iter().filter(is_code) {
        for word in line.split(|c| !is_part(c)).filter(is_identifier) {
            *counts.entry(word).or_default() += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    // By name where they are equally frequent, so that every run says the same.
    counts.sort_unstable_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then(a.cmp(b)));
    counts.truncate(IDENTIFIERS);
    let owned = |(word, count): (&str, u32)| (word.to_owned(), count);
    counts.into_iter().map(owned).collect()
}

/// The longest common block of the lines with themselves, by the textbook's table of lengths:
/// `row[j + 1]` is how long the block is that ends in the lines `i` and `j`. Blocks do not overlap.
fn longest_copy(lines: &[&str]) -> Copied {
    let numbers = number(lines);
    let mut row = vec![0; lines.len() + 1];
    let mut longest = Copied::default();
    for i in 0..lines.len() {
        // From right to left, so that `row[j]` is still that of the lines before both.
        for j in (i + 1..lines.len()).rev() {
            let length = if numbers[i] == numbers[j] { (row[j] + 1).min(j - i) } else { 0 };
            row[j + 1] = length;
            if length > longest.lines {
                let (first, second) = (i + 2 - length, j + 2 - length);
                longest = Copied { lines: length, first, second };
            }
        }
    }
    longest
}

/// Equal lines get equal numbers, which compare faster than texts. A line without letters or
/// digits is like no other: nobody copies a closing brace.
fn number(lines: &[&str]) -> Vec<usize> {
    let mut known: HashMap<&str, usize> = HashMap::new();
    lines
        .iter()
        .enumerate()
        .map(|(index, line)| {
            if line.contains(char::is_alphanumeric) {
                *known.entry(line).or_insert(index)
            } else {
                index
            }
        })
        .collect()
}
