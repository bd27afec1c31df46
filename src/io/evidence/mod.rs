//! Which of several named arrays is the scene, and how its axes lie: all evidence is weighed, and a
//! tie is no answer.
//!
//! Nothing here knows a file format. A reader lists its arrays as [`Candidate`]s and what the file
//! and the caller state as [`Known`], and gets a [`Verdict`], or the sentence that refuses.

mod names;
mod order;
mod score;
mod values;

pub(crate) use names::{normalised, role_of_mask};
pub(crate) use order::{Custom, pixel_order};
use score::Reading;

/// Gives the value at an index.
pub(crate) type ValueAt<'a> = &'a dyn Fn(&[usize]) -> Option<f64>;

/// One numeric array of a file.
pub(crate) struct Candidate<'a> {
    pub(crate) name: &'a str,
    /// Lengths of its axes, in the order in which they are indexed.
    pub(crate) shape: Vec<usize>,
    /// True for whole numbers of 8 bits.
    pub(crate) byte: bool,
    /// The value at an index, where values can be had cheaply; without it only names and sizes
    /// count.
    pub(crate) at: Option<ValueAt<'a>>,
    /// Where its axes lie by their names, in formats that name axes.
    pub(crate) stated: Option<Axes>,
}

/// The order in which an array's axes are to be read, as the caller states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// From the top of the image to its bottom.
    Row,
    /// From left to right.
    Column,
    /// From band to band.
    Band,
    /// From pixel to pixel, all in one line.
    Pixel,
}

/// The order of pixels that lie in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelOrder {
    /// Row by row: pixel = row * columns + column.
    Row,
    /// Column by column: pixel = column * rows + row.
    Column,
}

/// What the file and the caller state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The array that the caller names.
    pub(crate) variable: Option<String>,
    /// The order of axes that the caller states, axes of length 1 left out.
    pub(crate) axes: Option<Vec<Axis>>,
    /// Height and width that the caller states; they must be met.
    pub(crate) asked_rows: Option<usize>,
    pub(crate) asked_cols: Option<usize>,
    /// Height, width, bands and pixels that the file states.
    pub(crate) rows: Option<usize>,
    pub(crate) cols: Option<usize>,
    pub(crate) bands: Option<usize>,
    pub(crate) pixels: Option<usize>,
    /// Lengths of the lists of wavelengths and of flags of bands.
    pub(crate) spectral: Vec<usize>,
    /// Stem of the file's name.
    pub(crate) stem: String,
    /// True where the custom of the format is bands x pixels, as in MATLAB; else pixels x bands.
    pub(crate) bands_first: bool,
}

/// Where the axes of the scene lie in the array's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Axes {
    /// Places of rows, columns and bands.
    Cube { row: usize, col: usize, band: usize },
    /// Places of pixels in one line and of bands.
    Flat { pixel: usize, band: usize },
}

/// The scene among the arrays.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// Its place in the list.
    pub(crate) index: usize,
    pub(crate) axes: Axes,
    /// What was taken and why.
    pub(crate) note: Option<String>,
}

/// Readings closer than this are a tie.
const MARGIN: f64 = 0.9;
/// Nothing with less evidence is a scene.
const LEAST: f64 = -1.5;

