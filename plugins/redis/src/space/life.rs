//! How long the server keeps something, in the form that its commands take.

use std::time::Duration;

use larder_core::Timestamp;

/// How long the server keeps an entry that ends then, in milliseconds, as the scripts want it: `""`
/// for ever, `"0"` not at all.
pub(crate) fn life(deadline: Option<Timestamp>, now: Timestamp) -> String {
    deadline.map_or_else(String::new, |deadline| {
        let left = deadline.since(now);
        // A life of less than a millisecond is one.
        left.as_micros().div_ceil(1000).to_string()
    })
}

/// A duration as `PX` wants it.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 50)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_ends_neither_early_nor_never() {
        let now = Timestamp::from_micros(5_000);
        let at = |micros| Some(Timestamp::from_micros(micros));
        assert_eq!(life(None, now), "");
        assert_eq!(life(at(5_000), now), "0");
        assert_eq!(life(at(1), now), "0");
        assert_eq!(life(at(5_001), now), "1");
        assert_eq!(life(at(7_000), now), "2");
        assert_eq!(life(at(u64::MAX), now), "18446744073709547");
    }
}
