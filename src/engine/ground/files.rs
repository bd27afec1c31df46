//! Opening files that may be anything.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::spare::asking;

/// Opens an ordinary file. A pipe or a device is refused: the one would be waited for without end,
/// and neither can be read twice.
///
/// # Errors
///
/// [`Error::File`] for what is no ordinary file, [`Error::Io`].
pub fn open(path: &Path) -> Result<File> {
    let found = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    if found.is_dir() {
        return Err(Error::file(path, "is a folder; name a file."));
    }
    if !found.is_file() {
        return Err(Error::file(
            path,
            "is no ordinary file but a pipe, a socket or a device; save what it gives to a file, \
             and name that.",
        ));
    }
    File::open(path).map_err(|e| Error::io(path, e))
}

/// All bytes of an ordinary file.
///
/// # Errors
///
/// As [`open`], and [`Error::Io`] where memory does not hold them.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let (mut file, mut bytes) = (open(path)?, Vec::new());
    asking(|| file.read_to_end(&mut bytes)).map_err(|e| Error::io(path, e))?;
    Ok(bytes)
}

#[cfg(all(test, feature = "formats"))]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_what_is_none_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "text").unwrap();
        assert_eq!(read(&path).unwrap(), b"text");
        assert!(read(folder.path()).unwrap_err().to_string().contains("is a folder"));
        assert!(matches!(read(&folder.path().join("b")), Err(Error::Io { .. })));
        #[cfg(unix)]
        assert!(read(Path::new("/dev/null")).unwrap_err().to_string().contains("no ordinary"));
    }
}
