//! What can be written behind `larder plugins new`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Arguments of `plugins new`.
#[derive(Debug, Args)]
pub(crate) struct NewPlugin {
    /// The folder, named like the plugin: who makes it and what it is, such as `acme-shelf`
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// The language
    #[arg(long, value_enum, default_value_t)]
    pub(crate) lang: Language,
    /// What the plugin is
    #[arg(long, value_enum, default_value_t)]
    pub(crate) slot: NewSlot,
    /// The name of the plugin [default: that of the folder]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Depend on this checkout of Larder, and not on the released crates
    #[arg(long, value_name = "FOLDER")]
    pub(crate) larder: Option<PathBuf>,
}

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// C11, with the header and nothing else.
    C,
    /// A crate.
    #[default]
    Rust,
}

/// What a plugin that is written anew can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum NewSlot {
    /// Keeps entries.
    #[default]
    Backend,
    /// Tells caches what changed elsewhere.
    Invalidator,
    /// Says which entry has to go.
    Policy,
    /// Carries changes to other sites.
    Replicator,
    /// Turns values into bytes.
    Serializer,
    /// Names the keys to have before anybody asks.
    Warmer,
    /// Turns bytes into others, around a serializer.
    Wrapper,
}

impl NewSlot {
    /// As configs have it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Invalidator => "invalidator",
            Self::Policy => "policy",
            Self::Replicator => "replicator",
            Self::Serializer => "serializer",
            Self::Warmer => "warmer",
            Self::Wrapper => "wrapper",
        }
    }
}
