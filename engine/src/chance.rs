//! The one place that asks for randomness.

/// The system gives no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes: {0}")]
pub(crate) struct NoChance(getrandom::Error);

/// Random bytes from the system.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoChance> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoChance)?;
    Ok(bytes)
}

/// A random number.
pub(crate) fn number() -> Result<u64, NoChance> {
    bytes().map(u64::from_be_bytes)
}
