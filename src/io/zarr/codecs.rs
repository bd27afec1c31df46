//! From the bytes of a stored chunk to those of its numbers: the compressors and filters of Zarr
//! versions 2 and 3. No step yields more bytes than the chunk must have.

use std::io::Read;

use serde_json::Value;

use super::blosc;
use super::metadata::kind_of;
use crate::io::numbers::{Kind, Numbers, decode};

/// What undoes one step of storing a chunk.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Codec {
    Blosc,
    Zlib,
    Gzip,
    Zstd,
    Lz4,
    /// A checksum of four bytes behind the others.
    Crc32c,
    /// Bytes of numbers of this size, ordered by their place in the number.
    Shuffle(usize),
    /// Differences of neighbours, of the type.
    Delta(Kind, bool),
    /// `(value - offset) * scale`, rounded, of the second type instead of the first.
    FixedScaleOffset {
        offset: f64,
        scale: f64,
        decoded: (Kind, bool),
        stored: (Kind, bool),
    },
}

/// The codec that a file names, with its settings; `Ok(None)` for one that changes nothing on the
/// way back.
///
/// # Errors
/// The end of a sentence: what is not read.
pub(super) fn parse(
    name: &str,
    settings: &Value,
    (kind, big_endian): (Kind, bool),
) -> Result<Option<Codec>, String> {
    let number = |key: &str| settings.get(key).and_then(Value::as_f64);
    let typed = |key: &str, other: (Kind, bool)| match settings.get(key).and_then(Value::as_str) {
        Some(text) => kind_of(text).map_err(|why| format!("has a filter `{name}` that {why}")),
        None => Ok(other),
    };
    let own = (kind, big_endian);
    Ok(Some(match name.trim_start_matches("numcodecs.") {
        "blosc" => Codec::Blosc,
        "zlib" => Codec::Zlib,
        "gzip" => Codec::Gzip,
        "zstd" => Codec::Zstd,
        "lz4" => Codec::Lz4,
        "crc32c" if !name.starts_with("numcodecs.") => Codec::Crc32c,
        "shuffle" => {
            let size = settings.get("elementsize").and_then(Value::as_u64).unwrap_or(4);
            Codec::Shuffle(usize::try_from(size).ok().filter(|n| *n > 0).unwrap_or(1))
        }
        "delta" => {
            let decoded = typed("dtype", own)?;
            let stored = typed("astype", decoded)?;
            if stored.0 != decoded.0 {
                return Err("has a filter `delta` that changes the type, which is not read".into());
            }
            Codec::Delta(stored.0, stored.1)
        }
        "fixedscaleoffset" => {
            let decoded = typed("dtype", own)?;
            Codec::FixedScaleOffset {
                offset: number("offset").unwrap_or(0.0),
                scale: number("scale").unwrap_or(1.0),
                decoded,
                stored: typed("astype", decoded)?,
            }
        }
        // Rounding leaves nothing to undo.
        "quantize" | "bitround" => return Ok(None),
        _ => {
            return Err(format!(
                "has chunks that are stored with `{name}`, which is not read; blosc, zlib, gzip, \
                 zstd, lz4 and none are"
            ));
        }
    }))
}

/// Undoes `codecs`, given in the order of storing, so that `length` bytes come out.
pub(super) fn decode_chunk(
    codecs: &[Codec],
    stored: &[u8],
    length: usize,
    kind: Kind,
) -> Result<Vec<u8>, String> {
    // What each step yields, from the last one of storing to the first.
    let mut lengths = vec![length];
    let count = length / kind.size();
    let times = |n: usize, size: usize| n.checked_mul(size).ok_or("it is too large");
    let mut now = length;
    for codec in codecs {
        if let Codec::FixedScaleOffset { stored, .. } = codec {
            now = times(count, stored.0.size())?;
        }
        if *codec == Codec::Crc32c {
            now = now.saturating_add(4);
        }
        lengths.push(now);
    }
    let mut bytes = stored.to_vec();
    for (codec, length) in codecs.iter().zip(lengths).rev() {
        bytes = codec.undo(bytes, length)?;
    }
    if bytes.len() != length {
        return Err(format!("a chunk holds {} bytes where {length} belong", bytes.len()));
    }
    Ok(bytes)
}

