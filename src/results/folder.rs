//! The folder that results go to. It never holds a half-written file, and it does not stay behind
//! empty when a fit fails.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::report::REPORT_FILE;
use crate::engine::ground::error::{Error, Result};

/// A folder that was found writable. When dropped, it removes what folders it created if nothing
/// was written in them.
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
    /// Folders that were created, the innermost first.
    created: Vec<PathBuf>,
}

impl OutputFolder {
    /// Creates the folder where it does not exist, and tries whether files can be written to it.
    /// With `force` it may hold files already: those with the names of results are replaced, those of
    /// an earlier fit can be removed ([`OutputFolder::remove_left`]), all others stay.
    ///
    /// # Errors
    /// Bad input when `path` is a file, or holds files and `force` is not given; [`Error::Io`]
    /// when it cannot be created, read or written.
    pub fn prepare(path: impl AsRef<Path>, force: bool) -> Result<Self> {
        let path = path.as_ref();
        if path.as_os_str().is_empty() {
            return Err(Error::option(
                "output folder",
                "its name is empty; name a folder for the results",
            ));
        }
        if path.is_dir() {
            let mut entries = fs::read_dir(path).map_err(|error| Error::io(path, error))?;
            if !force && entries.next().is_some() {
                return Err(Error::file(
                    path,
                    "the output folder already holds files; name another folder, or add --force \
                     to write there (files with the same names are replaced)",
                ));
            }
        } else if path.exists() {
            return Err(Error::file(
                path,
                "results need a folder, and this is a file; name another folder",
            ));
        }
        let missing = path.ancestors().filter(|p| !p.as_os_str().is_empty() && !p.exists());
        let created = missing.map(Path::to_owned).collect();
        // From here on dropping it tidies up.
        let folder = OutputFolder { path: path.to_owned(), created };
        fs::create_dir_all(path).map_err(|error| Error::io(path, error))?;
        tempfile::NamedTempFile::new_in(path).map_err(|error| Error::io(path, error))?;
        Ok(folder)
    }

    /// Where it is, as the caller named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file `name` through `fill`. The file appears under its name only once it is
    /// complete; an earlier file of that name is replaced then.
    ///
    /// # Errors
    /// [`Error::Option`] when `name` is not a plain file name, [`Error::Io`] when writing fails (a
    /// full disk, say); nothing is left behind then, and an earlier file stays as it was.
    pub fn write(
        &self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        let path = self.path.join(name);
        if Path::new(name).file_name() != Some(name.as_ref()) {
            return Err(Error::option(name, "is not the name of a file"));
        }
        self.try_write(&path, fill).map_err(|error| Error::io(&path, error))
    }

    /// The files of an earlier fit in this folder, as its report names them; none where there is none.
    pub fn earlier(&self) -> Vec<String> {
        let report = fs::read(self.path.join(REPORT_FILE)).ok();
        let report = report.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        let files = report.as_ref().and_then(|report| report["files"].as_array());
        let names = files.into_iter().flatten().filter_map(Value::as_str);
        names.map(str::to_owned).collect()
    }

    /// Removes those of `earlier` files that are not among `files`: pictures of endmembers that have
    /// other names now would pass for results. Names that lead out of the folder are left alone.
    ///
    /// # Errors
    /// [`Error::Io`] when one of them cannot be removed.
    pub fn remove_left(&self, earlier: &[String], files: &[String]) -> Result<()> {
        let plain = |name: &&String| Path::new(name).file_name() == Some(name.as_str().as_ref());
        for name in earlier.iter().filter(|name| !files.contains(name)).filter(plain) {
            let path = self.path.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io(&path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn try_write(
        &self,
        path: &Path,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".unmixel-").suffix(".part");
        // Temporary files are private by default; results get what the user's umask grants.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(&self.path)?;
        let mut buffer = BufWriter::with_capacity(1 << 16, file.as_file_mut());
        fill(&mut buffer)?;
        buffer.flush()?;
        drop(buffer);
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        for folder in &self.created {
            // Removes empty folders only; the first one in use ends it.
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}
