//! Prints the README's table of figures: `cargo run --release -p kijimuna-bench`.
//!
//! Ratios and medians mean something on a noisy machine, single numbers little; each line is the median of
//! several rounds, with the least and the most.

mod codec;
mod history;
mod joins;
mod rounds;
mod senders;

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut out = io::stdout();
    writeln!(out, "| what | goal | median | least – most |\n|---|---|---|---|")?;
    for figure in codec::figures() {
        writeln!(out, "{figure}")?;
    }
    writeln!(out, "{}", runtime.block_on(senders::figure())?)?;
    for figure in runtime.block_on(history::figures())? {
        writeln!(out, "{figure}")?;
    }
    for figure in joins::figures() {
        writeln!(out, "{figure}")?;
    }
    Ok(())
}
