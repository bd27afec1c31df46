//! The MATLAB v5 format ("level 5", what `save -v5`, `-v6` and `-v7` write), read only: which
//! variables there are, and the numbers of the dense real ones.
//!
//! Written here because the crate for it refuses int32 arrays and whole files that hold one object,
//! prints to standard output, and takes sizes from the file on trust.

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::arrays::{Arrays, NamedArray};
use super::bytes::{FileBytes, Stream, with_stream};
use super::numbers::{Kind, Numbers};
use super::open::known_content;
use crate::engine::ground::error::{Error, Result};

const HEADER: usize = 128;
/// Element types of the format.
const INT32: u32 = 5;
const UINT32: u32 = 6;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;

/// Bytes of a variable that are looked at before its values: flags, dimensions and the name, which
/// MATLAB keeps to 63 letters.
const DESCRIPTION: usize = 1 << 16;

/// One variable; its values are still where they were.
enum Variable {
    Array(NamedArray),
    /// A structure: its name, those of its fields, and where in the element the first begins.
    Struct(String, Vec<String>, usize),
    Other(String, String),
    /// MATLAB's own bookkeeping, which has no name.
    Hidden,
}

/// Reads every variable of the file.
pub(crate) fn read(path: &Path) -> Result<Arrays> {
    let file = FileBytes::open(path)?;
    let start = file.first(0..file.len(), HEADER)?;
    let big_endian = check_header(&start, file.len()).map_err(|why| Error::file(path, why))?;
    let mut found =
        Arrays { path: path.to_owned(), arrays: Vec::new(), others: Vec::new(), matlab: true };
    let mut at = HEADER as u64;
    while at < file.len() {
        let position = found.arrays.len() + found.others.len() + 1;
        let broken = |why: String| {
            Error::file(
                path,
                format!(
                    "variable number {position} (at byte {at}) cannot be read: {why}. The file is \
                     damaged or cut short; fetch or save it again."
                ),
            )
        };
        let (element, next) = Element::at(&file, at, big_endian)?.map_err(broken)?;
        let variable = element.variable(0, element.len, None).map_err(broken)?;
        element.add(variable, 0, &mut found).map_err(broken)?;
        at = next;
    }
    Ok(found)
}

/// True when the bytes are MAT v5, or v7.3, which shares the header.
pub(crate) fn is_mat(start: &[u8]) -> bool {
    matches!(start.get(126..128), Some(b"IM" | b"MI"))
}

/// Gives the byte order, or why the file is not MAT v5.
fn check_header(bytes: &[u8], held: u64) -> Result<bool, String> {
    let convert = "In MATLAB, load it and `save('new.mat', ..., '-v7')`; in Python, write it with \
                   scipy.io.savemat.";
    let order = bytes.get(126..128);
    if let (false, Some(what)) = (matches!(order, Some(b"IM" | b"MI")), known_content(bytes)) {
        return Err(format!("is called .mat, but {what}"));
    }
    let (Some(_), Some(version)) = (bytes.get(..HEADER), bytes.get(124..126)) else {
        return Err(format!(
            "holds {held} bytes, fewer than the {HEADER} of a MATLAB header: the file is cut short."
        ));
    };
    let big_endian = match order {
        Some(b"IM") => false,
        Some(b"MI") => true,
        _ => {
            return Err(
                "is not a MATLAB file of version 4 or 5: bytes 126 and 127 are not `IM` or \
                        `MI`."
                    .into(),
            );
        }
    };
    match (big_endian, version) {
        (false, [0, 1]) | (true, [1, 0]) => Ok(big_endian),
        (false, [0, 2]) | (true, [2, 0]) => Err(format!(
            "is a MATLAB v7.3 file, which is HDF5 inside and is not read. {convert} (h5py reads \
             v7.3 in Python, with the order of the axes reversed.)"
        )),
        _ => Err(format!("states the MATLAB format version {version:?}, which is not known.")),
    }
}

/// The element of one variable: bytes of the file, or of a compressed stream in it.
struct Element<'a> {
    file: &'a Arc<FileBytes>,
    /// Where the content begins in the file, for one that is not compressed.
    start: u64,
    stream: Option<Stream>,
    len: usize,
    big_endian: bool,
}

/// Structures may lie in each other.
const DEEPEST: usize = 4;
/// Those with more fields hold no scene.
const MOST_FIELDS: usize = 256;

