//! [`Contender`], one of the policies that are compared, as the command line says it.

use std::fmt;
use std::str::FromStr;

use larder::config::suggest::closest;
use larder::plugin::Slot;
use larder::{Blocking, CacheManager, Format, Registry};
use tracing::subscriber::{NoSubscriber, with_default};

use crate::exit::{Exit, Failure};

/// The word for every policy there is, and the optimum.
const ALL: &str = "all";
/// The word for the optimum.
pub(crate) const OPTIMUM: &str = "opt";
/// The cache that a trace is replayed through.
const CACHE: &str = "simulated";

/// The argument of `--policies`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wishes(Vec<Policy>);

/// What a trace is replayed through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// The optimum, which knows the future.
    Optimum,
    /// A cache with this policy.
    Policy(Policy),
}

/// A policy as it is written: `s3-fifo`, or with options `s3-fifo{small_ratio=20%}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    kind: String,
    /// `small_ratio=20%`, as `--set` takes it.
    options: Vec<String>,
}

impl Policy {
    /// A cache with this policy and room for so many entries, as an application gets it.
    pub(crate) fn cache(
        &self,
        capacity: u64,
        registry: &Registry,
    ) -> Result<Blocking<u64, ()>, Failure> {
        let text = format!(
            "[caches.{CACHE}]\n\
             backend = {{ kind = \"memory\", capacity = {capacity}, shards = 1 }}\n\
             policy = {{ kind = \"{}\" }}\n",
            self.kind
        );
        let builder =
            CacheManager::builder().registry(registry.clone()).text("simulate", Format::Toml, text);
        let options = self.options.iter();
        let builder = options.fold(builder, |builder, option| {
            builder.set(format!("caches.{CACHE}.policy.{option}"))
        });
        // What is doubtful about such a config is not for the user to put right.
        let manager = with_default(NoSubscriber::new(), || builder.build_blocking())?;
        Ok(manager.cache(CACHE)?.blocking())
    }
}

/// The contenders that were wished for, each once. All of them can be built.
pub(crate) fn chosen(wishes: &Wishes, registry: &Registry) -> Result<Vec<Contender>, Failure> {
    let kinds: Vec<&str> = registry.of_slot(Slot::Policy).map(|one| one.descriptor.kind).collect();
    let plain =
        |kind: &&str| Contender::Policy(Policy { kind: (*kind).to_owned(), options: Vec::new() });
    let mut chosen: Vec<Contender> = Vec::new();
    for wish in &wishes.0 {
        let contenders = match wish.kind.as_str() {
            ALL => kinds.iter().map(plain).chain([Contender::Optimum]).collect(),
            OPTIMUM => vec![Contender::Optimum],
            kind if kinds.contains(&kind) => {
                wish.cache(1, registry)?;
                vec![Contender::Policy(wish.clone())]
            }
            kind => return Err(unknown(kind, &kinds)),
        };
        for contender in contenders {
            if !chosen.contains(&contender) {
                chosen.push(contender);
            }
        }
    }
    Ok(chosen)
}

fn unknown(kind: &str, kinds: &[&str]) -> Failure {
    let words = kinds.iter().copied().chain([OPTIMUM, ALL]);
    let hint = match closest(kind, words) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}, `{OPTIMUM}` and `{ALL}`", listed(kinds)),
    };
    Failure::new(Exit::Usage, format!("there is no policy `{kind}`; hint: {hint}"))
}

fn listed(kinds: &[&str]) -> String {
    kinds.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ")
}

impl FromStr for Wishes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        split(text)?.into_iter().map(Policy::from_str).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hint = "hint: write `s3-fifo`, or `s3-fifo{small_ratio=20%}` to set its options";
        let (kind, options) = match text.split_once('{') {
            None => (text, ""),
            Some((kind, rest)) => {
                let options = rest.strip_suffix('}');
                (kind, options.ok_or_else(|| format!("`{text}` does not end with `}}`; {hint}"))?)
            }
        };
        let kind = kind.trim().to_owned();
        if kind.is_empty() {
            return Err(format!("a policy has no name; {hint}"));
        }
        if matches!(kind.as_str(), ALL | OPTIMUM) && !options.trim().is_empty() {
            return Err(format!("`{kind}` has no options; {hint}"));
        }
        let options = if options.trim().is_empty() { Vec::new() } else { split(options)? };
        let options = options.into_iter().map(|option| match option.split_once('=') {
            Some((name, value)) => Ok(format!("{}={}", name.trim(), unquoted(value.trim()))),
            None => Err(format!("option `{option}` has no value; {hint}")),
        });
        Ok(Self { kind, options: options.collect::<Result<_, _>>()? })
    }
}

/// A value without the quotes around it, which the shell leaves there and nothing needs.
fn unquoted(value: &str) -> &str {
    let inside = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

/// The parts between commas that stand in no brackets and no quotes.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quote) = (0, 0_usize, None);
    for (index, char) in text.char_indices() {
        match (quote, char) {
            (Some(open), char) if open == char => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(char),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(text[start..index].trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    if depth > 0 || quote.is_some() {
        return Err(format!("`{text}` ends inside of brackets or quotes; hint: close them"));
    }
    parts.push(text[start..].trim());
    Ok(parts)
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Optimum => f.write_str(OPTIMUM),
            Self::Policy(policy) if policy.options.is_empty() => f.write_str(&policy.kind),
            Self::Policy(policy) => write!(f, "{}{{{}}}", policy.kind, policy.options.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let wishes = text.parse().expect(text);
        let chosen = chosen(&wishes, &larder::registry());
        chosen.expect("all are there").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn commas_inside_of_options_do_not_separate_policies() {
        assert_eq!(
            names("lru, s3-fifo{ small_ratio = 20% , ghost_ratio=\"50%\"},opt,lru"),
            ["lru", "s3-fifo{small_ratio=20%,ghost_ratio=50%}", "opt"]
        );
    }

    #[test]
    fn all_is_every_registered_policy_and_the_optimum() {
        let all = names("opt,all");
        let registry = larder::registry();
        let kinds = registry.of_slot(Slot::Policy).map(|one| one.descriptor.kind);
        let kinds: Vec<_> = std::iter::once(OPTIMUM).chain(kinds).collect();
        assert_eq!(all, kinds);
    }

    #[test]
    fn what_is_not_closed_or_has_no_name_or_value_is_refused() {
        for text in ["", "lru,", "s3-fifo{a=1", "s3-fifo{a}", "s3-fifo{a=1}x", "opt{a=1}", "\"lru"]
        {
            let refused = text.parse::<Wishes>().expect_err(text);
            assert!(refused.contains("; hint: "), "{text}: {refused}");
        }
    }
}
