//! Parts of a scene that were worked on apart, put together.

use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2};
use serde::Deserialize;
use serde_json::Value;

use super::folder::OutputFolder;
use super::rasters::Format;
use super::record::{RECORD_FILE, check};
use super::report::{REPORT_FILE, RunReport, WindowReport};
use super::stream::Stream;
use super::table::read_endmembers;
use super::write::Results;
use crate::convention::Convention;
use crate::engine::ground::error::{Error, Result};
use crate::io::npy_rows::NpyRows;
use crate::posterior::{Posterior, Totals};
use crate::scene::{Cube, Georeference, Scaling, Scene, SceneParts};

/// The maps of a part, in the order in which they are read; the last two have one band.
const MAPS: [&str; 7] = [
    "abundance_mean",
    "abundance_sd",
    "abundance_q05",
    "abundance_q50",
    "abundance_q95",
    "residual",
    "brightness",
];
/// The table of the endmembers.
const TABLE: &str = "endmembers.csv";

/// What a part's report says, as far as it matters here.
#[derive(Deserialize)]
struct Said {
    scene: SaidOfScene,
    settings: Value,
    seed: Value,
}

#[derive(Deserialize)]
struct SaidOfScene {
    name: String,
    file_bands: usize,
    scaling: Scaling,
    window: Option<WindowReport>,
    georeference: Option<Georeference>,
    notes: Vec<String>,
}

/// A part of a scene: a folder of results.
struct Part {
    path: PathBuf,
    said: Said,
    report: Value,
    window: WindowReport,
    table: Vec<u8>,
    maps: Vec<NpyRows>,
}

/// A scene's parts, checked: of one fit, beside each other, nothing missing.
pub struct Parts {
    parts: Vec<Part>,
    scene: Scene,
    names: Vec<String>,
    posterior: Posterior,
}

impl Part {
    fn open(path: &Path) -> Result<Self> {
        let file = path.join(REPORT_FILE);
        check(path, &[REPORT_FILE, TABLE, "abundance_mean.npy"])?;
        let text = std::fs::read(&file).map_err(|error| Error::io(&file, error))?;
        let wrong = |error: serde_json::Error| {
            Error::file(&file, format!("is no report of this version of unmixel ({error})"))
        };
        let report: Value = serde_json::from_slice(&text).map_err(wrong)?;
        let said: Said = serde_json::from_value(report.clone()).map_err(wrong)?;
        let Some(window) = said.scene.window.clone() else {
            return Err(Error::file(
                path,
                "is no part of a scene: it was made without --window, so there is nothing to put \
                 together",
            ));
        };
        let has = |name: &str| path.join(format!("{name}.npy")).is_file();
        let mut maps = Vec::new();
        for name in MAPS {
            // Not every model has a brightness.
            if name == "brightness" && !has(name) {
                continue;
            }
            check(path, &[&format!("{name}.npy")])?;
            maps.push(NpyRows::open(&path.join(format!("{name}.npy")))?);
        }
        let (rows, cols) = (window.rows[1] - window.rows[0], window.cols[1] - window.cols[0]);
        if maps.iter().any(|map| (map.rows(), map.cols()) != (rows, cols)) {
            return Err(Error::file(path, "has maps of another size than its report says"));
        }
        let table = path.join(TABLE);
        let table = std::fs::read(&table).map_err(|error| Error::io(&table, error))?;
        Ok(Part { path: path.to_owned(), said, report, window, table, maps })
    }
}

impl WindowReport {
    fn is_sound(&self) -> bool {
        let inside = |[first, end]: [usize; 2], size: usize| first < end && end <= size;
        inside(self.rows, self.of[0]) && inside(self.cols, self.of[1])
    }

    fn area(&self) -> usize {
        (self.rows[1] - self.rows[0]) * (self.cols[1] - self.cols[0])
    }

    fn meets(&self, other: &WindowReport) -> bool {
        let meet = |a: [usize; 2], b: [usize; 2]| a[0] < b[1] && b[0] < a[1];
        meet(self.rows, other.rows) && meet(self.cols, other.cols)
    }

    fn sentence(&self) -> String {
        let ([a, b], [c, d]) = (self.rows, self.cols);
        format!("rows {a}:{b}, columns {c}:{d}")
    }
}

