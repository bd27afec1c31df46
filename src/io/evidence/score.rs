//! Every way in which an array can be read as a scene, and what speaks for each.

use super::names::{Role, normalised, role};
use super::{Axes, Candidate, Known, values};

/// One way to read one array.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) index: usize,
    pub(super) axes: Axes,
    pub(super) score: f64,
    /// What speaks for it, in words.
    pub(super) reasons: Vec<String>,
    /// True for the order of axes that is the format's custom.
    pub(super) usual: bool,
}

/// All ways to read the candidate, or why it is no scene. `largest` is the size of the largest
/// array in the file.
pub(super) fn readings(
    index: usize,
    candidate: &Candidate<'_>,
    known: &Known,
    largest: usize,
) -> Result<Vec<Reading>, String> {
    let long: Vec<usize> = (0..candidate.shape.len()).filter(|&a| candidate.shape[a] > 1).collect();
    let places = match (candidate.shape.len(), long.len()) {
        // Axes of length 1 count where there are no more than three in all.
        (2 | 3, _) => (0..candidate.shape.len()).collect(),
        (_, 2 | 3) => long,
        (axes, _) => {
            return Err(format!("has {axes} axes; a scene has three, rows x columns x bands"));
        }
    };
    let free = known.variable.is_none() && known.axes.is_none();
    if free && let Some(why) = no_scene(candidate, &places, known) {
        return Err(why);
    }
    let spectral = values::spectral_axis(candidate).or_else(|| values::few_directions(candidate));
    let mut found = Vec::new();
    for axes in ways(&places) {
        if known.axes.as_ref().is_some_and(|asked| *asked != axes.in_order()) {
            continue;
        }
        let named = candidate.stated.filter(|_| known.axes.is_none());
        if named.is_some_and(|stated| stated != axes) {
            continue;
        }
        if free && abundances(candidate, axes) {
            return Err("sums to one in every pixel, as abundances do, not spectra".into());
        }
        let mut reading =
            Reading { index, axes, score: 0.0, reasons: Vec::new(), usual: usual(axes, known) };
        if !reading.by_size(candidate, known) {
            continue;
        }
        reading.by_name(candidate, known);
        if named.is_some() {
            // Whatever the shape says of the order of axes is said by their names.
            reading.say(4.0, Some("its axes are named"));
        }
        reading.by_shape(candidate, known, largest);
        if picture_axis(candidate, &places) == Some(axes.band()) {
            // Against what by_shape takes from so few bands.
            reading.score += 4.0;
        }
        if let Some(spectral) = spectral {
            reading.score += if axes.band() == spectral { 0.75 } else { -0.75 };
        }
        found.push(reading);
    }
    if found.is_empty() {
        return Err(match (&known.axes, known.asked_rows.or(known.asked_cols)) {
            (Some(_), _) => "does not have the axes that are stated".into(),
            (None, Some(_)) => format!(
                "is not {} rows x {} columns",
                known.asked_rows.map_or("any".into(), |n| n.to_string()),
                known.asked_cols.map_or("any".into(), |n| n.to_string())
            ),
            (None, None) => "cannot be read as a scene".into(),
        });
    }
    Ok(found)
}

/// Pictures have at least as many rows and columns; a very small cube of bytes may have three.
const PICTURE_SIDE: usize = 8;

/// The axis of the colours, where the array is a picture: bytes of three or four of them.
fn picture_axis(candidate: &Candidate<'_>, places: &[usize]) -> Option<usize> {
    let sides = places.iter().filter(|&&a| candidate.shape[a] >= PICTURE_SIDE).count();
    let ends = [places.last(), places.first()];
    let colours = ends.into_iter().flatten().find(|&&a| matches!(candidate.shape[a], 3 | 4));
    colours.copied().filter(|_| candidate.byte && places.len() == 3 && sides == 2)
}

/// Why an array is no scene, whatever its axes.
fn no_scene(candidate: &Candidate<'_>, places: &[usize], known: &Known) -> Option<String> {
    if picture_axis(candidate, places).is_some() {
        return Some("is a picture: bytes of three or four colours".into());
    }
    // Per cent in bytes are few whole numbers, too; classes have no axis of bands.
    let long = places.iter().filter(|&&a| candidate.shape[a] >= PICTURE_SIDE).count() == 3;
    let has_bands = places.iter().any(|&a| known.spectral.contains(&candidate.shape[a]));
    let cube = long && (has_bands || role(candidate.name) == Role::Scene);
    if !cube && values::few_whole_numbers(candidate) {
        return Some("holds few different whole numbers, as classes or masks do".into());
    }
    None
}

fn abundances(candidate: &Candidate<'_>, axes: Axes) -> bool {
    values::sum_to_one(candidate, axes.band())
}

impl Axes {
    pub(super) fn band(self) -> usize {
        match self {
            Axes::Cube { band, .. } | Axes::Flat { band, .. } => band,
        }
    }
}

/// All orders of axes at these places of the shape.
fn ways(places: &[usize]) -> Vec<Axes> {
    match *places {
        [a, b, c] => [(a, b, c), (b, c, a), (a, c, b), (b, a, c), (c, b, a), (c, a, b)]
            .map(|(row, col, band)| Axes::Cube { row, col, band })
            .to_vec(),
        [a, b] => {
            vec![Axes::Flat { pixel: b, band: a }, Axes::Flat { pixel: a, band: b }]
        }
        _ => Vec::new(),
    }
}

