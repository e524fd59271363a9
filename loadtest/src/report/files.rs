//! Where reports go: files that are known to be writable before a run begins, and the table, which is always told.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Heading, html, json, table};
use crate::outcome::Outcome;
use crate::settings::Settings;

/// What can't be written at the end is known at the beginning. A file that wasn't there isn't there afterwards.
pub(crate) fn check(settings: &Settings) -> Result<(), String> {
    let mut taken: Option<(&str, PathBuf)> = None;
    for name in ["json", "html"] {
        let Some(path) = settings.path(name) else { continue };
        check_one(&path).map_err(|error| {
            format!("{} is {}, which can't be written: {error}.", settings.place(name), path.display())
        })?;
        let place = place(&path);
        if let Some((other, _)) = taken.as_ref().filter(|(_, taken)| *taken == place) {
            let (one, other) = (settings.place(other), settings.place(name));
            return Err(format!(
                "{one} and {other} are both {}: give each a file of its own.",
                path.display()
            ));
        }
        taken = Some((name, place));
    }
    Ok(())
}

fn check_one(path: &Path) -> io::Result<()> {
    let was_there = path.exists();
    File::options().append(true).create(true).open(path)?;
    if was_there { Ok(()) } else { fs::remove_file(path) }
}

/// The same for every way to write a path, as far as the folder is there.
fn place(path: &Path) -> PathBuf {
    if let Ok(place) = fs::canonicalize(path) {
        return place;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    folder.join(path.file_name().unwrap_or_default())
}

/// Writes all that can be written, the table last: a terminal may be gone that files are still there. What couldn't be
/// is told as sentences.
pub(crate) fn write(
    heading: &Heading,
    outcome: &Outcome,
    settings: &Settings,
    out: impl Write,
) -> Result<(), String> {
    let mut troubles = Vec::new();
    let mut keep = |name: &str, text: &dyn Fn() -> String| {
        let Some(path) = settings.path(name) else { return };
        if let Err(error) = fs::write(&path, text()) {
            troubles.push(format!("{} can't be written: {error}.", path.display()));
        }
    };
    keep("json", &|| format!("{:#}\n", json::value(heading, outcome)));
    keep("html", &|| html::page(heading, outcome));
    if let Err(error) = table::write(heading, outcome, out) {
        troubles.push(format!("The table can't be written: {error}."));
    }
    if troubles.is_empty() { Ok(()) } else { Err(troubles.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_one_however_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report");
        let other_way = folder.path().join("./../").join(folder.path().file_name().unwrap()).join("report");
        assert_eq!(place(&file), place(&other_way));
        assert_ne!(place(&file), place(&folder.path().join("report.json")));
        std::os::unix::fs::symlink(&file, folder.path().join("link")).unwrap();
        fs::write(&file, "").unwrap();
        assert_eq!(place(&file), place(&folder.path().join("link")));
    }
}
