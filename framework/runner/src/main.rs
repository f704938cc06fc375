//! `larder-runner`: runs one plugin library in a process of its own.
//!
//! A program whose config says `isolation = "process"` starts it, with a socket as its standard
//! input, and talks to it in the words of [`wire`](larder_dynamic::process::wire). The library is
//! loaded by the same loader as in the program, with the same checks. When the program ends, or
//! closes the socket, so does this.
//!
//! | module | what |
//! |---|---|
//! | `socket` | the connection to the program |
//! | `server` | from questions to answers |
//! | `library` | what is loaded, what it is, its instances |
//! | `lives` | in which order instances are made and ended |
//! | `part`, `call` | an instance and its calls |
//! | `log` | what is said here, told to the program |
#![forbid(unsafe_code)]

#[cfg(unix)]
mod call;
#[cfg(unix)]
mod library;
#[cfg(unix)]
mod lives;
#[cfg(unix)]
mod log;
#[cfg(unix)]
mod part;
#[cfg(unix)]
mod server;
#[cfg(unix)]
mod socket;

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--version") {
        return version();
    }
    match socket::take() {
        Ok(socket) => match server::serve(&socket) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error.to_string()),
        },
        Err(error) => failed(&format!(
            "{error}; hint: programs start this by themselves, for a plugin with `isolation = \
             \"process\"`"
        )),
    }
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    failed("libraries are not loaded on this system")
}

#[cfg(unix)]
#[expect(clippy::print_stdout, reason = "it was asked for")]
fn version() -> ExitCode {
    println!("larder-runner {}", env!("CARGO_PKG_VERSION"));
    ExitCode::SUCCESS
}

/// Standard error goes to the log of the program.
fn failed(what: &str) -> ExitCode {
    eprintln!("larder-runner: {what}");
    ExitCode::FAILURE
}
