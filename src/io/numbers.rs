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
    F16,
    F32,
    F64,
}

impl Kind {
    /// Bytes of one number.
    pub(crate) fn size(self) -> usize {
        match self {
            Kind::U8 | Kind::I8 => 1,
            Kind::U16 | Kind::I16 | Kind::F16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 => 8,
        }
    }

    /// Its name, as NumPy has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::U8 => "uint8",
            Kind::I8 => "int8",
            Kind::U16 => "uint16",
            Kind::I16 => "int16",
            Kind::U32 => "uint32",
            Kind::I32 => "int32",
            Kind::U64 => "uint64",
            Kind::I64 => "int64",
            Kind::F16 => "float16",
            Kind::F32 => "float32",
            Kind::F64 => "float64",
        }
    }

    /// The largest number of a type of whole numbers of 8 or 16 bits.
    pub(crate) fn largest(self) -> Option<f64> {
        match self {
            Kind::U8 => Some(255.0),
            Kind::I8 => Some(127.0),
            Kind::U16 => Some(65535.0),
            Kind::I16 => Some(32767.0),
            _ => None,
        }
    }

    /// False for the floating-point types.
    pub(crate) fn is_integer(self) -> bool {
        !matches!(self, Kind::F16 | Kind::F32 | Kind::F64)
    }
}

/// A number of 16 bits, decoded to 32: the standard library has no stable type for it.
pub(crate) struct Half(#[allow(dead_code, reason = "only its size is asked for")] u16);

impl Half {
    /// The number with these bytes, the lowest first.
    pub(crate) fn from_le_bytes(bytes: [u8; 2]) -> f32 {
        half(u16::from_le_bytes(bytes))
    }

    /// The number with these bytes, the highest first.
    pub(crate) fn from_be_bytes(bytes: [u8; 2]) -> f32 {
        half(u16::from_be_bytes(bytes))
    }
}

/// IEEE 754 binary16: one bit of sign, five of exponent, ten of mantissa.
fn half(bits: u16) -> f32 {
    let (exponent, mantissa) = ((bits >> 10) & 0x1f, f32::from(bits & 0x3ff));
    let size = match exponent {
        0 => mantissa * 2f32.powi(-24),
        0x1f if mantissa == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        _ => (1.0 + mantissa / 1024.0) * 2f32.powi(i32::from(exponent) - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
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
            $crate::io::numbers::Kind::F16 => arm!($crate::io::numbers::Half),
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

    /// The number at a place in the file's order.
    pub(crate) fn at(&self, place: usize) -> Option<f64> {
        decode!(self, f64, |values, decode| values.get(place).copied().map(decode))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_floats() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x0000, 0.0),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:x}");
        }
        assert!(half(0x7e00).is_nan());
        let numbers = Numbers::owned(vec![0x3c, 0, 0xc0, 0], Kind::F16, true);
        assert_eq!((numbers.len(), numbers.at(1), numbers.at(2)), (2, Some(-2.0), None));
    }
}
