//! Libraries with plugins: what the config asks for, and what whoever loads them answers.
//!
//! The config crate knows where each library is named and how to show that. `larder-dynamic` knows
//! how one is checked and loaded. Neither uses the other; this is what they have in common.

use std::fmt;
use std::path::PathBuf;

use crate::plugin::Descriptor;

/// A library that the config names.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LibraryRequest {
    /// The name of its section, which is the name in its stamp.
    pub name: String,
    /// The file; absolute.
    pub path: PathBuf,
    /// Why its bytes may be run.
    pub trust: Trust,
    /// Public keys of minisign, one of which must have signed it whatever else is said of trust;
    /// `None` if no signature is asked for.
    pub signed_by: Option<Vec<String>>,
    /// What it may register, as `slot:kind`; `None` for everything.
    pub provides: Option<Vec<String>>,
    /// Where its code runs.
    pub isolation: Isolation,
}

impl LibraryRequest {
    /// A library by its name and its file, with nothing that says that it may be run.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        let (trust, provides, isolation) = (Trust::Undecided, None, Isolation::None);
        let (name, path) = (name.into(), path.into());
        Self { name, path, trust, signed_by: None, provides, isolation }
    }

    /// Says why it may be run.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Says whose signature it must have: that of one of these keys.
    #[must_use]
    pub fn signed_by<I, S>(mut self, keys: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.signed_by = Some(keys.into_iter().map(Into::into).collect());
        self
    }

    /// Says what it may register.
    #[must_use]
    pub fn provides<I, S>(mut self, provides: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.provides = Some(provides.into_iter().map(Into::into).collect());
        self
    }

    /// Says where its code runs.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }
}

/// Where the code of a library runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isolation {
    /// In the process of the program.
    #[default]
    None,
    /// In a process of its own, whose end the program survives.
    Process {
        /// The program that runs it, absolute; `None` for the one that comes with Larder.
        runner: Option<PathBuf>,
    },
}

/// Why the bytes of a library may be run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// Because of where they are: whoever can write there is trusted.
    Path,
    /// Because they have this SHA-256, in hexadecimal digits.
    Pin(String),
    /// Nobody has said.
    Undecided,
}

/// Loads libraries for the checks of a config.
pub trait LibraryLoader: fmt::Debug + Send + Sync {
    /// Loads a library and returns what it registers.
    ///
    /// # Errors
    ///
    /// The first check that it did not pass.
    fn load(&self, request: &LibraryRequest) -> Result<Vec<Descriptor>, Box<Refusal>>;
}

/// Why a library was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Which check it did not pass.
    pub fault: Fault,
    /// What was found: lower case, no full stop.
    pub message: String,
    /// The same in a few words, for beside the line of the config.
    pub label: String,
    /// Facts: what was found in full, and what was expected.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Option<String>,
    /// The SHA-256 of the file, if that is what the config should say.
    pub sha256: Option<String>,
    /// Which entry of a list of the config it is about, from 0.
    pub entry: Option<usize>,
}

impl Refusal {
    /// A refusal without notes and help.
    pub fn new(fault: Fault, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            fault,
            message: message.into(),
            label: label.into(),
            notes: Vec::new(),
            help: None,
            sha256: None,
            entry: None,
        }
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says which SHA-256 the file has.
    #[must_use]
    pub fn sha256(mut self, sha256: impl Into<String>) -> Self {
        self.sha256 = Some(sha256.into());
        self
    }

    /// Says which entry of a list it is about.
    #[must_use]
    pub const fn entry(mut self, entry: usize) -> Self {
        self.entry = Some(entry);
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.notes.iter().try_for_each(|note| write!(f, "; {note}"))?;
        self.help.iter().try_for_each(|help| write!(f, "; hint: {help}"))
    }
}

impl std::error::Error for Refusal {}

/// What part of a section of the config a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum About {
    /// `isolation`, or `runner`.
    Isolation,
    /// `library`.
    Library,
    /// The name of the section.
    Name,
    /// `provides`.
    Provides,
    /// `sha256`.
    Sha256,
    /// `signed_by`, or an entry of it.
    SignedBy,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $about:ident;)*) => {
        /// The check that a library did not pass, in the order in which they are done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[$doc])* $name),*
        }

        impl Fault {
            /// Every fault.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its code, which `larder explain` knows.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code),*
                }
            }

            /// What part of the section it is about.
            #[must_use]
            pub const fn about(self) -> About {
                match self {
                    $(Self::$name => About::$about),*
                }
            }
        }
    };
}

faults! {
    /// This system cannot load libraries.
    Unsupported = "C0621", Library;
    /// It is not below a directory that the program allows.
    Outside = "C0620", Library;
    /// It is not there, or may not be read.
    Unreadable = "C0603", Library;
    /// Its path leads over a symbolic link.
    Symlink = "C0604", Library;
    /// Others than root and the user of this process can change it.
    Changeable = "C0605", Library;
    /// It is a directory, a device or a pipe, or larger than any library.
    NotAFile = "C0606", Library;
    /// It has another SHA-256.
    Pin = "C0601", Sha256;
    /// A key that may sign it is no public key of minisign.
    Key = "C0629", SignedBy;
    /// It has no signature.
    NotSigned = "C0625", Library;
    /// Its signature is cut off, or no signature.
    Signature = "C0626", Library;
    /// It is signed with another key.
    Signer = "C0627", SignedBy;
    /// Its signature was made for other bytes.
    Forged = "C0628", Library;
    /// It has no SHA-256 to compare with.
    NotPinned = "C0612", Library;
    /// It is no shared library of this kind of machine.
    Format = "C0607", Library;
    /// A part of it is missing.
    Truncated = "C0608", Library;
    /// It has no stamp, or one of another major version.
    Abi = "C0602", Library;
    /// It has several stamps, or one that contradicts itself.
    Stamp = "C0609", Library;
    /// It was compiled with other sizes or numbers than the header has.
    Layout = "C0610", Library;
    /// It needs a newer Larder.
    HostTooOld = "C0611", Library;
    /// Its name is not that of the section.
    Name = "C0613", Name;
    /// It does not export what a plugin exports.
    Symbols = "C0614", Library;
    /// The system could not load it.
    Link = "C0615", Library;
    /// Its entry function failed.
    Entry = "C0616", Library;
    /// What it says about itself breaks a rule of the header.
    Descriptor = "C0617", Library;
    /// The schema of the options of a component cannot be used.
    Schema = "C0618", Library;
    /// It registers what `provides` does not list, or not what it lists.
    Provides = "C0619", Provides;
    /// Another plugin has the same kind.
    Taken = "C0622", Library;
    /// The program that would run it in a process of its own is not there, or cannot be used.
    Runner = "C0623", Isolation;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Fault, Refusal};

    #[test]
    fn every_fault_has_a_code_of_its_own() {
        let codes: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.code()).collect();
        assert_eq!(codes.len(), Fault::ALL.len());
    }

    #[test]
    fn a_refusal_says_what_was_found_and_what_to_do() {
        let refusal = Refusal::new(Fault::NotAFile, "`a.so` is a pipe", "a pipe")
            .note("expected a regular file")
            .help("name the library");
        assert_eq!(
            refusal.to_string(),
            "`a.so` is a pipe; expected a regular file; hint: name the library"
        );
    }
}
