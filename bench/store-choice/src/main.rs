//! Measures embedded stores under the chat engine's commit workload and prints one Markdown table.

mod store;

use std::{
    collections::BTreeMap,
    io::{BufReader, Read, Write as _},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use store::{Kind, Page, Result, Row, Store, VALUE_LEN, Writer};

const SENDERS: usize = 1_000;
const PAGE: usize = 50;
const BIG: u64 = 0;

struct Plan {
    rounds: usize,
    groups: u64,
    big_group: u64,
    rows: u64,
    single: usize,
    reads: usize,
    kills: usize,
    kill_after: Duration,
}

const FULL: Plan = Plan {
    rounds: 3,
    groups: 100,
    big_group: 1_000_000,
    rows: 1_500_000,
    single: 1_000,
    reads: 3_000,
    kills: 5,
    kill_after: Duration::from_millis(500),
};

const QUICK: Plan = Plan {
    rounds: 1,
    groups: 100,
    big_group: 100_000,
    rows: 200_000,
    single: 100,
    reads: 500,
    kills: 2,
    kill_after: Duration::from_millis(200),
};

/// Small deterministic generator (SplitMix64); enough for test data.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 60 bytes of metadata that vary, then 100 bytes of text.
    fn value(&mut self) -> [u8; VALUE_LEN] {
        const LETTERS: &[u8; 32] = b"etaoinshrdlucmfwypvbgkjqxz  ,.ea";
        let mut value = [0; VALUE_LEN];
        for chunk in value.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        for byte in &mut value[60..] {
            *byte = LETTERS[usize::from(*byte) % LETTERS.len()];
        }
        value
    }
}

/// The committer: takes what waits, gives each row its group's next sequence, commits, acks.
struct Committer<'a> {
    writer: Box<dyn Writer + 'a>,
    next: BTreeMap<u64, u64>,
    rng: Rng,
    latencies: Vec<Duration>,
}

impl<'a> Committer<'a> {
    fn new(store: &'a dyn Store, groups: u64) -> Result<Self> {
        let mut reader = store.reader()?;
        let mut page = Page::new();
        let mut next = BTreeMap::new();
        for group in 0..groups {
            reader.page(group, u64::MAX, 1, &mut page)?;
            next.insert(group, page.first().map_or(1, |row| row.0 + 1));
        }
        Ok(Self { writer: store.writer()?, next, rng: Rng(7), latencies: Vec::new() })
    }

    fn row(&mut self, group: u64, value: [u8; VALUE_LEN]) -> Row {
        let next = self.next.entry(group).or_insert(1);
        let seq = *next;
        *next += 1;
        Row { group, seq, value }
    }

    fn commit(&mut self, rows: &mut [Row]) -> Result<()> {
        let start = Instant::now();
        rows.sort_unstable_by_key(|row| (row.group, row.seq));
        self.writer.commit(rows)?;
        self.latencies.push(start.elapsed());
        Ok(())
    }

    fn fill(&mut self, group: u64, count: u64, batch: u64) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let mut rows = Vec::new();
            for _ in 0..left.min(batch) {
                let value = self.rng.value();
                rows.push(self.row(group, value));
            }
            left -= rows.len() as u64;
            self.commit(&mut rows)?;
        }
        Ok(())
    }

    /// Serves 1,000 closed-loop senders until `done` says so; returns the rows committed.
    fn serve(&mut self, mut done: impl FnMut(u64, &BTreeMap<u64, u64>) -> bool) -> Result<u64> {
        let (send, waiting) = mpsc::channel::<(u64, [u8; VALUE_LEN])>();
        let (ack, acked) = mpsc::channel::<usize>();
        ack.send(SENDERS)?;
        let mut rng = Rng(self.rng.next());
        let groups = self.next.len() as u64;
        let senders = thread::spawn(move || {
            for count in acked {
                for _ in 0..count {
                    if send.send((rng.next() % groups, rng.value())).is_err() {
                        return;
                    }
                }
            }
        });
        let mut total = 0;
        let mut rows = Vec::with_capacity(SENDERS);
        while !done(total, &self.next) {
            rows.clear();
            let (group, value) = waiting.recv()?;
            rows.push(self.row(group, value));
            for (group, value) in waiting.try_iter() {
                rows.push(self.row(group, value));
            }
            self.commit(&mut rows)?;
            total += rows.len() as u64;
            ack.send(rows.len())?;
        }
        drop((ack, waiting));
        senders.join().map_err(|_| "the senders panicked")?;
        Ok(total)
    }
}

fn percentile(latencies: &mut [Duration], percent: usize) -> f64 {
    latencies.sort_unstable();
    let last = latencies.len() - 1;
    latencies[last * percent / 100].as_secs_f64() * 1e3
}

