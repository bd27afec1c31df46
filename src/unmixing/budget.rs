//! How much memory a fit may take, and how much of a scene is held at a time within that.

use std::fmt;

use super::plan::LEARNED_FROM;
use crate::engine::backend::available_memory;
use crate::engine::ground::error::{Error, Result};
use crate::engine::layout::BAND_GROUP;
use crate::scene::Header;

/// Of the memory that is free, the share that a fit takes where nobody says how much, in tenths:
/// what the system and others need meanwhile is unknown.
const SHARE: u64 = 7;
/// Rows that are read at once take no more than this, bytes: larger blocks are no faster.
const MOST_AT_ONCE: u64 = 64 << 20;
/// What the program itself takes, with its tables and pictures, bytes.
const PROGRAM: u64 = 96 << 20;
/// Copies of the pixels that a scene is learned from: as they were drawn, as a scene, in the order
/// of chance, and the search's own.
const COPIES: u64 = 4;
/// Bytes that a pixel takes in a fit beside its spectrum, for each endmember: moments and
/// quantiles, once as a list and once as images.
const MAPS: u64 = 4 * 12;
/// Numbers that a pixel that is learned from takes in the engine for each endmember, about: its
/// guide, the moments of its optimiser, draws and gradients; its square for their correlations.
const GUIDE: u64 = 4 * 16;
/// Blocks that are under way at once: one that is read and one that is computed.
const AHEAD: u64 = 2;

/// Memory that a fit may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Bytes in all; none: seven tenths of what is free.
    pub memory: Option<u64>,
    /// Whether the scene is learned from some of its pixels, too, and not only gets abundances
    /// under an earlier fit.
    pub learns: bool,
    /// Whether a large scene is read by rows even where all of it fits.
    pub prefers_rows: bool,
}

/// How a scene is held, and what that takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Held {
    /// All of it at once, in so many bytes.
    Whole {
        /// Bytes that the fit takes, about.
        bytes: u64,
    },
    /// So many rows at a time.
    Rows {
        /// Rows of a block, at least 1.
        rows: usize,
        /// Bytes that the fit takes, about.
        bytes: u64,
        /// Bytes that the fit would take with the whole scene.
        whole: u64,
        /// Bytes that it may take.
        budget: u64,
        /// How often the file is read, and what for.
        reads: &'static str,
    },
}

impl Budget {
    /// Bytes that may be taken: those that were given, or the share of what is free; as many as
    /// there may be where nobody knows.
    pub fn bytes(&self) -> u64 {
        let free = available_memory().map(|free| free / 10 * SHARE);
        self.memory.or(free).unwrap_or(u64::MAX)
    }

    /// How a scene of this size is held in a fit of `endmembers`. `unpacked` are bytes of values
    /// that the reader holds already.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a budget that the least does not fit in, and for more endmembers to
    /// learn than the scene has bands or pixels.
    pub fn plan(&self, header: &Header, unpacked: u64, endmembers: usize) -> Result<Held> {
        if self.learns {
            let places = header.rows.saturating_mul(header.cols);
            crate::starts::check_sizes(header.bands, places, endmembers)?;
        }
        let budget = self.bytes();
        let all = self.whole(header, unpacked, endmembers);
        let sample = self.sample(header);
        let by_rows = self.prefers_rows && sample < pixels(header);
        if all <= budget && !by_rows {
            return Ok(Held::Whole { bytes: all });
        }
        let fixed =
            PROGRAM.saturating_add(unpacked).saturating_add(learned(header, sample, endmembers));
        let row = AHEAD.saturating_mul(of_row(header, endmembers));
        // Of a small scene nothing is gained by rows.
        let least = if sample < pixels(header) { fixed.saturating_add(row) } else { all };
        if least > budget {
            return Err(Error::setting(
                crate::engine::ground::setting::MEMORY,
                size(budget),
                format!(
                    "is less than the {} that a fit of this scene takes at least, of which {} are \
                     for the {sample} pixels that it is learned from",
                    size(least),
                    size(learned(header, sample, endmembers))
                ),
            ));
        }
        let room = (budget - fixed).min(AHEAD * MOST_AT_ONCE);
        let rows = (room / row.max(1)).clamp(1, header.rows.max(1) as u64);
        let reads = match self.learns {
            true => {
                "four times: what its values are, which pixels are used, which are extreme, and \
                 for the abundances"
            }
            false => "three times: what its values are, which pixels are used, for the abundances",
        };
        let (rows, bytes) = (rows as usize, fixed.saturating_add(rows.saturating_mul(row)));
        Ok(Held::Rows { rows, bytes, whole: all, budget, reads })
    }

    /// Pixels that the scene is learned from, at most.
    fn sample(&self, header: &Header) -> u64 {
        if self.learns { pixels(header).min(LEARNED_FROM as u64) } else { 0 }
    }

