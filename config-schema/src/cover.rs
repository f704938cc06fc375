//! Whether one glob matches all that another one matches.

use std::collections::BTreeSet;

/// How many states are looked at before the answer is "not known to". Globs as people write them
/// need a few dozen.
const MAX_STATES: usize = 10_000;

/// Whether every text that `narrow` matches is matched by `wide`. Says no when that takes too long
/// to find out, which only globs with many stars can bring about.
///
/// Walks through both globs at once, in step: through `narrow` on every way there is, through
/// `wide` on all ways at the same time.
pub(crate) fn covers(wide: &str, narrow: &str) -> bool {
    let (wide, narrow) = (Steps::new(wide), Steps::new(narrow));
    let literals = wide.0.iter().chain(&narrow.0).filter(|step| !matches!(step, '*' | '?'));
    // One character that is in neither stands for all that are in neither.
    let mut alphabet: BTreeSet<Option<char>> = literals.map(|c| Some(*c)).collect();
    alphabet.insert(None);
    let mut seen = BTreeSet::new();
    let mut open: Vec<(usize, BTreeSet<usize>)> =
        narrow.reach(0).into_iter().map(|at| (at, wide.reach(0))).collect();
    while let Some((at, all)) = open.pop() {
        if at == narrow.0.len() && !all.contains(&wide.0.len()) {
            return false;
        }
        if seen.len() >= MAX_STATES {
            return false;
        }
        if !seen.insert((at, all.clone())) {
            continue;
        }
        for &c in &alphabet {
            let Some(next) = narrow.after(at, c) else { continue };
            let after: BTreeSet<usize> = all
                .iter()
                .filter_map(|&at| wide.after(at, c))
                .flat_map(|at| wide.reach(at))
                .collect();
            open.extend(narrow.reach(next).into_iter().map(|at| (at, after.clone())));
        }
    }
    true
}

/// A glob, step by step.
struct Steps(Vec<char>);

impl Steps {
    fn new(glob: &str) -> Self {
        Self(glob.chars().collect())
    }

    /// A place in the glob and those after it that need no character.
    fn reach(&self, from: usize) -> BTreeSet<usize> {
        let stars = self.0[from..].iter().take_while(|step| **step == '*').count();
        (from..=from + stars).collect()
    }

    /// Where a character leads to; `None` stands for one that no glob names.
    fn after(&self, at: usize, c: Option<char>) -> Option<usize> {
        match self.0.get(at)? {
            '*' => Some(at),
            '?' => Some(at + 1),
            step => (Some(*step) == c).then_some(at + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use larder_core::key::glob_matches;

    use super::covers;

    #[test]
    fn a_glob_covers_what_is_narrower_and_nothing_else() {
        for (wide, narrow) in [
            ("*", "user:*"),
            ("user:*", "user:42"),
            ("user:*", "user:*:name"),
            ("user:?", "user:4"),
            ("?*", "*?"),
            ("*a*", "*ba*"),
            ("**", ""),
            ("ü*", "ü?"),
        ] {
            assert!(covers(wide, narrow), "{wide} covers {narrow}");
        }
        for (wide, narrow) in [
            ("user:*", "*"),
            ("user:42", "user:*"),
            ("user:?", "user:*"),
            ("?*", "*"),
            ("a*b", "a*"),
            ("user:*", "users:*"),
        ] {
            assert!(!covers(wide, narrow), "{wide} does not cover {narrow}");
        }
    }

    #[test]
    fn it_agrees_with_matching_every_short_text() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut texts = vec![String::new()];
        for from in 0..1 + 3 + 9 + 27 {
            for c in ['a', 'b', 'z'] {
                let longer = format!("{}{c}", texts[from]);
                texts.push(longer);
            }
        }
        for _ in 0..2000 {
            let mut glob = || {
                let steps = (0..rng.usize(..4)).map(|_| rng.choice(['a', 'b', '*', '?']));
                steps.flatten().collect::<String>()
            };
            let (wide, narrow) = (glob(), glob());
            let holds = |text: &String| !glob_matches(&narrow, text) || glob_matches(&wide, text);
            assert_eq!(covers(&wide, &narrow), texts.iter().all(holds), "{wide} over {narrow}");
        }
    }

    #[test]
    fn globs_of_stars_end_in_time() {
        let wide = "*a?".repeat(40);
        let narrow = "*?a*b".repeat(40);
        assert!(!covers(&wide, &narrow));
    }
}
