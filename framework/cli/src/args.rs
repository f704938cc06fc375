//! What can be written on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use larder::Life;

mod new_plugin;

pub(crate) use new_plugin::{Language, NewPlugin, NewSlot};

use crate::simulate::capacity::Capacity;
use crate::simulate::contender::Wishes;

/// Check, show and explain cache configs, and look into the caches.
#[derive(Debug, Parser)]
#[command(name = "larder", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What all commands take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Config and output")]
pub(crate) struct Common {
    /// The config file [default: $LARDER_CONFIG, then caches.toml or caches.yaml here]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Apply the section `[profile.NAME]` of the config [default: $LARDER_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Set one option over everything else, such as `caches.users.ttl=1h`
    #[arg(long = "set", global = true, value_name = "PATH=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Say nothing on stderr but why something failed
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more on stderr; twice or three times for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// How answers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

/// How diagnostics are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object per diagnostic and line.
    Json,
    /// Annotations of GitHub workflows.
    Github,
}

/// Commands that answer take this.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Answer {
    /// How the answer is written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check configs: syntax, options, plugins, and how the caches fit together
    Check(Check),
    /// Show the config with all layers applied, without secrets
    Show(Show),
    /// Explain an option, a plugin or the code of a message
    Explain(Explain),
    /// Write the JSON schema of config files, for editors
    Schema(Generated),
    /// Write the reference of all options as Markdown
    #[command(hide = true)]
    Reference(Generated),
    /// Show which plugins there are
    #[command(subcommand)]
    Plugins(Plugins),
    #[command(flatten)]
    Entry(Entry),
    /// Write the entries of a cache as a snapshot
    Export(Export),
    /// Store the entries of a snapshot in a cache
    ///
    /// Every entry keeps its tags, its stamp and the instant at which it ends. One that the cache
    /// has already is replaced if it was written earlier.
    Import(Import),
    /// Remove everything from a cache
    Clear(Clear),
    /// Say how much is in the caches
    Stats(Stats),
    /// Say which policy suits, and how big: replay a trace of keys through caches
    ///
    /// Each cache is built like one of a config, in memory and with one shard; a key that it does
    /// not have is stored, and nothing expires. A trace is read once to learn how long it is, and
    /// once for each policy and size. It is not held in memory, except for `opt`, which takes 8
    /// bytes for each request.
    Simulate(Simulate),
    /// Write a script that completes commands and options in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The config files, each checked by itself [default: as for `--config`]
    pub(crate) files: Vec<PathBuf>,
    /// Check once without a profile and once with each
    #[arg(long, conflicts_with = "profile")]
    pub(crate) all_profiles: bool,
    /// Let the answer be no when there are warnings
    #[arg(long)]
    pub(crate) deny_warnings: bool,
    /// Change the files where it is certain what was meant
    #[arg(long)]
    pub(crate) fix: bool,
    /// Connect to the servers that the config names, and say what is wrong with them
    #[arg(long)]
    pub(crate) online: bool,
    /// How diagnostics are written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ReportFormat,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The part to show, such as `caches.users` [default: everything]
    pub(crate) path: Option<String>,
    /// Say where each value comes from
    #[arg(long)]
    pub(crate) origin: bool,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A code such as `C0203`, an option such as `caches.users.ttl`, or a plugin such as `file`
    #[arg(value_name = "PATH|CODE|KIND")]
    pub(crate) subject: String,
    /// Show what holds for this key of a cache such as `caches.users`, and what sets it
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// Arguments of commands that generate a file.
#[derive(Debug, Args)]
pub(crate) struct Generated {
    /// Write to this file [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Only say whether this file is up to date
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    pub(crate) check: Option<PathBuf>,
}

