//! Python's pickle, for plain data only: entries that Python programs wrote, or shall read.
//!
//! | Rust | written as | read from |
//! |---|---|---|
//! | `()`, `None` | `None` | `None` |
//! | `bool` | `bool` | `bool` |
//! | integers up to 128 bits | `int` | `int` |
//! | `f32`, `f64` | `float` | `float`, `int` |
//! | `String`, `char` | `str` | `str` |
//! | bytes | `bytes` | `bytes`, `bytearray` |
//! | vectors, sets | `list` | `list`, `tuple`, `set`, `frozenset`; of `u8` also `bytes` |
//! | tuples, arrays | `tuple` | the same, of this length |
//! | maps, structs | `dict` | `dict` |
//! | variants of an enum | `"Name"`, `{"Name": content}` | the same |
//!
//! Structs are written with the names of their fields, so that fields can be added and removed.
//! Sequences inside the key of a map are written as tuples, because Python cannot have lists
//! there; maps, structs and variants with content are refused inside keys, because they would be
//! dicts. Python holds `1`, `1.0` and `True` for the same key.
//!
//! Types that can write themselves for people do so, as in JSON: an address or a UUID is a `str`.
//!
//! Reading is safe for bytes of any origin. A pickle is a program for a small machine, and most
//! danger is in operations that find and call things by name. Those are refused by name. What is
//! left has no more power than JSON: the machine here makes plain values, in memory that grows
//! with the bytes and not with what they claim, of at most [`MAX_DEPTH`](crate::MAX_DEPTH) levels.
//! Values that a pickle uses in many places count each time, so that a few bytes cannot stand for
//! billions of values. The few calls without which older protocols cannot express `bytes`,
//! `bytearray`, `set` and `frozenset` are recognised by their exact names and never made. Dates,
//! decimals, named tuples and objects of classes are not plain data; turn them into it first.
//!
//! That is about this end. Whoever unpickles in Python what others may write lets them run code
//! there; use `cbor` or `messagepack` to hand entries to Python where that is a concern.

mod error;
mod machine;
mod measure;
mod opcodes;
mod parse;
mod parts;
mod read;
mod reduce;
mod tree;
mod write;

use larder_core::erased_serde;
use larder_core::serializer::{Visit, formats};
use larder_core::{
    BuildContext, Descriptor, KeyPath, PluginConfig, Problem, Problems, Result, Serializer,
    async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{not_read, not_written};
use read::Reader;
use write::Writer;

/// What Python writes by default since 3.8, and what 3.4 and later read.
const DEFAULT_PROTOCOL: u8 = 4;

/// Options of the `pickle` serializer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PickleConfig {
    /// Protocol that is written: `2` for Python 2 as well, `3` for Python 3, `4` for 3.4 and later,
    /// `5` for 3.8 and later. What is read may be of any. Default `4`.
    #[serde(default = "default_protocol")]
    #[schemars(range(min = 2, max = 5))]
    pub protocol: u8,
}

const fn default_protocol() -> u8 {
    DEFAULT_PROTOCOL
}

impl Default for PickleConfig {
    fn default() -> Self {
        Self { protocol: DEFAULT_PROTOCOL }
    }
}

#[async_trait]
impl PluginConfig for PickleConfig {
    const KIND: &'static str = "pickle";
    const SUMMARY: &'static str = "plain data as Python's pickle has it; never runs code";
    type Plugin = Pickle;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        let mut problems = Problems::new();
        if !(2..=5).contains(&self.protocol) {
            let message = format!("there is no protocol `{}` to write", self.protocol);
            let problem = Problem::new(at.join("protocol"), message);
            problems.push(problem.help("take one from `2` to `5`; Python itself takes `4`"));
        }
        problems.into_result()
    }

    async fn build(self, _context: &BuildContext) -> Result<Pickle> {
        Ok(Pickle::new(self))
    }
}

/// Writes and reads plain data as Python's pickle does.
#[derive(Clone, Debug, Default)]
pub struct Pickle {
    config: PickleConfig,
}

impl Pickle {
    /// A serializer with these options. A protocol that cannot be written is taken for the nearest
    /// one that can.
    #[must_use]
    pub fn new(mut config: PickleConfig) -> Self {
        config.protocol = config.protocol.clamp(2, 5);
        Self { config }
    }
}

impl Serializer for Pickle {
    fn format(&self) -> u16 {
        formats::PICKLE
    }

    fn serialize(&self, value: &dyn erased_serde::Serialize, out: &mut Vec<u8>) -> Result<()> {
        let mut writer = Writer::begin(out, self.config.protocol);
        erased_serde::serialize(value, &mut writer)
            .map_err(|error| not_written(PickleConfig::KIND, error))?;
        writer.end();
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let tree = machine::run(bytes).map_err(|error| not_read(PickleConfig::KIND, error))?;
        visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(Reader::new(&tree)))
            .map_err(|error| not_read(PickleConfig::KIND, error))
    }
}

/// The plugin, for explicit registration.
pub const PICKLE: Descriptor = descriptor!(serializer: PickleConfig);

register!(serializer: PickleConfig);