/// Times page reads, with a pause between them so that they do not starve the writer.
fn read_pages(store: &dyn Store, count: usize, newest: bool) -> Result<Vec<Duration>> {
    let mut reader = store.reader()?;
    let mut page = Page::new();
    reader.page(BIG, u64::MAX, 1, &mut page)?;
    let last = page.first().ok_or("the big group is empty")?.0;
    let mut rng = Rng(last);
    let mut latencies = Vec::with_capacity(count);
    for _ in 0..count {
        let older = PAGE as u64 + 1 + rng.next() % (last - PAGE as u64);
        let before = if newest { u64::MAX } else { older };
        let start = Instant::now();
        reader.page(BIG, before, PAGE, &mut page)?;
        latencies.push(start.elapsed());
        if page.len() != PAGE || page.windows(2).any(|pair| pair[0].0 != pair[1].0 + 1) {
            return Err("a page has a gap".into());
        }
        thread::sleep(Duration::from_micros(500));
    }
    Ok(latencies)
}

fn read_while_writing(store: &dyn Store, plan: &Plan, newest: bool) -> Result<Vec<Duration>> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writing =
            scope.spawn(|| Committer::new(store, plan.groups)?.serve(|_, _| stop.load(Ordering::Relaxed)));
        thread::sleep(Duration::from_millis(100));
        let latencies = read_pages(store, plan.reads, newest);
        stop.store(true, Ordering::Relaxed);
        writing.join().map_err(|_| "the writer panicked")??;
        latencies
    })
}

fn disk_bytes(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() { disk_bytes(&entry.path())? } else { meta.blocks() * 512 };
    }
    Ok(bytes)
}

/// Child process: writes until it is killed, telling the parent what it has acked.
fn write_until_killed(kind: Kind, dir: &Path, groups: u64) -> Result<()> {
    let store = kind.open(dir)?;
    let mut out = std::io::stdout().lock();
    Committer::new(store.as_ref(), groups)?.serve(|_, next| {
        let record: Vec<u8> = next.values().flat_map(|seq| seq.to_le_bytes()).collect();
        out.write_all(&record).and_then(|()| out.flush()).is_err()
    })?;
    Ok(())
}

struct Crash {
    reopen: Duration,
    beyond: u64,
}

/// Kills a writing child, reopens the store and checks every acked row and every sequence.
fn crash(kind: Kind, dir: &Path, plan: &Plan) -> Result<Crash> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--child", kind.name(), "--groups", &plan.groups.to_string()])
        .arg("--dir")
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut pipe = BufReader::new(child.stdout.take().ok_or("no pipe")?);
    let mut record = vec![0; plan.groups as usize * 8];
    let mut acked = None;
    let mut first = None;
    while pipe.read_exact(&mut record).is_ok() {
        acked = Some(record.clone());
        let running = first.get_or_insert_with(Instant::now).elapsed();
        if running > plan.kill_after {
            // Not in step with the batches, so that the kill hits any point of a commit.
            thread::sleep(Duration::from_nanos(u64::from(running.subsec_nanos()) % 3_000_000));
            child.kill()?;
        }
    }
    child.wait()?;
    let acked = acked.ok_or("the child died before its first ack")?;

    let start = Instant::now();
    let store = kind.open(dir)?;
    let mut reader = store.reader()?;
    let mut page = Page::new();
    reader.page(BIG, u64::MAX, PAGE, &mut page)?;
    let reopen = start.elapsed();

    let mut beyond = 0;
    for (group, next) in acked.chunks_exact(8).enumerate() {
        let next = u64::from_le_bytes(next.try_into()?);
        reader.page(group as u64, u64::MAX, usize::MAX, &mut page)?;
        let last = page.first().map_or(0, |row| row.0);
        let dense = page.iter().map(|row| row.0).eq((1..=last).rev());
        if !dense || last + 1 < next {
            return Err(format!("{kind:?}, group {group}: dense {dense}, {last} < {next}").into());
        }
        beyond += last + 1 - next;
    }
    Ok(Crash { reopen, beyond })
}

/// One `fdatasync` per 80 KiB append, without a store: what the disk itself allows.
fn raw_sync_ms(dir: &Path) -> Result<f64> {
    let mut file = std::fs::File::create(dir.join("raw"))?;
    let mut latencies = Vec::new();
    for _ in 0..300 {
        let start = Instant::now();
        file.write_all(&[7; 80 << 10])?;
        file.sync_data()?;
        latencies.push(start.elapsed());
    }
    Ok(percentile(&mut latencies, 50))
}

