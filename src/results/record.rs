//! What this program wrote into a folder: the name, the length and the hash of every file. The
//! record decides what may be replaced, and whoever reads a result checks it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::disk;
use super::report::REPORT_FILE;
use crate::engine::ground::error::{Error, Result};

/// Name of the file in each folder of results.
pub const RECORD_FILE: &str = "record.json";
/// What is longer is no record (some 200 bytes a file) and no report.
const LONGEST: u64 = 64 << 20;

/// Every file that this program wrote in one folder, the record itself excepted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Record {
    /// Version of this crate.
    pub(super) unmixel: String,
    pub(super) files: Vec<Entry>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// A plain name, without folders.
    pub(super) name: String,
    pub(super) bytes: u64,
    /// In hexadecimal.
    pub(super) sha256: String,
    /// What kind of result it belongs to, such as `fit`.
    pub(super) by: String,
}

impl Record {
    /// The record in a folder; empty where there is none or it cannot be read, as nothing may be
    /// replaced then.
    pub(super) fn of(folder: &Path) -> Record {
        let mut record = Record::read(folder).unwrap_or_default();
        record.files.retain(|entry| is_plain(&entry.name) && entry.name != RECORD_FILE);
        record
    }

    /// Whether the file of that name is a record at all: others may call their own so.
    pub(super) fn is_in(folder: &Path) -> bool {
        Record::read(folder).is_some()
    }

    fn read(folder: &Path) -> Option<Record> {
        let path = folder.join(RECORD_FILE);
        // Before it is opened: a pipe would be waited for.
        std::fs::symlink_metadata(&path).ok().filter(|found| found.is_file())?;
        let mut text = Vec::new();
        File::open(&path).ok()?.take(LONGEST).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    pub(super) fn entry(&self, name: &std::ffi::OsStr) -> Option<&Entry> {
        self.files.iter().find(|entry| name == entry.name.as_str())
    }

    /// Whether the file of that name in `folder` is the one on record, to the last byte.
    pub(super) fn holds(&self, folder: &Path, name: &std::ffi::OsStr) -> bool {
        self.entry(name).is_some_and(|entry| entry.is_of(&folder.join(name)))
    }
}

impl Entry {
    /// Whether `path` is an ordinary file with the length and the hash of this entry.
    pub(super) fn is_of(&self, path: &Path) -> bool {
        let found = std::fs::symlink_metadata(path);
        let may_be = |length: u64| length == self.bytes || self.name == REPORT_FILE;
        found.is_ok_and(|found| found.is_file() && may_be(found.len()))
            && sum(path).is_ok_and(|sum| sum == (self.bytes, self.sha256.clone()))
    }
}

/// True for a name that leads nowhere but into its own folder.
pub(super) fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(only)), None) if only == name)
        && !name.contains(['/', '\\', '\0'])
}

/// Length and SHA-256 of a file. Those of a report are without what differs from run to run, so
/// that the record of the same results has the same bytes.
fn sum(path: &Path) -> io::Result<(u64, String)> {
    let file = File::open(path)?;
    if path.file_name() == Some(REPORT_FILE.as_ref()) && file.metadata()?.len() < LONGEST {
        let text = std::fs::read(path)?;
        if let Ok(Value::Object(mut report)) = serde_json::from_slice(&text)
            && report.remove("run").is_some()
        {
            let text = serde_json::to_vec(&report)?;
            return Ok((text.len() as u64, digits(Sha256::digest(&text).as_slice())));
        }
    }
    hash(&file)
}

fn digits(sum: &[u8]) -> String {
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(mut file: &File) -> io::Result<(u64, String)> {
    let (mut sum, mut bytes, mut block) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let n = file.read(&mut block)?;
        if n == 0 {
            return Ok((bytes, digits(sum.finalize().as_slice())));
        }
        bytes += n as u64;
        sum.update(&block[..n]);
    }
}

/// Puts every file of a staged folder on the disk and writes the record of them, which takes over
/// the entries of `earlier` that belong to other kinds of results.
pub(super) fn seal(staged: &Path, by: &str, earlier: &Record) -> io::Result<()> {
    let mut files = Vec::new();
    for name in disk::names(staged)? {
        let path = staged.join(&name);
        if disk::is_folder(&path) || name == RECORD_FILE {
            continue;
        }
        disk::sync_file(&File::open(&path)?)?;
        let (bytes, sha256) = sum(&path)?;
        let name = name.to_string_lossy().into_owned();
        files.push(Entry { name, bytes, sha256, by: by.to_owned() });
    }
    let written: HashSet<String> = files.iter().map(|new| new.name.clone()).collect();
    let others = earlier.files.iter().filter(|old| old.by != by && !written.contains(&old.name));
    files.extend(others.cloned());
    let record = Record { unmixel: env!("CARGO_PKG_VERSION").to_owned(), files };
    let path = staged.join(RECORD_FILE);
    let mut to = io::BufWriter::new(disk::create(&path)?);
    serde_json::to_writer_pretty(&mut to, &record)?;
    io::Write::write_all(&mut to, b"\n")?;
    io::Write::flush(&mut to)?;
    disk::sync_file(&File::open(&path)?)?;
    disk::sync_folder(staged)
}

/// Checks that these files in a folder of results are what one run wrote.
///
/// # Errors
/// [`Error::File`] when the folder has no record, or a file is missing, not on record or another.
pub fn check(folder: &Path, names: &[&str]) -> Result<()> {
    super::stage::settle(folder)?;
    if !folder.join(RECORD_FILE).is_file() {
        return Err(Error::file(
            folder,
            format!(
                "holds no {RECORD_FILE}, so it is no result that unmixel wrote, or not all of one; \
                 copy the whole folder, or name the file of abundances itself."
            ),
        ));
    }
    let record = Record::of(folder);
    for name in names {
        if record.entry(name.as_ref()).is_none() {
            return Err(Error::file(
                folder.join(name),
                format!("is not on record in {RECORD_FILE}; fit the scene again."),
            ));
        }
        if !record.holds(folder, name.as_ref()) {
            return Err(Error::file(
                folder.join(name),
                format!(
                    "is missing or not the file on record in {RECORD_FILE}: it was changed, or is \
                     of another run. Fit the scene again, or name the file itself to score it as \
                     that of another program."
                ),
            ));
        }
    }
    Ok(())
}
