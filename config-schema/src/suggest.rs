//! "Did you mean": the name that a mistyped one was probably meant to be.

/// The candidate nearest to `name`, if one is near enough to be offered.
///
/// Case, `-`, `_` and `.` do not count. Near enough is a Damerau-Levenshtein distance of at most
/// a third of the length, and at least one; a name of one letter is near to none but itself. Of two
/// equally near ones the first is taken.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = bare(name);
    let limit = match wanted.chars().count() {
        0 => return None,
        1 => 0,
        count => (count / 3).max(1),
    };
    // The distance of very long names takes long to compute and nobody mistypes them.
    if wanted.len() > 100 {
        return None;
    }
    candidates
        .into_iter()
        .filter(|candidate| *candidate != name && candidate.len() <= 200)
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &bare(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The name without what people mix up.
fn bare(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_' | '.')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn swapped_letters_and_separators_are_one_mistake_or_none() {
        assert_eq!(closest("memroy", ["file", "memory"]), Some("memory"));
        assert_eq!(closest("hot_shared", ["hot", "hot-shared"]), Some("hot-shared"));
        assert_eq!(closest("tll", ["ttl", "idle_ttl"]), Some("ttl"));
    }

    #[test]
    fn a_name_that_is_far_from_all_gets_no_suggestion() {
        assert_eq!(closest("redis", ["file", "memory"]), None);
        assert_eq!(closest("ab", ["xy"]), None);
        assert_eq!(closest("b", ["a"]), None, "every letter is one change from every other");
        assert_eq!(closest("", ["a"]), None);
        assert_eq!(closest("B", ["a", "b"]), Some("b"));
    }
}
