//! HDF5 files: what they hold, attributes, and windows of arrays. The only file that names the
//! library, `hdf5-reader`.

use std::collections::HashSet;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use hdf5_reader::group::Group;
use hdf5_reader::{
    Attribute, Dataset, Datatype, FilterRegistry, H5Type, Hdf5File, OpenOptions as Options,
    SliceInfo, SliceInfoElem, VarLenKind, error::ByteOrder, error::Error as Broken,
};

use super::lzf;
use crate::engine::ground::error::{Error, Result};
use crate::io::numbers::{self, Kind, Numbers};
use crate::io::texts;

/// What one allocation may exceed the size of the file by.
const BUDGET: usize = 64 << 20;
/// Chunks that stay decoded, at most: those of one row of chunks.
const MOST_CACHED: usize = 1 << 30;
/// Arrays that are read whole, such as wavelengths, have at most this many bytes.
pub(super) const MOST_WHOLE: usize = 64 << 20;
/// Groups and arrays that are looked at, and how deep groups may lie in each other.
const MOST_OBJECTS: usize = 20_000;
const DEEPEST: usize = 24;
const MOST_TEXTS: usize = 64;
const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// True when the file is HDF5: its signature stands at the start, or after a block of the user's of
/// 512, 1024, 2048, ... bytes (MATLAB writes one of 512).
pub(crate) fn is_hdf5(path: &Path, start: &[u8]) -> bool {
    if start.starts_with(SIGNATURE) {
        return true;
    }
    let found = || -> std::io::Result<bool> {
        let mut file = std::fs::File::open(path)?;
        let size = file.metadata()?.len();
        let mut at = 512;
        while at < size.min(1 << 20) {
            let mut bytes = [0; 8];
            file.seek(SeekFrom::Start(at))?;
            if file.read_exact(&mut bytes).is_ok() && bytes == *SIGNATURE {
                return Ok(true);
            }
            at *= 2;
        }
        Ok(false)
    };
    found().unwrap_or(false)
}

/// An open file.
pub(super) struct Hdf5 {
    pub(super) path: PathBuf,
    file: Hdf5File,
    /// Every array of numbers, by its place in the file.
    pub(super) arrays: Vec<Array>,
    /// Lists of texts that are no longer than those of bands.
    pub(super) texts: Vec<(String, Dataset)>,
    /// Cubes of other values than numbers.
    pub(super) refused: Vec<(String, String)>,
}

/// An array of numbers in the file.
#[derive(Clone)]
pub(super) struct Array {
    /// Place in the file, `/group/name`.
    pub(super) place: String,
    pub(super) shape: Vec<usize>,
    pub(super) kind: Kind,
    pub(super) dataset: Dataset,
}

impl Hdf5 {
    /// Opens a file and lists its arrays; `row_axis` of a chunked array is read forwards, so
    /// `cache` bytes of decoded chunks are kept.
    pub(super) fn open(path: &Path, cache: usize) -> Result<Self> {
        let size = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
        let budget = usize::try_from(size).unwrap_or(usize::MAX).saturating_add(BUDGET);
        let mut filters = FilterRegistry::new();
        filters.register(
            lzf::ID,
            Box::new(move |filter, bytes, _| {
                let length = filter.client_data.get(2).map_or(0, |n| *n as usize);
                lzf::unpack(bytes, length.min(budget))
                    .ok_or_else(|| Broken::InvalidData("LZF".into()))
            }),
        );
        let options = Options {
            chunk_cache_bytes: cache.clamp(BUDGET, MOST_CACHED).min(budget),
            chunk_cache_slots: 1 << 16,
            filter_registry: Some(filters),
            external_file_resolver: None,
            external_link_resolver: None,
            max_chunk_bytes: budget,
            max_read_bytes: budget,
            max_object_header_bytes: BUDGET.min(budget),
        };
        let file = Hdf5File::open_with_options(path, options).map_err(|e| broken(path, &e))?;
        // Counted from the start of the file, a block of the user's included, as the HDF5 library
        // writes it.
        let stated = file.superblock().eof_address;
        if stated != u64::MAX && stated > size {
            return Err(Error::file(
                path,
                format!(
                    "is cut short: it should have {stated} bytes and has {size}; fetch it again."
                ),
            ));
        }
        let mut found = Hdf5 {
            path: path.to_owned(),
            file,
            arrays: Vec::new(),
            texts: Vec::new(),
            refused: Vec::new(),
        };
        let root = found.file.root_group().map_err(|e| broken(path, &e))?;
        let mut seen = HashSet::new();
        found.list(&root, "", 0, &mut seen)?;
        Ok(found)
    }

