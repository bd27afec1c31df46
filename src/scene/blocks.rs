//! Rows of a source, block by block: the next block is read while this one is worked on, and parts
//! of a block are worked on side by side.

use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;

use super::{CubeSource, grow};
use crate::engine::ground::error::Result;

/// Bytes of values that are read at once: small enough for the caches, since turning bsq into
/// pixels writes all over the block, and large enough that column-major files give many rows in one
/// go.
const BLOCK: usize = 8 << 20;
/// Values of a part, in whole rows of the image. Sums are made part by part, in order: they do not
/// depend on how many threads there are.
const PART: usize = 1 << 16;

/// Rows of a part, of `size` values each.
fn rows_of_part(size: usize) -> usize {
    (PART / size.max(1)).max(1)
}

/// Hands blocks of some rows to `each`, in order: the first row, and the values of all, `size` a
/// row, which it may overwrite.
pub(super) fn for_each_block(
    source: &mut dyn CubeSource,
    name: &str,
    size: usize,
    rows: Range<usize>,
    mut each: impl FnMut(usize, &mut [f32]) -> Result<()> + Send,
) -> Result<()> {
    let part = rows_of_part(size);
    let at_once = (BLOCK / 4 / size.max(1) / part * part).max(part).min(rows.len().max(1));
    let mut read = |first: usize, block: &mut Vec<f32>| {
        let count = at_once.min(rows.end - first);
        block.resize(count * size, 0.0);
        source.read_rows(first, count, block)
    };
    if rows.is_empty() {
        return Ok(());
    }
    let mut block = grow(Path::new(name), at_once * size)?;
    let mut ahead = match rows.len() > at_once {
        true => grow(Path::new(name), at_once * size)?,
        false => Vec::new(),
    };
    read(rows.start, &mut block)?;
    for first in rows.clone().step_by(at_once) {
        let next = first + at_once;
        let (done, found) = rayon::join(
            || each(first, &mut block),
            || if next < rows.end { read(next, &mut ahead) } else { Ok(()) },
        );
        done?;
        found?;
        std::mem::swap(&mut block, &mut ahead);
    }
    Ok(())
}

/// What `each` makes of the parts of a block, side by side, in their order: it gets the first row
/// of a part, counted from that of the block, and its values, `size` a row.
pub(super) fn parts<T: Send>(
    block: &mut [f32],
    size: usize,
    each: impl Fn(usize, &mut [f32]) -> T + Sync,
) -> Vec<T> {
    let rows = rows_of_part(size);
    let parts = block.par_chunks_mut((rows * size).max(1)).enumerate();
    parts.map(|(part, values)| each(part * rows, values)).collect()
}

/// The values of the parts that [`parts`] made, in their order.
pub(super) fn of_parts(block: &[f32], size: usize) -> impl Iterator<Item = &[f32]> {
    block.chunks((rows_of_part(size) * size).max(1))
}

#[cfg(test)]
mod tests {
    use super::super::Header;
    use super::*;
    use crate::engine::ground::error::Error;

    /// Rows that hold their number, `size` times.
    struct Rows {
        header: Header,
        fails_at: usize,
    }

    impl CubeSource for Rows {
        fn header(&self) -> &Header {
            &self.header
        }

        fn read_rows(&mut self, first: usize, count: usize, out: &mut [f32]) -> Result<()> {
            if (first..first + count).contains(&self.fails_at) {
                return Err(Error::Scene("broken".into()));
            }
            let size = out.len() / count;
            for (row, values) in out.chunks_exact_mut(size).enumerate() {
                values.fill((first + row) as f32);
            }
            Ok(())
        }
    }

    fn seen(rows: Range<usize>, size: usize, fails_at: usize) -> Result<Vec<f32>> {
        let mut source = Rows { header: Header::default(), fails_at };
        let mut seen = Vec::new();
        for_each_block(&mut source, "rows", size, rows, |first, block| {
            let found = parts(block, size, |row, values| {
                let found = values.chunks_exact(size).enumerate();
                found.map(|(i, v)| (first + row + i, v[0], v[size - 1])).collect::<Vec<_>>()
            });
            assert_eq!(of_parts(block, size).count(), found.len());
            for (row, begin, end) in found.into_iter().flatten() {
                assert!(begin == row as f32 && end == begin);
                seen.push(begin);
            }
            Ok(())
        })?;
        Ok(seen)
    }

    #[test]
    fn every_row_comes_once_and_in_order() {
        // Many rows a part, one, blocks of one part, and rows larger than a block.
        for (rows, size) in [(0..9, 3), (5..40_000, 100), (2..70, 70_000), (0..3, 3 << 20)] {
            let wanted: Vec<f32> = rows.clone().map(|row| row as f32).collect();
            assert_eq!(seen(rows, size, usize::MAX).unwrap(), wanted, "{size}");
        }
        assert!(seen(4..4, 10, usize::MAX).unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for at in [0, 30_000, 39_999] {
            assert!(seen(0..40_000, 100, at).is_err(), "{at}");
        }
    }
}
