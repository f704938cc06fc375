//! `allow` names codes of warnings; anything else in it does nothing.

use super::options::Checker;
use super::scalars::requote;
use super::view::CacheView;
use crate::diagnostic::{Diagnostic, Fix};
use crate::explain::codes;
use crate::suggest::closest;
use crate::tree::{Node, Value};

impl<'a> Checker<'a> {
    /// Warns of what `allow` cannot accept.
    pub(super) fn allowed(&mut self, root: &'a Node, views: &[CacheView<'a>]) {
        let lists = std::iter::once(root.find(&["allow".to_owned()]));
        for list in lists.chain(views.iter().map(|view| view.find(&["allow"]))).flatten() {
            if let Value::Array(items) = &list.value {
                for item in items {
                    self.allowed_code(item);
                }
            }
        }
    }

    fn allowed_code(&mut self, item: &Node) {
        let Some(code) = item.as_str() else {
            return;
        };
        let warnings = || codes().filter(|code| code.starts_with('W'));
        if warnings().any(|known| known == code) {
            return;
        }
        let message = format!("`{code}` is not the code of a warning, so `allow` does nothing");
        let label = match codes().any(|known| known == code) {
            true => "an error, which cannot be accepted",
            false => "no such code",
        };
        let known: Vec<&str> = warnings().collect();
        let mut diagnostic = Diagnostic::warning("W0202", message)
            .at(item.at.clone(), label)
            .note(format!("codes of warnings: {}", known.join(", ")));
        if let Some(near) = closest(code, warnings()) {
            let text = requote(self.sources, &item.at, near);
            let fix = Fix::replace(format!("did you mean `{near}`?"), item.at.clone(), text);
            diagnostic = diagnostic.fix(fix);
        }
        self.diagnostics.push(diagnostic);
    }
}
