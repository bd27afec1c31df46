//! Unpacks chunks that Blosc 1 packed, the usual compressor of Zarr: blocks, each shuffled by bytes
//! or bits and compressed by one of several methods.
//!
//! The container is taken apart here because the bindings and ports of Blosc allocate whatever size
//! a damaged chunk states; what is inside a block is unpacked by the crates of its method.

use super::codecs;

const HEADER: usize = 16;
/// Blosc never splits a block into more streams than this, nor into streams of fewer numbers.
const MOST_SPLITS: usize = 16;
const FEWEST_IN_SPLIT: usize = 128;

// Bits of the flags.
const SHUFFLED: u8 = 1;
const COPIED: u8 = 2;
const BIT_SHUFFLED: u8 = 4;
const WHOLE: u8 = 16;

/// Unpacks `packed` into the `length` bytes that it must hold, or says what is wrong with it.
pub(super) fn unpack(packed: &[u8], length: usize) -> Result<Vec<u8>, String> {
    let cut = || "a Blosc chunk is cut short or damaged".to_owned();
    let word = |at: usize| -> Option<usize> {
        let bytes = packed.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let (flags, size) = match packed {
        [1 | 2, _, flags, size, ..] => (*flags, usize::from(*size).max(1)),
        [version, ..] => return Err(format!("Blosc of version {version} is not read")),
        [] => return Err(cut()),
    };
    let (Some(stated), Some(block), Some(all)) = (word(4), word(8), word(12)) else {
        return Err(cut());
    };
    if stated != length {
        return Err(format!("a Blosc chunk holds {stated} bytes where {length} belong"));
    }
    if all > packed.len() {
        return Err(cut());
    }
    if flags & COPIED != 0 {
        return packed.get(HEADER..HEADER + length).map(<[u8]>::to_vec).ok_or_else(cut);
    }
    if length == 0 {
        return Ok(Vec::new());
    }
    if block == 0 {
        return Err(cut());
    }
    let mut out = vec![0; length];
    let mut plain = vec![0; block.min(length)];
    for (index, to) in out.chunks_mut(block).enumerate() {
        let start = word(HEADER + 4 * index).ok_or_else(cut)?;
        let plain = plain.get_mut(..to.len()).ok_or_else(cut)?;
        let may_split = flags & WHOLE == 0
            && to.len() == block
            && size <= MOST_SPLITS
            && block / size >= FEWEST_IN_SPLIT;
        let splits = if may_split { size } else { 1 };
        streams(packed, start, flags >> 5, plain, splits)?;
        if flags & SHUFFLED != 0 && size > 1 {
            unshuffle(plain, size, to);
        } else if flags & BIT_SHUFFLED != 0 {
            unshuffle_bits(plain, size, to);
        } else {
            to.copy_from_slice(plain);
        }
    }
    Ok(out)
}

/// Unpacks the streams of one block that begin at `start` into equal parts of `plain`.
fn streams(
    packed: &[u8],
    start: usize,
    method: u8,
    plain: &mut [u8],
    splits: usize,
) -> Result<(), String> {
    let cut = || "a Blosc chunk is cut short or damaged".to_owned();
    let part = plain.len() / splits;
    let mut at = start;
    for to in plain.chunks_exact_mut(part.max(1)).take(splits) {
        let length = packed.get(at..at.saturating_add(4)).ok_or_else(cut)?;
        let length = u32::from_le_bytes(length.try_into().map_err(|_| cut())?) as usize;
        at += 4;
        let from = packed.get(at..at.saturating_add(length)).ok_or_else(cut)?;
        at += length;
        if length == to.len() {
            to.copy_from_slice(from);
            continue;
        }
        let filled = match method {
            0 => blosclz(from, to),
            1 => lz4_flex::block::decompress_into(from, to).ok(),
            3 => codecs::zlib(from, to.len()).ok().map(|bytes| fill(&bytes, to)),
            4 => codecs::zstd(from, to.len()).ok().map(|bytes| fill(&bytes, to)),
            2 => return Err("Blosc with Snappy is not read".into()),
            other => return Err(format!("Blosc with the method {other} is not read")),
        };
        if filled != Some(to.len()) {
            return Err(cut());
        }
    }
    Ok(())
}

fn fill(bytes: &[u8], to: &mut [u8]) -> usize {
    match to.get_mut(..bytes.len()) {
        Some(part) => {
            part.copy_from_slice(bytes);
            bytes.len()
        }
        None => 0,
    }
}

/// All first bytes of the numbers, then all second ones, back to numbers. Bytes beyond the last
/// whole number stay as they are.
pub(super) fn unshuffle(from: &[u8], size: usize, to: &mut [u8]) {
    let count = to.len() / size;
    let whole = count * size;
    let Some((shuffled, rest)) = from.split_at_checked(whole) else { return };
    for (byte, plane) in shuffled.chunks_exact(count.max(1)).enumerate() {
        for (value, number) in plane.iter().zip(to.chunks_exact_mut(size)) {
            number[byte] = *value;
        }
    }
    for (to, from) in to[whole..].iter_mut().zip(rest) {
        *to = *from;
    }
}

/// All first bits of the numbers, then all second ones, back to numbers. Blosc leaves blocks whose
/// numbers are no multiple of eight as they are.
fn unshuffle_bits(from: &[u8], size: usize, to: &mut [u8]) {
    to.copy_from_slice(from);
    let count = to.len() / size;
    if !count.is_multiple_of(8) || count == 0 {
        return;
    }
    let whole = count * size;
    to[..whole].fill(0);
    for (plane, bits) in from[..whole].chunks_exact(count / 8).enumerate() {
        let (byte, bit) = (plane / 8, plane % 8);
        for (eight, packed) in bits.iter().enumerate() {
            for one in 0..8 {
                to[(eight * 8 + one) * size + byte] |= (packed >> one & 1) << bit;
            }
        }
    }
}

/// BloscLZ, a kind of FastLZ: runs of literal bytes, and copies of what came before. Gives the
/// number of bytes written; `None` where the stream is damaged.
fn blosclz(from: &[u8], to: &mut [u8]) -> Option<usize> {
    /// Farther copies have two more bytes of distance.
    const NEAR: usize = 8191;
    let mut input = from.iter().copied();
    let mut control = usize::from(input.next()? & 31);
    let mut at = 0;
    loop {
        if control < 32 {
            for _ in 0..=control {
                *to.get_mut(at)? = input.next()?;
                at += 1;
            }
        } else {
            let mut length = (control >> 5) - 1;
            let high = (control & 31) << 8;
            if length == 6 {
                loop {
                    let more = input.next()?;
                    length = length.checked_add(usize::from(more))?;
                    if more != 255 {
                        break;
                    }
                }
            }
            let low = usize::from(input.next()?);
            let mut distance = high + low + 1;
            if low == 255 && high == 31 << 8 {
                let far = usize::from(input.next()?) << 8;
                distance = far + usize::from(input.next()?) + NEAR + 1;
            }
            for _ in 0..length + 3 {
                let value = *to.get(at.checked_sub(distance)?)?;
                *to.get_mut(at)? = value;
                at += 1;
            }
        }
        match input.next() {
            Some(next) => control = usize::from(next),
            None => return Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chunk of one block in one stream.
    fn chunk(flags: u8, size: u8, length: usize, stream: &[u8]) -> Vec<u8> {
        let word = |n: usize| (n as u32).to_le_bytes();
        let all = HEADER + 4 + 4 + stream.len();
        let mut out = vec![2, 1, flags, size];
        out.extend([word(length), word(length), word(all), word(HEADER + 4)].concat());
        out.extend(word(stream.len()));
        out.extend(stream);
        out
    }

    fn numbers() -> Vec<u8> {
        (0..64u16).flat_map(|v| (v * 3).to_le_bytes()).collect()
    }

    fn shuffled(bytes: &[u8]) -> Vec<u8> {
        let byte = |place: usize| bytes.iter().skip(place).step_by(2).copied();
        byte(0).chain(byte(1)).collect()
    }

    #[test]
    fn blocks_of_each_kind() {
        let plain = numbers();
        let length = plain.len();
        let lz4 = lz4_flex::block::compress(&shuffled(&plain));
        let packed = chunk(SHUFFLED | WHOLE | 1 << 5, 2, length, &lz4);
        assert_eq!(unpack(&packed, length).unwrap(), plain);
        // A stream that is as long as the block is the block.
        assert_eq!(unpack(&chunk(WHOLE, 2, length, &plain), length).unwrap(), plain);
        let mut copied = chunk(COPIED, 2, length, &[]);
        copied.truncate(HEADER);
        copied.extend(&plain);
        copied[12..16].copy_from_slice(&((HEADER + length) as u32).to_le_bytes());
        assert_eq!(unpack(&copied, length).unwrap(), plain);
        // Bits: the first plane has the lowest bit of all first bytes.
        let mut bits = vec![0; length];
        for (i, byte) in plain.iter().enumerate() {
            for bit in 0..8 {
                let plane = (i % 2) * 8 + bit;
                bits[plane * 8 + i / 16] |= (byte >> bit & 1) << (i / 2 % 8);
            }
        }
        let packed = chunk(BIT_SHUFFLED | WHOLE, 2, length, &bits);
        assert_eq!(unpack(&packed, length).unwrap(), plain);
    }

    #[test]
    fn copies_of_blosclz_near_and_far() {
        let mut to = vec![0; 12];
        // Three literal bytes, then seven from three back, then two literal ones.
        assert_eq!(blosclz(&[2, 1, 2, 3, 5 << 5, 2, 1, 9, 9], &mut to), Some(12));
        assert_eq!(to, [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 9, 9][..]);
        // Long lengths go on in further bytes, and far copies have two bytes more.
        let mut to = vec![0; 9000];
        let stream = [1, 7, 8, 7 << 5, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255];
        assert_eq!(blosclz(&stream, &mut to), None, "ends in a length");
        let many = [&stream[..], &[0, 1, 0, 5]].concat();
        assert_eq!(blosclz(&many, &mut to), Some(2 + 6 + 2550 + 3 + 1));
        assert_eq!((to[0], to[1], to[2], to[2560]), (7, 8, 7, 7));
        let far = [&[7 << 5 | 31, 0, 255, 0, 0][..]].concat();
        assert_eq!(blosclz(&[&[0, 1][..], &far].concat(), &mut to), None, "before the start");
    }

    #[test]
    fn damaged_chunks_are_errors_and_cost_no_memory() {
        let plain = numbers();
        let lz4 = lz4_flex::block::compress(&shuffled(&plain));
        let sound = chunk(SHUFFLED | WHOLE | 1 << 5, 2, plain.len(), &lz4);
        for length in 0..sound.len() {
            assert!(unpack(&sound[..length], plain.len()).is_err(), "{length}");
        }
        for at in 0..sound.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = sound.clone();
                bytes[at] = value;
                if let Ok(found) = unpack(&bytes, plain.len()) {
                    assert_eq!(found.len(), plain.len());
                }
            }
        }
        assert!(unpack(&sound, 1 << 30).unwrap_err().contains("belong"));
    }
}