    fn list(
        &mut self,
        group: &Group,
        place: &str,
        depth: usize,
        seen: &mut HashSet<u64>,
    ) -> Result<()> {
        let more = seen.len() < MOST_OBJECTS && depth < DEEPEST;
        if !more || !seen.insert(group.address()) {
            return Ok(());
        }
        let (groups, datasets) = group.members().map_err(|e| broken(&self.path, &e))?;
        for dataset in datasets.into_iter().take(MOST_OBJECTS) {
            let shape: Option<Vec<usize>> =
                dataset.shape().iter().map(|n| usize::try_from(*n).ok()).collect();
            let kind = kind(dataset.dtype());
            let list = shape.as_ref().is_some_and(|s| s.len() == 1 && s[0] <= texts::MOST);
            let is_text = matches!(
                dataset.dtype(),
                Datatype::String { .. } | Datatype::VarLen { kind: VarLenKind::String, .. }
            );
            if is_text && list && self.texts.len() < MOST_TEXTS {
                self.texts.push((format!("{place}/{}", dataset.name()), dataset));
                continue;
            }
            let axes = dataset.shape().iter().filter(|n| **n > 1).count();
            if kind.is_none() && axes > 2 && self.refused.len() < MOST_TEXTS {
                let why = "holds values that are no plain numbers, such as complex ones";
                self.refused.push((format!("{place}/{}", dataset.name()), why.into()));
            }
            if let (Some(shape), Some((kind, _))) = (shape, kind)
                && self.arrays.len() < MOST_OBJECTS
            {
                let place = format!("{place}/{}", dataset.name());
                self.arrays.push(Array { place, shape, kind, dataset });
            }
        }
        for child in groups {
            let name = child.name().to_owned();
            self.list(&child, &format!("{place}/{name}"), depth + 1, seen)?;
        }
        Ok(())
    }

    /// The array at a place; the first `/` may be missing.
    pub(super) fn array(&self, place: &str) -> Option<&Array> {
        let place = place.trim_start_matches('/');
        self.arrays.iter().find(|array| array.place.trim_start_matches('/') == place)
    }

    /// The array whose place ends in this, such as `sensor_band_parameters/wavelengths`.
    pub(super) fn array_below(&self, end: &str) -> Option<&Array> {
        let matches = |array: &&Array| array.place.ends_with(&format!("/{end}"));
        self.arrays.iter().find(matches)
    }

