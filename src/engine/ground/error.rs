//! The one error type of the library. Every message is a sentence that names the file or the
//! setting, the value found, and what is allowed. Settings have the names of [`super::setting`];
//! how a program calls them, as by flags, is its own affair.

use std::borrow::Cow;
use std::fmt::Display;
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
    /// A setting has a value that cannot be used.
    #[error("{setting}{}: {reason}", value.as_ref().map(|v| format!(" {v}")).unwrap_or_default())]
    Setting {
        /// Its name, one of [`super::setting::ALL`] where the engine, the starts or the search
        /// refuse it.
        setting: Cow<'static, str>,
        /// The value found, where there is one to tell.
        value: Option<String>,
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
    /// A checkpoint that no run can go on from: it is damaged, or of another scene.
    #[error("{0}")]
    Checkpoint(String),
    /// Someone ended the work before there was anything to report.
    #[error("it was interrupted before there was anything to report")]
    Interrupted,
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

    /// A setting whose value cannot be used.
    pub fn setting(
        setting: impl Into<Cow<'static, str>>,
        value: impl Display,
        reason: impl Into<String>,
    ) -> Self {
        let value = Some(value.to_string());
        Error::Setting { setting: setting.into(), value, reason: reason.into() }
    }

    /// A setting that cannot be used, whose value is no news or part of its name.
    pub fn option(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        let setting = Cow::Owned(setting.into());
        Error::Setting { setting, value: None, reason: reason.into() }
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
            Error::DeviceLost(_) | Error::Fit(_) | Error::Interrupted => false,
            Error::Io { source, .. } => !matches!(
                source.kind(),
                StorageFull | QuotaExceeded | OutOfMemory | FileTooLarge | WriteZero | BrokenPipe
            ),
            _ => true,
        }
    }
}
