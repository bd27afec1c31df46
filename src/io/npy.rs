//! NumPy's NPY and NPZ.
//!
//! ndarray-npy parses the header; the values are taken from the file or out of the archive here,
//! because its own reader allocates whatever size a header states.

use std::io::Read;
use std::path::Path;

use ndarray_npy::npy::header::Header as NpyHeader;

use super::array_scene;
use super::arrays::{Arrays, NamedArray};
use super::bytes::{FileBytes, Stream};
use super::numbers::{Kind, Numbers};
use super::open::OpenOptions;
use super::strided::Strided;
use crate::engine::ground::error::{Error, Result};

/// The limit that NumPy itself sets on what it parses.
const LONGEST_HEADER: usize = 10_000;

pub(crate) fn is_npy(start: &[u8]) -> bool {
    start.starts_with(b"\x93NUMPY")
}

/// NPZ files are zip archives; the second mark is that of an empty one.
pub(crate) fn is_npz(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06")
}

/// Finds every array of an NPZ, or the one of an NPY (its name is empty). Values stay in the file
/// until they are read.
pub(crate) fn read(path: &Path) -> Result<Arrays> {
    let mut found =
        Arrays { path: path.to_owned(), arrays: Vec::new(), others: Vec::new(), matlab: false };
    let file = FileBytes::open(path)?;
    let start = file.first(0..file.len(), LONGEST_HEADER + 12)?;
    if is_npy(&start) {
        let (layout, start) = parse_header(&start).map_err(|why| Error::file(path, why))?;
        let stated = layout.bytes().map_err(|why| Error::file(path, why))?;
        let start = start as u64;
        let held = file.len().saturating_sub(start);
        let numbers = (stated as u64 == held)
            .then(|| Numbers::in_file(&file, start..file.len(), layout.kind, layout.big_endian))
            .flatten()
            .ok_or_else(|| Error::file(path, layout.mismatch(stated, held)))?;
        found.arrays.push(layout.named(String::new(), numbers));
        return Ok(found);
    }
    let damaged = |what: String| {
        Error::file(path, format!("{what}. The archive is damaged or cut short; save it again."))
    };
    let mut zip = super::bytes::archive(&file)
        .map_err(|e| damaged(format!("cannot be read as an NPZ archive ({e})")))?;
    for index in 0..zip.len() {
        let mut entry = zip
            .by_index(index)
            .map_err(|e| damaged(format!("its entry number {} cannot be read ({e})", index + 1)))?;
        let name = entry.name().strip_suffix(".npy").unwrap_or(entry.name()).to_owned();
        let size = entry.size();
        let mut start = Vec::new();
        Read::take(&mut entry, LONGEST_HEADER as u64 + 12)
            .read_to_end(&mut start)
            .map_err(|e| damaged(format!("its entry `{name}` cannot be unpacked ({e})")))?;
        match parse_header(&start) {
            Ok((layout, start)) => {
                let within = |why| Error::file(path, format!("its array `{name}`: {why}"));
                let stated = layout.bytes().map_err(within)?;
                let held = size.saturating_sub(start as u64);
                if stated as u64 != held {
                    return Err(within(layout.mismatch(stated, held)));
                }
                let place = (start as u64, stated);
                let (kind, big_endian) = (layout.kind, layout.big_endian);
                let numbers = Numbers::packed(&file, Stream::Zip(index), place, kind, big_endian);
                found.arrays.push(layout.named(name, numbers));
            }
            // Numbers may be written as text.
            Err(_) if let Some(texts) = texts(&start, size, &mut entry) => {
                match super::texts::numbers(&texts) {
                    Some(values) => found.arrays.push(super::texts::named(name, &values)),
                    None => found.others.push((name, "text".into())),
                }
            }
            // Text, objects and foreign files may lie beside the arrays.
            Err(why) => found.others.push((name, why.trim_end_matches('.').to_owned())),
        }
    }
    Ok(found)
}

