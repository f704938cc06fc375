//! Looking up many keys at once.

use std::time::Duration;

use super::{entries, lru};
use crate::options::Insert;
use crate::outcome::{Lookup, MissCause};

#[test]
fn many_look_ups_at_once_answer_and_count_like_as_many_single_ones() {
    let (together, apart) = (lru::<u32, u32>(entries(500)), lru::<u32, u32>(entries(500)));
    for store in [&together, &apart] {
        for key in 0..600 {
            let life = (key % 5 == 0).then(|| store.in_seconds(1)).flatten();
            store.insert(key, key + 1, Insert::default().deadline(life)).unwrap();
        }
        store.remove(&400);
        store.clock.advance(Duration::from_secs(1));
    }
    let keys: Vec<u32> = (0..100).map(|step| step * 7).collect();
    let asked: Vec<&u32> = keys.iter().collect();
    let mut answers = Vec::new();
    together.get_many_with(&asked, |at, found| {
        assert_eq!(at, answers.len());
        answers.push(match found {
            Ok((value, _)) => Lookup::Hit(*value),
            Err(cause) => Lookup::Miss(cause),
        });
    });
    let singles: Vec<_> = keys.iter().map(|key| apart.get(key)).collect();
    // Which keys share a place in the table of causes is the same, as both have one seed.
    assert_eq!(answers, singles);
    assert_eq!(together.stats(), apart.stats());
    assert!(answers.contains(&Lookup::Miss(MissCause::Expired)));
    assert!(answers.iter().filter(|answer| matches!(answer, Lookup::Hit(_))).count() > 40);
    together.get_many_with(&Vec::<&u32>::new(), |_, _| panic!("nobody asked"));
}