impl<'a> Element<'a> {
    /// The element at byte `at`, and where the next begins; or why there is none.
    #[allow(clippy::type_complexity, reason = "either may fail: the file, or what it says")]
    fn at(
        file: &'a Arc<FileBytes>,
        at: u64,
        big_endian: bool,
    ) -> Result<Result<(Self, u64), String>> {
        let short = || "it ends before its stated size".to_owned();
        let tag = file.first(at..(at + 8).min(file.len()), 8)?;
        let mut cursor = Cursor { bytes: &tag, len: tag.len(), at: 0, big_endian };
        let (Some(kind), Some(size)) = (cursor.u32(), cursor.u32()) else {
            return Ok(Err(short()));
        };
        let start = at + 8;
        let end = start + u64::from(size);
        if end > file.len() {
            return Ok(Err(short()));
        }
        // Padding to a multiple of 8 counts as part of the size here, as MATLAB writes it.
        let plain = Element { file, start, stream: None, len: size as usize, big_endian };
        Ok(match kind {
            MATRIX => Ok((plain, end)),
            COMPRESSED => {
                let stream = Some(Stream::Zlib(start..end));
                let packed = Element { stream, start: 0, ..plain };
                let tag = packed.peek(0, 8);
                tag.and_then(|tag| {
                    let mut cursor = Cursor { bytes: &tag, len: tag.len(), at: 0, big_endian };
                    let kind = cursor.u32().ok_or_else(short)?;
                    let size = cursor.u32().ok_or_else(short)? as usize;
                    if kind != MATRIX {
                        return Err(format!(
                            "it unpacks to an element of type {kind}, not to an array"
                        ));
                    }
                    Ok((Element { start: 8, len: size, ..packed }, end))
                })
            }
            other => Err(format!("it has the element type {other}; an array was expected")),
        })
    }