/// By row of the table: its name, and for each store the value of every round.
type Figures = BTreeMap<usize, (&'static str, Vec<Vec<f64>>)>;

fn measure(kind: Kind, plan: &Plan, dir: &Path, mut put: impl FnMut(&'static str, f64)) -> Result<()> {
    let store = kind.open(dir)?;
    let mut committer = Committer::new(store.as_ref(), plan.groups)?;
    committer.fill(BIG, plan.big_group, 10_000)?;

    committer.latencies.clear();
    let start = Instant::now();
    committer.fill(1, plan.single as u64, 1)?;
    put("one sender, rows/s", plan.single as f64 / start.elapsed().as_secs_f64());
    put("one sender, p50 ms", percentile(&mut committer.latencies, 50));

    committer.latencies.clear();
    let start = Instant::now();
    let rows = committer.serve(|total, _| total >= plan.rows)?;
    put("1,000 senders, rows/s", rows as f64 / start.elapsed().as_secs_f64());
    put("rows per batch, mean", rows as f64 / committer.latencies.len() as f64);
    put("batch p50 ms", percentile(&mut committer.latencies, 50));
    put("batch p99 ms", percentile(&mut committer.latencies, 99));
    put("batch max ms", percentile(&mut committer.latencies, 100));
    drop(committer);

    let mut idle = read_pages(store.as_ref(), plan.reads, true)?;
    put("newest page, idle, p50 ms", percentile(&mut idle, 50));
    put("newest page, idle, p99 ms", percentile(&mut idle, 99));
    let mut idle = read_pages(store.as_ref(), plan.reads, false)?;
    put("random page, idle, p50 ms", percentile(&mut idle, 50));
    put("random page, idle, p99 ms", percentile(&mut idle, 99));
    let mut busy = read_while_writing(store.as_ref(), plan, true)?;
    put("newest page, writing, p50 ms", percentile(&mut busy, 50));
    put("newest page, writing, p99 ms", percentile(&mut busy, 99));
    let mut busy = read_while_writing(store.as_ref(), plan, false)?;
    put("random page, writing, p99 ms", percentile(&mut busy, 99));

    let mut reader = store.reader()?;
    let mut page = Page::new();
    let mut rows = 0;
    for group in 0..plan.groups {
        reader.page(group, u64::MAX, 1, &mut page)?;
        rows += page.first().map_or(0, |row| row.0);
    }
    drop(reader);
    let start = Instant::now();
    drop(store);
    put("close ms", start.elapsed().as_secs_f64() * 1e3);
    put("disk bytes per row on close", disk_bytes(dir)? as f64 / rows as f64);

    let (mut reopen, mut beyond) = (Vec::new(), 0);
    for _ in 0..plan.kills {
        let crash = crash(kind, dir, plan)?;
        reopen.push(crash.reopen);
        beyond += crash.beyond;
    }
    put("reopen after kill -9, median ms", percentile(&mut reopen, 50));
    put("reopen after kill -9, max ms", percentile(&mut reopen, 100));
    put("rows found beyond the acked ones", beyond as f64);
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print_table(kinds: &[Kind], figures: &Figures) {
    print!("| median |");
    kinds.iter().for_each(|kind| print!(" {} |", kind.name()));
    println!("\n|---|{}", "---:|".repeat(kinds.len()));
    for (name, columns) in figures.values() {
        print!("| {name} |");
        for values in columns {
            let value = median(values);
            let digits = if value >= 100.0 { 0 } else { 3 };
            print!(" {value:.digits$} |");
        }
        println!();
    }
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (mut plan, mut child, mut kinds) = (FULL, None, Vec::new());
    let mut base = std::env::temp_dir();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => plan = QUICK,
            "--dir" => base = PathBuf::from(args.next().ok_or("--dir needs a folder")?),
            "--rounds" => plan.rounds = args.next().ok_or("--rounds needs a number")?.parse()?,
            "--groups" => plan.groups = args.next().ok_or("--groups needs a number")?.parse()?,
            "--rows" => plan.rows = args.next().ok_or("--rows needs a number")?.parse()?,
            "--child" => child = args.next().and_then(|name| Kind::parse(&name)),
            name => kinds.push(Kind::parse(name).ok_or("unknown store or option")?),
        }
    }
    if let Some(kind) = child {
        return write_until_killed(kind, &base, plan.groups);
    }
    if kinds.is_empty() {
        kinds = Kind::ALL.to_vec();
    }

    let root = base.join(format!("store-choice-{}", std::process::id()));
    std::fs::create_dir_all(&root)?;
    let outcome = rounds(&kinds, &plan, &root);
    std::fs::remove_dir_all(&root)?;
    outcome
}

fn rounds(kinds: &[Kind], plan: &Plan, root: &Path) -> Result<()> {
    let mut figures = Figures::new();
    let mut raw = Vec::new();
    for round in 0..plan.rounds {
        raw.push(raw_sync_ms(root)?);
        for turn in 0..kinds.len() {
            let column = (round + turn) % kinds.len();
            let dir = root.join("store");
            let mut row = 0;
            measure(kinds[column], plan, &dir, |name, value| {
                let empty = || (name, vec![Vec::new(); kinds.len()]);
                figures.entry(row).or_insert_with(empty).1[column].push(value);
                row += 1;
            })?;
            std::fs::remove_dir_all(&dir)?;
            eprintln!("round {round}: {} done", kinds[column].name());
        }
    }
    print_table(kinds, &figures);
    println!(
        "\n{} round(s); {} rows from {SENDERS} senders over {} groups, one group of {} rows; \
         pages of {PAGE}. An 80 KiB append + fdatasync without a store: {:.2} ms.",
        plan.rounds,
        plan.rows,
        plan.groups,
        plan.big_group,
        median(&raw)
    );
    Ok(())
}
