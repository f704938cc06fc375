//! [`Diagnostic`], one thing that is wrong with a config, and
//! [`ConfigError`](crate::render::ConfigError), all of them.

use larder_core::KeyPath;

use crate::tree::Location;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// The config cannot be used.
    Error,
    /// The config can be used, and probably does not do what is wanted.
    Warning,
}

/// A place and what to say about it; the text may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Label {
    /// Where.
    pub at: Location,
    /// What.
    pub text: String,
}

impl Label {
    /// A text at a place.
    #[must_use]
    pub fn new(at: Location, text: impl Into<String>) -> Self {
        Self { at, text: abridged(text.into()) }
    }
}

/// A text without its middle when a config quotes half a file: nobody reads on after that.
fn abridged(text: String) -> String {
    const LONGEST: usize = 600;
    const KEPT: usize = 100;
    if text.len() <= LONGEST {
        return text;
    }
    let count = text.chars().count();
    let start: String = text.chars().take(KEPT).collect();
    let end: String = text.chars().skip(count.saturating_sub(KEPT)).collect();
    format!("{start} … {end}")
}

/// A change of the text that mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fix {
    /// What the change is: `a backend with a similar name exists`.
    pub message: String,
    /// What to put in place of what; all in one source.
    pub edits: Vec<Edit>,
    /// Whether it is certain, so that `check --fix` may do it.
    pub is_certain: bool,
}

/// One replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Edit {
    /// What is replaced; an empty span inserts.
    pub at: Location,
    /// By what.
    pub text: String,
}

impl Fix {
    /// Replaces one piece of text.
    #[must_use]
    pub fn replace(message: impl Into<String>, at: Location, text: impl Into<String>) -> Self {
        let edits = vec![Edit { at, text: text.into() }];
        Self { message: message.into(), edits, is_certain: false }
    }

    /// Marks the change as certain.
    #[must_use]
    pub const fn certain(mut self) -> Self {
        self.is_certain = true;
        self
    }
}

/// One thing that is wrong with a config.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The code, such as `C0203`; `larder explain` prints the long text.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found: lower case, no full stop. Never a secret.
    pub message: String,
    /// The option it is about.
    pub path: Option<KeyPath>,
    /// Where it is; `None` when it is about no text at all, such as a file that is missing.
    pub primary: Option<Label>,
    /// Other places that matter.
    pub secondary: Vec<Label>,
    /// Facts.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Vec<String>,
    /// A change that mends it.
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// An error with a code and a message.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: abridged(message.into()),
            path: None,
            primary: None,
            secondary: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
            fix: None,
        }
    }

    /// A warning with a code and a message.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Says which option it is about.
    #[must_use]
    pub fn path(mut self, path: KeyPath) -> Self {
        self.path = Some(path);
        self
    }

    /// Says where it is.
    #[must_use]
    pub fn at(mut self, at: Location, text: impl Into<String>) -> Self {
        self.primary = Some(Label::new(at, text));
        self
    }

    /// Shows another place.
    #[must_use]
    pub fn also(mut self, at: Location, text: impl Into<String>) -> Self {
        self.secondary.push(Label::new(at, text));
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds a change that mends it.
    #[must_use]
    pub fn fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }
}
