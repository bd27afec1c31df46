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
            $crate::io::numbers::Kind::F32 => arm!(f32),
            $crate::io::numbers::Kind::F64 => arm!(f64),
        }
    }};
}
pub(crate) use decode;

impl Numbers {
    /// Numbers in memory, for readers that unpack by themselves.
    #[allow(dead_code, reason = "readers that come with other formats use it")]
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

    /// True where a read of some numbers costs a call of the system.
    pub(crate) fn is_in_file(&self) -> bool {
        matches!(self.bytes, Bytes::InFile(..))
    }

    /// The bytes of `count` numbers from number `first` on: in place, or in `buffer` where they come
    /// from a file. All of them must be there ([`Numbers::len`]); packed ones must be at hand.
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
