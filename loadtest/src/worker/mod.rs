//! A worker: a process of its own with one event loop, which plays its share of the members.
//!
//! It gets orders on its standard input and reports on its standard output ([`crate::link`]). In reading order:
//! `joining` lets members in, `hearing` is the hot path, `speaking` does what is due; `desk` asks for tokens, `pulse` looks
//! whether the server still lives, and `unheard` counts what never came.

mod connect;
mod desk;
mod drain;
mod hearing;
mod interval;
mod joining;
mod member;
mod pulse;
mod speaking;
mod unheard;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, BufRead, Write};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, atomic::AtomicBool};
use std::thread;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_setaffinity};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

pub(crate) use connect::end_by_reset;

use self::connect::Sources;
use self::desk::Desk;
use self::drain::Drain;
use self::interval::Interval;
use self::member::{Member, cast};
use self::pulse::Pulse;
use self::speaking::Agenda;
use crate::clock::{SECOND_NS, Timer, now_ns};
use crate::link::{Order, Phase, Report};
use crate::plan::Assignment;
use crate::witness::Witness;

/// Events of one poll. Few enough that what is due isn't kept waiting by a long list.
const EVENTS: usize = 256;
/// What one read takes at most, in bytes; all sockets share the one buffer.
const BUFFER: usize = 256 << 10;
/// Connections that ask for tokens.
const DESK_WINDOWS: usize = 64;

const TIMER: Token = Token(usize::MAX - 1);
const ORDERS: Token = Token(usize::MAX - 2);

/// How far the run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Prepared,
    Joining,
    Filling,
    Ready,
    Running,
    Stopped,
    Draining,
    Done,
}

/// What can be put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Join,
    Page,
    Say,
    /// A join that isn't through by then is given up.
    GiveUp,
}

/// Does what the coordinator orders until its input ends, or the coordinator's process does.
pub(crate) fn work(coordinator: Option<i32>) -> io::Result<()> {
    if !dies_with(coordinator)? {
        return Ok(());
    }
    // Whoever wants the run to end tells the coordinator, which will say what to do about it.
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    let poll = Poll::new()?;
    // It outlives the thread that wakes: a waker that is dropped takes its last wake with it, and that one says that the
    // orders have ended.
    let waker = Arc::new(Waker::new(poll.registry(), ORDERS)?);
    let orders = read_orders(Arc::clone(&waker));
    let Ok(Order::Prepare(assignment)) = orders.recv() else { return Ok(()) };
    Worker::new(*assignment, poll, orders)?.run()
}

/// Binds the life of this process to the coordinator's, however that ends. False when it has ended already. Who starts a
/// worker by hand has its input alone to end it with.
fn dies_with(coordinator: Option<i32>) -> io::Result<bool> {
    let Some(coordinator) = coordinator else { return Ok(true) };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before that was set; then this process has another parent by now.
    Ok(getppid().map(Pid::as_raw_pid) == Some(coordinator))
}

/// Reads orders on a thread of its own, so that the loop isn't held up.
fn read_orders(waker: Arc<Waker>) -> Receiver<Order> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let Ok(order) = serde_json::from_str(&line) else { break };
            if sender.send(order).is_err() || waker.wake().is_err() {
                return;
            }
        }
        drop(sender);
        let _ = waker.wake();
    });
    receiver
}

struct Worker {
    assignment: Assignment,
    poll: Poll,
    timer: Timer,
    orders: Receiver<Order>,
    stage: Stage,
    members: Vec<Member>,
    /// Who of this worker's members is a group's speaker: by group and slot.
    speakers: Vec<Vec<Option<usize>>>,
    desk: Desk,
    sources: Sources,
    agenda: Agenda,
    interval: Interval,
    pulse: Pulse,
    /// How many times of its messages a speaker keeps.
    due_kept: usize,

    /// Who is to join, and how many are at it.
    waiting: VecDeque<usize>,
    joining: usize,
    joining_max: usize,
    live: usize,
    /// What was put off, the soonest on top.
    later: BinaryHeap<Reverse<(u64, usize, Due)>>,
    /// Whose sockets have more to read than one turn takes.
    unread: Vec<usize>,
    storm_away: usize,
    fill_left: u64,
    slow_may_read: bool,

    base_ns: u64,
    start_ns: u64,
    measure_ns: u64,
    storm_ns: u64,
    end_ns: u64,
    /// The next tick's end.
    boundary_ns: u64,
    drain: Drain,