impl Parts {
    /// Opens folders of results that are to be put together.
    ///
    /// # Errors
    /// [`Error::File`] for a folder that is no part of a scene, is of another fit or another scene,
    /// was scaled otherwise, or overlaps another one; and where a part is missing.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let mut parts = Vec::new();
        for path in paths {
            let part = Part::open(path)?;
            if !part.window.is_sound() {
                return Err(Error::file(&part.path, "states a window outside of its scene"));
            }
            parts.push(part);
        }
        parts.sort_by_key(|part| (part.window.rows[0], part.window.cols[0]));
        let Some(first) = parts.first() else {
            return Err(Error::option("parts", "name the folders that are to be put together"));
        };
        for part in &parts[1..] {
            if let Some(why) = first.differs(part) {
                return Err(Error::file(
                    &part.path,
                    format!("{why} than {}", first.path.display()),
                ));
            }
        }
        for (i, part) in parts.iter().enumerate() {
            if let Some(other) = parts[..i].iter().find(|other| other.window.meets(&part.window)) {
                return Err(Error::file(
                    &part.path,
                    format!(
                        "({}) overlaps {} ({}); give parts that lie beside each other",
                        part.window.sentence(),
                        other.path.display(),
                        other.window.sentence()
                    ),
                ));
            }
        }
        if let Some(place) = gap(&parts) {
            return Err(Error::file(
                &first.path,
                format!(
                    "and the other parts leave a gap: row {}, column {} of {} x {} pixels is in \
                     none of them; give all parts",
                    place.0, place.1, first.window.of[0], first.window.of[1]
                ),
            ));
        }
        let wrong = |why: String| Error::file(first.path.join(TABLE), why);
        let table = read_endmembers(&first.table).map_err(wrong)?;
        let scene = first.scene(&parts, table.bands)?;
        let convention = first.said.settings.get("convention").cloned().unwrap_or_default();
        let convention: Convention = serde_json::from_value(convention)
            .map_err(|error| Error::file(first.path.join(REPORT_FILE), error.to_string()))?;
        let bright = first.maps.len() == MAPS.len();
        let none = || Array2::zeros((0, table.names.len()));
        let posterior = Posterior {
            convention,
            abundance_mean: none(),
            abundance_sd: none(),
            abundance_q05: none(),
            abundance_q50: none(),
            abundance_q95: none(),
            draws_worth: None,
            brightness: bright.then(|| Array1::zeros(0)),
            endmember_mean: table.mean,
            endmember_sd: table.sd,
            endmember_q05: table.q05,
            endmember_q95: table.q95,
            variability: table.variability,
            noise_sd: Vec::new(),
            noise_correlation: None,
            concentration: f64::NAN,
            mean_abundance: Vec::new(),
            residual: Vec::new(),
        };
        if first.maps[..5].iter().any(|map| map.depth() != table.names.len()) {
            return Err(wrong("has another number of endmembers than the maps beside it".into()));
        }
        Ok(Parts { parts, scene, names: table.names, posterior })
    }

    /// The scene that the parts make together, without its spectra.
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Names of the endmembers.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Writes the whole, maps row by row, and gives the names of the files, the report included.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses, [`Error::Interrupted`].
    pub fn write(
        &mut self,
        folder: &OutputFolder,
        formats: &[Format],
        run: &RunReport,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Vec<String>> {
        let bright = self.posterior.brightness.is_some();
        let scene = self.scene.clone();
        let mut maps = Stream::begin(folder, &scene, &self.names, bright, formats)?;
        let mut totals = Totals::new(0, self.names.len());
        for row in 0..scene.rows() {
            if interrupted() {
                return Err(Error::Interrupted);
            }
            let (places, found) = self.row(row)?;
            totals.add(&found);
            maps.add(row..row + 1, &places, &found)?;
        }
        let posterior =
            Posterior { mean_abundance: totals.mean_abundance(), ..self.posterior.clone() };
        let mut files = maps.finish(&Results {
            scene: &scene,
            formats,
            posterior: &posterior,
            drawn: None,
            names: &self.names,
            nearest: &[],
            truth: None,
            trace: &[],
            trace_window: 50,
            stopped_at: None,
        })?;
        for own in [REPORT_FILE, RECORD_FILE] {
            files.push(own.to_owned());
        }
        let report = self.report(&totals, &files, run);
        folder.write(REPORT_FILE, |to| {
            serde_json::to_writer_pretty(&mut *to, &report)?;
            to.write_all(b"\n")
        })?;
        Ok(files)
    }

    /// The pixels with data of one row of the whole.
    fn row(&mut self, row: usize) -> Result<(Vec<u32>, Posterior)> {
        let (cols, k) = (self.scene.cols(), self.names.len());
        let mut places: Vec<u32> = Vec::new();
        let mut lists: Vec<Vec<f32>> = vec![Vec::new(); MAPS.len()];
        for part in &mut self.parts {
            let WindowReport { rows, cols: own, .. } = &part.window;
            if !(rows[0]..rows[1]).contains(&row) {
                continue;
            }
            let values: Vec<Vec<f32>> =
                part.maps.iter_mut().map(|map| map.row(row - rows[0])).collect::<Result<_>>()?;
            let known = |col: usize| !values[0][col * k].is_nan();
            for col in (0..own[1] - own[0]).filter(|&col| known(col)) {
                places.push((row * cols + own[0] + col) as u32);
                for (list, values) in lists.iter_mut().zip(&values) {
                    let depth = values.len() / (own[1] - own[0]);
                    list.extend(&values[col * depth..(col + 1) * depth]);
                }
            }
        }
        let count = places.len();
        let table = |list: &[f32]| Array2::from_shape_fn((count, k), |(n, i)| list[n * k + i]);
        let found = Posterior {
            abundance_mean: table(&lists[0]),
            abundance_sd: table(&lists[1]),
            abundance_q05: table(&lists[2]),
            abundance_q50: table(&lists[3]),
            abundance_q95: table(&lists[4]),
            residual: lists[5].clone(),
            brightness: self.posterior.brightness.as_ref().map(|_| lists[6].clone().into()),
            ..self.posterior.clone()
        };
        Ok((places, found))
    }

    /// The report of the first part, about the whole.
    fn report(&self, totals: &Totals, files: &[String], run: &RunReport) -> Value {
        let first = &self.parts[0];
        let mut report = first.report.clone();
        let list: Vec<String> =
            self.parts.iter().map(|part| part.path.display().to_string()).collect();
        report["scene"]["rows"] = serde_json::json!(self.scene.rows());
        report["scene"]["cols"] = serde_json::json!(self.scene.cols());
        report["scene"]["pixels_used"] = serde_json::json!(totals.pixels());
        report["scene"]["georeference"] = serde_json::json!(self.scene.georeference());
        report["scene"]["window"] = Value::Null;
        let note = format!("Put together of {} parts: {}.", list.len(), list.join(", "));
        let mut notes: Vec<&str> = vec![&note];
        for part in &self.parts {
            let new = part.said.scene.notes.iter().map(String::as_str);
            let new: Vec<&str> = new.filter(|text| !notes.contains(text)).collect();
            notes.extend(new);
        }
        report["scene"]["notes"] = serde_json::json!(notes);
        report["estimates"]["mean_abundance"] = serde_json::json!(totals.mean_abundance());
        report["estimates"]["effective_draws"] = Value::Null;
        // That of the first part is of its own pixels.
        report["trust"] = Value::Null;
        report["files"] = serde_json::json!(files);
        report["run"] = serde_json::json!(run);
        report
    }
}

