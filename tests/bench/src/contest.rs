//! [`hold`]: all contestants in one case, in turn, in one process.

use foyer_memory::Cache as FoyerCache;
use larder::Key;
use mini_moka::sync::Cache as MiniMokaCache;
use moka::sync::Cache as MokaCache;
use quick_cache::sync::Cache as QuickCache;
use tinyufo::TinyUfo;

use crate::Failure;
use crate::harness::{Round, Rounds};
use crate::keys::Numbered;
use crate::tables::{Ours, Table};

/// One case, the same for every table.
pub(crate) trait Contest<K, V> {
    /// Whether only tables whose entries can have a time to live may take part.
    const NEEDS_TTL: bool = false;

    /// How often tables are built. Where a table comes to lie in memory moves its time by a
    /// fifth, and that depends on which was built first.
    const BUILDS: usize = 2;

    /// How many rounds each of them runs.
    const ROUNDS: usize = 4;

    /// Builds a table and says what one round of it does.
    fn enter<T: Table<K, V> + 'static>(&self) -> Result<Round<'_>, Failure>;
}

/// Holds the contest. Who is built first and who begins changes.
pub(crate) fn hold<K, V, C>(contest: &C) -> Result<Rounds, Failure>
where
    K: Numbered + Key,
    V: Numbered,
    C: Contest<K, V>,
{
    let mut entrants = entrants::<K, V, C>();
    let mut rounds = Rounds::of(entrants.iter().map(|entrant| entrant.0));
    for build in 0..C::BUILDS {
        let first = build % entrants.len();
        entrants.rotate_left(first);
        let mut sides = Vec::with_capacity(entrants.len());
        for (_, enter) in &entrants {
            sides.push(enter(contest)?);
        }
        entrants.rotate_right(first);
        sides.rotate_right(first);
        rounds.run(C::ROUNDS, &mut sides);
    }
    Ok(rounds)
}

type Entrant<C> = (&'static str, for<'a> fn(&'a C) -> Result<Round<'a>, Failure>);

/// Those who can take part, ours first.
fn entrants<K, V, C>() -> Vec<Entrant<C>>
where
    K: Numbered + Key,
    V: Numbered,
    C: Contest<K, V>,
{
    let all: [(bool, Entrant<C>); 6] = [
        (Ours::<K, V>::HAS_TTL, ("larder", C::enter::<Ours<K, V>>)),
        (FoyerCache::<K, V>::HAS_TTL, ("foyer", C::enter::<FoyerCache<K, V>>)),
        (MiniMokaCache::<K, V>::HAS_TTL, ("mini-moka", C::enter::<MiniMokaCache<K, V>>)),
        (MokaCache::<K, V>::HAS_TTL, ("moka", C::enter::<MokaCache<K, V>>)),
        (QuickCache::<K, V>::HAS_TTL, ("quick_cache", C::enter::<QuickCache<K, V>>)),
        (TinyUfo::<K, V>::HAS_TTL, ("TinyUFO", C::enter::<TinyUfo<K, V>>)),
    ];
    let fits = |has_ttl: bool| has_ttl || !C::NEEDS_TTL;
    all.into_iter().filter(|(has_ttl, _)| fits(*has_ttl)).map(|(_, entrant)| entrant).collect()
}