impl Codec {
    fn undo(&self, bytes: Vec<u8>, length: usize) -> Result<Vec<u8>, String> {
        match self {
            Codec::Blosc => blosc::unpack(&bytes, length),
            Codec::Zlib => zlib(&bytes, length),
            Codec::Gzip => limited(flate2::read::MultiGzDecoder::new(&bytes[..]), length, "gzip"),
            Codec::Zstd => zstd(&bytes, length),
            Codec::Lz4 => {
                // The length, then the block.
                let block = bytes.get(4..).ok_or("a chunk of LZ4 is cut short")?;
                let mut out = vec![0; length];
                match lz4_flex::block::decompress_into(block, &mut out) {
                    Ok(n) if n == length => Ok(out),
                    _ => Err("a chunk of LZ4 is cut short or damaged".into()),
                }
            }
            Codec::Crc32c => {
                let Some((body, sum)) = bytes.split_last_chunk::<4>() else {
                    return Err("a chunk is cut short".into());
                };
                if crc32c(body) != u32::from_le_bytes(*sum) {
                    return Err("a chunk does not have its checksum; it is damaged".into());
                }
                Ok(body.to_vec())
            }
            Codec::Shuffle(size) => {
                let mut out = vec![0; bytes.len()];
                blosc::unshuffle(&bytes, *size, &mut out);
                Ok(out)
            }
            Codec::Delta(kind, big_endian) => Ok(sums(bytes, *kind, *big_endian)),
            Codec::FixedScaleOffset { offset, scale, decoded, stored } => {
                let numbers = Numbers::owned(bytes, stored.0, stored.1);
                let mut buffer = Vec::new();
                let values = numbers
                    .bytes_of(0, numbers.len(), &mut buffer)
                    .map_err(|error| error.to_string())?;
                let values: Vec<f64> = decode!(numbers, values, f64, |values, decode| {
                    values.iter().copied().map(decode).collect()
                });
                let back = values.iter().map(|v| v / scale + offset);
                Ok(encode(back, *decoded))
            }
        }
    }
}

/// Unpacks at most `length` bytes; more are an error.
fn limited(from: impl Read, length: usize, what: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let most = (length as u64).saturating_add(1);
    from.take(most)
        .read_to_end(&mut out)
        .map_err(|error| format!("a chunk of {what} is cut short or damaged ({error})"))?;
    if out.len() > length {
        return Err(format!("a chunk of {what} holds more than the {length} bytes that belong"));
    }
    Ok(out)
}

/// A stream of zlib.
pub(super) fn zlib(bytes: &[u8], length: usize) -> Result<Vec<u8>, String> {
    limited(flate2::read::ZlibDecoder::new(bytes), length, "zlib")
}

/// A frame of Zstandard.
pub(super) fn zstd(bytes: &[u8], length: usize) -> Result<Vec<u8>, String> {
    // No encoder needs a window much larger than what it packs; the smallest is 1 KiB.
    let window = (length as u64).saturating_mul(2).max(1 << 23);
    let frame = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(bytes, window)
        .map_err(|error| format!("a chunk of zstd is damaged ({error})"))?;
    limited(frame, length, "zstd")
}

/// CRC-32C (Castagnoli), bit by bit: it is over few bytes.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let one = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0x82F6_3B78 & (sum & 1).wrapping_neg())
        })
    };
    !bytes.iter().fold(!0, one)
}

