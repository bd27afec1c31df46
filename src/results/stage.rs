//! The hidden folder in which results are made before they appear: where it is, who holds it, and
//! what an earlier run that was killed has left in it.
//!
//! It lies beside the folder of results as `.NAME.unmixel`, or in it as `.unmixel` where that
//! folder cannot be exchanged for another (a mount point, or a folder that somebody works in). In
//! it are
//!
//! - `lock`, held by the process that writes; the system lets go of it when the process ends,
//!   however it does;
//! - `new`, results in the making: worth nothing;
//! - `swap`, complete results on their way to be exchanged with the folder, or what was there
//!   before: see [`swap`](super::swap);
//! - `commit`, complete results that are being moved into the folder file by file: whoever finds
//!   it goes on.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{disk, swap};
use crate::engine::ground::error::{Error, Result};

const INSIDE: &str = ".unmixel";
const LOCK: &str = "lock";
/// All that can be in a staging folder.
const OWN_FOLDERS: [&str; 3] = ["new", "swap", "commit"];
const OWN_FILES: [&str; 3] = [LOCK, "probe", swap::PLAN];
/// What the lock says of a run that was given leave to write over results.
const FORCED: &str = "forced";

/// A staging folder that this process holds.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) folder: PathBuf,
    /// Where the results are to appear: an absolute path without links.
    pub(super) target: PathBuf,
    /// Whether it lies in `target`.
    pub(super) inside: bool,
    /// Whether a run that was killed had found `target` empty: what is on record there is its own.
    pub(super) left_by_unforced: bool,
    lock: Option<Lock>,
}

/// A lock that is held. It is given back by name when it is dropped: a process that is started at
/// that moment has the file open, too, until it runs its own program, and would keep the lock.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // A file system without locks has none to give back.
        let _ = self.0.unlock();
    }
}

/// How an attempt to take a staging folder ended.
enum Taken {
    Held(Lock),
    /// The process that holds it, as far as it is known.
    ByAnother(String),
}

fn beside(target: &Path) -> Option<PathBuf> {
    let mut name = OsString::from(".");
    name.push(target.file_name()?);
    name.push(INSIDE);
    Some(target.parent()?.join(name))
}

/// Both places, the preferred one first.
fn places(target: &Path) -> Vec<(PathBuf, bool)> {
    let outside = beside(target).map(|path| (path, false));
    let inside = (target.join(INSIDE), true);
    match outside {
        Some(outside) if may_exchange(target) => vec![outside, inside],
        Some(outside) => vec![inside, outside],
        None => vec![inside],
    }
}

/// False for a folder that somebody sits in, or on which something is mounted.
fn may_exchange(target: &Path) -> bool {
    if !target.exists() {
        return true;
    }
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let device = |path: &Path| disk::identity(path).map(|(device, _)| device);
    !here.is_ok_and(|here| here.starts_with(target))
        && target.parent().and_then(device) == device(target)
}

/// Names in a folder of results that are this program's own workings: its staging folder, and the
/// temporary files that earlier versions left when they were killed.
pub(super) fn is_working(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    name == INSIDE || (name.starts_with(".unmixel-") && name.ends_with(".part"))
}

