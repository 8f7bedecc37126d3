//! The number of operations ever claimed, in a file beside an embedded store: a copy of an older state knows of fewer.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Digits of the number, so that a longer one overwrites a shorter one whole.
const DIGITS: usize = 20;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub number: i64,
    /// Names the file and when it was last changed, as the file system does: no copy has the same.
    pub identity: String,
}

/// The file.
pub(super) struct ClaimsFile {
    path: PathBuf,
    written: Mutex<Written>,
}

#[derive(Default)]
struct Written {
    file: Option<File>,
    number: i64,
}

impl ClaimsFile {
    /// Beside the state at `state`; none beside one in memory, whose name is no file's. Its name does not begin with that of the state, so
    /// that a copy of `state.db*` does not take it along.
    pub fn beside(state: &Path) -> Option<Self> {
        let name = state
            .file_name()?
            .to_str()
            .filter(|name| !name.starts_with(':') && !name.starts_with("file:"))?;
        Some(Self {
            path: state.with_file_name(format!("claims-of-{name}")),
            written: Mutex::default(),
        })
    }

    /// What it says; nothing when there is none, or it is not ours.
    pub fn read(&self) -> Option<Claims> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        let number = text.trim().parse().ok()?;
        let about = std::fs::metadata(&self.path).ok()?;
        let identity = format!("{}:{}.{:09}", about.ino(), about.ctime(), about.ctime_nsec());
        Some(Claims { number, identity })
    }

    /// Writes the number, unless a greater one was written. It need not be flushed: a process that is killed loses nothing by it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, number: i64) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if written.file.is_some() && number <= written.number {
            return Ok(());
        }
        let file = match &mut written.file {
            Some(file) => file,
            closed => {
                let mut options = OpenOptions::new();
                options.write(true).create(true).truncate(false).mode(0o600);
                closed.insert(options.open(&self.path)?)
            }
        };
        file.write_all_at(format!("{number:0DIGITS$}\n").as_bytes(), 0)?;
        written.number = number;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_read_as_it_was_written_and_a_copy_has_another_identity() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state.db");
        let claims = ClaimsFile::beside(&state).expect("a file");
        assert_eq!(claims.read(), None);
        for (number, kept) in [(7, 7), (12, 12), (3, 12)] {
            claims.write(number).expect("written");
            assert_eq!(claims.read().map(|claims| claims.number), Some(kept));
        }
        let before = claims.read().expect("a number");
        assert_eq!(claims.read().as_ref(), Some(&before));
        let file = folder.path().join("claims-of-state.db");
        std::fs::copy(&file, folder.path().join("copy")).expect("a copy");
        std::fs::rename(folder.path().join("copy"), &file).expect("put back");
        let after = claims.read().expect("a number");
        assert_eq!(after.number, before.number);
        assert_ne!(after.identity, before.identity);
        for memory in [":memory:", "file:sqlx-in-memory-0"] {
            assert!(ClaimsFile::beside(Path::new(memory)).is_none());
        }
    }
}
