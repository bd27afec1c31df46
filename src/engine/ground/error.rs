//! The one error type of the library. Every message is a sentence that names the file or the
//! flag, the value found, and what is allowed.

use std::path::{Path, PathBuf};

/// What can go wrong, sorted by who can mend it.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file holds something that cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file as the caller named it.
        path: PathBuf,
        /// What was found, what is allowed, what to do.
        reason: String,
    },
    /// An option or an argument holds a value that cannot be used.
    #[error("{option}: {reason}")]
    Option {
        /// The option as a user writes it, such as `--endmembers 5`.
        option: String,
        /// What is allowed, what to do.
        reason: String,
    },
    /// The scene and the settings do not fit each other.
    #[error("{0}")]
    Scene(String),
    /// A file or a folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// No such device, or the device cannot hold the work.
    #[error("{0}")]
    Device(String),
    /// The device failed or was lost while it worked.
    #[error("{0}")]
    DeviceLost(String),
    /// The fit could not be carried out, although its input was sound.
    #[error("{0}")]
    Fit(String),
}

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A file whose content cannot be used.
    pub fn file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Error::File { path: path.as_ref().to_owned(), reason: reason.into() }
    }

    /// An option whose value cannot be used.
    pub fn option(option: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Option { option: option.into(), reason: reason.into() }
    }

    /// A failed read or write of `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Error::Io { path: path.as_ref().to_owned(), source }
    }

    /// True when the caller can mend it by giving other input (exit code 2 of the program), false
    /// when the work itself failed (exit code 1).
    pub fn is_bad_input(&self) -> bool {
        use std::io::ErrorKind::{
            BrokenPipe, FileTooLarge, OutOfMemory, QuotaExceeded, StorageFull, WriteZero,
        };
        match self {
            Error::DeviceLost(_) | Error::Fit(_) => false,
            Error::Io { source, .. } => !matches!(
                source.kind(),
                StorageFull | QuotaExceeded | OutOfMemory | FileTooLarge | WriteZero | BrokenPipe
            ),
            _ => true,
        }
    }
}