impl Stage {
    /// Takes the staging folder of `target`, an absolute path whose parent exists, after putting in
    /// order what a killed run left.
    pub(super) fn take(target: &Path, forced: bool) -> Result<Stage> {
        let mut left_by_unforced = false;
        for (folder, _) in places(target) {
            left_by_unforced |= put_in_order(&folder, target)?;
        }
        let mut refused = None;
        for (folder, inside) in places(target) {
            if inside && !target.is_dir() {
                continue;
            }
            match Stage::take_at(&folder, target, inside, forced) {
                Ok(mut stage) => {
                    stage.left_by_unforced = left_by_unforced;
                    return Ok(stage);
                }
                // The first reason is about the place that was wanted.
                Err(error @ Error::Io { .. }) => {
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or_else(|| Error::file(target, "no folder can be made there.")))
    }

    fn take_at(folder: &Path, target: &Path, inside: bool, forced: bool) -> Result<Stage> {
        let fail = |error| Error::io(target, error);
        let lock = match acquire(folder).map_err(fail)? {
            Taken::Held(lock) => lock,
            Taken::ByAnother(who) => return Err(busy(target, &who)),
        };
        let stage = Stage {
            folder: folder.to_owned(),
            target: target.to_owned(),
            inside,
            left_by_unforced: false,
            lock: Some(lock),
        };
        stage.sign(forced).map_err(fail)?;
        disk::create_folder(&stage.new_folder()).map_err(fail)?;
        if target.is_dir() {
            // Whether files can come into the folder from here shows only in the attempt.
            let (from, to) = (folder.join("probe"), target.join(".unmixel-probe.part"));
            let probe = || -> io::Result<()> {
                disk::create(&from)?;
                disk::rename(&from, &to)?;
                disk::remove_file(&to)
            };
            let tried = probe();
            if tried.is_err() {
                let _ = fs::remove_file(&from);
            }
            tried.map_err(fail)?;
        }
        Ok(stage)
    }

    /// Says in the lock who holds it and whether it may write over results.
    fn sign(&self, forced: bool) -> io::Result<()> {
        let Some(Lock(file)) = &self.lock else { return Ok(()) };
        let mut file: &File = file;
        file.set_len(0)?;
        let leave = if forced { FORCED } else { "" };
        writeln!(file, "process {}\n{leave}", std::process::id())
    }

    /// Where files are written.
    pub(super) fn new_folder(&self) -> PathBuf {
        self.folder.join("new")
    }
}

impl Stage {
    /// Removes the staging folder and lets others come.
    pub(super) fn release(&mut self) {
        if self.lock.is_none() {
            return;
        }
        // What cannot be removed now is recognised by the next run.
        let _ = clear(&self.folder, &self.target);
        let _ = disk::remove_file(&self.folder.join(LOCK));
        self.lock = None;
        let _ = disk::remove_folder(&self.folder);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.release();
    }
}

/// Puts the folder of results at `path` in order where a run was killed while it moved files in.
pub(super) fn settle(path: &Path) -> Result<()> {
    let Ok(target) = path.canonicalize() else { return Ok(()) };
    for (folder, _) in places(&target) {
        if !disk::is_folder(&folder.join("commit")) {
            continue;
        }
        let fail = |error| Error::io(&folder, error);
        match acquire(&folder).map_err(fail)? {
            Taken::ByAnother(who) => return Err(busy(&target, &who)),
            // The lock stays: it tells the next run that what is there was never seen to its end.
            Taken::Held(_lock) => clear(&folder, &target).map_err(fail)?,
        }
    }
    Ok(())
}

/// Finishes or removes what a killed run left in a staging folder, and the folder; whether that
/// run was one that might not write over results.
fn put_in_order(folder: &Path, target: &Path) -> Result<bool> {
    if !disk::is_folder(folder) {
        return Ok(false);
    }
    let names = disk::names(folder).map_err(|error| Error::io(folder, error))?;
    // A link or a pipe of that name would lead elsewhere, or be waited for.
    let own = |name: &OsString| {
        let path = folder.join(name);
        let is_file = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
        let is_right = if OWN_FOLDERS.iter().any(|own| name == own) {
            disk::is_folder(&path)
        } else {
            OWN_FILES.iter().any(|own| name == own) && is_file
        };
        // Gone meanwhile: another process has ended there.
        is_right || !disk::exists(&path)
    };
    if !names.iter().all(own) {
        return Err(Error::file(
            folder,
            "has the name of unmixel's working folder, and is something else; move it away, or \
             name another folder for the results.",
        ));
    }
    let fail = |error| Error::io(folder, error);
    match acquire(folder).map_err(fail)? {
        Taken::ByAnother(who) => Err(busy(target, &who)),
        Taken::Held(lock) => {
            let mut text = String::new();
            // Empty where the run was killed before it signed: it wrote nothing then.
            let _ = (&lock.0).take(1 << 10).read_to_string(&mut text);
            let forced = text.lines().any(|line| line == FORCED);
            clear(folder, target).map_err(fail)?;
            disk::remove_file(&folder.join(LOCK)).map_err(fail)?;
            drop(lock);
            match disk::remove_folder(folder) {
                // Another process has come in between: it finds the folder in order.
                Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(fail(error)),
                _ => Ok(!forced),
            }
        }
    }
}

/// Ends what is in a staging folder: complete results go where they belong, all else goes away.
fn clear(folder: &Path, target: &Path) -> io::Result<()> {
    if disk::is_folder(&folder.join("commit")) {
        swap::move_in(folder, target)?;
    }
    if disk::is_folder(&folder.join("swap")) {
        swap::retire(&folder.join("swap"), target)?;
    }
    remove_all(&folder.join("new"))?;
    for name in ["probe", swap::PLAN] {
        match disk::remove_file(&folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Removes results in the making: files, and folders of files.
fn remove_all(folder: &Path) -> io::Result<()> {
    if !disk::is_folder(folder) {
        return Ok(());
    }
    for name in disk::names(folder)? {
        let path = folder.join(name);
        if disk::is_folder(&path) { remove_all(&path)? } else { disk::remove_file(&path)? }
    }
    disk::remove_folder(folder)
}

/// Locks a staging folder, which is made where it is missing.
fn acquire(folder: &Path) -> io::Result<Taken> {
    // A process that ends removes folder and lock: then it is tried again.
    let mut last = None;
    for _ in 0..100 {
        match disk::create_folder(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let path = folder.join(LOCK);
        let opened =
            File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                last = Some(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = (&mut file).take(1 << 10).read_to_string(&mut text);
                let who = text.lines().next().unwrap_or_default().to_owned();
                return Ok(Taken::ByAnother(who));
            }
            // A file system without locks: nobody can be kept out there.
            Err(fs::TryLockError::Error(error)) if is_unsupported(&error) => {}
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        let lock = Lock(file);
        if is_at(&lock.0, &path) {
            return Ok(Taken::Held(lock));
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other("the folder's lock does not stay in place")))
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

/// Whether the open file still has that name.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let found = file.metadata().map(|found| (found.dev(), found.ino())).ok();
        found.is_some() && found == disk::identity(path)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

fn busy(target: &Path, who: &str) -> Error {
    let who = if who.is_empty() { String::new() } else { format!(" ({who})") };
    Error::file(
        target,
        format!(
            "another unmixel{who} is writing its results there; wait until it has ended, or name \
             another folder."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_given_back_though_another_has_the_file_open() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("stage");
        let Taken::Held(lock) = acquire(&folder).unwrap() else { panic!("it is taken") };
        assert!(matches!(acquire(&folder).unwrap(), Taken::ByAnother(_)));
        // What a process that is being started has of it.
        let _open = lock.0.try_clone().unwrap();
        drop(lock);
        assert!(matches!(acquire(&folder).unwrap(), Taken::Held(_)));
    }

    #[test]
    fn a_folder_of_that_name_that_is_something_else_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().canonicalize().unwrap().join("out");
        let folder = beside(&target).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("diary.txt"), "mine").unwrap();
        let told = Stage::take(&target, true).unwrap_err().to_string();
        assert!(told.contains("something else"), "{told}");
        assert_eq!(fs::read_to_string(folder.join("diary.txt")).unwrap(), "mine");
    }

    /// What somebody else might put there, to have files written or moved that are not there.
    #[cfg(unix)]
    #[test]
    fn links_and_plans_that_lead_elsewhere_are_not_followed() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (target, victim) = (root.join("out"), root.join("victim"));
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("v"), "mine").unwrap();
        let stage = beside(&target).unwrap();
        let plan = |text: &str| fs::write(stage.join(swap::PLAN), text).unwrap();
        let cases: [&dyn Fn(); 3] = [
            &|| symlink(victim.join("v"), stage.join(LOCK)).unwrap(),
            &|| {
                plan(r#"{"kept":[],"stale":[]}"#);
                symlink(&victim, stage.join("commit")).unwrap();
            },
            &|| {
                fs::create_dir(stage.join("commit")).unwrap();
                plan(r#"{"kept":[["../victim/v","../victim/w"]],"stale":[]}"#);
                fs::write(stage.join("commit/a"), "").unwrap();
            },
        ];
        for (n, set_up) in cases.iter().enumerate() {
            fs::create_dir(&stage).unwrap();
            fs::create_dir_all(&target).unwrap();
            set_up();
            assert!(Stage::take(&target, true).is_err(), "{n}");
            assert_eq!(fs::read_to_string(victim.join("v")).unwrap(), "mine", "{n}");
            fs::remove_dir_all(&stage).unwrap();
        }
    }
}
