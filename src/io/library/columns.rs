//! What the columns of a table with a row a band hold.

use crate::io::evidence::normalised;
use crate::scene::to_nanometres;

/// Beginnings of the names that columns of wavelengths have, in lower case without marks.
const BEGINNINGS: [&str; 5] = ["wavelength", "wavelen", "bandcent", "centerwave", "centrewave"];
const NAMES: [&str; 16] = [
    "wl",
    "wls",
    "wvl",
    "wvls",
    "wave",
    "waves",
    "lambda",
    "lam",
    "nm",
    "um",
    "wlnm",
    "wvlnm",
    "micrometers",
    "nanometers",
    "microns",
    "wlum",
];
/// Columns that count rows.
const COUNTERS: [&str; 7] = ["band", "bands", "index", "channel", "", "bandnumber", "number"];
/// Ends of the names of columns that hold no spectrum but how sure one is.
const DOUBTS: [&str; 9] = [
    "sd",
    "std",
    "stdev",
    "stddev",
    "stdevs",
    "error",
    "uncertainty",
    "sigma",
    "standarddeviation",
];

/// What the columns hold.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Columns {
    pub(super) wavelength: Option<usize>,
    /// The unit that the wavelengths' name ends in.
    pub(super) unit: Option<&'static str>,
    /// Place and name of each spectrum.
    pub(super) spectra: Vec<(usize, String)>,
}

/// Tells columns apart by their names and, for the wavelengths, by their values: `values(i)` are
/// those of column `i`, `None` where it holds text.
pub(super) fn tell(header: &[String], values: &dyn Fn(usize) -> Option<Vec<f64>>) -> Columns {
    let names: Vec<String> = header.iter().map(|h| normalised(h)).collect();
    let named = |name: &String| {
        NAMES.contains(&name.as_str()) || BEGINNINGS.iter().any(|b| name.starts_with(b))
    };
    // The Greek letter is no ASCII, and so not in what is normalised.
    let greek = |h: &String| h.trim().starts_with('\u{3bb}');
    let wavelength = names
        .iter()
        .position(named)
        .or_else(|| header.iter().position(greek))
        .or_else(|| by_values(&names, values));
    let unit = wavelength.and_then(|at| names.get(at)).and_then(|name| match () {
        () if name.ends_with("nm") || name.contains("nanom") => Some("nm"),
        () if name.ends_with("um") || name.contains("microm") || name.contains("micron") => {
            Some("um")
        }
        () => None,
    });
    let means: Vec<(usize, String)> = header
        .iter()
        .enumerate()
        .filter_map(|(i, h)| Some((i, h.strip_suffix("_mean")?.to_owned())))
        .collect();
    if !means.is_empty() {
        return Columns { wavelength, unit, spectra: means };
    }
    let doubtful = |i: usize| {
        let (name, words) = (&names[i], header[i].to_lowercase());
        let last = words.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let ends = |d: &&str| *d == last || d.len() > 2 && name.ends_with(*d);
        DOUBTS.contains(&name.as_str()) || DOUBTS.iter().any(ends)
    };
    let is_spectrum = |i: usize| {
        let name = &names[i];
        Some(i) != wavelength && !counts(name, i, values) && !named(name) && !doubtful(i)
    };
    let spectra =
        (0..header.len()).filter(|&i| is_spectrum(i)).map(|i| (i, header[i].clone())).collect();
    Columns { wavelength, unit, spectra }
}

/// True for a column that counts the rows, whatever it is called where it does so from 0 or 1; an
/// unnamed one may hold a spectrum where it does not.
fn counts(name: &str, i: usize, values: &dyn Fn(usize) -> Option<Vec<f64>>) -> bool {
    let from_the_first = |v: &[f64]| v.len() > 2 && (v[0] == 0.0 || v[0] == 1.0);
    let known = COUNTERS.contains(&name);
    values(i).map_or(known, |v| whole_steps(&v) && (known || from_the_first(&v)))
}