    /// Bytes of a fit with all pixels in memory.
    fn whole(&self, header: &Header, unpacked: u64, endmembers: usize) -> u64 {
        let pixels = pixels(header);
        let maps = pixels.saturating_mul(MAPS.saturating_mul(endmembers as u64 + 2));
        PROGRAM
            .saturating_add(unpacked)
            .saturating_add(spectra(header, pixels))
            .saturating_add(learned(header, self.sample(header), endmembers))
            .saturating_add(maps)
    }
}

fn pixels(header: &Header) -> u64 {
    (header.rows as u64).saturating_mul(header.cols as u64)
}

/// Bytes of the spectra of so many pixels, as the engine has them.
fn spectra(header: &Header, pixels: u64) -> u64 {
    pixels.saturating_mul(4 * header.bands.next_multiple_of(BAND_GROUP) as u64)
}

/// What the pixels take that a scene is learned from, and the scene itself.
fn learned(header: &Header, sample: u64, endmembers: usize) -> u64 {
    let k = endmembers as u64;
    let values = k.saturating_mul(header.bands as u64);
    let of_pixel =
        GUIDE.saturating_mul(k).saturating_add(k.saturating_mul(k).saturating_mul(4 * 3));
    let guides = sample.saturating_mul(of_pixel);
    // Matrices of the spectra's posterior, and draws of the spectra.
    let nested = match values as usize <= crate::posterior::nested::MOST_VALUES {
        true => values.saturating_mul(values).saturating_mul(8 * 4),
        false => 0,
    };
    let draws = values.saturating_mul(8 * 1200);
    let of_sample = COPIES.saturating_mul(spectra(header, sample));
    of_sample.saturating_add(guides).saturating_add(nested).saturating_add(draws)
}

/// Bytes that a row takes: its values as they are read, its spectra, and what is found.
fn of_row(header: &Header, endmembers: usize) -> u64 {
    let cols = header.cols as u64;
    let found = cols.saturating_mul(MAPS.saturating_mul(endmembers as u64 + 2));
    spectra(header, cols).saturating_mul(2).saturating_add(found)
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_737_418_240 => format!("{} MiB", bytes.div_ceil(1 << 20)),
        _ => format!("{} GiB", bytes.div_ceil(1 << 30)),
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Held::Whole { bytes } => {
                write!(f, "memory: about {}, the whole scene at once", size(*bytes))
            }
            Held::Rows { rows, bytes, whole, budget, reads } => write!(
                f,
                "memory: about {}, by blocks of {rows} rows; all at once would take {}, and {} may \
                 be used. The file is read {reads}",
                size(*bytes),
                size(*whole),
                size(*budget)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(rows: usize, cols: usize, bands: usize) -> Header {
        Header { rows, cols, bands, ..Header::default() }
    }

    #[test]
    fn a_scene_is_held_whole_where_it_fits_and_by_rows_where_not() {
        let budget = |memory| Budget { memory: Some(memory), learns: true, prefers_rows: false };
        let plan = |memory| budget(memory).plan(&header(4600, 4600, 200), 0, 6);
        assert!(matches!(plan(100 << 30), Ok(Held::Whole { .. })));
        let Ok(Held::Rows { rows, bytes, .. }) = plan(1 << 30) else { panic!() };
        // A row takes 23 MB with what is read ahead.
        assert!(rows >= 4 && bytes <= 1 << 30, "{rows} rows, {bytes}");
        // Rows grow with the budget, to a block that is no faster if larger.
        let Ok(Held::Rows { rows: more, .. }) = plan(8 << 30) else { panic!() };
        assert!(more >= rows);
        let text = plan(64 << 20).unwrap_err().to_string();
        assert!(text.contains("64 MiB") && text.contains("at least"), "{text}");
        // An earlier fit is applied with less.
        let apply = Budget { learns: false, ..budget(256 << 20) };
        assert!(matches!(apply.plan(&header(4600, 4600, 200), 0, 6), Ok(Held::Rows { .. })));
        let kept = Budget { prefers_rows: true, ..budget(100 << 30) };
        assert!(matches!(kept.plan(&header(4600, 4600, 200), 0, 6), Ok(Held::Rows { .. })));
        assert!(matches!(kept.plan(&header(95, 95, 156), 0, 3), Ok(Held::Whole { .. })));
        let small = budget(1 << 30).plan(&header(95, 95, 156), 0, 3).unwrap();
        assert!(matches!(small, Held::Whole { .. }));
        assert!(small.to_string().contains("the whole scene"));
    }

    #[test]
    fn sizes_of_any_number_do_not_overflow() {
        let most = usize::MAX / 4;
        let huge = header(most, most, 65536);
        let budget = |memory| Budget { memory: Some(memory), learns: true, prefers_rows: false };
        assert!(budget(u64::MAX).plan(&huge, 0, 65536).is_ok());
        assert!(budget(1).plan(&huge, u64::MAX / 2, 65536).is_err());
    }
}
