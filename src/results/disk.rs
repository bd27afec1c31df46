//! Every change of the disk that results make, in one place: each is a point at which a unit test
//! can make it fail or end the program (`faults.rs`).

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

#[cfg(test)]
use super::faults::point;

/// Outside tests nothing happens here.
#[cfg(not(test))]
fn point() -> io::Result<()> {
    Ok(())
}

/// A new file that is written through [`Writer`]; an earlier one of that name is emptied.
pub(super) fn create(path: &Path) -> io::Result<Writer> {
    point()?;
    Ok(Writer(File::create(path)?))
}

/// A file in which every write is a point of its own.
pub(super) struct Writer(File);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        point()?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for Writer {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// Bytes that a user without special rights may still write where `path` lies; none where the
/// system does not say.
pub(super) fn free(path: &Path) -> Option<u64> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        let found = rustix::fs::statvfs(path).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    {
        let _ = path;
        None
    }
}

/// Puts the bytes of a file on the disk itself, so that they outlive a power cut.
pub(super) fn sync_file(file: &File) -> io::Result<()> {
    point()?;
    file.sync_all()
}

/// Puts the names in a folder on the disk itself. Systems without such a call do it themselves.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    point()?;
    if cfg!(unix) {
        match File::open(path)?.sync_all() {
            // Some network file systems cannot, and say so.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            done => done,
        }
    } else {
        Ok(())
    }
}

pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    point()?;
    fs::create_dir(path)
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    point()?;
    fs::rename(from, to)
}

/// A second name for a file or a symbolic link.
pub(super) fn link(from: &Path, to: &Path) -> io::Result<()> {
    point()?;
    fs::hard_link(from, to)
}

pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    point()?;
    fs::remove_file(path)
}

/// Removes a folder that is empty.
pub(super) fn remove_folder(path: &Path) -> io::Result<()> {
    point()?;
    fs::remove_dir(path)
}

/// Exchanges two folders in one step that either happens or does not; an error of the kind
/// `Unsupported` where the system has no such call.
pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    point()?;
    #[cfg(test)]
    if super::faults::exchange_is_missing() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    {
        let _ = (one, other);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// What tells whether two names are one file; none where the system does not say.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let found = fs::symlink_metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Names in a folder, sorted; none where there is no such folder.
pub(super) fn names(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names: Vec<_> =
        entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

/// True for a folder that is no symbolic link to one.
pub(super) fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// True where the name stands for anything at all, a link that leads nowhere included.
pub(super) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
