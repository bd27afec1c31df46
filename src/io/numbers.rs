//! Numbers as a file stores them: bytes, a type and a byte order, decoded where they are needed.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::engine::ground::error::{Error, Result};

/// The type of one stored number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl Kind {
    /// Bytes of one number.
    pub(crate) fn size(self) -> usize {
        match self {
            Kind::U8 | Kind::I8 => 1,
            Kind::U16 | Kind::I16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 => 8,
        }
    }

    /// False for the two floating-point types.
    pub(crate) fn is_integer(self) -> bool {
        !matches!(self, Kind::F32 | Kind::F64)
    }
}

/// Where the bytes lie.
#[derive(Debug, Clone)]
enum Bytes {
    Owned(Vec<u8>),
    Mapped(Arc<Mmap>, Range<usize>),
}

/// A run of numbers of one type.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    bytes: Bytes,
    kind: Kind,
    big_endian: bool,
}

/// Runs `$body` with `$values` as a slice of byte arrays and `$decode` as the function that turns
/// one of them into a `$target`: the type is looked at once, not once a number.
macro_rules! decode {
    ($numbers:expr, $target:ty, |$values:ident, $decode:ident| $body:expr) => {{
        macro_rules! arm {
            ($stored:ty) => {{
                let $values = $numbers.bytes().as_chunks::<{ std::mem::size_of::<$stored>() }>().0;
                if $numbers.big_endian() {
                    let $decode = |b| <$stored>::from_be_bytes(b) as $target;
                    $body
                } else {
                    let $decode = |b| <$stored>::from_le_bytes(b) as $target;
                    $body
                }
            }};
        }
        match $numbers.kind() {
            $crate::io::numbers::Kind::U8 => arm!(u8),
            $crate::io::numbers::Kind::I8 => arm!(i8),
            $crate::io::numbers::Kind::U16 => arm!(u16),
            $crate::io::numbers::Kind::I16 => arm!(i16),
            $crate::io::numbers::Kind::U32 => arm!(u32),
            $crate::io::numbers::Kind::I32 => arm!(i32),
            $crate::io::numbers::Kind::U64 => arm!(u64),
            $crate::io::numbers::Kind::I64 => arm!(i64),
            $crate::io::numbers::Kind::F32 => arm!(f32),
            $crate::io::numbers::Kind::F64 => arm!(f64),
        }
    }};
}
pub(crate) use decode;

impl Numbers {
    /// Numbers in memory.
    pub(crate) fn owned(bytes: Vec<u8>, kind: Kind, big_endian: bool) -> Self {
        Numbers { bytes: Bytes::Owned(bytes), kind, big_endian }
    }

    /// Numbers in a mapped file; `None` when `range` does not lie inside it.
    pub(crate) fn mapped(
        map: &Arc<Mmap>,
        range: Range<usize>,
        kind: Kind,
        big_endian: bool,
    ) -> Option<Self> {
        map.get(range.clone())?;
        Some(Numbers { bytes: Bytes::Mapped(Arc::clone(map), range), kind, big_endian })
    }

    /// How many whole numbers there are.
    pub(crate) fn len(&self) -> usize {
        self.bytes().len() / self.kind.size()
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn big_endian(&self) -> bool {
        self.big_endian
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Owned(bytes) => bytes,
            // `mapped` checked the range, and a map does not change its length.
            Bytes::Mapped(map, range) => map.get(range.clone()).unwrap_or_default(),
        }
    }

    /// All numbers, in the order of the file.
    pub(crate) fn to_f64(&self) -> Vec<f64> {
        decode!(self, f64, |values, decode| values.iter().copied().map(decode).collect())
    }
}

/// Maps the file at `path` into memory, to be read.
pub(crate) fn map_file(path: &Path) -> Result<Arc<Mmap>> {
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
    if file.metadata().map_err(|e| Error::io(path, e))?.is_dir() {
        return Err(Error::file(path, "is a folder; name a file."));
    }
    // SAFETY: the map is only read. Like every program that maps its input, this one relies on
    // nobody shortening the file meanwhile; copying a 14 GB cube first is the worse choice.
    let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, e))?;
    Ok(Arc::new(map))
}
