//! `larder simulate`: which policy, and how big. Replays traces through caches of several policies
//! and sizes.

use std::fs;

use crate::args::{Format, Simulate};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::counted;
use crate::simulate::contender::{self, Contender};
use crate::simulate::pool;
use crate::simulate::progress::Progress;
use crate::simulate::replay;
use crate::simulate::report::{self, Outcome, Simulation};
use crate::simulate::survey::Survey;
use crate::simulate::trace::Trace;
use crate::simulate::{optimum, plot};

pub(super) fn run(arguments: &Simulate, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let contenders = contender::chosen(&arguments.policies, &context.registry)?;
    let traces = arguments.traces.iter().map(Trace::open).collect::<Result<Vec<_>, _>>()?;
    let mut simulations = Vec::new();
    for trace in &traces {
        let simulation = simulate(trace, &contenders, arguments, context)?;
        if arguments.answer.format == Format::Human {
            let lead = if simulations.is_empty() { "" } else { "\n" };
            context.output.data(&format!("{lead}{}", report::text(&simulation)))?;
        }
        simulations.push(simulation);
    }
    if arguments.answer.format == Format::Json {
        context.output.json(&report::json(&simulations))?;
    }
    if let Some(file) = &arguments.plot {
        fs::write(file, plot::svg(&simulations)).map_err(|error| Failure::writing(file, &error))?;
        context.output.done(format_args!("drew `{}`", file.display()));
    }
    Ok(Exit::Success)
}

/// Replays one trace through every policy in every size.
fn simulate(
    trace: &Trace,
    contenders: &[Contender],
    arguments: &Simulate,
    context: &Context<'_>,
) -> Result<Simulation, Failure> {
    let progress = Progress::new(context.output.shows_progress());
    progress.reading(&trace.name());
    let has_optimum = contenders.contains(&Contender::Optimum);
    let survey = Survey::of(trace, has_optimum, &progress)?;
    let sizes: Vec<_> = arguments.capacities.iter().map(|size| size.of(survey.keys)).collect();
    let jobs: Vec<_> = contenders
        .iter()
        .flat_map(|contender| sizes.iter().map(move |size| (contender, size.entries)))
        .collect();
    let policies = counted(contenders.len() as u64, "policy");
    let combinations = format!("{policies} x {}", counted(sizes.len() as u64, "size"));
    progress.replaying(&report::headline(&survey), &combinations, survey.requests, jobs.len());
    let registry = &context.registry;
    let outcomes = pool::run(&jobs, |(contender, capacity)| {
        let hits = match contender {
            Contender::Optimum => optimum::hits(&survey.next_uses, *capacity, &progress),
            Contender::Policy(policy) => {
                let cache = policy.cache(*capacity, registry)?;
                let replayed = replay::through(&cache, trace, &progress)?;
                if replayed.requests != survey.requests {
                    return Err(trace.changed());
                }
                replayed.hits
            }
        };
        let policy = contender.to_string();
        Ok(Outcome { policy, capacity: *capacity, hits, requests: survey.requests })
    })?;
    Ok(Simulation {
        trace: trace.name(),
        requests: survey.requests,
        keys: survey.keys,
        sizes,
        outcomes,
    })
}
