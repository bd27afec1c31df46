//! Which bands of a scene are used, and why the others are not.

use super::Header;
use super::load::LoadOptions;
use super::statistics::Statistics;
use crate::engine::ground::error::{Error, Result};

/// Which bands count at all: neither flagged by the file nor dropped by the caller.
pub(super) struct Chosen {
    /// True for bands that count, one a band of the file.
    pub(super) good: Vec<bool>,
    flagged: usize,
    dropped: usize,
}

/// Applies the file's flags and what the caller drops.
///
/// # Errors
/// [`Error::Option`] when a band is dropped that the file does not have, or wavelengths are dropped
/// of a scene without any; [`Error::Scene`] when nothing is left.
pub(super) fn choose(name: &str, header: &Header, options: &LoadOptions) -> Result<Chosen> {
    let mut good = header.good_bands.clone().unwrap_or_else(|| vec![true; header.bands]);
    let flagged = good.iter().filter(|g| !**g).count();
    if flagged == header.bands {
        return Err(Error::Scene(format!(
            "{name}: the file flags all of its {} bands as bad.",
            header.bands
        )));
    }
    for &band in &options.drop_bands {
        let slot = band.checked_sub(1).and_then(|b| good.get_mut(b)).ok_or_else(|| {
            Error::option(
                format!("dropped band {band}"),
                format!("the file has the bands 1 to {}", header.bands),
            )
        })?;
        *slot = false;
    }
    if !options.drop_wavelengths.is_empty() {
        let Some(nm) = &header.wavelengths else {
            return Err(Error::option(
                "dropped wavelengths",
                "the file gives no wavelengths; drop bands by their numbers instead",
            ));
        };
        for &(low, high) in &options.drop_wavelengths {
            let inside = good.iter_mut().zip(nm).filter(|(_, w)| (low..=high).contains(*w));
            inside.for_each(|(good, _)| *good = false);
        }
    }
    let left = good.iter().filter(|g| **g).count();
    if left == 0 {
        return Err(Error::Scene(format!("{name}: all {} bands are dropped.", header.bands)));
    }
    Ok(Chosen { good, flagged, dropped: header.bands - left - flagged })
}

/// Chooses the bands to use, in the order of the file, and notes why others are left out.
pub(super) fn in_use(
    name: &str,
    header: &Header,
    chosen: &Chosen,
    statistics: &Statistics,
    options: &LoadOptions,
    notes: &mut Vec<String>,
) -> Result<Vec<usize>> {
    let blind = match &header.wavelengths {
        Some(nm) if header.good_bands.is_none() && !options.keep_water_bands => {
            statistics.roughness.blind(nm, &chosen.good)
        }
        _ => vec![false; header.bands],
    };
    let (mut wet, mut hollow, mut constant) = (0, 0, 0);
    let mut used = Vec::new();
    for (index, band) in statistics.bands.iter().enumerate() {
        if !chosen.good[index] {
        } else if band.count == 0 || band.count * 2 < statistics.filled {
            // Kept, such a band would cost more pixels than it leaves.
            hollow += 1;
        } else if band.is_constant() && statistics.filled > 1 {
            constant += 1;
        } else if blind[index] {
            wet += 1;
        } else {
            used.push(index);
        }
    }
    let told: Vec<String> = [
        (chosen.flagged, "flagged as bad by the file"),
        (chosen.dropped, "dropped as asked"),
        (hollow, "without a value in most valid pixels"),
        (constant, "constant over all valid pixels"),
        (
            wet,
            "in the windows of water vapour (1310-1490 and 1770-2050 nm), where they hold noise \
            or nothing",
        ),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, why)| format!("{n} {why}"))
    .collect();
    if used.is_empty() {
        return Err(Error::Scene(format!(
            "{name}: none of the {} bands can be used: {}.",
            header.bands,
            told.join(", ")
        )));
    }
    if !told.is_empty() {
        notes.push(format!(
            "{} of {} bands were left out: {}.",
            header.bands - used.len(),
            header.bands,
            told.join(", ")
        ));
    }
    Ok(used)
}