    /// All numbers of an array that is small.
    pub(super) fn numbers(&self, array: &Array) -> Result<Vec<f64>> {
        let too_large = || {
            Error::file(
                &self.path,
                format!("`{}` holds more numbers than belong there.", array.place),
            )
        };
        let count = array.shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s));
        let small =
            count.and_then(|n| n.checked_mul(array.kind.size())).is_some_and(|n| n <= MOST_WHOLE);
        if !small {
            return Err(too_large());
        }
        let bytes = array.dataset.read_raw_bytes().map_err(|e| broken(&self.path, &e))?;
        let big = matches!(kind(array.dataset.dtype()), Some((_, ByteOrder::BigEndian)));
        Ok(decode(&bytes, array.kind, big))
    }

    /// The text that a dataset holds.
    pub(super) fn text(&self, place: &str) -> Option<String> {
        let dataset = self.file.dataset(place).ok()?;
        let short = dataset.num_elements().is_ok_and(|n| n <= 16);
        short.then(|| dataset.read_strings().ok()?.into_iter().next()).flatten()
    }

    /// One number that a dataset or a text in it holds.
    pub(super) fn number(&self, place: &str) -> Option<f64> {
        match self.array(place) {
            Some(array) => self.numbers(array).ok()?.first().copied(),
            None => self.text(place)?.trim().parse().ok(),
        }
    }

    /// Numbers of an attribute of the file itself.
    pub(super) fn root_numbers(&self, name: &str) -> Option<Vec<f64>> {
        numbers_of(&self.file.root_group().ok()?.attribute(name).ok()?)
    }

    /// Numbers of an attribute of a group.
    pub(super) fn group_numbers(&self, group: &str, name: &str) -> Option<Vec<f64>> {
        numbers_of(&self.file.group(group).ok()?.attribute(name).ok()?)
    }

    /// Text of an attribute of the file itself.
    pub(super) fn root_text(&self, name: &str) -> Option<String> {
        self.file.root_group().ok()?.attribute(name).ok()?.read_string().ok()
    }

    /// Reads a window of an array into numbers of 32 bits, in the order of the array's axes.
    pub(super) fn window_of(&self, array: &Array, window: &[Range<usize>]) -> Result<Vec<f32>> {
        let selections = window.iter().map(|range| SliceInfoElem::Slice {
            start: range.start as u64,
            end: range.end as u64,
            step: 1,
        });
        let selection = SliceInfo { selections: selections.collect() };
        macro_rules! arm {
            ($stored:ty) => {{
                let values = array.dataset.read_slice::<$stored>(&selection);
                let values = values.map_err(|e| broken(&self.path, &e))?;
                values.iter().map(|v| *v as f32).collect()
            }};
        }
        Ok(match array.kind {
            Kind::U8 => arm!(u8),
            Kind::I8 => arm!(i8),
            Kind::U16 => arm!(u16),
            Kind::I16 => arm!(i16),
            Kind::U32 => arm!(u32),
            Kind::I32 => arm!(i32),
            Kind::U64 => arm!(u64),
            Kind::I64 => arm!(i64),
            Kind::F32 => arm!(f32),
            Kind::F64 => arm!(f64),
            Kind::F16 => {
                let values = array.dataset.read_slice::<Half>(&selection);
                let values = values.map_err(|e| broken(&self.path, &e))?;
                values.iter().map(|v| v.0).collect()
            }
        })
    }

    /// Hands the array's bytes, in this machine's byte order, to `each`: blocks of whole indices of
    /// its first axis, about `window` bytes or one index each.
    pub(super) fn each_block(
        &self,
        array: &Array,
        window: usize,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let inner =
            array.shape.iter().skip(1).fold(array.kind.size(), |size, &n| size.saturating_mul(n));
        let at_once = (window / inner.max(1)).max(array.first_chunk());
        let Some(&length) = array.shape.first() else {
            let bytes = array.dataset.read_native_bytes().map_err(|e| broken(&self.path, &e))?;
            return each(&bytes);
        };
        for start in (0..length).step_by(at_once.max(1)) {
            let mut selections =
                vec![SliceInfoElem::Slice { start: 0, end: u64::MAX, step: 1 }; array.shape.len()];
            let end = start.saturating_add(at_once).min(length) as u64;
            selections[0] = SliceInfoElem::Slice { start: start as u64, end, step: 1 };
            let selection = SliceInfo { selections };
            macro_rules! arm {
                ($stored:ty) => {{
                    let values = array.dataset.read_slice::<$stored>(&selection);
                    let values = values.map_err(|e| broken(&self.path, &e))?;
                    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
                    each(&bytes)?
                }};
            }
            match array.kind {
                Kind::U8 => arm!(u8),
                Kind::I8 => arm!(i8),
                Kind::U16 => arm!(u16),
                Kind::I16 => arm!(i16),
                Kind::U32 => arm!(u32),
                Kind::I32 => arm!(i32),
                Kind::U64 => arm!(u64),
                Kind::I64 => arm!(i64),
                Kind::F32 => arm!(f32),
                Kind::F64 => arm!(f64),
                // Handed on as the bytes are, since nobody computes with them.
                Kind::F16 => {
                    let values = array.dataset.read_slice::<Half>(&selection);
                    let values = values.map_err(|e| broken(&self.path, &e))?;
                    let bytes: Vec<u8> = values.iter().flat_map(|v| v.1).collect();
                    each(&bytes)?
                }
            }
        }
        Ok(())
    }
}

impl Array {
    /// The last part of the place.
    pub(super) fn name(&self) -> &str {
        self.place.rsplit('/').next().unwrap_or_default()
    }

    /// Length of a chunk along the first axis.
    fn first_chunk(&self) -> usize {
        self.dataset.chunks().and_then(|c| c.first().copied()).unwrap_or(1) as usize
    }

