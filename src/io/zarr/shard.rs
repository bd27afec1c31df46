//! Shards of Zarr 3: many pieces in one file, with a list of where each begins.

use super::codecs::crc32c;
use super::metadata::Shard;
use super::store::steps;

/// What the list has for a piece that was never written.
const NOT_THERE: u64 = u64::MAX;

/// The stored bytes of the piece at `index` within a shard that is `chunks` long along each axis;
/// `None` where it was never written.
///
/// # Errors
/// What is wrong with the shard.
pub(super) fn piece<'a>(
    stored: &'a [u8],
    shard: &Shard,
    chunks: &[usize],
    index: &[usize],
) -> Result<Option<&'a [u8]>, String> {
    let cut = || "a shard is cut short or damaged".to_owned();
    let grid: Vec<usize> =
        chunks.iter().zip(&shard.chunks).map(|(all, one)| all / one.max(&1)).collect();
    let count = grid.iter().try_fold(1usize, |n, g| n.checked_mul(*g)).ok_or_else(cut)?;
    let list = count.checked_mul(16).ok_or_else(cut)?;
    let length = list.checked_add(if shard.checked { 4 } else { 0 }).ok_or_else(cut)?;
    let start =
        if shard.index_at_end { stored.len().checked_sub(length).ok_or_else(cut)? } else { 0 };
    let (bytes, sum) = stored
        .get(start..start + length)
        .and_then(|index| index.split_at_checked(list))
        .ok_or_else(cut)?;
    if let Ok(sum) = <[u8; 4]>::try_from(sum)
        && crc32c(bytes) != u32::from_le_bytes(sum)
    {
        return Err("the list of a shard does not have its checksum; it is damaged".into());
    }
    let place: usize = index.iter().zip(steps(&grid)).map(|(i, step)| i * step).sum();
    let word = |at: usize| -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
        Some(if shard.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    };
    let (from, size) = word(place * 16).zip(word(place * 16 + 8)).ok_or_else(cut)?;
    if from == NOT_THERE && size == NOT_THERE {
        return Ok(None);
    }
    let range = usize::try_from(from).ok().zip(usize::try_from(size).ok());
    let (from, size) = range.ok_or_else(cut)?;
    let end = from.checked_add(size).ok_or_else(cut)?;
    stored.get(from..end).map(Some).ok_or_else(cut)
}
