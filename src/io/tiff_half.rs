//! TIFFs of 16-bit floats, which `tiff-reader` refuses: it is shown whole numbers of 16 bits, and
//! whoever takes them decodes the floats.
//!
//! The library would read them with a feature that needs an older `half` than the shaders' compiler
//! takes; Cargo allows one of the two.

use std::path::Path;
use std::sync::Arc;

use tiff_reader::TiffError;
use tiff_reader::source::{FileSource, SharedSource, TiffSource};

const BITS: u16 = 258;
const FORMAT: u16 = 339;
/// Values of `FORMAT`.
const WHOLE: u16 = 1;
const FLOATING: u16 = 3;
const SHORT: u16 = 3;
/// More images or entries than this are no scene.
const MOST_IMAGES: usize = 1 << 16;
const MOST_ENTRIES: u64 = 4096;

/// A file in which some bytes read as others.
struct Patched {
    file: FileSource,
    /// Place and bytes, each within one entry of a directory.
    patches: Vec<(u64, Vec<u8>)>,
}

impl TiffSource for Patched {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_exact_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, TiffError> {
        let mut bytes = self.file.read_exact_at(offset, len)?;
        for (place, patch) in &self.patches {
            for (at, value) in (*place..).zip(patch) {
                let slot =
                    at.checked_sub(offset).and_then(|i| bytes.get_mut(usize::try_from(i).ok()?));
                if let Some(slot) = slot {
                    *slot = *value;
                }
            }
        }
        Ok(bytes)
    }
}

/// The file as one of whole numbers, where all of its images are 16-bit floats; else `None`.
pub(super) fn as_whole_numbers(path: &Path) -> Option<SharedSource> {
    let file = FileSource::open(path).ok()?;
    let patches = patches(&file)?;
    (!patches.is_empty()).then(|| Arc::new(Patched { file, patches }) as SharedSource)
}

/// What has to read differently: the formats of the samples of each image. `None` where an image
/// has samples of another kind, or the file is damaged.
fn patches(file: &FileSource) -> Option<Vec<(u64, Vec<u8>)>> {
    let start = file.read_exact_at(0, 16).ok()?;
    let little = start.starts_with(b"II");
    let number = |bytes: &[u8]| {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        if little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) }
    };
    let big = number(start.get(2..4)?) == 43;
    let (word, counted, entry) = if big { (8, 8, 20) } else { (4, 2, 12) };
    let mut next = number(start.get(if big { 8..16 } else { 4..8 })?);
    let mut patches = Vec::new();
    for _ in 0..MOST_IMAGES {
        if next == 0 {
            return Some(patches);
        }
        let count = number(&file.read_exact_at(next, counted).ok()?);
        if count > MOST_ENTRIES {
            return None;
        }
        let first = next.checked_add(counted as u64)?;
        let entries = file.read_exact_at(first, count as usize * entry + word).ok()?;
        // The shorts of an entry and where they lie.
        let shorts = |code: u16| -> Option<(u64, Vec<u16>)> {
            let (index, found) = entries
                .chunks_exact(entry)
                .enumerate()
                .find(|(_, e)| e.get(..2).is_some_and(|tag| number(tag) == u64::from(code)))?;
            let many = usize::try_from(number(found.get(4..4 + word)?)).ok()?;
            if number(found.get(2..4)?) != u64::from(SHORT) || many > 1 << 16 {
                return None;
            }
            let own = first + (index * entry + 4 + word) as u64;
            let inline = 2 * many <= word;
            let place = if inline { own } else { number(found.get(4 + word..4 + 2 * word)?) };
            let bytes = file.read_exact_at(place, 2 * many).ok()?;
            Some((place, bytes.chunks_exact(2).map(|pair| number(pair) as u16).collect()))
        };
        let (_, bits) = shorts(BITS)?;
        let (place, formats) = shorts(FORMAT)?;
        let half = bits.iter().all(|n| *n == 16) && formats.iter().all(|f| *f == FLOATING);
        if !half {
            return None;
        }
        let one = if little { WHOLE.to_le_bytes() } else { WHOLE.to_be_bytes() };
        patches.push((place, one.repeat(formats.len())));
        next = number(entries.get(count as usize * entry..)?);
    }
    None
}
