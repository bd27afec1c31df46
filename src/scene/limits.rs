//! What a header may state before anything is read.

use super::Header;
use super::load::MOST_BANDS;
use crate::engine::ground::error::{Error, Result};

/// Sizes within limits, and one entry a band where there is one a band.
pub(super) fn check(name: &str, header: &Header) -> Result<()> {
    let Header { rows, cols, bands, .. } = *header;
    let fail = |why: String| Err(Error::Scene(format!("{name}: {why}")));
    if rows.checked_mul(cols).is_none_or(|n| n > u32::MAX as usize) {
        return fail(format!(
            "{rows} rows x {cols} columns are more than the {} pixels that one fit can have; cut \
             the scene into pieces.",
            u32::MAX
        ));
    }
    if rows == 0 || cols == 0 || bands == 0 {
        return fail(format!("{rows} rows x {cols} columns x {bands} bands are an empty scene."));
    }
    if bands > MOST_BANDS
        || (rows * cols)
            .checked_mul(bands.next_multiple_of(crate::engine::layout::BAND_GROUP))
            .is_none()
    {
        return fail(format!("{bands} bands are more than the {MOST_BANDS} that are allowed."));
    }
    for (what, len) in [
        ("wavelengths", header.wavelengths.as_ref().map(Vec::len)),
        ("widths of bands", header.fwhm.as_ref().map(Vec::len)),
        ("flags of bad bands", header.good_bands.as_ref().map(Vec::len)),
    ] {
        if let Some(len) = len.filter(|len| *len != bands) {
            return fail(format!("{len} {what} are given for {bands} bands."));
        }
    }
    if let Some((gain, offset, key)) = &header.stated_scale {
        for list in [gain, offset] {
            if (list.len() != 1 && list.len() != bands) || list.iter().any(|v| !v.is_finite()) {
                return fail(format!("`{key}` must hold 1 or {bands} finite numbers."));
            }
        }
    }
    Ok(())
}
