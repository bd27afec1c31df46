//! Which header and which data file belong together.

use std::path::{Path, PathBuf};

use super::fields::Fields;
use crate::engine::ground::error::{Error, Result};
use crate::io::open::has_extension;

/// Usual extensions of data files, tried in this order beside a header.
const EXTENSIONS: [&str; 7] = ["img", "dat", "raw", "bsq", "bil", "bip", "sli"];
/// Extensions of files that may lie beside a header and are not its data.
const OTHERS: [&str; 19] = [
    "csv", "txt", "json", "xml", "png", "jpg", "jpeg", "npy", "npz", "mat", "tif", "tiff", "md",
    "py", "h5", "nc", "pdf", "enp", "sta",
];

/// The header and the data file that belong together when the user names either one; `None` when
/// `path` is neither. `start` is the first bytes of `path`.
pub(crate) fn find_pair(path: &Path, start: &[u8]) -> Result<Option<(PathBuf, PathBuf)>> {
    if has_extension(path, "hdr") || start.trim_ascii_start().starts_with(b"ENVI") {
        return find_data(path).map(|data| Some((path.to_owned(), data)));
    }
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let stem = path.file_stem().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    // `a.csv` beside `a.hdr` is not its data; `a.csv` beside `a.csv.hdr` is.
    let by_stem = path.extension().is_none_or(|e| !is_other(&e.to_string_lossy()));
    let mut wanted = vec![format!("{name}.hdr")];
    if by_stem {
        wanted.push(format!("{stem}.hdr"));
    }
    let beside = beside(path);
    let find = |wanted: &String| beside.iter().find(|(name, _)| name == wanted);
    Ok(wanted.iter().find_map(find).map(|(_, header)| (header.clone(), path.to_owned())))
}

fn is_other(extension: &str) -> bool {
    OTHERS.iter().any(|other| extension.eq_ignore_ascii_case(other))
}

/// The files in the folder of `path`, by their names in lower case, in order.
fn beside(path: &Path) -> Vec<(String, PathBuf)> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found: Vec<(String, PathBuf)> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|path| Some((path.file_name()?.to_string_lossy().to_lowercase(), path.clone())))
        .collect();
    found.sort();
    found
}

/// The data of a header: the file of its stem under a usual extension or none, of the right size
/// where there are several; else the only file of its stem that is large enough.
fn find_data(header: &Path) -> Result<PathBuf> {
    let stem_path = header.with_extension("");
    let stem =
        stem_path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let rank = |name: &str| {
        let extension = name.strip_prefix(stem.as_str())?;
        if extension.is_empty() {
            return Some(0);
        }
        let extension = extension.strip_prefix('.')?;
        if extension.contains('.') || extension == "hdr" || is_other(extension) {
            return None;
        }
        let usual = EXTENSIONS.iter().position(|e| *e == extension);
        Some(usual.map_or(EXTENSIONS.len() + 1, |at| at + 1))
    };
    let mut candidates: Vec<(usize, PathBuf)> = beside(header)
        .into_iter()
        .filter(|(_, path)| path != header && path.is_file())
        .filter_map(|(name, path)| Some((rank(&name)?, path)))
        .collect();
    candidates.sort();
    let expected = expected_bytes(header);
    let bytes = |path: &Path| std::fs::metadata(path).map(|m| m.len()).unwrap_or(0);
    let exact = candidates.iter().find(|(_, path)| Some(bytes(path)) == expected);
    let usual = candidates.iter().find(|(rank, _)| *rank <= EXTENSIONS.len());
    let unusual: Vec<_> = candidates
        .iter()
        .filter(|(_, path)| expected.is_some_and(|expected| bytes(path) >= expected))
        .collect();
    match (exact.or(usual), &unusual[..]) {
        (Some((_, path)), _) | (None, [(_, path)]) => Ok(path.clone()),
        _ => Err(Error::file(
            header,
            format!(
                "is an ENVI header, but its data file is missing: looked for `{}` without \
                 extension, with .{}, and with any other that has the size which the header \
                 describes.",
                stem_path.display(),
                EXTENSIONS.join(", .")
            ),
        )),
    }
}

/// The size that a header describes; none where it does not.
fn expected_bytes(header: &Path) -> Option<u64> {
    let fields = Fields::read(header).ok()?;
    let count = |key| fields.count(key).ok();
    let size = [count("lines")?, count("samples")?, count("bands")?];
    fields.layout(size).ok().map(|layout| layout.end)
}