/// Finds the scene among `candidates`, or says in a sentence why none is.
pub(crate) fn weigh(candidates: &[Candidate<'_>], known: &Known) -> Result<Verdict, String> {
    let allowed = allowed(candidates, known)?;
    let largest = candidates.iter().map(size).max().unwrap_or(0);
    let mut readings: Vec<Reading> = Vec::new();
    let mut refused: Vec<String> = Vec::new();
    for &index in &allowed {
        let candidate = &candidates[index];
        match score::readings(index, candidate, known, largest) {
            Ok(found) => readings.extend(found),
            Err(why) => {
                refused.push(format!("`{}` ({}) {why}", candidate.name, lengths(candidate)))
            }
        }
    }
    readings.sort_by(|a, b| b.score.total_cmp(&a.score));
    let named = known.variable.is_some() || candidates.len() == 1;
    let Some(best) = readings.first().filter(|best| named || best.score >= LEAST) else {
        return Err(no_scene(candidates, &readings, &refused, known));
    };
    let rival = readings.iter().skip(1).find(|r| best.score - r.score < MARGIN);
    if let Some(rival) = rival {
        return Err(tie(candidates, best, rival));
    }
    let candidate = &candidates[best.index];
    // Nothing was chosen where there was one array and the usual order.
    let plain = candidates.len() == 1 && best.usual;
    let note = (!plain).then(|| {
        let why = if best.reasons.is_empty() {
            String::new()
        } else {
            format!(": {}", best.reasons.join(", "))
        };
        let name = if candidate.name.is_empty() {
            "The array".to_owned()
        } else {
            format!("`{}`", candidate.name)
        };
        format!("{name} ({}) was taken as {}{why}.", lengths(candidate), best.axes.words())
    });
    Ok(Verdict { index: best.index, axes: best.axes, note })
}

/// Which candidates may be the scene: the one that the caller names, or all.
fn allowed(candidates: &[Candidate<'_>], known: &Known) -> Result<Vec<usize>, String> {
    let Some(asked) = &known.variable else { return Ok((0..candidates.len()).collect()) };
    let find = |same: &dyn Fn(&str) -> bool| candidates.iter().position(|c| same(c.name));
    find(&|name| name == asked)
        .or_else(|| find(&|name| name.trim_start_matches('/') == asked.trim_start_matches('/')))
        .or_else(|| find(&|name| name.eq_ignore_ascii_case(asked)))
        .or_else(|| find(&|name| name.rsplit(['/', '.']).next() == Some(asked)))
        .map(|index| vec![index])
        .ok_or_else(|| {
            format!("has no numeric array `{asked}`; it holds {}.", inventory(candidates))
        })
}

fn size(candidate: &Candidate<'_>) -> usize {
    candidate.shape.iter().fold(1, |n: usize, d| n.saturating_mul(*d))
}

fn lengths(candidate: &Candidate<'_>) -> String {
    candidate.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

fn inventory(candidates: &[Candidate<'_>]) -> String {
    let list: Vec<_> =
        candidates.iter().map(|c| format!("`{}` ({})", c.name, lengths(c))).collect();
    if list.is_empty() { "no numeric arrays".into() } else { list.join(", ") }
}

fn no_scene(
    candidates: &[Candidate<'_>],
    readings: &[Reading],
    refused: &[String],
    known: &Known,
) -> String {
    if let (true, [only]) = (readings.is_empty(), refused) {
        return format!("holds no scene: {only}.");
    }
    let weak: Vec<String> = readings
        .iter()
        .map(|r| &candidates[r.index])
        .map(|c| format!("`{}` ({})", c.name, lengths(c)))
        .collect();
    let mut list: Vec<String> = refused.to_vec();
    for one in weak {
        if !list.contains(&one) {
            list.push(one);
        }
    }
    let list = if list.is_empty() { inventory(candidates) } else { list.join("; ") };
    let sizes = if known.asked_rows.is_some() || known.asked_cols.is_some() {
        " Correct the rows and columns, or leave them out."
    } else {
        ""
    };
    format!(
        "holds no array that is a scene of rows x columns x bands, or `V` or `Y` of bands x \
         pixels: {list}. Name the scene's array as the variable if it is one of these.{sizes}"
    )
}

fn tie(candidates: &[Candidate<'_>], best: &Reading, rival: &Reading) -> String {
    let (a, b) = (&candidates[best.index], &candidates[rival.index]);
    let name = |c: &Candidate<'_>| {
        if c.name.is_empty() { "its array".to_owned() } else { format!("`{}`", c.name) }
    };
    if best.index == rival.index {
        return format!(
            "{} ({}) may be {} or {}, and nothing tells which; state the axes, as `{}` or `{}`.",
            name(a),
            lengths(a),
            best.axes.words(),
            rival.axes.words(),
            best.axes.option(),
            rival.axes.option(),
        );
    }
    format!(
        "both {} ({}) and {} ({}) may be the scene, and nothing tells which; name one of them as \
         the variable.",
        name(a),
        lengths(a),
        name(b),
        lengths(b)
    )
}

impl Axes {
    /// The axes in the order of the shape, those of length 1 left out.
    fn in_order(self) -> Vec<Axis> {
        let mut places = match self {
            Axes::Cube { row, col, band } => {
                vec![(row, Axis::Row), (col, Axis::Column), (band, Axis::Band)]
            }
            Axes::Flat { pixel, band } => vec![(pixel, Axis::Pixel), (band, Axis::Band)],
        };
        places.sort_by_key(|(place, _)| *place);
        places.into_iter().map(|(_, axis)| axis).collect()
    }

    /// As a reader would say it: "bands x rows x columns".
    pub(crate) fn words(self) -> String {
        let word = |axis: Axis| match axis {
            Axis::Row => "rows",
            Axis::Column => "columns",
            Axis::Band => "bands",
            Axis::Pixel => "pixels",
        };
        self.in_order().into_iter().map(word).collect::<Vec<_>>().join(" x ")
    }

    /// As the option `axes` takes it.
    fn option(self) -> String {
        self.words().replace(" x ", ",")
    }
}

/// Reads an order of axes as a user writes it: `bands,rows,columns`, `b,r,c`, `pixels,bands`.
///
/// # Errors
/// A sentence that says what is allowed.
pub fn parse_axes(text: &str) -> Result<Vec<Axis>, String> {
    let axis = |word: &str| match word.trim().to_lowercase().as_str() {
        "r" | "row" | "rows" | "y" | "line" | "lines" | "height" => Some(Axis::Row),
        "c" | "col" | "cols" | "column" | "columns" | "x" | "sample" | "samples" | "width" => {
            Some(Axis::Column)
        }
        "b" | "band" | "bands" | "channel" | "channels" | "wavelength" | "wavelengths" => {
            Some(Axis::Band)
        }
        "p" | "pixel" | "pixels" => Some(Axis::Pixel),
        _ => None,
    };
    use Axis::{Band, Column, Pixel, Row};
    // `rows x columns x bands`, too, as sizes are written; an x by itself is an axis.
    let text = text.replace(" x ", ",");
    let axes: Option<Vec<Axis>> =
        text.split([',', ' ']).filter(|w| !w.is_empty()).map(axis).collect();
    let has = |list: &[Axis], wanted: &[Axis]| {
        list.len() == wanted.len() && wanted.iter().all(|axis| list.contains(axis))
    };
    axes.filter(|axes| has(axes, &[Row, Column, Band]) || has(axes, &[Pixel, Band])).ok_or_else(
        || {
            format!(
                "`{text}` is no order of axes; say rows,columns,bands in the order in which the \
                 array has them, or pixels,bands or bands,pixels"
            )
        },
    )
}
