//! `larder check --online`: what the servers say that the connections of a config name.

use std::time::Duration;

use larder::config::check::{Checked, connection_problem};
use larder::config::diagnostic::{Diagnostic, Severity};
use larder::config::loader::Resolved;
use larder::config::model::PluginNode;
use larder::plugin::{BuildContext, Problem, Problems, Slot};
use tracing::subscriber::{NoSubscriber, with_default};

use crate::exit::{Exit, Failure};

/// How long one connection may take. Those of Larder have limits of their own, which are shorter.
const LIMIT: Duration = Duration::from_secs(30);

/// Tries each connection, and adds what is wrong with it to what the checks say. A config with
/// errors is not tried.
pub(super) fn ask(resolved: &Resolved, checked: &mut Checked) -> Result<(), Failure> {
    let Some(config) = &checked.config else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(Exit::No, format!("cannot start the runtime: {}", error.kind()))
    })?;
    let mut found: Vec<Diagnostic> = Vec::new();
    for (name, node) in &config.connections {
        // What connections tell of themselves is said once, as what is wrong with the config.
        let silent = NoSubscriber::new();
        let probed = with_default(silent, || runtime.block_on(probe(checked, node)));
        let (problems, severity) = match probed {
            Ok(doubts) => (doubts, Severity::Warning),
            Err(problems) => (problems, Severity::Error),
        };
        let (root, sources) = (&resolved.root, &resolved.sources);
        found.extend(
            problems.iter().map(|one| connection_problem(root, sources, name, one, severity)),
        );
    }
    // A look-up of a name goes on after the attempt that wanted it, and holds nobody up.
    runtime.shutdown_background();
    checked.add(&resolved.root, found);
    Ok(())
}

async fn probe(checked: &Checked, node: &PluginNode) -> Result<Problems, Problems> {
    let Some(found) = checked.registry.find(Slot::Connection, &node.kind) else {
        return Ok(Problems::new());
    };
    let config = found.descriptor.factory.config();
    let context = BuildContext::new("").path(node.path.clone());
    let probing = config.probe(node.options.clone(), &context);
    tokio::time::timeout(LIMIT, probing).await.unwrap_or_else(|_| {
        let message = format!("it was not known within {} s whether it works", LIMIT.as_secs());
        Err(Problem::new(node.path.clone(), message).into())
    })
}
