//! The key of the services' secrets and of tickets, and that it stays the same as long as its store.
//!
//! Under another key no credentials would be right any more, and nothing would say why. So the store keeps a check
//! value of its key, and a start with another one is refused.

use std::io::{self, Write};
use std::path::Path;

use engine::engine::Keys;
use engine::store::StoreError;
use engine::store::embedded::EmbeddedStore;
use kijimuna_api::config::Hidden;

/// Where the key is that was made for a data folder.
const FILE: &str = "hash_secret";

/// What the store knows of its key.
struct Known {
    check: Option<[u8; 32]>,
    has_services: bool,
}

/// The keys that this store's services need: made of the operator's secret, or of the one of the data folder, which
/// is made for a new store.
pub(crate) async fn keys(
    given: Option<&Hidden>,
    data_dir: &Path,
    store: &EmbeddedStore,
) -> Result<Keys, String> {
    let unread = |error: StoreError| error.to_string();
    let known = Known {
        check: store.hash_check().await.map_err(unread)?,
        has_services: store.has_services().await.map_err(unread)?,
    };
    let keys = Keys::new(&match given {
        Some(secret) => secret.reveal().as_bytes().to_vec(),
        None => kept(data_dir, &known)?,
    });
    let value = keys.hasher.check_value();
    match known.check {
        Some(check) if check == value => return Ok(keys),
        Some(_) if known.has_services => return Err(changed(given.is_some(), data_dir)),
        // Nobody has a secret yet that could become wrong.
        Some(_) => {}
        None if known.has_services => tracing::warn!(
            "the store has services, but is older than the check of their hash secret: from now on only the \
             present one is taken"
        ),
        None => {}
    }
    store.keep_hash_check(value).await.map_err(unread)?;
    Ok(keys)
}

/// Says that the key isn't the store's.
fn changed(is_given: bool, data_dir: &Path) -> String {
    let file = data_dir.join(FILE);
    let (file, data_dir) = (file.display(), data_dir.display());
    if is_given {
        format!(
            "KIJIMUNA_HASH_SECRET isn't the hash secret of the store in {data_dir}, so no service's secret would be \
             right: set it to the old value, or leave it out if the store was made with the file {file}"
        )
    } else {
        format!(
            "the file {file} isn't the hash secret of the store beside it, so no service's secret would be right: \
             restore the file, or set KIJIMUNA_HASH_SECRET to the old value if it was set before"
        )
    }
}

/// The key that was made for this data folder; a new one if the store is new, too.
fn kept(data_dir: &Path, known: &Known) -> Result<Vec<u8>, String> {
    let path = data_dir.join(FILE);
    let fail = |error: io::Error| format!("the hash secret {}: {error}", path.display());
    match std::fs::read(&path) {
        Ok(secret) if secret.len() >= 32 => Ok(secret),
        Ok(_) => Err(format!("the hash secret {} is too short: restore it", path.display())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fail(error)),
        Err(_) if known.has_services => Err(format!(
            "the hash secret of the store in {} is missing, and with a new one no service's secret would be right: \
             restore the file {}, or set KIJIMUNA_HASH_SECRET to the old value if it was set before",
            data_dir.display(),
            path.display()
        )),
        Err(_) => made(data_dir, &path).map_err(fail),
    }
}

fn made(data_dir: &Path, path: &Path) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::OpenOptionsExt;

    let mut secret = vec![0; 32];
    getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
    // Written aside and renamed, so that a crash leaves all of it or none.
    let aside = data_dir.join("hash_secret.new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    std::fs::rename(&aside, path)?;
    std::fs::File::open(data_dir)?.sync_all()?;
    Ok(secret)
}
