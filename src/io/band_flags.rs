//! Lists that say which bands are good or bad: a flag a band, or numbers of bands.

/// True for good bands; `None` when the list says nothing of them.
///
/// `marks_good`: by its name the list marks good bands, as ENVI's `bbl` does (1 is good), else bad
/// ones. Flags of which most mark a band as bad are taken the other way round, since most bands of
/// a scene are good. `first` is the number of the first band.
///
/// # Errors
/// The end of a sentence about the list: it "names band 300, of 285".
pub(crate) fn good(
    values: &[f64],
    bands: usize,
    marks_good: bool,
    first: f64,
) -> Result<Option<Vec<bool>>, String> {
    // A single 1 may be the number of a bad band; of a list of good ones it is a flag for all.
    let flags = values.iter().all(|v| *v == 0.0 || *v == 1.0);
    if flags && (values.len() > 1 || marks_good) {
        if values.len() != bands {
            return Err(format!("holds {} values, but there are {bands} bands", values.len()));
        }
        let ones = values.iter().filter(|v| **v == 1.0).count();
        let one_is_good = marks_good || 2 * ones > bands;
        let good: Vec<bool> = values.iter().map(|v| (*v == 1.0) == one_is_good).collect();
        return Ok(good.contains(&false).then_some(good));
    }
    if marks_good && values.len() == bands {
        // They say which bands of the sensor were kept: there is nothing left to select.
        return Ok(None);
    }
    let mut marked = vec![false; bands];
    for value in values {
        let place = value - first;
        let slot = (place >= 0.0 && place.fract() == 0.0)
            .then(|| marked.get_mut(place as usize))
            .flatten();
        let Some(slot) = slot else { return Err(format!("names the band {value}, of {bands}")) };
        *slot = true;
    }
    let good: Vec<bool> = marked.into_iter().map(|m| m == marks_good).collect();
    Ok(good.contains(&true).then_some(good))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_numbers() {
        let flags = |s: &[u8]| Ok(Some(s.iter().map(|b| *b == 1).collect::<Vec<_>>()));
        assert_eq!(good(&[1.0, 0.0, 1.0], 3, true, 1.0), flags(&[1, 0, 1]));
        assert_eq!(good(&[0.0, 1.0, 0.0], 3, false, 1.0), flags(&[1, 0, 1]));
        assert_eq!(good(&[1.0, 0.0, 1.0], 3, false, 1.0), flags(&[1, 0, 1]));
        assert_eq!(good(&[2.0], 3, false, 1.0), flags(&[1, 0, 1]));
        assert_eq!(good(&[1.0, 3.0], 4, true, 1.0), flags(&[1, 0, 1, 0]));
        assert_eq!(good(&[0.0, 2.0], 3, false, 0.0), flags(&[0, 1, 0]));
        assert_eq!(good(&[1.0, 1.0, 1.0], 3, true, 1.0), Ok(None));
        assert_eq!(good(&[7.0, 8.0, 9.0], 3, true, 1.0), Ok(None));
        assert!(good(&[1.0], 3, true, 1.0).unwrap_err().contains("1 value"));
        assert!(good(&[1.0, 0.0], 3, true, 1.0).unwrap_err().contains("2 values"));
        assert!(good(&[9.0], 3, false, 1.0).unwrap_err().contains("9"));
    }
}