    /// Up to `most` bytes of the content from `at` on.
    fn peek(&self, at: usize, most: usize) -> Result<Vec<u8>, String> {
        let from = self.start + at as u64;
        let Some(stream) = &self.stream else {
            let end = (from + most as u64).min(self.start + self.len as u64);
            return self.file.first(from..end, most).map_err(|error| error.to_string());
        };
        let mut bytes = Vec::new();
        let read = with_stream(self.file, stream, |unpacked| {
            std::io::copy(&mut Read::take(&mut *unpacked, from), &mut std::io::sink())?;
            Read::take(unpacked, most as u64).read_to_end(&mut bytes)
        });
        match read {
            Ok(Ok(_)) => Ok(bytes),
            Ok(Err(error)) => Err(format!("its compressed data are bad ({error})")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The array whose description begins at `at` of the content and takes `len` bytes.
    fn variable(&self, at: usize, len: usize, name: Option<&str>) -> Result<Variable, String> {
        // Beyond the end of a short one, since only there a stream says that it is damaged.
        let mut bytes = self.peek(at, DESCRIPTION)?;
        bytes.truncate(len);
        if bytes.len() < len.min(DESCRIPTION) {
            return Err("it ends before its stated size".to_owned());
        }
        let keep = |range: Range<usize>, kind| {
            let start = self.start + (at + range.start) as u64;
            let length = range.end - range.start;
            match &self.stream {
                None => {
                    let range = start..start + length as u64;
                    Numbers::in_file(self.file, range, kind, self.big_endian)
                }
                Some(stream) => {
                    let place = (start, length);
                    Some(Numbers::packed(self.file, stream.clone(), place, kind, self.big_endian))
                }
            }
        };
        read_matrix(&bytes, len, self.big_endian, name, keep)
    }

    /// Adds a variable, or the fields of a structure under its name, to what was found.
    fn add(&self, variable: Variable, depth: usize, found: &mut Arrays) -> Result<(), String> {
        match variable {
            Variable::Array(array) => found.arrays.push(array),
            Variable::Other(name, what) => found.others.push((name, what)),
            Variable::Hidden => {}
            Variable::Struct(name, ..) if depth >= DEEPEST => {
                found.others.push((name, "a struct".into()));
            }
            Variable::Struct(name, fields, first) => {
                let mut at = first;
                for field in fields {
                    let tag = self.peek(at, 8)?;
                    let big_endian = self.big_endian;
                    let mut cursor = Cursor { bytes: &tag, len: tag.len(), at: 0, big_endian };
                    let (kind, size) = cursor.u32().zip(cursor.u32()).unwrap_or_default();
                    let end = at.checked_add(8 + size as usize).filter(|end| *end <= self.len);
                    let Some(end) = end.filter(|_| kind == MATRIX) else {
                        return Err(format!("the fields of `{name}` end too early"));
                    };
                    let own = format!("{name}.{field}");
                    if size > 0 {
                        let inner = self.variable(at + 8, size as usize, Some(&own))?;
                        let inner = match inner {
                            // Counted from the start of the field.
                            Variable::Struct(name, fields, first) => {
                                Variable::Struct(name, fields, at + 8 + first)
                            }
                            other => other,
                        };
                        self.add(inner, depth + 1, found)?;
                    }
                    at = end;
                }
            }
        }
        Ok(())
    }
}

/// Reads the parts of an array element of `len` bytes that begins with `bytes`; `keep` takes hold
/// of the numbers at a range of the element. `called` is the name of one that has none, since it is
/// a field of a structure.
fn read_matrix(
    bytes: &[u8],
    len: usize,
    big_endian: bool,
    called: Option<&str>,
    keep: impl Fn(Range<usize>, Kind) -> Option<Numbers>,
) -> Result<Variable, String> {
    let short = || "it ends within its description".to_owned();
    if bytes.is_empty() {
        return Ok(Variable::Hidden);
    }
    let mut cursor = Cursor { bytes, len, at: 0, big_endian };
    let (kind, flags) = cursor.element().ok_or_else(short)?;
    if kind != UINT32 || flags.len() < 4 {
        return Err("its flags are not where they belong".into());
    }
    let flags = Cursor { bytes, len, at: flags.start, big_endian }.u32().ok_or_else(short)?;
    let class = match flags & 0xff {
        1 => Some("a cell array"),
        2 => Some("a struct"),
        3 => Some("an object"),
        4 => Some("text"),
        5 => Some("a sparse matrix"),
        6..=15 if flags & 0x800 != 0 => Some("a complex array"),
        6..=15 => None,
        16 => Some("a function"),
        // An opaque object puts its name where others have their size.
        17 => return Ok(Variable::Other("?".into(), "an object".into())),
        other => return Err(format!("its class {other} is not known")),
    };
    let (kind, dims) = cursor.element().ok_or_else(short)?;
    if kind != INT32 || dims.len() < 8 || dims.len() % 4 != 0 {
        return Err("its dimensions are not where they belong".into());
    }
    let mut lengths = Cursor { bytes, len, at: dims.start, big_endian };
    let shape = (0..dims.len() / 4)
        .map(|_| lengths.u32().and_then(|n| i32::try_from(n).ok()?.try_into().ok()))
        .collect::<Option<Vec<usize>>>()
        .ok_or("a dimension of it is negative")?;
    let (_, name) = cursor.element().ok_or_else(short)?;
    let own = String::from_utf8_lossy(bytes.get(name).ok_or_else(short)?).into_owned();
    let name = called.map_or(own, str::to_owned);
    if name.is_empty() {
        return Ok(Variable::Hidden);
    }
    if class == Some("a struct")
        && shape.iter().all(|n| *n == 1)
        && let Some(fields) = field_names(bytes, &mut cursor)
    {
        return Ok(Variable::Struct(name, fields, cursor.at));
    }
    if let Some(what) = class {
        return Ok(Variable::Other(name, what.to_owned()));
    }
    let (kind, data) =
        cursor.element().ok_or_else(|| format!("the values of `{name}` end too early"))?;
    // The type of storage, which may be narrower than the class: MATLAB stores doubles that are
    // whole numbers as bytes.
    let kind = match kind {
        1 => Kind::I8,
        2 => Kind::U8,
        3 => Kind::I16,
        4 => Kind::U16,
        5 => Kind::I32,
        6 => Kind::U32,
        7 => Kind::F32,
        9 => Kind::F64,
        12 => Kind::I64,
        13 => Kind::U64,
        other => return Err(format!("`{name}` stores its values as the unknown type {other}")),
    };
    let stated = shape.iter().try_fold(kind.size(), |n, d| n.checked_mul(*d));
    if stated != Some(data.len()) {
        return Err(format!(
            "`{name}` states the size {shape:?} but holds {} values",
            data.len() / kind.size()
        ));
    }
    let numbers = keep(data, kind).ok_or_else(short)?;
    Ok(Variable::Array(NamedArray { name, shape, fortran: true, numbers }))
}

/// The names of a structure's fields, each in as many bytes as the longest; `None` where they are
/// not where they belong.
fn field_names(bytes: &[u8], cursor: &mut Cursor<'_>) -> Option<Vec<String>> {
    let (_, length) = cursor.element()?;
    let at =
        Cursor { bytes, len: cursor.len, at: length.start, big_endian: cursor.big_endian }.u32()?;
    let length = usize::try_from(at).ok().filter(|n| (1..=64).contains(n))?;
    let (_, names) = cursor.element()?;
    let names = bytes.get(names)?.chunks_exact(length);
    let name = |bytes: &[u8]| {
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    (names.len() <= MOST_FIELDS).then(|| names.map(name).collect())
}

/// Reads tags and numbers; `None` past the end.
struct Cursor<'a> {
    bytes: &'a [u8],
    /// Length of the element of which `bytes` is the start.
    len: usize,
    at: usize,
    big_endian: bool,
}

impl Cursor<'_> {
    fn u32(&mut self) -> Option<u32> {
        let end = self.at.checked_add(4)?;
        let four: [u8; 4] = self.bytes.get(self.at..end)?.try_into().ok()?;
        self.at = end;
        Some(if self.big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    }

    /// The type of the next element and where its content lies; steps over it and its padding.
    fn element(&mut self) -> Option<(u32, Range<usize>)> {
        let tag = self.u32()?;
        let (kind, len, padded) = if tag >> 16 == 0 {
            let len = self.u32()? as usize;
            (tag, len, len.checked_next_multiple_of(8)?)
        } else {
            // The small format: size and type share a word, and the content follows in four bytes.
            let len = (tag >> 16) as usize;
            if len > 4 {
                return None;
            }
            (tag & 0xffff, len, 4)
        };
        let range = self.at..self.at.checked_add(len)?;
        if range.end > self.len {
            return None;
        }
        // The last padding of a file may be missing.
        self.at = self.at.checked_add(padded)?;
        Some((kind, range))
    }
}
