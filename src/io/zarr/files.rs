//! Where the files of a Zarr store lie: in a folder, or in a ZIP archive.

use std::collections::HashSet;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::engine::ground::error::{Error, Result};
use crate::io::bytes::{FileBytes, Reader, archive};

/// What one allocation may exceed the size of the store by.
pub(super) const BUDGET: u64 = 64 << 20;
/// Files that are looked at to find out the size of a store, and folders to find its arrays.
const MOST_COUNTED: usize = 100_000;
pub(super) const MOST_ARRAYS: usize = 20_000;
const DEEPEST: usize = 24;
/// Files that say that a folder is an array or a group.
const MARKS: [&str; 4] = ["zarr.json", ".zarray", ".zgroup", ".zmetadata"];

/// The files of a store, by keys such as `reflectance/0.0.0`.
pub(super) enum Files {
    Folder(PathBuf),
    Archive {
        /// What stands before every key.
        base: String,
        names: HashSet<String>,
        zip: Mutex<zip::ZipArchive<BufReader<Reader>>>,
    },
}

/// True for a folder, or the archive of a folder, that holds Zarr arrays.
pub(crate) fn is_store(path: &Path) -> bool {
    if path.is_dir() {
        return MARKS.iter().any(|mark| path.join(mark).is_file());
    }
    let found = || Some(base_of(&archive(&FileBytes::open(path).ok()?).ok()?));
    found().flatten().is_some()
}

/// What stands before every key of an archive; none where it is no store.
fn base_of(zip: &zip::ZipArchive<BufReader<Reader>>) -> Option<String> {
    let marked = zip.file_names().filter_map(|name| {
        MARKS.iter().find_map(|mark| name.strip_suffix(mark)).map(str::to_owned)
    });
    let outermost = marked.min_by_key(String::len)?;
    // One folder may stand around the store.
    (outermost.matches('/').count() <= 1).then_some(outermost)
}

impl Files {
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(Files::Folder(path.to_owned()));
        }
        let damaged = |what: String| {
            Error::file(path, format!("cannot be read as an archive of Zarr arrays ({what})."))
        };
        let zip = archive(&FileBytes::open(path)?).map_err(damaged)?;
        let base = base_of(&zip).ok_or_else(|| damaged("it holds none".into()))?;
        let names = zip.file_names().map(str::to_owned).collect();
        Ok(Files::Archive { base, names, zip: Mutex::new(zip) })
    }

    /// The size of the store in bytes, counted up to many files.
    pub(super) fn size(&self, path: &Path) -> u64 {
        match self {
            Files::Archive { .. } => std::fs::metadata(path).map_or(0, |m| m.len()),
            Files::Folder(folder) => folder_size(folder),
        }
    }

    /// All bytes of a file, `None` where there is none; an error where it has more than `most`.
    pub(super) fn read(&self, path: &Path, key: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let large = || Error::file(path, format!("`{key}` is larger than such a file can be."));
        match self {
            Files::Folder(folder) => {
                let place = folder.join(key);
                let found = match std::fs::metadata(&place) {
                    Ok(found) if found.is_file() => found,
                    Ok(_) => return Ok(None),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    // A file where a folder should be: there is no such chunk.
                    Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                        return Ok(None);
                    }
                    Err(error) => return Err(Error::io(&place, error)),
                };
                if found.len() > most {
                    return Err(large());
                }
                let mut bytes = Vec::new();
                std::fs::File::open(&place)
                    .and_then(|file| file.take(most).read_to_end(&mut bytes))
                    .map_err(|error| Error::io(&place, error))?;
                Ok(Some(bytes))
            }
            Files::Archive { base, names, zip } => {
                let name = format!("{base}{key}");
                if !names.contains(&name) {
                    return Ok(None);
                }
                let damaged = |what: String| {
                    Error::file(
                        path,
                        format!(
                            "its entry `{name}` cannot be unpacked ({what}). The archive is \
                             damaged or cut short; save it again."
                        ),
                    )
                };
                let mut zip =
                    zip.lock().map_err(|_| damaged("a reader of it has failed".into()))?;
                let entry = zip.by_name(&name).map_err(|e| damaged(e.to_string()))?;
                if entry.size() > most {
                    return Err(large());
                }
                let mut bytes = Vec::new();
                entry.take(most).read_to_end(&mut bytes).map_err(|e| damaged(e.to_string()))?;
                Ok(Some(bytes))
            }
        }
    }

    /// Places of all groups and arrays, the outermost (empty) first.
    pub(super) fn places(&self) -> Vec<String> {
        match self {
            Files::Folder(folder) => {
                let mut found = Vec::new();
                walk(folder, "", DEEPEST, &mut found);
                found
            }
            Files::Archive { base, names, .. } => {
                let place = |name: &String| {
                    let key = name.strip_prefix(base.as_str())?;
                    let place = MARKS.iter().find_map(|mark| key.strip_suffix(mark))?;
                    Some(place.trim_end_matches('/').to_owned())
                };
                let mut found: Vec<String> = names.iter().filter_map(place).collect();
                found.sort();
                found.dedup();
                found.truncate(MOST_ARRAYS);
                found
            }
        }
    }
}

/// Bytes of the files in a folder and those below it, counted up to many files.
pub(crate) fn folder_size(folder: &Path) -> u64 {
    let (mut size, mut left) = (0u64, MOST_COUNTED);
    count(folder, DEEPEST, &mut size, &mut left);
    size
}

fn count(folder: &Path, depth: usize, size: &mut u64, left: &mut usize) {
    let Some(depth) = depth.checked_sub(1) else { return };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Some(less) = left.checked_sub(1) else { return };
        *left = less;
        match entry.metadata() {
            Ok(found) if found.is_dir() => count(&entry.path(), depth, size, left),
            Ok(found) => *size = size.saturating_add(found.len()),
            Err(_) => {}
        }
    }
}

fn walk(folder: &Path, place: &str, depth: usize, found: &mut Vec<String>) {
    let has = |mark: &str| folder.join(mark).is_file();
    if found.len() >= MOST_ARRAYS || !(MARKS.iter().any(|mark| has(mark)) || place.is_empty()) {
        return;
    }
    found.push(place.to_owned());
    let Some(depth) = depth.checked_sub(1) else { return };
    // Below an array there are chunks.
    if has(".zarray") {
        return;
    }
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    for name in names {
        let below = if place.is_empty() { name.clone() } else { format!("{place}/{name}") };
        walk(&folder.join(&name), &below, depth, found);
    }
}

/// The folder of the store that holds the array or the file of metadata at `path`, and the array's
/// place in it.
pub(super) fn root_of(path: &Path) -> (PathBuf, Option<String>) {
    let marked = |folder: &Path| MARKS.iter().any(|mark| folder.join(mark).is_file());
    if !path.is_dir() {
        return (path.to_owned(), None);
    }
    let (mut root, mut place) = (path.to_owned(), String::new());
    for _ in 0..DEEPEST {
        let Ok(full) = root.canonicalize() else { break };
        let (Some(parent), Some(name)) = (full.parent(), full.file_name()) else { break };
        if !marked(parent) {
            break;
        }
        let name = name.to_string_lossy();
        place = if place.is_empty() { name.into_owned() } else { format!("{name}/{place}") };
        root = parent.to_owned();
    }
    (root, Some(place).filter(|place| !place.is_empty()))
}
