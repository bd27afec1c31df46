//! What named arrays say of a scene's bands: wavelengths, widths, flags of bad ones; and of its
//! scale and its values for no data.

use super::arrays::{Arrays, NamedArray};
use super::band_flags;
use super::evidence::normalised;
use crate::scene::{Header, to_nanometres, widths_in_nanometres};

/// Names of lists of wavelengths, the surer first, in lower case without marks.
const WAVELENGTHS: [&str; 35] = [
    "wavelength",
    "wavelengths",
    "wl",
    "wvl",
    "wavelengthnm",
    "wavelengthsnm",
    "wavelengthum",
    "wave",
    "waves",
    "lambda",
    "lambdas",
    "lam",
    "nm",
    "wvls",
    "wls",
    "centerwavelength",
    "centerwavelengths",
    "centrewavelengths",
    "bandcenters",
    "bandcentres",
    "wavs",
    "um",
    "centralwavelength",
    "centralwavelengths",
    "bandwavelength",
    "radiationwavelength",
    "wavelength3d",
    "wellenlaenge",
    "wellenlaengen",
    "wellenlnge",
    "longueuronde",
    "longueurdonde",
    "longitudonda",
    "longituddeonda",
    "comprimentodeonda",
];
const WIDTHS: [&str; 5] = ["fwhm", "fwhms", "bandwidth", "bandwidths", "fwhmnm"];
/// Flags or numbers of bands that are good, and of those that are bad.
const GOOD: [&str; 12] = [
    "bbl",
    "goodwavelengths",
    "goodbands",
    "goodband",
    "goodbandlist",
    "badbandlist",
    "badbandslist",
    "validbands",
    "bandmask",
    "usedbands",
    "keepbands",
    "selectedbands",
];
const SELECTED: [&str; 2] = ["slectbands", "selectbands"];
const BAD: [&str; 8] = [
    "badbands",
    "badband",
    "noisybands",
    "waterbands",
    "removedbands",
    "droppedbands",
    "dropbands",
    "badchannels",
];
const NO_DATA: [&str; 8] = [
    "nodata",
    "nodatavalue",
    "fillvalue",
    "ignorevalue",
    "dataignorevalue",
    "missingvalue",
    "novalue",
    "nodatavalues",
];
const SCALES: [&str; 6] = [
    "maxvalue",
    "scalefactor",
    "reflectancescalefactor",
    "reflectancescale",
    "scalingfactor",
    "maxval",
];

/// True for a name of wavelengths.
pub(crate) fn names_wavelengths(name: &str) -> bool {
    WAVELENGTHS.contains(&normalised(name).as_str())
}

impl Arrays {
    /// Lengths of the lists of wavelengths and of flags of bands.
    pub(crate) fn spectral_lengths(&self) -> Vec<usize> {
        let found = self.get_alike(&WAVELENGTHS);
        let flags = self.get_alike(&GOOD).filter(|a| is_flags(a));
        let lists = [found, flags].into_iter().flatten();
        lists.filter(|a| a.list().is_some()).map(|a| a.numbers.len()).filter(|n| *n > 1).collect()
    }

    /// Wavelengths in nanometres where the file has `bands` of them, and what was noted on the way.
    pub(crate) fn wavelengths(&self, bands: usize) -> (Option<Vec<f64>>, Option<String>) {
        let lists = |a: &&NamedArray| a.list().is_some() && a.numbers.len() == bands;
        let named = self.get_alike(&WAVELENGTHS);
        let fitting = WAVELENGTHS.iter().find_map(|n| self.get_alike(&[n]).filter(lists));
        let Some(array) = fitting else {
            let aside = named.filter(|a| a.numbers.len() > 1).map(|a| {
                format!(
                    "`{}` has {} values for {bands} bands and was left aside.",
                    a.name,
                    a.numbers.len()
                )
            });
            return match self.like_wavelengths(bands) {
                Some((nm, note)) => (Some(nm), Some(note)),
                None => (None, aside),
            };
        };
        let name = normalised(&array.name);
        let unit = match () {
            () if name.ends_with("nm") => Some("nm"),
            () if name.ends_with("um") => Some("um"),
            () => None,
        };
        match to_nanometres(&array.list().unwrap_or_default(), unit) {
            Ok((nm, note)) => (Some(nm), note),
            Err(why) => (None, Some(format!("`{}` was left aside: {why}.", array.name))),
        }
    }

