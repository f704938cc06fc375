//! [`Capacity`], how many entries a simulated cache may have, as the command line says it.

use std::fmt;
use std::str::FromStr;

use larder::plugin::Share;

/// A capacity as it is written: `500`, `10k`, `2m`, or `10%` of the distinct keys of a trace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Capacity {
    written: String,
    amount: Amount,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Amount {
    Entries(u64),
    Share(Share),
}

/// A capacity of one trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// As the command line says it.
    pub(crate) written: String,
    /// The number of entries, at least 1.
    pub(crate) entries: u64,
}

impl Capacity {
    /// What it is for a trace with so many distinct keys.
    pub(crate) fn of(&self, keys: u64) -> Size {
        let entries = match self.amount {
            Amount::Entries(entries) => entries,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                clippy::cast_sign_loss,
                reason = "a share of the keys is between 0 and their number"
            )]
            Amount::Share(share) => ((share.get() * keys as f64).round() as u64).max(1),
        };
        Size { written: self.written.clone(), entries }
    }
}

impl FromStr for Capacity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let written = text.trim();
        let amount = if written.ends_with('%') { share(written)? } else { entries(written)? };
        Ok(Self { written: written.to_owned(), amount })
    }
}

fn share(text: &str) -> Result<Amount, String> {
    let share = Share::from_str(text).ok().filter(|share| share.get() > 0.0);
    let hint = "; hint: write more than `0%` and at most `100%`";
    share.map(Amount::Share).ok_or_else(|| format!("not a share of the keys{hint}"))
}

fn entries(text: &str) -> Result<Amount, String> {
    let (digits, factor) = match text.strip_suffix('k') {
        Some(digits) => (digits, 1_000),
        None => text.strip_suffix('m').map_or((text, 1), |digits| (digits, 1_000_000)),
    };
    let digits = digits.replace('_', "");
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        let hint = "hint: write `500`, `10k` for 10,000, `2m` for 2,000,000, or `10%` of the keys";
        return Err(format!("not a number of entries; {hint}"));
    }
    match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(0) => Err("no entry has room; hint: write at least `1`".to_owned()),
        Some(entries) => Ok(Amount::Entries(entries)),
        None => Err("more entries than any memory holds; hint: write less".to_owned()),
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)?;
        if self.written.ends_with('%') {
            write!(f, " ({})", super::report::grouped(self.entries))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str, keys: u64) -> Option<u64> {
        text.parse().ok().map(|capacity: Capacity| capacity.of(keys).entries)
    }

    #[test]
    fn numbers_thousands_millions_and_shares_are_capacities() {
        assert_eq!(entries("500", 7), Some(500));
        assert_eq!(entries("10_000", 7), Some(10_000));
        assert_eq!(entries("10k", 7), Some(10_000));
        assert_eq!(entries("2m", 7), Some(2_000_000));
        assert_eq!(entries("10%", 412), Some(41));
        assert_eq!(entries("0.5%", 1000), Some(5));
        assert_eq!(entries("1%", 7), Some(1), "a cache holds at least one entry");
    }

    #[test]
    fn what_could_mean_two_things_or_nothing_is_refused() {
        let max = "18446744073709551615k";
        for text in ["", "0", "0k", "0%", "101%", "-1", "+1", "1.5k", "1M", "1K", "k", "%", max] {
            let refused = Capacity::from_str(text).expect_err(text);
            assert!(refused.contains("; hint: "), "{text}: {refused}");
        }
    }
}