/// Running sums of numbers of this type.
fn sums(mut bytes: Vec<u8>, kind: Kind, big_endian: bool) -> Vec<u8> {
    macro_rules! arm {
        ($stored:ty, $add:expr) => {{
            let mut sum = <$stored>::default();
            for number in bytes.as_chunks_mut::<{ std::mem::size_of::<$stored>() }>().0 {
                let read =
                    if big_endian { <$stored>::from_be_bytes } else { <$stored>::from_le_bytes };
                sum = $add(sum, read(*number));
                *number = if big_endian { sum.to_be_bytes() } else { sum.to_le_bytes() };
            }
        }};
    }
    match kind {
        Kind::U8 | Kind::I8 => arm!(u8, u8::wrapping_add),
        Kind::U16 | Kind::I16 => arm!(u16, u16::wrapping_add),
        Kind::U32 | Kind::I32 => arm!(u32, u32::wrapping_add),
        Kind::U64 | Kind::I64 => arm!(u64, u64::wrapping_add),
        Kind::F32 => arm!(f32, |a, b| a + b),
        Kind::F64 => arm!(f64, |a, b| a + b),
        // NumPy adds such numbers in their own precision, which nobody stores differences in.
        Kind::F16 => {}
    }
    bytes
}

/// Numbers as bytes of a type.
fn encode(values: impl Iterator<Item = f64>, (kind, big_endian): (Kind, bool)) -> Vec<u8> {
    macro_rules! arm {
        ($stored:ty) => {
            values
                .flat_map(|v| {
                    let v = v as $stored;
                    (if big_endian { v.to_be_bytes() } else { v.to_le_bytes() }).to_vec()
                })
                .collect()
        };
    }
    match kind {
        Kind::U8 => arm!(u8),
        Kind::I8 => arm!(i8),
        Kind::U16 => arm!(u16),
        Kind::I16 => arm!(i16),
        Kind::U32 => arm!(u32),
        Kind::I32 => arm!(i32),
        Kind::U64 => arm!(u64),
        Kind::I64 => arm!(i64),
        Kind::F32 | Kind::F16 => arm!(f32),
        Kind::F64 => arm!(f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_undone_from_the_last_to_the_first() {
        let settings =
            serde_json::json!({"offset": 100, "scale": 10, "dtype": "<f4", "astype": "<i2"});
        let fixed = parse("fixedscaleoffset", &settings, (Kind::F32, false)).unwrap().unwrap();
        let delta = parse("delta", &serde_json::json!({"dtype": "<i2"}), (Kind::I16, false));
        let codecs = [fixed, delta.unwrap().unwrap(), Codec::Shuffle(2), Codec::Crc32c];
        // Stored as differences of tenths: 100.5, 101, 99.
        let tenths: [i16; 3] = [5, 5, -20];
        let bytes: Vec<u8> = tenths.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut stored: Vec<u8> = [0, 2, 4, 1, 3, 5].iter().map(|i: &usize| bytes[*i]).collect();
        stored.extend(crc32c(&stored).to_le_bytes());
        let found = decode_chunk(&codecs, &stored, 12, Kind::F32).unwrap();
        let wanted: Vec<u8> =
            [100.5f32, 101.0, 99.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(found, wanted);
        stored[0] ^= 1;
        assert!(decode_chunk(&codecs, &stored, 12, Kind::F32).unwrap_err().contains("checksum"));
        assert_eq!(parse("quantize", &Value::Null, (Kind::F32, false)), Ok(None));
        assert!(parse("zfpy", &Value::Null, (Kind::F32, false)).unwrap_err().contains("zfpy"));
    }

    #[test]
    fn the_checksum_of_the_standard() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn no_step_yields_more_than_belongs() {
        let packed = {
            use std::io::Write;
            let mut to = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
            to.write_all(&vec![0; 1 << 20]).unwrap();
            to.finish().unwrap()
        };
        assert_eq!(zlib(&packed, 1 << 20).unwrap().len(), 1 << 20);
        assert!(zlib(&packed, 1 << 10).unwrap_err().contains("more than"));
        assert!(decode_chunk(&[Codec::Zlib], &packed, 1 << 21, Kind::U8).is_err());
    }
}
