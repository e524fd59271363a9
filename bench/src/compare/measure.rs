//! The loads, and what is measured under each.

use std::io;
use std::time::{Duration, Instant};

use kijimuna_loadtest::clock::{MILLISECOND_NS, SECOND_NS, now_ns};

use crate::crowd::Crowd;
use crate::dialect::{Dialect, Layout};
use crate::peers::{Peer, Place};
use crate::process::Process;

/// How long nothing may come before what is missing is taken for lost.
const PATIENCE_NS: u64 = 5 * SECOND_NS;
/// Until the last rosters have gone round.
const SETTLE: Duration = Duration::from_secs(1);

/// When messages are said.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Talk {
    /// So many are under way in each group at any time.
    Closed { window: u32 },
    /// So many a second in all, whatever becomes of them.
    Open { per_s: u32, speakers: u32 },
}

/// Members, and what they say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// As it is called on the command line.
    pub(crate) key: &'static str,
    /// As the table has it.
    pub(crate) name: &'static str,
    pub(crate) layout: Layout,
    pub(crate) talk: Talk,
}

/// How long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) warmup: Duration,
    pub(crate) measured: Duration,
}

/// What one run under a load gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivered {
    pub(crate) cpu_us_per_delivery: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) per_s: f64,
    /// The share of its core that the server used.
    pub(crate) server_busy: f64,
    /// The share of its core that the generator used.
    pub(crate) generator_busy: f64,
    pub(crate) heard: u64,
    pub(crate) lost: u64,
    /// Twice, or out of order.
    pub(crate) doubled: u64,
}

/// What joining and then staying silent gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Idled {
    pub(crate) joins_per_s: f64,
    pub(crate) cpu_ms_per_join: f64,
    pub(crate) kib_per_connection: f64,
}

/// Starts a server, lets all join, puts it under a load and counts.
pub(crate) fn deliver(peer: Peer, place: &Place, load: Load, pace: Pace, run: u32) -> io::Result<Delivered> {
    let server = peer.start(place)?;
    let mut dialect = peer.dialect(server.address);
    dialect.provision(load.layout)?;
    let speakers = match load.talk {
        Talk::Closed { window } => window,
        Talk::Open { speakers, .. } => speakers,
    };
    let crowd = Crowd::join(dialect.as_ref(), server.address, load.layout, speakers, run)?;
    Run::new(crowd, load, &server.process, pace)?.measure()
}

/// Starts a server, lets all join, and looks what they cost.
pub(crate) fn idle(peer: Peer, place: &Place, layout: Layout) -> io::Result<Idled> {
    let server = peer.start(place)?;
    let mut dialect: Box<dyn Dialect> = peer.dialect(server.address);
    dialect.provision(layout)?;
    let (before, began) = (server.process.usage()?, Instant::now());
    let mut crowd = Crowd::join(dialect.as_ref(), server.address, layout, 0, 0)?;
    let (took, joined) = (began.elapsed(), server.process.usage()?);
    settle(&mut crowd, SETTLE)?;
    let after = server.process.usage()?;
    if crowd.closed > 0 {
        return Err(io::Error::other(format!("{} of {} were closed", crowd.closed, layout.total())));
    }
    let members = f64::from(layout.total());
    Ok(Idled {
        joins_per_s: members / took.as_secs_f64(),
        cpu_ms_per_join: (joined.cpu_us - before.cpu_us) as f64 / 1e3 / members,
        kib_per_connection: after.rss_kib.saturating_sub(before.rss_kib) as f64 / members,
    })
}

fn settle(crowd: &mut Crowd<'_>, time: Duration) -> io::Result<()> {
    let until_ns = now_ns() + nanoseconds(time);
    while now_ns() < until_ns {
        crowd.turn(until_ns)?;
    }
    Ok(())
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("less than 584 years")
}

struct Run<'a> {
    crowd: Crowd<'a>,
    load: Load,
    server: &'a Process,
    measure_ns: u64,
    end_ns: u64,
    /// Of an open loop: how many have been said, and when the first was due.
    index: u64,
    start_ns: u64,
}

