//! What a plugin says of itself.

use larder_core::serde_json::Value;
use larder_core::{Descriptor, Slot};

/// Tests what a plugin says of itself, one `#[test]` a case, in a module `plugin_conformance`.
///
/// `plugin!(DESCRIPTOR)` takes the path of a [`Descriptor`](larder_core::Descriptor);
/// `plugin!(DESCRIPTOR as name)` gives the module another name.
#[macro_export]
macro_rules! plugin {
    ($descriptor:path) => {
        $crate::plugin!($descriptor as plugin_conformance);
    };
    ($descriptor:path as $name:ident) => {
        mod $name {
            use super::*;

            #[test]
            fn its_kind_is_one_that_a_config_can_name() {
                $crate::plugin::has_a_kind(&$descriptor);
            }

            #[test]
            fn its_summary_fits_into_a_list() {
                $crate::plugin::has_a_summary(&$descriptor);
            }

            #[test]
            fn every_option_says_what_it_does() {
                $crate::plugin::documents_its_options(&$descriptor);
            }

            #[test]
            fn an_option_that_it_does_not_have_is_refused() {
                $crate::plugin::refuses_other_options(&$descriptor);
            }
        }
    };
}

/// Kebab-case; a third party writes `vendor.kind`.
pub fn has_a_kind(descriptor: &Descriptor) {
    let Descriptor { kind, slot, .. } = descriptor;
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !word.ends_with('-')
    };
    let parts: Vec<&str> = kind.split('.').collect();
    assert!(parts.len() <= 2 && parts.iter().all(|part| is_word(part)), "{slot} `{kind}`");
    assert!(!Slot::ALL.iter().any(|slot| slot.as_str() == *kind), "`{kind}` is a slot");
}

/// One sentence in lower case without a full stop, short enough for a line.
pub fn has_a_summary(descriptor: &Descriptor) {
    let summary = descriptor.summary;
    assert!((8..=80).contains(&summary.len()), "`{summary}` has {} bytes", summary.len());
    assert!(!summary.ends_with('.') && !summary.contains('\n'), "`{summary}`");
    let mut letters = summary.chars();
    let first_is_upper = letters.next().is_some_and(char::is_uppercase);
    let is_name = letters.next().is_some_and(|c| c.is_uppercase() || c.is_ascii_digit())
        || summary
            .split(' ')
            .next()
            .is_some_and(|word| word.chars().skip(1).any(char::is_uppercase));
    assert!(!first_is_upper || is_name, "`{summary}` begins with a capital letter");
}

/// Its doc comment is the manual, the completion and the note of a message.
pub fn documents_its_options(descriptor: &Descriptor) {
    let schema = descriptor.factory.config().schema().to_value();
    assert_eq!(
        schema["additionalProperties"],
        Value::Bool(false),
        "`deny_unknown_fields` is missing"
    );
    for (name, option) in schema["properties"].as_object().into_iter().flatten() {
        let text = option["description"].as_str().unwrap_or_default();
        assert!(text.len() >= 15, "option `{name}` of `{}` says `{text}`", descriptor.kind);
        assert!(text.ends_with('.') || text.ends_with('`'), "option `{name}` says `{text}`");
    }
}

/// A typo is an error, with the path of the option.
pub fn refuses_other_options(descriptor: &Descriptor) {
    let options = larder_core::serde_json::json!({ "an_option_that_nobody_has": 1 });
    let at = larder_core::KeyPath::root().join("here");
    let problems = descriptor.factory.config().check(&options, &at);
    assert!(problems.is_err(), "`{}` takes any option", descriptor.kind);
}
