//! Makes what a run needs over REST, a service unless one is given, groups, users, attendees, and deletes it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use crate::plan::{Credentials, Place, Plan, Target, group_id, user_id};
use crate::rest::{Rest, RestError};

/// Connections that provision at once: enough that a durable store can put many writes into one sync.
const CONNECTIONS: usize = 64;

/// Who may make what.
pub(crate) struct Access {
    pub(crate) admin_key: Option<String>,
    pub(crate) credentials: Option<Credentials>,
}

/// How far provisioning has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    pub(crate) done: u32,
    pub(crate) of: u32,
    /// How often the server said to wait.
    pub(crate) held_back: u64,
}

#[derive(Deserialize)]
struct Service {
    client: String,
    secret: String,
}

/// The credentials to use: those given, or a new service's.
pub(crate) fn service(target: &Target, access: Access) -> Result<Credentials, RestError> {
    if let Some(credentials) = access.credentials {
        return Ok(credentials);
    }
    let held_back = AtomicU64::new(0);
    let answer = Rest::new(target, None, &held_back).make_service(access.admin_key.as_deref())?;
    let service = serde_json::from_slice::<Service>(&answer).map_err(|_| RestError::NotHttp {
        address: target.address.to_string(),
        what: "POST /api/services wasn't answered with client and secret",
    })?;
    Ok(Credentials { client: service.client, secret: service.secret })
}

/// What a run stands on: groups and users of its own in a deployment.
pub(crate) struct Ground {
    /// The nodes of the deployment, one at least.
    pub(crate) targets: Vec<Target>,
    pub(crate) credentials: Credentials,
    pub(crate) run: u32,
    pub(crate) plan: Plan,
}

impl Ground {
    /// Makes groups, users and attendees. `watch` is told how far it is ten times a second.
    pub(crate) fn populate(&self, watch: impl FnMut(Made)) -> Result<(), RestError> {
        let groups = (0..).take(self.plan.groups.len()).map(Task::Group).collect();
        let members = self.plan.places().map(Task::Member).collect();
        self.carry_out(&[groups, members], watch)
    }

    /// Deletes groups, with what was said in them, and users.
    pub(crate) fn forget(&self, watch: impl FnMut(Made)) -> Result<(), RestError> {
        let groups = (0..).take(self.plan.groups.len()).map(Task::ForgetGroup).collect();
        let users = self.plan.places().map(|place| Task::ForgetUser(place.number)).collect();
        self.carry_out(&[groups, users], watch)
    }

    /// Does all of the one before any of the other.
    fn carry_out(&self, tasks: &[Vec<Task>; 2], mut watch: impl FnMut(Made)) -> Result<(), RestError> {
        let count = |tasks: &Vec<Task>| u32::try_from(tasks.len()).expect("checked when the plan was made");
        let (mut before, of) = (0, tasks.iter().map(count).sum());
        let held_back = AtomicU64::new(0);
        for tasks in tasks {
            let all = Work {
                ground: self,
                tasks,
                next: AtomicU32::new(0),
                done: AtomicU32::new(0),
                held_back: &held_back,
                stop: AtomicBool::new(false),
            };
            all.carry_out(|done| {
                watch(Made { done: before + done, of, held_back: held_back.load(Ordering::Relaxed) });
            })?;
            before += count(tasks);
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Task {
    Group(u32),
    Member(Place),
    ForgetGroup(u32),
    ForgetUser(u32),
}

struct Work<'a> {
    ground: &'a Ground,
    tasks: &'a [Task],
    next: AtomicU32,
    done: AtomicU32,
    held_back: &'a AtomicU64,
    stop: AtomicBool,
}

impl Work<'_> {
    /// Does all tasks over several connections.
    fn carry_out(&self, mut watch: impl FnMut(u32)) -> Result<(), RestError> {
        thread::scope(|scope| {
            let (failed, failures) = mpsc::channel();
            for target in self.ground.targets.iter().cycle().take(CONNECTIONS.min(self.tasks.len())) {
                let failed = failed.clone();
                scope.spawn(move || self.take_tasks(target, &failed));
            }
            drop(failed);
            loop {
                match failures.recv_timeout(Duration::from_millis(100)) {
                    Ok(failure) => {
                        self.stop.store(true, Ordering::Relaxed);
                        return Err(failure);
                    }
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                    Err(RecvTimeoutError::Timeout) => {}
                }
                watch(self.done.load(Ordering::Relaxed));
            }
        })
    }

    fn take_tasks(&self, target: &Target, failed: &Sender<RestError>) {
        let mut rest = Rest::new(target, Some(&self.ground.credentials), self.held_back);
        while !self.stop.load(Ordering::Relaxed) {
            let next = self.next.fetch_add(1, Ordering::Relaxed) as usize;
            let Some(&task) = self.tasks.get(next) else { return };
            if let Err(failure) = self.carry_out_one(&mut rest, task) {
                let several = self.ground.targets.len() > 1;
                let failure = if several { failure.at_node(target.address) } else { failure };
                let _ = failed.send(failure);
                return;
            }
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn carry_out_one(&self, rest: &mut Rest<'_>, task: Task) -> Result<(), RestError> {
        let run = self.ground.run;
        match task {
            Task::Group(group) => {
                let id = group_id(run, group);
                rest.post("/api/groups", &format!(r#"{{"id":"{id}"}}"#))?;
            }
            Task::Member(place) => {
                let (user, group) = (user_id(run, place.number), group_id(run, place.group));
                rest.post("/api/users", &format!(r#"{{"id":"{user}"}}"#))?;
                rest.post(&format!("/api/groups/{group}/attendees"), &format!(r#"{{"user":"{user}"}}"#))?;
            }
            Task::ForgetGroup(group) => rest.delete(&format!("/api/groups/{}", group_id(run, group)))?,
            Task::ForgetUser(number) => rest.delete(&format!("/api/users/{}", user_id(run, number)))?,
        }
        Ok(())
    }
}