    /// Numbers of an attribute.
    pub(super) fn numbers(&self, name: &str) -> Option<Vec<f64>> {
        numbers_of(&self.dataset.attribute(name).ok()?)
    }

    /// Text of an attribute.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.dataset.attribute(name).ok()?.read_string().ok()
    }

    /// True where an attribute of this name is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.dataset.attribute(name).is_ok()
    }

    /// The first object that each entry of a list of lists of references points to.
    pub(super) fn reference_lists(&self, attribute: &Attribute) -> Option<Vec<u64>> {
        let size = self.dataset.vlen_reference_size();
        let chunks = attribute.raw_data.chunks_exact(size);
        chunks
            .map(|reference| {
                let bytes = self.dataset.resolve_vlen_reference_bytes(reference, 8).ok()?;
                Some(u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?))
            })
            .collect()
    }
}

impl Hdf5 {
    pub(super) fn name_at(&self, address: u64) -> Option<String> {
        let found = self.arrays.iter().find(|array| array.dataset.address() == address)?;
        Some(found.name().to_lowercase())
    }
}

fn numbers_of(attribute: &Attribute) -> Option<Vec<f64>> {
    let (kind, order) = kind(&attribute.datatype)?;
    Some(decode(&attribute.raw_data, kind, order == ByteOrder::BigEndian))
}

/// The type of stored numbers and their byte order; `None` for what is no number.
fn kind(datatype: &Datatype) -> Option<(Kind, ByteOrder)> {
    Some(match datatype {
        Datatype::FixedPoint { size, signed, byte_order } => {
            let kind = match (size, signed) {
                (1, false) => Kind::U8,
                (1, true) => Kind::I8,
                (2, false) => Kind::U16,
                (2, true) => Kind::I16,
                (4, false) => Kind::U32,
                (4, true) => Kind::I32,
                (8, false) => Kind::U64,
                (8, true) => Kind::I64,
                _ => return None,
            };
            (kind, *byte_order)
        }
        Datatype::FloatingPoint { size: 2, byte_order } => (Kind::F16, *byte_order),
        Datatype::FloatingPoint { size: 4, byte_order } => (Kind::F32, *byte_order),
        Datatype::FloatingPoint { size: 8, byte_order } => (Kind::F64, *byte_order),
        Datatype::Enum { base, .. } => return kind(base),
        _ => return None,
    })
}

fn decode(bytes: &[u8], kind: Kind, big_endian: bool) -> Vec<f64> {
    // Numbers in memory are always there.
    Numbers::owned(bytes.to_vec(), kind, big_endian).to_f64().unwrap_or_default()
}

/// A floating-point number of 16 bits: its value, and its bytes in this machine's order.
#[derive(Clone, Copy)]
struct Half(f32, [u8; 2]);

impl H5Type for Half {
    fn hdf5_type() -> Datatype {
        Datatype::FloatingPoint { size: 2, byte_order: ByteOrder::LittleEndian }
    }

    fn from_bytes(bytes: &[u8], dtype: &Datatype) -> Result<Self, Broken> {
        let short = || Broken::InvalidData("a number is cut short".into());
        let bytes: [u8; 2] = bytes.get(..2).and_then(|b| b.try_into().ok()).ok_or_else(short)?;
        let bits = match dtype {
            Datatype::FloatingPoint { size: 2, byte_order: ByteOrder::BigEndian } => {
                u16::from_be_bytes(bytes)
            }
            Datatype::FloatingPoint { size: 2, .. } => u16::from_le_bytes(bytes),
            _ => return Err(Broken::InvalidData("no 16-bit floats".into())),
        };
        Ok(Half(numbers::Half::from_le_bytes(bits.to_le_bytes()), bits.to_ne_bytes()))
    }

    fn element_size(_: &Datatype) -> usize {
        2
    }
}

pub(super) fn broken(path: &Path, error: &Broken) -> Error {
    match error {
        Broken::Io(source) => {
            Error::io(path, std::io::Error::new(source.kind(), error.to_string()))
        }
        Broken::UnsupportedFilter(what) => Error::file(
            path,
            format!(
                "is compressed in a way that is not read ({what}); store it with gzip (`h5repack \
                 -f GZIP=4`)."
            ),
        ),
        _ => Error::file(
            path,
            format!("cannot be read as HDF5; it is damaged or cut short ({error})."),
        ),
    }
}
