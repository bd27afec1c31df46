//! Numbers as a file stores them: bytes, a type and a byte order, decoded where they are needed.

use std::ops::Range;
use std::sync::Arc;

use super::bytes::{FileBytes, Packed, Stream};
use crate::engine::ground::error::Result;

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

    /// The number with these bytes, in this machine's order.
    pub(crate) fn from_ne_bytes(bytes: [u8; 2]) -> f32 {
        half(u16::from_ne_bytes(bytes))
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
    Owned(Arc<Vec<u8>>),
    InFile(Arc<FileBytes>, Range<u64>),
    Packed(Arc<Packed>),
}

/// A run of numbers of one type.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    bytes: Bytes,
    kind: Kind,
    big_endian: bool,
}

/// Bytes that are decoded at once where no more are wanted.
const WINDOW: usize = 1 << 20;

/// Runs `$body` with `$values` as `$bytes` in a slice of byte arrays and `$decode` as the function
/// that turns one of them into a `$target`: the type is looked at once, not once a number.
macro_rules! decode {
    ($numbers:expr, $bytes:expr, $target:ty, |$values:ident, $decode:ident| $body:expr) => {{
        macro_rules! arm {
            ($stored:ty) => {{
                let $values = $bytes.as_chunks::<{ std::mem::size_of::<$stored>() }>().0;
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
    /// Numbers in memory, for readers that unpack by themselves.
    pub(crate) fn owned(bytes: Vec<u8>, kind: Kind, big_endian: bool) -> Self {
        Numbers { bytes: Bytes::Owned(Arc::new(bytes)), kind, big_endian }
    }

    /// Numbers in a file; `None` when `range` does not lie inside it.
    pub(crate) fn in_file(
        file: &Arc<FileBytes>,
        range: Range<u64>,
        kind: Kind,
        big_endian: bool,
    ) -> Option<Self> {
        let fits = range.start <= range.end && range.end <= file.len();
        fits.then(|| Numbers { bytes: Bytes::InFile(Arc::clone(file), range), kind, big_endian })
    }

    /// Numbers in a compressed part of a file: `len` bytes of the stream after `skip`. They are
    /// unpacked when they are read.
    pub(crate) fn packed(
        file: &Arc<FileBytes>,
        stream: Stream,
        (skip, len): (u64, usize),
        kind: Kind,
        big_endian: bool,
    ) -> Self {
        let packed = Packed { file: Arc::clone(file), stream, skip, len };
        Numbers { bytes: Bytes::Packed(Arc::new(packed)), kind, big_endian }
    }

    /// The numbers with their bytes at hand: unpacked, where they are packed.
    pub(crate) fn at_hand(self) -> Result<Self> {
        let bytes = match &self.bytes {
            Bytes::Packed(packed) => Bytes::Owned(Arc::new(packed.unpack()?)),
            _ => return Ok(self),
        };
        Ok(Numbers { bytes, ..self })
    }

    fn byte_len(&self) -> usize {
        match &self.bytes {
            Bytes::Owned(bytes) => bytes.len(),
            Bytes::InFile(_, range) => {
                usize::try_from(range.end - range.start).unwrap_or(usize::MAX)
            }
            Bytes::Packed(packed) => packed.len,
        }
    }

    /// The bytes of the file with the other end first.
    pub(crate) fn swapped(self) -> Self {
        Numbers { big_endian: !self.big_endian, ..self }
    }

    /// True where the values can hardly be meant in this order of bytes: floating-point numbers of
    /// sizes that nothing measured has, which in the other order are like any others.
    pub(crate) fn seem_swapped(&self) -> bool {
        const LOOKED_AT: usize = 512;
        if self.kind.is_integer() || self.kind == Kind::F16 || self.is_empty() {
            return false;
        }
        let other = self.clone().swapped();
        let step = self.len().div_ceil(LOOKED_AT);
        // What fills gaps is odd in either order.
        let odd = |v: f64| !v.is_finite() || v != 0.0 && !(1e-12..=1e12).contains(&v.abs());
        let share = |numbers: &Numbers| {
            let places = (0..self.len()).step_by(step);
            let count = places.clone().count() as f64;
            places.filter(|&i| numbers.at(i).is_some_and(odd)).count() as f64 / count
        };
        share(self) > 0.4 && share(&other) < 0.1
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many whole numbers there are.
    pub(crate) fn len(&self) -> usize {
        self.byte_len() / self.kind.size()
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn big_endian(&self) -> bool {
        self.big_endian
    }

    /// All bytes, where they lie in memory.
    pub(crate) fn held(&self) -> Option<&[u8]> {
        match &self.bytes {
            Bytes::Owned(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// True where a read of some numbers costs a call of the system.
    pub(crate) fn is_in_file(&self) -> bool {
        matches!(self.bytes, Bytes::InFile(..))
    }

    /// The bytes of `count` numbers from number `first` on: in place, or in `buffer` where they
    /// come from a file. All of them must be there ([`Numbers::len`]); packed ones must be at hand.
    pub(crate) fn bytes_of<'a>(
        &'a self,
        first: usize,
        count: usize,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8]> {
        let size = self.kind.size();
        let (start, len) = (first * size, count * size);
        match &self.bytes {
            Bytes::Owned(bytes) => Ok(bytes.get(start..start + len).unwrap_or_default()),
            Bytes::InFile(file, range) => {
                buffer.resize(len, 0);
                file.read_at(range.start + start as u64, buffer)?;
                Ok(buffer)
            }
            Bytes::Packed(packed) => {
                *buffer = packed.unpack()?;
                Ok(buffer.get(start..start + len).unwrap_or_default())
            }
        }
    }

    /// The number at a place in the file's order; `None` beyond the end, where it cannot be read,
    /// and for packed numbers, of which none comes without all before it.
    pub(crate) fn at(&self, place: usize) -> Option<f64> {
        if place >= self.len() || matches!(self.bytes, Bytes::Packed(_)) {
            return None;
        }
        let mut buffer = Vec::new();
        let bytes = self.bytes_of(place, 1, &mut buffer).ok()?;
        decode!(self, bytes, f64, |values, decode| values.first().copied().map(decode))
    }

    /// All numbers, in the order of the file.
    ///
    /// # Errors
    /// When they cannot be read, or memory does not suffice.
    pub(crate) fn to_f64(&self) -> Result<Vec<f64>> {
        let numbers = self.clone().at_hand()?;
        let path = match &self.bytes {
            Bytes::Owned(_) => std::path::Path::new("array"),
            Bytes::InFile(file, _) => file.path(),
            Bytes::Packed(packed) => packed.file.path(),
        };
        super::bytes::check_memory(path, numbers.len().saturating_mul(8))?;
        let mut out = crate::scene::grow(path, numbers.len())?;
        let mut buffer = Vec::new();
        let at_once = WINDOW / numbers.kind.size();
        for first in (0..numbers.len()).step_by(at_once) {
            let count = at_once.min(numbers.len() - first);
            let bytes = numbers.bytes_of(first, count, &mut buffer)?;
            decode!(numbers, bytes, f64, |values, decode| {
                out.extend(values.iter().copied().map(decode));
            });
        }
        Ok(out)
    }
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