    witness: Witness,
    buffer: Vec<u8>,
    frame: Vec<u8>,
    text: String,
    payload: Vec<u8>,
    dice: u64,
}

impl Worker {
    fn new(assignment: Assignment, poll: Poll, orders: Receiver<Order>) -> io::Result<Self> {
        if let Some(processor) = assignment.processor {
            let mut set = CpuSet::new();
            set.set(processor);
            sched_setaffinity(None, &set)?;
        }
        let timer = Timer::new()?;
        let descriptor = timer.descriptor().as_raw_fd();
        poll.registry().register(&mut SourceFd(&descriptor), TIMER, Interest::READABLE)?;
        let (members, speakers) = cast(&assignment);
        let due_kept = Self::due_kept(speakers.iter().flatten().flatten().count());
        let joins_at_once =
            |storm| assignment.plan.joins_at_once(assignment.worker, assignment.workers, storm) as usize;
        let joining_max = joins_at_once(false);
        let desk = Desk::new(members.len(), joins_at_once(true).min(DESK_WINDOWS));
        let sources = Sources::new(assignment.sources, assignment.worker);
        Ok(Self {
            poll,
            timer,
            orders,
            stage: Stage::Prepared,
            speakers,
            desk,
            sources,
            agenda: Agenda::default(),
            interval: Interval::default(),
            pulse: Pulse::default(),
            due_kept,
            waiting: (0..members.len()).collect(),
            members,
            joining: 0,
            joining_max,
            live: 0,
            later: BinaryHeap::new(),
            unread: Vec::new(),
            storm_away: 0,
            fill_left: 0,
            slow_may_read: false,
            base_ns: 0,
            start_ns: u64::MAX,
            measure_ns: u64::MAX,
            storm_ns: u64::MAX,
            end_ns: u64::MAX,
            boundary_ns: u64::MAX,
            drain: Drain::default(),
            witness: Witness::new(&assignment.plan, assignment.run),
            buffer: vec![0; BUFFER],
            frame: Vec::new(),
            text: String::new(),
            payload: Vec::new(),
            dice: u64::from(assignment.worker) << 48,
            assignment,
        })
    }

    fn run(mut self) -> io::Result<()> {
        let outcome = self.go_on();
        self.members
            .iter()
            .filter_map(|member| member.socket.as_ref())
            .for_each(|socket| end_by_reset(&socket.stream));
        self.desk.end_by_reset();
        outcome
    }

    fn go_on(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        while self.stage != Stage::Done {
            self.timer.wake_at(self.next_due_ns())?;
            // With something left to read this is only a look at what else there is.
            let wait = (!self.unread.is_empty()).then_some(std::time::Duration::ZERO);
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for member in std::mem::take(&mut self.unread) {
                self.handle_readable(member);
            }
            for event in &events {
                match event.token() {
                    TIMER => self.timer.fired(),
                    ORDERS => {
                        if !self.handle_orders()? {
                            return Ok(());
                        }
                    }
                    Token(token) if token < self.members.len() => {
                        if event.is_writable() {
                            self.handle_writable(token);
                        }
                        let hung_up = event.is_read_closed() || event.is_error();
                        if let Some(socket) = self.members[token].socket.as_mut().filter(|_| hung_up) {
                            socket.hung_up = true;
                        }
                        if event.is_readable() || hung_up {
                            self.handle_readable(token);
                        }
                    }
                    Token(token) => self.handle_desk_event(token),
                }
            }
            self.handle_time(now_ns());
        }
        Ok(())
    }

    fn next_due_ns(&self) -> u64 {
        let later_ns = self.later.peek().map_or(u64::MAX, |Reverse((due_ns, ..))| *due_ns);
        let agenda_ns = if self.stage == Stage::Running { self.agenda.due_ns() } else { u64::MAX };
        // A time that never comes is a day away: the timer's clock has an end.
        let pulse_ns = self.pulse.due_ns(self.assignment.pong_deadline_ns, self.pinging());
        let soonest_ns =
            later_ns.min(agenda_ns).min(pulse_ns).min(self.boundary_ns).min(self.drain.next_look_ns);
        soonest_ns.min(now_ns() + 86_400 * SECOND_NS)
    }

