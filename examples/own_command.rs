//! How do my operators get a `larder` command that knows my plugins?
//!
//! By shipping one: the whole command is a function, and it knows every plugin that is linked.
//!
//! ```text
//! cargo run -p larder-examples --example own_command -- plugins list
//! cargo run -p larder-examples --example own_command -- check examples/third-party.toml
//! ```

use std::process::ExitCode;

// The plugins of this command; a crate that nobody names is not linked.
use acme_cache as _;

fn main() -> ExitCode {
    larder_cli::main()
}
