//! Which core is whose. A server and its load on the same one would measure each other, so this is decided here, once.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cores {
    pub(crate) server: u32,
    pub(crate) generator: u32,
}

impl Cores {
    /// Takes this process to its core, for the rest of its life. Without a core for it it takes the first that isn't
    /// the servers'.
    pub(crate) fn take(server: u32, generator: Option<u32>) -> io::Result<Self> {
        let cores = Self::choose(server, generator, &usable()?).map_err(io::Error::other)?;
        let mut own = CpuSet::new();
        own.set(cores.generator as usize);
        sched_setaffinity(None, &own)?;
        Ok(cores)
    }

    fn choose(server: u32, generator: Option<u32>, usable: &[u32]) -> Result<Self, String> {
        let list = || usable.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        for (flag, core) in [("--core", Some(server)), ("--generator-core", generator)] {
            if let Some(core) = core.filter(|core| !usable.contains(core)) {
                return Err(format!(
                    "{flag} is {core}, and this process may use only these cores: {}",
                    list()
                ));
            }
        }
        if generator == Some(server) {
            return Err(format!(
                "--core and --generator-core are both {server}: a server and its load need a core each, of these: {}",
                list()
            ));
        }
        let generator = generator.or_else(|| usable.iter().copied().find(|&core| core != server));
        let alone =
            || format!("a server and its load need a core each, and this process may use only core {server}");
        Ok(Self { server, generator: generator.ok_or_else(alone)? })
    }
}

/// The cores that this process may use.
fn usable() -> io::Result<Vec<u32>> {
    let allowed = sched_getaffinity(None)?;
    let cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
    Ok(cores.map_while(|core| u32::try_from(core).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_takes_a_core_that_is_not_the_servers() {
        assert_eq!(Cores::choose(0, None, &[0, 1]), Ok(Cores { server: 0, generator: 1 }));
        assert_eq!(Cores::choose(1, None, &[0, 1]), Ok(Cores { server: 1, generator: 0 }));
        assert_eq!(Cores::choose(2, Some(7), &[2, 3, 7]), Ok(Cores { server: 2, generator: 7 }));
    }

    #[test]
    fn a_pair_that_cannot_be_is_refused() {
        let refused =
            |server, generator, usable: &[u32]| Cores::choose(server, generator, usable).unwrap_err();
        assert!(refused(1, Some(1), &[0, 1]).contains("both 1"));
        assert!(refused(0, None, &[0]).contains("only core 0"));
        assert!(
            refused(9, None, &[0, 1]).contains("--core is 9") && refused(9, None, &[0, 1]).contains("0, 1")
        );
        assert!(refused(0, Some(9), &[0, 1]).contains("--generator-core is 9"));
    }
}