/// Commands about plugins.
#[derive(Debug, Subcommand)]
pub(crate) enum Plugins {
    /// List the plugins that are linked into this command, and those of the libraries of a config
    List(Answer),
    /// Show what a library brings; this loads it
    Info {
        /// Its name in the config, or the path of a file, which is then trusted
        #[arg(value_name = "NAME|FILE")]
        library: String,
        #[command(flatten)]
        answer: Answer,
    },
    /// Check the libraries of a config, without running any of their code
    Verify {
        /// Their names in the config, or paths of files [default: all that the config names]
        #[arg(value_name = "NAME|FILE")]
        libraries: Vec<String>,
        #[command(flatten)]
        answer: Answer,
    },
    /// Write a plugin that works, to begin with: sources, tests, and a config that uses it
    New(NewPlugin),
    /// Print the SHA-256 of a library, as the config takes it
    Pin {
        /// Its name in the config, or the path of a file
        #[arg(value_name = "NAME|FILE")]
        library: String,
    },
}

/// Commands about entries of caches that outlive the process: in files, on servers.
#[derive(Debug, Subcommand)]
pub(crate) enum Entry {
    /// Print the value of a key
    Get {
        /// The cache
        cache: String,
        /// The key
        key: String,
        #[command(flatten)]
        answer: Answer,
    },
    /// Store a value
    Set {
        /// The cache
        cache: String,
        /// The key
        key: String,
        /// The value: JSON if it is, else a text
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// How long it lives, such as `10m` or `never` [default: as the config says]
        #[arg(long)]
        ttl: Option<Life>,
        /// Refuse a value that is not JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove keys
    Del {
        /// The cache
        cache: String,
        /// The keys
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
        #[command(flatten)]
        answer: Answer,
    },
    /// Say whether there is a value
    Exists {
        /// The cache
        cache: String,
        /// The key
        key: String,
        #[command(flatten)]
        answer: Answer,
    },
    /// List keys
    Scan {
        /// The cache
        cache: String,
        /// Only keys that match: `*` is anything, `?` one character
        #[arg(long, default_value = "*")]
        pattern: String,
        #[command(flatten)]
        answer: Answer,
    },
    /// Say how long a value will live yet
    Ttl {
        /// The cache
        cache: String,
        /// The key
        key: String,
        #[command(flatten)]
        answer: Answer,
    },
}

impl Entry {
    /// The cache it is about.
    pub(crate) fn cache(&self) -> &str {
        let (Self::Get { cache, .. }
        | Self::Scan { cache, .. }
        | Self::Set { cache, .. }
        | Self::Del { cache, .. }
        | Self::Exists { cache, .. }
        | Self::Ttl { cache, .. }) = self;
        cache
    }
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The cache
    pub(crate) cache: String,
    /// Write to this file, which is there when it is whole; `-` is stdout
    #[arg(short, long, default_value = "-", value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Only keys that match: `*` is anything, `?` one character
    #[arg(long, default_value = "*", value_name = "GLOB")]
    pub(crate) pattern: String,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The cache
    pub(crate) cache: String,
    /// The snapshot; `-` is stdin
    pub(crate) file: PathBuf,
    /// Replace entries of the cache even if they were written later
    #[arg(long)]
    pub(crate) replace: bool,
    /// Keep entries of the cache that were written later [default]
    #[arg(long, conflicts_with = "replace")]
    pub(crate) keep_newer: bool,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// Arguments of `clear`.
#[derive(Debug, Args)]
pub(crate) struct Clear {
    /// The cache
    pub(crate) cache: String,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// Arguments of `stats`.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// The cache [default: all that outlive a process]
    pub(crate) cache: Option<String>,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// The traces: `.u32` is four bytes for each key, little-endian; anything else is text with one
    /// key a line; `.zst` after either is compressed
    #[arg(long = "trace", required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) traces: Vec<PathBuf>,
    /// The policies, such as `lru,s3-fifo{small_ratio=20%}`; `opt` is the optimum, which knows the
    /// future, `all` is every policy and `opt`
    #[arg(long, default_value = "all", value_name = "POLICY,…")]
    pub(crate) policies: Wishes,
    /// The sizes in entries, such as `500,10k,2m`, or as shares of the distinct keys: `10%`
    #[arg(long = "capacity", required = true, value_delimiter = ',', value_name = "SIZE,…")]
    pub(crate) capacities: Vec<Capacity>,
    /// Draw the hit ratios to this file, as SVG
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Arguments::command().debug_assert();
    }
}
