//! [`CacheError`], the one error of Larder, and its [`ErrorKind`].

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// The result of every fallible call.
pub type Result<T, E = CacheError> = std::result::Result<T, E>;

/// What went wrong, for programs. Match on this, never on the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The cache or the entry is over its limit (`on_full = "reject"`, a value too large).
    Capacity,
    /// The cache, or the manager it belongs to, was closed.
    Closed,
    /// The config cannot be used.
    Config,
    /// A backend cannot be reached, or broke the connection.
    Connection,
    /// The entry was there, but its life is over (only from calls that tell it from a miss).
    Expired,
    /// An invalidation could not be carried out or delivered.
    Invalidation,
    /// The key is empty, too long, or not there (only from calls that tell it from a miss).
    Key,
    /// The loader of the application failed or panicked.
    Load,
    /// A plugin broke its contract, is unknown, or failed in a way of its own.
    Plugin,
    /// A value could not be turned into bytes, or bytes into a value.
    Serialization,
    /// The work took longer than its limit.
    Timeout,
    /// A cache was asked for with other key or value types than before.
    TypeMismatch,
    /// The plugin cannot do this, and says so in its capabilities.
    Unsupported,
}

impl ErrorKind {
    /// The kind as one lower-case word, as logs and `--format json` show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Capacity => "capacity",
            Self::Closed => "closed",
            Self::Config => "config",
            Self::Connection => "connection",
            Self::Expired => "expired",
            Self::Invalidation => "invalidation",
            Self::Key => "key",
            Self::Load => "load",
            Self::Plugin => "plugin",
            Self::Serialization => "serialization",
            Self::Timeout => "timeout",
            Self::TypeMismatch => "type_mismatch",
            Self::Unsupported => "unsupported",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The one error: a kind, a message, key/value context and a source. Cheap to clone, so that
/// every caller that waits for one load gets the same error.
///
/// `Display` prints the message, then the context in brackets, then a hint:
///
/// ```
/// use larder_core::{CacheError, ErrorKind};
///
/// let error = CacheError::new(ErrorKind::Capacity, "cache is full")
///     .with("cache", "users")
///     .with("max_size", 100)
///     .hint("raise `capacity`, or set `on_full = \"evict\"`");
/// assert_eq!(
///     error.to_string(),
///     "cache is full (cache=`users`, max_size=`100`); \
///      hint: raise `capacity`, or set `on_full = \"evict\"`",
/// );
/// ```
///
/// The context keys that the original Python module had as exception fields keep their meaning:
/// `key` and `ttl` (expired), `max_size` and `current_size` (capacity), `backend`, `host` and
/// `port` (connection), `key` (key), `key` and `data_type` (serialization), `pattern`, `tag`
/// (invalidation). Read them with [`context`](Self::context). Secrets never get in here.
#[derive(Clone)]
pub struct CacheError(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    operation: Option<&'static str>,
    context: Vec<(&'static str, String)>,
    hint: Option<Cow<'static, str>>,
    retryable: Option<bool>,
    is_of_a_part: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    /// Whether the message says already what the source says.
    is_transparent: bool,
}

impl CacheError {
    /// An error of a kind with a message: lower case, no full stop.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            operation: None,
            context: Vec::new(),
            hint: None,
            retryable: None,
            is_of_a_part: false,
            source: None,
            is_transparent: false,
        }))
    }

    /// An error that says what its source says, with a kind of ours.
    #[must_use]
    pub fn transparent(kind: ErrorKind, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::new(kind, source.to_string()).with_silent_source(Arc::new(source))
    }

    fn with_silent_source(mut self, source: Arc<dyn StdError + Send + Sync>) -> Self {
        let inner = self.edit();
        inner.source = Some(source);
        inner.is_transparent = true;
        self
    }

    /// Adds a key/value pair. The first value of a key wins, so that the place nearest to the
    /// cause has the last word.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        if self.context(key).is_none() {
            self.edit().context.push((key, value.to_string()));
        }
        self
    }

    /// Names the operation that failed, such as `get`. The first name wins.
    #[must_use]
    pub fn during(mut self, operation: &'static str) -> Self {
        let inner = self.edit();
        inner.operation.get_or_insert(operation);
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.edit().hint = Some(hint.into());
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.edit().source = Some(Arc::new(source));
        self
    }

    /// Overrides [`is_retryable`](Self::is_retryable), which otherwise follows from the kind.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.edit().retryable = Some(retryable);
        self
    }

    /// Says that other parts of the backend, such as the other nodes of a cluster, are well. Such
    /// an error does not open the breaker of its tier, which would close all parts.
    #[must_use]
    pub fn of_a_part(mut self) -> Self {
        self.edit().is_of_a_part = true;
        self
    }

    /// Keeps an error of any type that caused this one.
    #[must_use]
    pub fn caused_by_any(mut self, source: Box<dyn StdError + Send + Sync>) -> Self {
        self.edit().source = Some(Arc::from(source));
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let by_kind = matches!(self.0.kind, ErrorKind::Connection | ErrorKind::Timeout);
        self.0.retryable.unwrap_or(by_kind)
    }

    /// Whether it concerns only a part of the backend.
    #[must_use]
    pub fn is_of_a_part(&self) -> bool {
        self.0.is_of_a_part
    }

    /// The message alone, without context and hint.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it, if anybody [said so](Self::hint).
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The operation that failed, if it is known.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// What to do about it, if that is known.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The value of a context key.
    #[must_use]
    pub fn context(&self, key: &str) -> Option<&str> {
        let mut pairs = self.0.context.iter();
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    /// All context pairs, in the order in which they were added.
    pub fn contexts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(key, value)| (*key, value.as_str()))
    }

    fn edit(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let operation = self.0.operation.map(|name| ("operation", name));
        let pairs = operation.into_iter().chain(self.contexts());
        for (index, (key, value)) in pairs.enumerate() {
            let lead = if index == 0 { " (" } else { ", " };
            write!(f, "{lead}{key}=`{value}`")?;
        }
        if self.0.operation.is_some() || !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        if let (Some(source), false) = (&self.0.source, self.0.is_transparent) {
            write!(f, ": {source}")?;
        }
        if let Some(hint) = &self.0.hint {
            write!(f, "; hint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CacheError[{}]: {self}", self.0.kind)
    }
}

impl StdError for CacheError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_shows_operation_context_source_and_hint() {
        let error = CacheError::new(ErrorKind::Connection, "cannot reach the backend")
            .during("get")
            .with("host", "localhost")
            .with("port", 6379)
            .with("port", 1)
            .caused_by(std::io::Error::other("refused"))
            .hint("start it");
        assert_eq!(
            error.to_string(),
            "cannot reach the backend (operation=`get`, host=`localhost`, port=`6379`): refused; \
             hint: start it"
        );
        assert_eq!(error.context("port"), Some("6379"));
        assert!(error.is_retryable());
        assert!(!error.clone().retryable(false).is_retryable());
        assert!(error.source().is_some());
    }

    #[test]
    fn a_clone_that_is_changed_leaves_the_first_alone() {
        let first = CacheError::new(ErrorKind::Key, "key is empty");
        let second = first.clone().with("cache", "users");
        assert_eq!(first.context("cache"), None);
        assert_eq!(second.context("cache"), Some("users"));
    }
}
