//! `postcard`, whose bytes say nothing about themselves.

use super::*;
use crate::MAX_DEPTH;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Chain(Option<Box<Self>>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Fork(Vec<Self>),
    Twig { inner: Box<Self> },
}

fn chain(links: usize) -> Chain {
    (0..links).fold(Chain(None), |inner, _| Chain(Some(Box::new(inner))))
}

/// A tree of so many levels.
fn twig(levels: usize) -> Tree {
    (1..levels).fold(Tree::Leaf, |inner, _| Tree::Twig { inner: Box::new(inner) })
}

/// What this many levels of the value are written as is read, and one more is not written.
fn bounded<T>(value: impl Fn(usize) -> T)
where
    T: Serialize + DeserializeOwned + PartialEq + fmt::Debug,
{
    let postcard = Postcard::new();
    let deep = value(MAX_DEPTH);
    let bytes = write(&postcard, &deep).unwrap();
    assert_eq!(read::<T>(&postcard, &bytes).unwrap(), deep);
    let why = cause(write(&postcard, &value(MAX_DEPTH + 1)));
    assert_eq!(why, "the value is nested deeper than `127` levels");
}

#[test]
fn every_level_is_counted_alike_when_written_and_when_read() {
    bounded(chain);
    bounded(twig);
}

#[test]
fn a_variant_and_the_sequence_in_it_are_two_levels() {
    let forks =
        |count: usize, inner: Tree| (0..count).fold(inner, |inner, _| Tree::Fork(vec![inner]));
    let deep = forks((MAX_DEPTH - 1) / 2, Tree::Leaf);
    let bytes = write(&Postcard::new(), &deep).unwrap();
    assert_eq!(read::<Tree>(&Postcard::new(), &bytes).unwrap(), deep);
    assert!(write(&Postcard::new(), &forks((MAX_DEPTH - 1) / 2, twig(2))).is_err());
}

#[test]
fn elements_that_take_no_bytes_are_bounded_when_written_and_when_read() {
    let postcard = Postcard::new();
    let most = vec![(); 256];
    let bytes = write(&postcard, &most).unwrap();
    assert_eq!(read::<Vec<()>>(&postcard, &bytes).unwrap(), most);
    let why = "there are far more elements than bytes";
    assert_eq!(cause(write(&postcard, &vec![(); 2000])), why);
    assert_eq!(cause(write(&postcard, &vec![Unit; 2000])), why);
    let claim = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    assert_eq!(cause(read::<Vec<()>>(&postcard, claim)), why);
    assert_eq!(cause(read::<BTreeSet<()>>(&postcard, claim)), why);
    assert_eq!(cause(read::<HashMap<(), ()>>(&postcard, claim)), why);
}

#[test]
fn many_elements_that_take_bytes_are_no_matter() {
    let values: Vec<(u8, (), Unit, [(); 3])> = vec![(1, (), Unit, [(); 3]); 10_000];
    let bytes = write(&Postcard::new(), &values).unwrap();
    assert_eq!(bytes.len(), 10_002);
    assert_eq!(read::<Vec<(u8, (), Unit, [(); 3])>>(&Postcard::new(), &bytes).unwrap(), values);
}

#[test]
fn the_room_that_a_type_makes_ahead_is_bounded() {
    /// Believes what it is told about its length, as some collections do.
    #[derive(Debug)]
    struct Trusting(usize);

    impl<'de> Deserialize<'de> for Trusting {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Hint;
            impl<'de> Visitor<'de> for Hint {
                type Value = usize;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a map")
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<usize, A::Error> {
                    let hint = map.size_hint().unwrap_or(0);
                    while map.next_entry::<u8, u8>()?.is_some() {}
                    assert!(hint < 2000, "{hint}");
                    Ok(hint)
                }
            }
            deserializer.deserialize_map(Hint).map(Trusting)
        }
    }
    let claim = b"\xff\xff\xff\xff\x0f\x01\x02";
    assert!(read::<Trusting>(&Postcard::new(), claim).is_err());
    let honest = write(&Postcard::new(), &BTreeMap::from([(1_u8, 2_u8)])).unwrap();
    assert_eq!(read::<Trusting>(&Postcard::new(), &honest).unwrap().0, 1);
}

#[test]
fn a_field_that_is_added_makes_the_entry_unreadable() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only whether it can be read matters")]
    struct Later {
        id: u64,
        name: String,
        plan: Plan,
        #[serde(default)]
        email: Option<String>,
    }
    let bytes = write(&Postcard::new(), &user()).unwrap();
    assert!(read::<Later>(&Postcard::new(), &bytes).is_err());
}

#[test]
fn values_that_find_out_what_they_are_are_refused() {
    let bytes = write(&Postcard::new(), &serde_json::json!({"a": 1})).unwrap();
    assert!(read::<serde_json::Value>(&Postcard::new(), &bytes).is_err());
}