/// The column whose values are wavelengths, where none is called so and a spectrum is left beside
/// it. Reflectance may rise as micrometres do: beyond the first column these go farther than any
/// reflectance, or in even steps.
fn by_values(names: &[String], values: &dyn Fn(usize) -> Option<Vec<f64>>) -> Option<usize> {
    let told = |i: &usize| !counts(&names[*i], *i, values);
    if (0..names.len()).filter(told).count() < 2 {
        return None;
    }
    let nanometres = |v: &[f64]| v.iter().all(|w| *w > 25.0);
    let micrometres = |v: &[f64]| v.iter().any(|w| *w > HIGHEST_REFLECTANCE) || even_steps(v);
    let sure =
        |i: &usize| values(*i).is_some_and(|v| rises(&v) && (nanometres(&v) || micrometres(&v)));
    let first = || values(0).is_some_and(|v| rises(&v)).then_some(0);
    (0..names.len()).find(sure).or_else(first)
}

/// Fresh snow and glints are somewhat above 1.
const HIGHEST_REFLECTANCE: f64 = 1.5;

/// True for many values whose steps are alike, as those of spectrometers are and of spectra never.
fn even_steps(values: &[f64]) -> bool {
    let steps: Vec<f64> = values.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
    let least = steps.iter().copied().fold(f64::INFINITY, f64::min);
    let most = steps.iter().copied().fold(0.0, f64::max);
    steps.len() >= 8 && most < 1.5 * least
}

/// True for values that rise (or fall) all along over a range that spectrometers have.
pub(super) fn rises(values: &[f64]) -> bool {
    let one_way = values.windows(2).all(|w| w[0] < w[1]) || values.windows(2).all(|w| w[0] > w[1]);
    if values.len() < 3 || !one_way || whole_steps(values) && values.iter().any(|v| *v < 200.0) {
        return false;
    }
    let Ok((nm, _)) = to_nanometres(values, None) else { return false };
    let low = nm.iter().copied().fold(f64::INFINITY, f64::min);
    let high = nm.iter().copied().fold(0.0, f64::max);
    low >= 200.0 && high <= 20_000.0 && high - low >= 50.0
}

/// True for values that go up by one.
fn whole_steps(values: &[f64]) -> bool {
    values.windows(2).all(|w| w[1] - w[0] == 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(header: &[&str], columns: &[&[f64]]) -> (Option<usize>, Vec<usize>) {
        let header: Vec<String> = header.iter().map(|s| (*s).to_owned()).collect();
        let values = |i: usize| columns.get(i).map(|c| c.to_vec());
        let columns = tell(&header, &values);
        (columns.wavelength, columns.spectra.into_iter().map(|s| s.0).collect())
    }

    #[test]
    fn wavelengths_under_every_name_and_under_none() {
        let (nm, a, b) = (&[460.0, 550.0, 700.0][..], &[0.1, 0.3, 0.2][..], &[0.1, 0.2, 0.4][..]);
        for name in ["wl", "nm", "Lambda", "WVL", "wave", "Wavelength (nm)", "\u{3bb}", "foo", "x"]
        {
            assert_eq!(told(&[name, "a", "b"], &[nm, a, b]), (Some(0), vec![1, 2]), "{name}");
        }
        assert_eq!(told(&["a", "wl", "sd"], &[a, nm, b]), (Some(1), vec![0]));
        for (name, count) in
            [("band", [7.0, 8.0, 9.0]), ("b", [0.0, 1.0, 2.0]), ("no.", [1.0, 2.0, 3.0])]
        {
            assert_eq!(told(&[name, "a", "b"], &[&count, a, b]), (None, vec![1, 2]), "{name}");
        }
        // Micrometres, too, wherever they stand: beyond all reflectance, or in even steps.
        let um = &[0.4, 1.1, 2.4][..];
        assert_eq!(told(&["a", "foo"], &[b, um]), (Some(1), vec![0]));
        let even: Vec<f64> = (0..12).map(|i| 0.4 + 0.05 * f64::from(i)).collect();
        let odd: Vec<f64> = (0..12).map(|i| 0.25 + 0.004 * f64::from(i * i)).collect();
        assert_eq!(told(&["a", "foo"], &[&odd, &even]), (Some(1), vec![0]));
        assert_eq!(told(&["a", "b"], &[&[0.3; 12], &odd]), (None, vec![0, 1]));
        // A spectrum may rise, but not through the wavelengths of spectrometers.
        assert_eq!(told(&["a", "b"], &[b, b]), (None, vec![0, 1]));
    }
}