    fn handle_time(&mut self, now_ns: u64) {
        if self.stage == Stage::Ready && now_ns >= self.start_ns {
            self.tick(self.start_ns);
            self.stage = Stage::Running;
            self.open_windows(self.start_ns);
        }
        while now_ns >= self.boundary_ns {
            self.tick(self.boundary_ns);
        }
        if self.stage == Stage::Running {
            self.follow_agenda(now_ns);
        }
        self.take_the_pulse(now_ns);
        self.look_whether_over(now_ns);
        self.handle_later(now_ns);
        if self.joining < self.joining_max && !self.waiting.is_empty() && self.stage > Stage::Prepared {
            self.start_joins();
        }
        if self.stage == Stage::Joining && self.live == self.members.len() {
            self.tick(now_ns);
            self.stage = Stage::Filling;
            self.begin_fill();
        }
        if self.stage == Stage::Filling && self.fill_left == 0 {
            self.tick(now_ns);
            self.stage = Stage::Ready;
            self.report(&Report::Ready);
        }
        if self.stage == Stage::Draining && now_ns >= self.drain.next_look_ns {
            self.look_whether_drained(now_ns);
        }
    }

    /// False when the coordinator is gone.
    fn handle_orders(&mut self) -> io::Result<bool> {
        loop {
            match self.orders.try_recv() {
                Ok(order) => self.handle_order(order)?,
                Err(mpsc::TryRecvError::Empty) => return Ok(true),
                Err(mpsc::TryRecvError::Disconnected) => return Ok(false),
            }
        }
    }

    fn handle_order(&mut self, order: Order) -> io::Result<()> {
        let now_ns = now_ns();
        match order {
            Order::Prepare(_) => {}
            Order::Join { base_ns } => {
                self.stage = Stage::Joining;
                self.interval.begin(now_ns);
                self.base_ns = base_ns;
                self.boundary_ns = base_ns + SECOND_NS;
            }
            Order::Go { start_ns, measure_ns, end_ns } => {
                (self.start_ns, self.measure_ns) = (start_ns, measure_ns);
                self.end_ns = end_ns.unwrap_or(u64::MAX);
                let storm_ns = self.assignment.plan.storm_after_ns.map(|after_ns| measure_ns + after_ns);
                self.storm_ns = storm_ns.unwrap_or(u64::MAX);
                self.interval.divide(measure_ns, storm_ns);
                self.agenda = Agenda::new(&self.assignment.plan, start_ns, storm_ns);
                self.boundary_ns = start_ns;
            }
            Order::Stop { finish } => self.handle_stop(finish, now_ns),
            Order::Expect { said, alive } => self.handle_expect(said, alive, now_ns)?,
            Order::Refused(speakers) => self.handle_late_refusals(&speakers, now_ns),
            Order::Gone => self.handle_gone(now_ns),
        }
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.stage >= Stage::Stopped
    }

    /// Reports what was counted until a time, and sets the next.
    fn tick(&mut self, end_ns: u64) {
        if end_ns > self.interval.begin_ns() {
            let mut tick = self.interval.take(end_ns, self.phase(), self.live as u64);
            tick.worker = self.assignment.worker;
            self.report(&Report::Tick(Box::new(tick)));
        }
        let corners = [self.start_ns, self.measure_ns, self.storm_ns, self.end_ns];
        let corner_ns = corners.into_iter().filter(|&corner_ns| corner_ns > end_ns).min().unwrap_or(u64::MAX);
        // All workers count their seconds from the same moment, so that their ticks can be put together.
        let anchor_ns = if end_ns >= self.measure_ns { self.measure_ns } else { self.base_ns };
        let second_ns = anchor_ns + ((end_ns - anchor_ns) / SECOND_NS + 1) * SECOND_NS;
        self.boundary_ns = corner_ns.min(second_ns);
    }

    /// What the time since the last tick was part of.
    fn phase(&self) -> Phase {
        let begin_ns = self.interval.begin_ns();
        match self.stage {
            Stage::Prepared | Stage::Joining => Phase::Join,
            Stage::Filling => Phase::Fill,
            Stage::Ready => Phase::Wait,
            _ if self.stopped() || begin_ns >= self.end_ns => Phase::Drain,
            _ if begin_ns >= self.storm_ns => Phase::Storm,
            _ if begin_ns >= self.measure_ns => Phase::Measure,
            _ => Phase::Warmup,
        }
    }

    fn report_returned(&self, at_ns: u64) {
        self.report(&Report::Returned { at_ns });
    }

    /// The run can't go on.
    fn fails(&mut self, text: String) {
        self.report(&Report::Failed { text });
        self.stage = Stage::Done;
    }

    fn report(&self, report: &Report) {
        let mut line = serde_json::to_string(report).expect("reports have string keys");
        line.push('\n');
        // Without a reader the next order's end will tell.
        let _ = io::stdout().lock().write_all(line.as_bytes());
    }
}
