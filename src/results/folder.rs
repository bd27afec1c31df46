//! The folder that results go to. They appear in it all at once, or not at all.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::record::{self, RECORD_FILE, Record, is_plain};
use super::stage::{Stage, is_working};
use super::{disk, swap};
use crate::engine::ground::error::{Error, Result};

/// A folder of results in the making. Files are written beside it, out of sight; [`commit`] puts
/// all of them in their place in one step. A process that is killed leaves what was there before,
/// or all that is new, and the next one tidies up. Dropped without a commit it leaves nothing.
///
/// [`commit`]: OutputFolder::commit
#[derive(Debug)]
pub struct OutputFolder {
    /// As the caller named it.
    path: PathBuf,
    /// Place of the folder within the outermost one, with `/` between names; none for that one.
    inner: Option<String>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    stage: Stage,
    /// Folders above the results that were made, the innermost first.
    created: Vec<PathBuf>,
    inputs: Mutex<HashSet<PathBuf>>,
    /// Kinds of the results in inner folders.
    kinds: Mutex<BTreeMap<String, String>>,
}

impl OutputFolder {
    /// Finds out whether results can be put at `path`, and keeps other processes from doing so
    /// until it is dropped. Where a run was killed, what it left is finished or removed first, so
    /// that it is never in the way.
    ///
    /// With `force` the folder may hold files already: of those, [`OutputFolder::commit`] replaces
    /// and removes only the ones that this program wrote there and nobody changed since.
    ///
    /// # Errors
    /// Bad input when `path` is a file, or holds files and `force` is not given, or another process
    /// is writing there; [`Error::Io`] when it cannot be created, read or written.
    pub fn prepare(path: impl AsRef<Path>, force: bool) -> Result<Self> {
        let path = path.as_ref();
        let fail = |error| Error::io(path, error);
        if path.as_os_str().is_empty() {
            return Err(Error::option(
                "output folder",
                "its name is empty; name a folder for the results",
            ));
        }
        if !path.is_dir() && disk::exists(path) {
            return Err(Error::file(
                path,
                "results need a folder, and this is a file; name another folder",
            ));
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut created = Created(Vec::new());
        let target = match (path.canonicalize(), path.file_name()) {
            (Ok(target), _) => target,
            (Err(_), Some(name)) => {
                let parent = parent.unwrap_or(Path::new("."));
                let missing = parent.ancestors();
                let missing = missing.filter(|p| !p.as_os_str().is_empty() && !p.exists());
                created.0 = missing.map(Path::to_owned).collect();
                fs::create_dir_all(parent).map_err(fail)?;
                parent.canonicalize().map_err(fail)?.join(name)
            }
            (Err(error), None) => return Err(fail(error)),
        };
        let stage = Stage::take(&target, force).map_err(|error| named(error, &target, path))?;
        if !force {
            check_free(path, &stage)?;
        }
        let shared = Shared {
            stage,
            created: std::mem::take(&mut created.0),
            inputs: Mutex::default(),
            kinds: Mutex::default(),
        };
        Ok(OutputFolder { path: path.to_owned(), inner: None, shared: Arc::new(shared) })
    }

    /// A folder of results inside this one, which appears with it: [`OutputFolder::commit`] of the
    /// inner one only says that its results are complete.
    ///
    /// # Errors
    /// [`Error::Option`] when `name` is not a plain name, [`Error::Io`] when it cannot be created.
    pub fn inner(&self, name: &str) -> Result<OutputFolder> {
        if !is_plain(name) {
            return Err(Error::option(name.to_owned(), "is not the name of a folder for results"));
        }
        let path = self.path.join(name);
        let staged = self.staged(name)?;
        disk::create_folder(&staged).map_err(|error| Error::io(&path, error))?;
        let place = match &self.inner {
            Some(outer) => format!("{outer}/{name}"),
            None => name.to_owned(),
        };
        Ok(OutputFolder { path, inner: Some(place), shared: Arc::clone(&self.shared) })
    }

    /// Where it is, as the caller named it. Files appear there with [`OutputFolder::commit`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file `name` is until the commit: for writers that take a path, and to read back
    /// what was written.
    ///
    /// # Errors
    /// [`Error::Option`] when `name` is not a plain file name.
    pub fn staged(&self, name: &str) -> Result<PathBuf> {
        if !is_plain(name) || name == RECORD_FILE {
            return Err(Error::option(name.to_owned(), "is not the name of a file"));
        }
        Ok(self.staging().join(name))
    }

    fn staging(&self) -> PathBuf {
        let outer = self.shared.stage.new_folder();
        self.inner.as_ref().map_or_else(|| outer.clone(), |name| outer.join(name))
    }

    /// Writes the file `name` through `fill`; it appears with the commit.
    ///
    /// # Errors
    /// [`Error::Option`] when `name` is not a plain file name, [`Error::Io`] when writing fails (a
    /// full disk, say).
    pub fn write(
        &self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        let staged = self.staged(name)?;
        let written = disk::create(&staged).and_then(|file| {
            let mut buffer = BufWriter::with_capacity(1 << 16, file);
            fill(&mut buffer)?;
            buffer.flush()
        });
        written.map_err(|error| Error::io(self.path.join(name), error))
    }

    /// Refuses results that the disk has no room for.
    ///
    /// # Errors
    /// [`Error::File`] with what is needed and what is free. Where the system does not say how much
    /// is free, a full disk is told when it is written to.
    pub fn check_space(&self, bytes: u64) -> Result<()> {
        match disk::free(&self.staging()) {
            Some(free) if bytes > free => Err(Error::file(
                &self.path,
                format!(
                    "the results take {} MiB, and {} MiB are free on this disk; name a folder \
                     elsewhere, or write fewer of them with --format",
                    bytes.div_ceil(1 << 20),
                    free >> 20
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Opens the file `name`, new, to be written in pieces; it appears with the commit.
    ///
    /// # Errors
    /// [`Error::Option`] when `name` is not a plain file name, [`Error::Io`] when the system
    /// refuses.
    pub(super) fn create(&self, name: &str) -> Result<disk::Writer> {
        let staged = self.staged(name)?;
        disk::create(&staged).map_err(|error| Error::io(self.path.join(name), error))
    }

    /// Removes the file `name` from what appears with the commit.
    ///
    /// # Errors
    /// [`Error::Option`] when `name` is not a plain file name, [`Error::Io`] when the system
    /// refuses.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let staged = self.staged(name)?;
        disk::remove_file(&staged).map_err(|error| Error::io(self.path.join(name), error))
    }

    /// Keeps a file that the run reads from being replaced or removed, and files that go with it:
    /// those of the same name but for the extension.
    pub fn protect(&self, input: impl AsRef<Path>) {
        let Ok(input) = input.as_ref().canonicalize() else { return };
        let Ok(mut inputs) = self.shared.inputs.lock() else { return };
        if let (Some(folder), Some(stem)) = (input.parent(), input.file_stem()) {
            let beside = fs::read_dir(folder).into_iter().flatten().flatten();
            inputs.extend(beside.map(|entry| entry.path()).filter(|p| p.file_stem() == Some(stem)));
        }
        inputs.insert(input);
    }

    /// Puts all files in their place: on the disk itself, with a record of their lengths and
    /// hashes, in one step. `kind` says what kind of results they are, such as `fit`: earlier
    /// results of this kind go, those of others stay. Files that another program wrote stay as they
    /// are; one that has the name of a result gets another name, and a sentence about each of these
    /// is given back.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses; then the folder is as it was before.
    pub fn commit(&self, kind: &str) -> Result<Vec<String>> {
        let fail = |error| Error::io(&self.path, error);
        let locked = || fail(io::Error::other("a thread that wrote results has failed"));
        let mut kinds = self.shared.kinds.lock().map_err(|_| locked())?;
        if let Some(name) = &self.inner {
            kinds.insert(name.clone(), kind.to_owned());
            return Ok(Vec::new());
        }
        let stage = &self.shared.stage;
        seal_all(&stage.new_folder(), "", &stage.target, kind, &kinds).map_err(fail)?;
        let inputs = self.shared.inputs.lock().map_err(|_| locked())?;
        let kept = swap::commit(stage, kind, &inputs).map_err(fail)?;
        let name =
            |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let sentence = |(old, new): &(PathBuf, PathBuf)| {
            format!(
                "{} was not written by unmixel, or changed since, or is read by this run; it is \
                 {} now.",
                old.display(),
                name(new)
            )
        };
        Ok(kept.iter().map(sentence).collect())
    }
}

/// Seals the staged folder of that place and all below it, the innermost first. One that is of no
/// kind of its own is of the kind of the folder around it.
fn seal_all(
    staged: &Path,
    place: &str,
    target: &Path,
    kind: &str,
    kinds: &BTreeMap<String, String>,
) -> io::Result<()> {
    for name in disk::names(staged)? {
        let folder = staged.join(&name);
        if disk::is_folder(&folder) {
            let name = name.to_string_lossy();
            let inner = if place.is_empty() { name.to_string() } else { format!("{place}/{name}") };
            let own = kinds.get(&inner).map_or(kind, String::as_str);
            seal_all(&folder, &inner, &target.join(&*name), own, kinds)?;
        }
    }
    record::seal(staged, kind, &left_of(target))
}

/// The entries of a record whose files are still what they were.
fn left_of(folder: &Path) -> Record {
    let mut record = Record::of(folder);
    record.files.retain(|entry| entry.is_of(&folder.join(&entry.name)));
    record
}

/// Refuses a folder that holds files. What a killed run left there is not in the way, where that
/// run found the folder empty.
fn check_free(path: &Path, stage: &Stage) -> Result<()> {
    let target = &stage.target;
    let names = disk::names(target).map_err(|error| Error::io(path, error))?;
    let record = if stage.left_by_unforced { Record::of(target) } else { Record::default() };
    let own = |name: &std::ffi::OsString| {
        stage.left_by_unforced
            && (name == RECORD_FILE || record.entry(name).is_some() || {
                let inner = target.join(name);
                disk::is_folder(&inner) && inner.join(RECORD_FILE).is_file()
            })
    };
    if names.iter().all(|name| is_working(name) || own(name)) {
        return Ok(());
    }
    Err(Error::file(
        path,
        "the output folder already holds files; name another folder, or add --force to write there \
         (earlier results of unmixel are replaced, all other files stay)",
    ))
}

/// An error about `target` as one about the name that the caller gave.
fn named(error: Error, target: &Path, path: &Path) -> Error {
    match error {
        Error::File { path: at, reason } if at == target => Error::file(path, reason),
        Error::Io { path: at, source } if at == target => Error::io(path, source),
        other => other,
    }
}

/// Folders that were made and go again where they stay empty.
struct Created(Vec<PathBuf>);

impl Drop for Created {
    fn drop(&mut self) {
        for folder in &self.0 {
            // Removes empty folders only; the first one in use ends it.
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The stage lies in the innermost of them.
        self.stage.release();
        drop(Created(std::mem::take(&mut self.created)));
    }
}