impl Part {
    /// In what another part is no part of the same scene under the same fit.
    fn differs(&self, other: &Part) -> Option<&'static str> {
        let (own, of) = (&self.said, &other.said);
        let scale = |said: &Said| (said.scene.scaling.gain, said.scene.scaling.offset);
        if self.window.of != other.window.of || own.scene.name != of.scene.name {
            return Some("is a part of another scene");
        }
        if own.settings != of.settings || own.seed != of.seed || self.table != other.table {
            return Some("is of another fit");
        }
        if scale(own) != scale(of) {
            return Some(
                "was scaled to reflectance by another factor (state --scale for all parts)",
            );
        }
        (self.maps.len() != other.maps.len()).then_some("has other maps")
    }

    /// The whole scene, of the size that the window is of.
    fn scene(&self, parts: &[Part], bands: Vec<crate::scene::Band>) -> Result<Scene> {
        let said = &self.said.scene;
        let moved = |place: &Georeference| {
            let transform = self.window.transform.unwrap_or(place.transform);
            Georeference { transform, ..place.clone() }
        };
        let placed = parts.iter().all(|part| part.window.transform == self.window.transform);
        Scene::new(SceneParts {
            name: said.name.clone(),
            rows: self.window.of[0],
            cols: self.window.of[1],
            cube: std::sync::Arc::new(Cube::zeros(0, bands.len())),
            bands,
            file_bands: said.file_bands,
            places: Vec::new(),
            georeference: said.georeference.as_ref().filter(|_| placed).map(moved),
            scaling: said.scaling.clone(),
            notes: Vec::new(),
        })
    }
}

/// The first pixel that is in no part; the parts do not overlap and are in the order of their first
/// rows.
fn gap(parts: &[Part]) -> Option<(usize, usize)> {
    let [rows, cols] = parts.first()?.window.of;
    let area: usize = parts.iter().map(|part| part.window.area()).sum();
    if area == rows * cols {
        return None;
    }
    // Where one begins or ends something can change.
    let mut starts: Vec<usize> =
        parts.iter().flat_map(|part| part.window.rows).chain([0]).filter(|r| *r < rows).collect();
    starts.sort_unstable();
    let across = |row: usize| -> Option<usize> {
        let mut ranges: Vec<Range<usize>> = parts
            .iter()
            .filter(|part| (part.window.rows[0]..part.window.rows[1]).contains(&row))
            .map(|part| part.window.cols[0]..part.window.cols[1])
            .collect();
        ranges.sort_by_key(|range| range.start);
        let mut next = 0;
        for range in ranges {
            if range.start > next {
                break;
            }
            next = range.end;
        }
        (next < cols).then_some(next)
    };
    starts.into_iter().find_map(|row| across(row).map(|col| (row, col)))
}