/// The texts of an array of them, such as `<U6` or `|S6`, that begins with `start` and goes on in
/// `rest`; `None` where it is none or has too many.
fn texts(start: &[u8], size: u64, rest: &mut dyn Read) -> Option<Vec<String>> {
    let body = usize::from(u16::from_le_bytes([*start.get(8)?, *start.get(9)?]));
    let header = std::str::from_utf8(start.get(10..10 + body)?).ok()?;
    let descriptor = header.split("'descr':").nth(1)?.split('\'').nth(1)?;
    let (kind, length) = descriptor.trim_start_matches(['<', '>', '|']).split_at_checked(1)?;
    let width = match kind {
        "U" => 4,
        "S" => 1,
        _ => return None,
    };
    let length = length.parse::<usize>().ok().filter(|n| (1..=64).contains(n))?;
    let count = size.checked_sub(10 + body as u64)? / (length * width) as u64;
    if count > super::texts::MOST as u64 {
        return None;
    }
    let mut bytes = start.get(10 + body..)?.to_vec();
    rest.take(size).read_to_end(&mut bytes).ok()?;
    let big_endian = descriptor.starts_with('>');
    let letter = |b: &[u8]| match (<[u8; 4]>::try_from(b), big_endian) {
        (Ok(four), true) => char::from_u32(u32::from_be_bytes(four)),
        (Ok(four), false) => char::from_u32(u32::from_le_bytes(four)),
        (Err(_), _) => b.first().map(|b| char::from(*b)),
    };
    let text = |b: &[u8]| b.chunks_exact(width).filter_map(letter).filter(|c| *c != '\0').collect();
    Some(bytes.chunks_exact(length * width).map(text).collect())
}

/// Opens the scene among the arrays of an NPZ, or the one of an NPY.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Strided> {
    array_scene::open(path, read(path)?, options)
}

/// How an NPY lays its values out.
struct Layout {
    kind: Kind,
    big_endian: bool,
    fortran: bool,
    shape: Vec<usize>,
}

impl Layout {
    /// The bytes that the values take by the header.
    fn bytes(&self) -> Result<usize, String> {
        self.shape.iter().try_fold(self.kind.size(), |n, d| n.checked_mul(*d)).ok_or_else(|| {
            format!("states the size {:?}, more than any machine can hold.", self.shape)
        })
    }

    fn mismatch(&self, stated: usize, held: u64) -> String {
        format!(
            "the size {:?} takes {stated} bytes, but {held} follow the header. The file is damaged \
             or cut short; save it again.",
            self.shape
        )
    }

    fn named(self, name: String, numbers: Numbers) -> NamedArray {
        NamedArray { name, shape: self.shape, fortran: self.fortran, numbers }
    }
}

/// Parses the header of an NPY and gives where the values begin, or says why that cannot be.
fn parse_header(bytes: &[u8]) -> Result<(Layout, usize), String> {
    let prefix = bytes.get(..12).ok_or("is no NPY array: it holds fewer than 12 bytes.")?;
    let (len, start): (usize, usize) = match *prefix {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, ..] => {
            (usize::from(u16::from_le_bytes([a, b])), 10)
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', _, _, a, b, c, d] => {
            (u32::from_le_bytes([a, b, c, d]) as usize, 12)
        }
        _ => return Err("is no NPY array.".into()),
    };
    let text = start
        .checked_add(len)
        .filter(|_| len <= LONGEST_HEADER)
        .and_then(|end| bytes.get(start..end))
        .ok_or_else(|| format!("states an NPY header of {len} bytes, more than there can be."))?;
    // The parser takes time that grows without bound with the depth of brackets (ten minutes do not
    // do for 5000); a plain array has one of `{` and one of `(`.
    if text.iter().filter(|b| matches!(b, b'(' | b'[' | b'{')).count() > 2 {
        return Err("has an NPY header with nested types; only plain numbers are read.".into());
    }
    let header = NpyHeader::from_reader(&mut &bytes[..start + len])
        .map_err(|e| format!("has an NPY header that cannot be read ({e})."))?;
    let descriptor = header.type_descriptor.as_string().map_or("", String::as_str);
    let kind = match descriptor.get(1..) {
        Some("f2") => Kind::F16,
        Some("f4") => Kind::F32,
        Some("f8") => Kind::F64,
        Some("u1" | "b1") => Kind::U8,
        Some("i1") => Kind::I8,
        Some("u2") => Kind::U16,
        Some("i2") => Kind::I16,
        Some("u4") => Kind::U32,
        Some("i4") => Kind::I32,
        Some("u8") => Kind::U64,
        Some("i8") => Kind::I64,
        _ => {
            return Err(format!(
                "has values of the type {}; whole numbers and floating-point numbers are read.",
                header.type_descriptor
            ));
        }
    };
    let layout = Layout {
        kind,
        big_endian: descriptor.starts_with('>'),
        fortran: header.layout.is_fortran(),
        shape: header.shape,
    };
    Ok((layout, start + len))
}