    /// A list under any other name whose values can only be wavelengths: as many as bands, rising,
    /// over a range that spectrometers have.
    fn like_wavelengths(&self, bands: usize) -> Option<(Vec<f64>, String)> {
        // Fewer bands may rise by chance.
        if bands < 8 {
            return None;
        }
        let list = |a: &NamedArray| Some((a.name.clone(), a.list().filter(|l| l.len() == bands)?));
        self.arrays.iter().filter_map(list).find_map(|(name, list)| {
            let (nm, _) = to_nanometres(&list, None).ok()?;
            let (first, last) = (nm.first()?, nm.last()?);
            let rises = nm.windows(2).all(|w| w[0] < w[1]);
            let plausible = (300.0..=1500.0).contains(first)
                && *last < 16_000.0
                && last - first >= 100.0
                && list.iter().any(|v| v.fract() != 0.0);
            let note = format!(
                "`{name}` was taken as the wavelengths: it rises from {first:.0} to {last:.0} nm."
            );
            (rises && plausible).then_some((nm, note))
        })
    }

    /// Fills what the file says of `header.bands` bands, its scale and its values for no data;
    /// wavelengths that are known stay.
    pub(crate) fn describe(&self, header: &mut Header) {
        let bands = header.bands;
        if header.wavelengths.is_none() {
            let (wavelengths, note) = self.wavelengths(bands);
            header.wavelengths = wavelengths;
            header.notes.extend(note);
        }
        let widths =
            self.get_alike(&WIDTHS).and_then(NamedArray::list).filter(|l| l.len() == bands);
        header.fwhm = widths.and_then(|l| widths_in_nanometres(&l, self.factor(header)));
        header.good_bands = self.good_bands(bands, &mut header.notes);
        if let Some((name, value)) = self.scalar(&NO_DATA) {
            header.ignore_value = Some(value);
            header.notes.push(format!("`{name}` says that {value} stands for no data."));
        }
        if let Some((name, max)) = self.scalar(&SCALES)
            && max.is_finite()
            && max > 0.0
            && max != 1.0
        {
            let gain = if max > 1.0 { 1.0 / max } else { max };
            header.stated_scale = Some((vec![gain], vec![0.0], name.to_owned()));
        }
    }

    /// What brings the wavelengths to nanometres.
    fn factor(&self, header: &Header) -> Option<f64> {
        let stated = *self.get_alike(&WAVELENGTHS)?.list()?.first()?;
        Some(header.wavelengths.as_ref()?.first()? / stated)
    }

    /// A flag a band under a name that has a word for good or bad in it, and which of the two.
    fn like_flags(&self, bands: usize) -> Option<(&NamedArray, bool)> {
        let marks_good = |a: &NamedArray| {
            let name = normalised(a.name.rsplit(['/', '.']).next().unwrap_or(&a.name));
            let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
            if has(&["bad", "noisy", "water", "drop", "remov", "exclu", "reject", "invalid"]) {
                return Some(false);
            }
            has(&["good", "valid", "keep", "kept", "usable", "used", "bbl"]).then_some(true)
        };
        let flags = |a: &&NamedArray| a.numbers.len() == bands && bands > 1 && is_flags(a);
        self.arrays.iter().filter(flags).find_map(|a| Some((a, marks_good(a)?)))
    }

    /// Which of the bands are good, by flags or numbers under any usual name.
    fn good_bands(&self, bands: usize, notes: &mut Vec<String>) -> Option<Vec<bool>> {
        let good = self.get_alike(&GOOD).or_else(|| self.get_alike(&SELECTED));
        let (array, marks_good) = match (good, self.get_alike(&BAD)) {
            (Some(array), _) => (array, true),
            (None, Some(array)) => (array, false),
            (None, None) => self.like_flags(bands)?,
        };
        let first = if self.matlab { 1.0 } else { 0.0 };
        match band_flags::good(&array.list()?, bands, marks_good, first) {
            Ok(good) => good,
            Err(why) => {
                notes.push(format!("`{}` {why}; it was left aside.", array.name));
                None
            }
        }
    }
}

fn is_flags(array: &NamedArray) -> bool {
    array.list().is_some_and(|l| l.iter().all(|v| *v == 0.0 || *v == 1.0))
}
