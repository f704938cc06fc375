//! The `larder` command with the plugins that come with Larder.

fn main() -> std::process::ExitCode {
    larder_cli::main()
}
