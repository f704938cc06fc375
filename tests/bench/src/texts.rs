//! Generated configs of a given size.

/// A config of `count` caches that share a template and defaults, six lines each.
pub(crate) fn many_caches(count: usize) -> String {
    let mut text = String::from(HEAD);
    for number in 0..count {
        let (minutes, capacity) = (number % 60 + 1, 1_000 + number);
        let policy = POLICIES[number % POLICIES.len()];
        let lines = [
            String::new(),
            format!("[caches.cache-{number:04}]"),
            "extends = \"small\"".to_owned(),
            format!("ttl = \"{minutes}m\""),
            format!("l1.backend = {{ kind = \"memory\", capacity = {capacity} }}"),
            format!("l1.policy = \"{policy}\"\n"),
        ];
        text.push_str(&lines.join("\n"));
    }
    text
}

/// A config of at least `lines` lines.
pub(crate) fn long(lines: usize) -> String {
    let lines_of_caches = lines.saturating_sub(HEAD.lines().count());
    many_caches(lines_of_caches.div_ceil(LINES_PER_CACHE))
}

const HEAD: &str = "\
version = 1

[defaults]
ttl = \"10m\"
ttl_jitter = \"10%\"

[templates.small]
description = \"one of many\"
negative_ttl = \"5s\"
";
const LINES_PER_CACHE: usize = 6;
const POLICIES: [&str; 3] = ["lru", "sieve", "s3-fifo"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_config_has_as_many_lines_as_asked_for() {
        let lines = long(2_000).lines().count();
        assert!((2_000..2_000 + LINES_PER_CACHE).contains(&lines), "{lines}");
    }
}
