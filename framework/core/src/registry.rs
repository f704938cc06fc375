//! [`Registry`], where plugins are found by slot and kind.
//!
//! Three ways lead in: [`register!`](crate::register) at link time, [`Registry::with`] by hand,
//! and [`Registry::with_loaded`] for the table of a library that was loaded at run time. The same
//! slot and kind from two sources is an error that names both.

use std::collections::BTreeMap;
use std::fmt;

use crate::plugin::{Descriptor, Slot};

/// What [`register!`](crate::register) submits.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "built by a macro in other crates")]
pub struct Registration(pub Descriptor);

inventory::collect!(Registration);

/// How a plugin came into the registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Handed over by the program.
    Explicit,
    /// Linked in and registered by `register!`.
    Linked,
    /// From a library that was loaded at run time.
    Loaded {
        /// The plugin's name in the config.
        plugin: String,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Explicit => f.write_str("registered by the program"),
            Self::Linked => f.write_str("linked"),
            Self::Loaded { plugin } => write!(f, "plugin {plugin}"),
        }
    }
}

/// A plugin of the registry and how it came in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Registered {
    /// The plugin.
    pub descriptor: Descriptor,
    /// How it came in.
    pub source: Source,
}

/// Two plugins of the same slot and kind.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistryConflict {
    /// The one that came first.
    pub first: Registered,
    /// The one that came second.
    pub second: Registered,
}

impl fmt::Display for RegistryConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |registered: &Registered| {
            let Descriptor { origin, version, .. } = registered.descriptor;
            format!("`{origin}` {version} ({})", registered.source)
        };
        let Descriptor { slot, kind, .. } = self.first.descriptor;
        write!(
            f,
            "two plugins register {slot} `{kind}`: {} and {}; hint: remove one of them, or ask \
             its author for a name of the form `vendor.{kind}`",
            side(&self.first),
            side(&self.second),
        )
    }
}

impl std::error::Error for RegistryConflict {}

/// The plugins of a program, by slot and kind. Listings are sorted, so that they do not depend on
/// link order.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    plugins: BTreeMap<(Slot, &'static str), Registered>,
    conflicts: Vec<RegistryConflict>,
}

impl Registry {
    /// A registry without any plugin, not even the linked ones.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// All plugins that are linked into this program.
    #[must_use]
    pub fn linked() -> Self {
        let mut registry = Self::empty();
        let mut linked: Vec<Descriptor> =
            inventory::iter::<Registration>().map(|registration| registration.0).collect();
        linked.sort_by_key(|descriptor| (descriptor.slot, descriptor.kind, descriptor.origin));
        for descriptor in linked {
            registry.add(descriptor, Source::Linked);
        }
        registry
    }

    /// Adds a plugin by hand. The very plugin that is linked already is not a conflict.
    #[must_use]
    pub fn with(mut self, descriptor: Descriptor) -> Self {
        self.add(descriptor, Source::Explicit);
        self
    }

    /// Adds the plugins of a library that was loaded at run time.
    #[must_use]
    pub fn with_loaded(
        mut self,
        plugin: &str,
        descriptors: impl IntoIterator<Item = Descriptor>,
    ) -> Self {
        for descriptor in descriptors {
            self.add(descriptor, Source::Loaded { plugin: plugin.to_owned() });
        }
        self
    }

    fn add(&mut self, descriptor: Descriptor, source: Source) {
        let second = Registered { descriptor, source };
        let id = (descriptor.slot, descriptor.kind);
        match self.plugins.get(&id) {
            None => {
                self.plugins.insert(id, second);
            }
            Some(first) if is_same(first, &second) => {}
            Some(first) => self.conflicts.push(RegistryConflict { first: first.clone(), second }),
        }
    }

    /// Every slot and kind that was registered twice.
    #[must_use]
    pub fn conflicts(&self) -> &[RegistryConflict] {
        &self.conflicts
    }

    /// The plugin of this slot and kind.
    #[must_use]
    pub fn find(&self, slot: Slot, kind: &str) -> Option<&Registered> {
        // The map is keyed by `&'static str`, so a look-up by a shorter-lived one goes by range.
        self.of_slot(slot).find(|registered| registered.descriptor.kind == kind)
    }

    /// The plugins of a slot, sorted by kind.
    pub fn of_slot(&self, slot: Slot) -> impl Iterator<Item = &Registered> {
        let of_slot = self.plugins.range((slot, "")..).map(|(_, registered)| registered);
        of_slot.take_while(move |registered| registered.descriptor.slot == slot)
    }

    /// All plugins, sorted by slot and kind.
    pub fn iter(&self) -> impl Iterator<Item = &Registered> {
        Slot::ALL.into_iter().flat_map(|slot| self.of_slot(slot))
    }
}

/// A plugin that is linked, and that the program hands over as well, is one plugin; and so is one
/// of a library that two configs name.
fn is_same(first: &Registered, second: &Registered) -> bool {
    let is_one = match (&first.source, &second.source) {
        (Source::Loaded { plugin: first }, Source::Loaded { plugin: second }) => first == second,
        (Source::Loaded { .. }, _) | (_, Source::Loaded { .. }) => false,
        (first, second) => first != second,
    };
    is_one
        && first.descriptor.origin == second.descriptor.origin
        && first.descriptor.version == second.descriptor.version
}
