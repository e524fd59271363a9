//! A run from beginning to end: makes members, starts workers, lets them go, and puts together what they tell.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::thread::sched_getaffinity;

use crate::clock::now_ns;
use crate::conductor::Conductor;
use crate::crew::{self, Crew};
use crate::errand::unless_interrupted;
use crate::link::Order;
use crate::outcome::{Outcome, REST_RATE};
use crate::plan::{Assignment, Credentials, Plan, Target};
use crate::progress::Progress;
use crate::provision::{self, Access, Ground};
use crate::schedule::scatter;
use crate::server::Watched;
use crate::settings::Settings;
use crate::target;
use crate::trouble::Trouble;

/// Does a run. `None` when it was interrupted before anybody joined. What it leaves behind is the caller's to delete.
pub(crate) fn run(
    plan: Plan,
    settings: &Settings,
    interrupted: &Arc<AtomicBool>,
) -> Result<Option<(Outcome, Ground)>, Trouble> {
    let asked = settings.count_if_set("workers")?;
    let join_timeout_ns = settings.time_ns("join-timeout")?;
    let join_deadline_ns = settings.time_ns("join-deadline")?;
    let pong_deadline_ns = settings.time_ns("pong-deadline")?;
    let pids = settings.counts_if_set("pid")?;
    let processors = processors(settings.text("pin"), &settings.place("pin"))?;
    let access = access(settings)?;
    let targets = target::read_all(settings.text("url").unwrap_or_default(), &settings.place("url"))?;
    let workers = crew::size(plan.members(), plan.quiet_members(), asked, crew::raise_descriptors())?;
    let workers = crew::at_each(&targets, workers, plan.quiet_members(), asked)?;
    let server =
        Watched::find(&pids, &settings.place("pid"), &addresses(&targets)).map_err(Trouble::Asked)?;
    let mut progress = Progress::new();
    let Some(ground) = prepare(plan, targets, access, &mut progress, interrupted) else { return Ok(None) };
    let ground = ground?;
    let sources = sources(&ground.plan, &ground.targets)?;
    let mut crew = Crew::start(workers).map_err(|error| format!("the workers can't be started: {error}."))?;
    for worker in 0..workers {
        let processor = processors.get(worker as usize % processors.len().max(1)).copied();
        let Ground { targets, credentials, run, plan } = &ground;
        let assignment = Assignment {
            plan: plan.clone(),
            run: *run,
            target: crew::target(targets, worker, plan.quiet_members()).clone(),
            credentials: credentials.clone(),
            worker,
            workers,
            sources,
            join_deadline_ns,
            pong_deadline_ns,
            processor,
        };
        crew.order_one(worker as usize, &Order::Prepare(Box::new(assignment)));
    }
    let outcome = Outcome::new(ground.plan.clone(), crew.count(), server);
    let nodes = addresses(&ground.targets);
    let conductor = Conductor::new(crew, outcome, progress, nodes, Arc::clone(interrupted), join_timeout_ns);
    Ok(Some((conductor.conduct(), ground)))
}

/// Finds the deployment and makes everybody. `None` when it was interrupted.
fn prepare(
    plan: Plan,
    targets: Vec<Target>,
    access: Access,
    progress: &mut Progress,
    interrupted: &AtomicBool,
) -> Option<Result<Ground, String>> {
    let run = run_id();
    let mut warned = false;
    let prepared = unless_interrupted(
        interrupted,
        move |messenger| {
            sources(&plan, &targets)?;
            let credentials = provision::service(&targets[0], access).map_err(|error| error.to_string())?;
            let ground = Ground { targets, credentials, run, plan };
            ground.populate(|made| messenger.tell(made)).map_err(|error| error.to_string())?;
            Ok(ground)
        },
        |made: provision::Made| {
            progress.made(made);
            if made.held_back > 0 && !std::mem::replace(&mut warned, true) {
                progress.say(REST_RATE);
            }
        },
    );
    if !matches!(prepared, Some(Ok(_))) {
        progress.end();
    }
    prepared
}

fn addresses(targets: &[Target]) -> Vec<SocketAddr> {
    targets.iter().map(|target| target.address).collect()
}

/// From how many source addresses to connect. A port may be used again for another node.
fn sources(plan: &Plan, targets: &[Target]) -> Result<u32, String> {
    let is_loopback_v4 = |target: &Target| target.address.is_ipv4() && target.address.ip().is_loopback();
    let nodes = u32::try_from(targets.len()).unwrap_or(u32::MAX);
    crew::sources(plan.members().div_ceil(nodes), targets.iter().all(is_loopback_v4))
}

/// Another one for each run, so that runs can share a service.
fn run_id() -> u32 {
    let mixed = scatter(now_ns() ^ u64::from(std::process::id()) << 40);
    u32::try_from(mixed >> 32).expect("32 bits")
}

fn access(settings: &Settings) -> Result<Access, Trouble> {
    let own = |name| settings.text(name).map(str::to_owned);
    let credentials = match (own("client"), own("secret")) {
        (Some(client), Some(secret)) => Some(Credentials { client, secret }),
        (None, None) => None,
        _ => {
            return Err(Trouble::Asked(
                "--client and --secret belong together: pass both, or neither for a new service.".to_owned(),
            ));
        }
    };
    Ok(Access { admin_key: own("admin-key"), credentials })
}

/// The processors to stay on, each of which must be there and this process' to use.
fn processors(pin: Option<&str>, place: &str) -> Result<Vec<usize>, Trouble> {
    let Some(pin) = pin else { return Ok(Vec::new()) };
    let allowed = sched_getaffinity(None).map_err(|error| format!("--pin can't be used here: {error}."))?;
    let there = |number: &usize| *number < rustix::thread::CpuSet::MAX_CPU && allowed.is_set(*number);
    let parsed: Option<Vec<usize>> = pin.split(',').map(|number| number.trim().parse().ok()).collect();
    parsed.filter(|numbers| numbers.iter().all(there)).ok_or_else(|| {
        let usable: Vec<_> = (0..rustix::thread::CpuSet::MAX_CPU).filter(there).map(|n| n.to_string()).collect();
        Trouble::Asked(format!(
            "{place} is {pin:?}: it must be processors such as 0 or 0,1, of those that this process may use: {}.",
            usable.join(", ")
        ))
    })
}

/// What is left to say when a run was interrupted before it began.
pub(crate) fn nothing_ran() -> String {
    "Ended before anybody joined. Groups and users that were made until then stay in the deployment."
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_that_is_not_there_is_named_with_those_that_are() {
        assert_eq!(processors(None, "--pin"), Ok(Vec::new()));
        for pin in ["1023", "99999999999", "0,x", ""] {
            let error = processors(Some(pin), "--pin").unwrap_err().to_string();
            assert!(error.contains("--pin is") && error.contains("may use: "), "{error}");
        }
    }
}
