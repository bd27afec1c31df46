//! The MATLAB v4 format (`save -v4`, Octave's `-v4`), read only: full numeric matrices.

use std::path::Path;

use super::arrays::{Arrays, NamedArray};
use super::bytes::FileBytes;
use super::numbers::{Kind, Numbers};
use crate::engine::ground::error::{Error, Result};

/// Type, rows, columns, imaginary flag and length of the name, 4 bytes each.
const HEADER: usize = 20;
/// Longer names are no names.
const LONGEST_NAME: usize = 256;

/// The header of one matrix.
struct Head {
    kind: Kind,
    big_endian: bool,
    /// 0 a full matrix, 1 text, 2 a sparse matrix.
    class: u32,
    rows: usize,
    cols: usize,
    complex: bool,
    name: usize,
}

/// True when the bytes begin with a matrix of version 4.
pub(crate) fn is_mat(start: &[u8]) -> bool {
    start.iter().take(4).any(|b| *b == 0)
        && !matches!(start.get(126..128), Some(b"IM" | b"MI"))
        && head(start).is_some()
}

/// Reads every variable of the file.
pub(crate) fn read(path: &Path) -> Result<Arrays> {
    let file = FileBytes::open(path)?;
    let mut found =
        Arrays { path: path.to_owned(), arrays: Vec::new(), others: Vec::new(), matlab: true };
    let mut at = 0;
    while at < file.len() {
        let damaged = || {
            Error::file(
                path,
                format!(
                    "variable number {} (at byte {at}) of this MATLAB version 4 file cannot be \
                     read. The file is damaged or cut short; fetch or save it again.",
                    found.arrays.len() + found.others.len() + 1
                ),
            )
        };
        let described = file.first(at..file.len(), HEADER + LONGEST_NAME)?;
        let head = head(&described).ok_or_else(damaged)?;
        let name = described.get(HEADER..HEADER + head.name).ok_or_else(damaged)?;
        let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
        let start = at + (HEADER + head.name) as u64;
        let parts = if head.complex { 2 } else { 1 };
        let end = [head.rows, head.cols, head.kind.size(), parts]
            .into_iter()
            .try_fold(1u64, |n, d| n.checked_mul(d as u64))
            .and_then(|n| n.checked_add(start))
            .ok_or_else(damaged)?;
        let numbers =
            Numbers::in_file(&file, start..end, head.kind, head.big_endian).ok_or_else(damaged)?;
        match (head.class, head.complex) {
            (0, false) => found.arrays.push(NamedArray {
                name,
                shape: vec![head.rows, head.cols],
                fortran: true,
                numbers,
            }),
            (0, true) => found.others.push((name, "a complex array".into())),
            (1, _) => found.others.push((name, "text".into())),
            _ => found.others.push((name, "a sparse matrix".into())),
        }
        at = end;
    }
    Ok(found)
}

fn head(bytes: &[u8]) -> Option<Head> {
    let word = |i: usize, big: bool| {
        let four: [u8; 4] = bytes.get(4 * i..4 * i + 4)?.try_into().ok()?;
        Some(if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    };
    // The type is a number below 5000 in one of the two byte orders: M O P T as decimal digits.
    let big_endian = word(0, false)? >= 5000;
    let kind = word(0, big_endian)?;
    let (machine, zero, precision, class) =
        (kind / 1000, kind / 100 % 10, kind / 10 % 10, kind % 10);
    if kind >= 5000 || zero != 0 || class > 2 || (machine == 1) != big_endian || machine > 1 {
        return None;
    }
    let kind = match precision {
        0 => Kind::F64,
        1 => Kind::F32,
        2 => Kind::I32,
        3 => Kind::I16,
        4 => Kind::U16,
        5 => Kind::U8,
        _ => return None,
    };
    let length = |i| word(i, big_endian).and_then(|n| i32::try_from(n).ok()?.try_into().ok());
    let (rows, cols): (usize, usize) = (length(1)?, length(2)?);
    let complex = match word(3, big_endian)? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let name: usize = length(4).filter(|n: &usize| (1..=LONGEST_NAME).contains(n))?;
    Some(Head { kind, big_endian, class, rows, cols, complex, name })
}