/// The order that is the custom: rows, columns, bands; flat as the format has it.
fn usual(axes: Axes, known: &Known) -> bool {
    match axes {
        Axes::Cube { row, col, band } => row < col && col < band,
        Axes::Flat { pixel, band } => known.bands_first == (band < pixel),
    }
}

impl Reading {
    fn say(&mut self, points: f64, reason: Option<&str>) {
        self.score += points;
        self.reasons.extend(reason.map(str::to_owned));
    }

    /// Sizes that are stated; false when one that the caller states is not met.
    fn by_size(&mut self, candidate: &Candidate<'_>, known: &Known) -> bool {
        let length = |axis: usize| candidate.shape.get(axis).copied().unwrap_or(0);
        let bands = length(self.axes.band());
        match self.axes {
            Axes::Cube { row, col, .. } => {
                let meets = |asked: Option<usize>, n| asked.is_none_or(|asked| asked == n);
                if !meets(known.asked_rows, length(row)) || !meets(known.asked_cols, length(col)) {
                    return false;
                }
                self.score += 2.0;
                match (known.rows, known.cols) {
                    (Some(r), Some(c)) if r == length(row) && c == length(col) => {
                        self.say(6.0, Some("its size is the stated one"));
                    }
                    (None, None) => {}
                    _ => self.score -= 4.0,
                }
            }
            Axes::Flat { pixel, .. } => {
                let pixels = length(pixel);
                let rows = known.asked_rows.or(known.rows);
                let cols = known.asked_cols.or(known.cols);
                let asked = known.asked_rows.is_some() || known.asked_cols.is_some();
                let fits = match (rows, cols) {
                    (Some(r), Some(c)) => r.checked_mul(c) == Some(pixels),
                    // One line of pixels would fit any number.
                    (Some(n), None) | (None, Some(n)) => {
                        n > 0 && pixels > n && pixels.is_multiple_of(n)
                    }
                    (None, None) => false,
                };
                if asked && !fits {
                    return false;
                }
                if fits {
                    self.say(6.0, Some("its pixels are the stated rows x columns"));
                } else if rows.is_some() || cols.is_some() {
                    self.score -= 4.0;
                } else {
                    self.score -= 1.0;
                }
                match known.pixels {
                    Some(n) if n == pixels => self.score += 3.0,
                    Some(_) => self.score -= 2.0,
                    None => {}
                }
            }
        }
        if known.spectral.contains(&bands) {
            self.say(6.0, Some("its bands are as many as the wavelengths or flags of bands"));
        } else if !known.spectral.is_empty() {
            self.score -= 3.0;
        }
        match known.bands {
            Some(n) if n == bands => self.say(5.0, Some("its bands are as many as stated")),
            Some(_) => self.score -= 2.0,
            None => {}
        }
        true
    }

    fn by_name(&mut self, candidate: &Candidate<'_>, known: &Known) {
        if known.variable.is_some() {
            self.say(0.0, Some("it was asked for"));
            return;
        }
        match role(candidate.name) {
            Role::Scene => self.say(3.0, Some("its name is that of a scene")),
            Role::Maybe => self.say(2.0, None),
            Role::Open => {}
            Role::Other => self.say(-4.0, None),
        }
        let (name, stem) = (normalised(candidate.name), normalised(&known.stem));
        if name.len() > 2 && stem.len() > 2 && (stem.contains(&name) || name.contains(&stem)) {
            self.say(1.0, Some("the file is called like it"));
        }
    }

    fn by_shape(&mut self, candidate: &Candidate<'_>, known: &Known, largest: usize) {
        let length = |axis: usize| candidate.shape.get(axis).copied().unwrap_or(0);
        let bands = length(self.axes.band());
        match bands {
            0..=2 => self.score -= 4.0,
            3 | 4 => self.score -= 2.0,
            _ => {}
        }
        let size = super::size(candidate);
        if size == largest {
            self.say(1.0, None);
        } else if size.saturating_mul(50) < largest {
            self.score -= 3.0;
        }
        match self.axes {
            Axes::Cube { row, col, band } => {
                // Rows before columns, and bands last: NumPy's custom. Bands first: GDAL's.
                self.score += match (row < col, band) {
                    (true, b) if b > col => 1.0,
                    (true, b) if b < row => 0.0,
                    (true, _) => -1.0,
                    (false, _) => -2.5,
                };
                let (r, c) = (length(row), length(col));
                // An axis of length 1 behind others is a single band, not a single column.
                if r.min(c) == 1 && !usual(self.axes, known) {
                    self.score -= 3.0;
                }
                // Of a square image the odd axis is the bands.
                if r == c && r != bands {
                    self.score += 1.0;
                }
            }
            Axes::Flat { pixel, .. } => {
                let pixels = length(pixel);
                self.score += if bands < pixels { 1.0 } else { -1.0 };
                self.score += if usual(self.axes, known) { 0.5 } else { 0.0 };
            }
        }
    }
}