/// Everything that is counted, at a moment.
struct Mark {
    at_ns: u64,
    server_us: u64,
    generator_us: u64,
    heard: u64,
}

impl<'a> Run<'a> {
    fn new(mut crowd: Crowd<'a>, load: Load, server: &'a Process, pace: Pace) -> io::Result<Self> {
        settle(&mut crowd, SETTLE)?;
        let start_ns = now_ns();
        let measure_ns = start_ns + nanoseconds(pace.warmup);
        let end_ns = measure_ns + nanoseconds(pace.measured);
        Ok(Self { crowd, load, server, measure_ns, end_ns, index: 0, start_ns })
    }

    fn measure(mut self) -> io::Result<Delivered> {
        if matches!(self.load.talk, Talk::Closed { .. }) {
            self.crowd.open_windows();
        }
        self.talk_until(self.measure_ns)?;
        let before = self.mark()?;
        self.crowd.ledger.measuring = true;
        self.talk_until(self.end_ns)?;
        self.crowd.ledger.measuring = false;
        let after = self.mark()?;
        self.crowd.echo = false;
        self.drain()?;
        let ledger = &self.crowd.ledger;
        let deliveries = (after.heard - before.heard).max(1) as f64;
        let time_us = (after.at_ns - before.at_ns) as f64 / 1e3;
        Ok(Delivered {
            cpu_us_per_delivery: (after.server_us - before.server_us) as f64 / deliveries,
            p50_ms: ledger.percentile_ms(50.0),
            p99_ms: ledger.percentile_ms(99.0),
            per_s: deliveries / time_us * 1e6,
            server_busy: (after.server_us - before.server_us) as f64 / time_us,
            generator_busy: (after.generator_us - before.generator_us) as f64 / time_us,
            heard: ledger.heard,
            lost: ledger.missing(),
            doubled: ledger.doubled + ledger.disordered,
        })
    }

    fn mark(&self) -> io::Result<Mark> {
        Ok(Mark {
            at_ns: now_ns(),
            server_us: self.server.usage()?.cpu_us,
            generator_us: Process::own().usage()?.cpu_us,
            heard: self.crowd.ledger.heard,
        })
    }

    fn talk_until(&mut self, until_ns: u64) -> io::Result<()> {
        loop {
            let now_ns = now_ns();
            // What was due is said even when there was no time for it before: an open loop leaves nothing out.
            let due_ns = self.say_what_is_due(now_ns.min(until_ns - 1)).min(until_ns);
            if now_ns >= until_ns {
                return Ok(());
            }
            self.crowd.turn(due_ns)?;
        }
    }

    /// Of an open loop, what is due by now, each message with the time at which it should have been sent. When the
    /// next one is due.
    fn say_what_is_due(&mut self, now_ns: u64) -> u64 {
        let Talk::Open { per_s, speakers } = self.load.talk else { return u64::MAX };
        loop {
            let due_ns = self.start_ns + self.index * SECOND_NS / u64::from(per_s);
            if due_ns > now_ns {
                return due_ns;
            }
            let (group, slot) = turn(self.index, self.load.layout.groups, speakers);
            self.crowd.say(group, slot, due_ns);
            self.index += 1;
        }
    }

    /// Hears out what is under way, until all has come or nothing comes any more.
    fn drain(&mut self) -> io::Result<()> {
        let (mut heard, mut since_ns) = (self.crowd.ledger.heard, now_ns());
        while self.crowd.ledger.missing() > 0 && now_ns() < since_ns + PATIENCE_NS {
            self.crowd.turn(now_ns() + 50 * MILLISECOND_NS)?;
            if self.crowd.ledger.heard > heard {
                (heard, since_ns) = (self.crowd.ledger.heard, now_ns());
            }
        }
        // What comes twice comes late.
        settle(&mut self.crowd, Duration::from_millis(200))
    }
}

/// Whose turn it is: the groups in turn, and the speakers of each in turn.
fn turn(index: u64, groups: u32, speakers: u32) -> (u32, u32) {
    let (group, slot) = (index % u64::from(groups), index / u64::from(groups) % u64::from(speakers));
    let small = |number: u64| u32::try_from(number).expect("below a 32-bit bound");
    (small(group), small(slot))
}
