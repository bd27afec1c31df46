//! A cube in memory with what is said of it, as xarray says it, understood by the rules for files.

use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::ArrayViewD;

use super::choose;
use super::store::{Store, StoredArray};
use crate::engine::ground::error::{Error, Result};
use crate::io::evidence::{Axes, Axis};
use crate::io::numbers::Kind;
use crate::io::open::OpenOptions;
use crate::scene::{Georeference, Stored, View, to_nanometres};

/// What is said of an array: its name, the names of its axes, and its attributes.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    /// Its name; that of a scene is what messages call it.
    pub name: String,
    /// Names of its axes, one each; empty where they have none.
    pub axes: Vec<String>,
    /// Attributes of text.
    pub texts: Vec<(String, String)>,
    /// Attributes of one number or more.
    pub numbers: Vec<(String, Vec<f64>)>,
    /// Its values, of a coordinate or another short list; empty for the scene's cube, and where
    /// attributes say all, as of xarray's `spatial_ref`.
    pub values: Vec<f64>,
}

/// What the caller states of a scene in memory; it wins over what labels say.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Centre wavelengths, one a band, and their unit in any words; without one nanometres, or
    /// micrometres where all lie below 25.
    pub wavelengths: Option<(Vec<f64>, Option<String>)>,
    /// Widths of the bands at half of their maximum, nanometres, one a band.
    pub fwhm: Option<Vec<f64>>,
    /// False for bands to be left out, one a band.
    pub good_bands: Option<Vec<bool>>,
    /// Where the scene lies on earth.
    pub georeference: Option<Georeference>,
}

/// The cube `values` as a source for [`crate::scene::load`], which copies blocks of it only, and
/// which of its axes are rows, columns and bands.
///
/// Which axes are rows, columns and bands follows from `how.axes`, from the names of the axes, and
/// else from sizes, wavelengths and values, as in files. So do wavelengths, place, scale and the
/// value for no data, from `labels` (the attributes of the cube) and `beside` (its coordinates).
///
/// # Errors
///
/// [`Error::File`], which begins with the cube's name, where nothing tells how its axes lie, or
/// something is said of it that cannot be; [`Error::Setting`] for axes that are not those of a
/// cube.
pub fn in_memory<'a, T: Stored>(
    values: ArrayViewD<'a, T>,
    labels: Labels,
    mut beside: Vec<Labels>,
    told: &Told,
    how: &OpenOptions,
) -> Result<(View<'a, T>, [usize; 3])> {
    let name = PathBuf::from(&labels.name);
    if values.ndim() < 3 {
        return Err(Error::file(
            &name,
            format!(
                "has {} axes; a scene has rows, columns and bands. Give pixels in one line as \
                 pixels x 1 x bands.",
                values.ndim()
            ),
        ));
    }
    if let Some((wavelengths, _)) = &told.wavelengths {
        // They tell which axis has the bands.
        let values = wavelengths.clone();
        beside.push(Labels { name: "wavelengths".into(), values, ..Labels::default() });
    }
    let at = |index: &[usize]| values.get(index).map(|value| value.as_());
    let memory = Memory::new::<T>(&name, (labels, values.shape()), beside, &at);
    let lists = choose::lists(&memory);
    let (axes, note) = match stated(how, values.shape())? {
        Some(axes) => (axes, None),
        None => {
            let only =
                OpenOptions { variable: Some(memory.arrays[0].labels.name.clone()), ..how.clone() };
            let (_, axes, note) = choose::choose(&memory, &lists, &only)?;
            (axes, note)
        }
    };
    let Axes::Cube { row, col, band } = axes else {
        return Err(Error::file(
            &name,
            "seems to be pixels in one line; give them as pixels x 1 x bands, with \
             rows,columns,bands as the axes.",
        ));
    };
    let axes = [row, col, band];
    let mut header = choose::header(&memory, &memory.arrays[0], axes, &lists, note)?;
    if let Some((list, unit)) = &told.wavelengths {
        let unfit = |why: String| Error::file(&name, format!("its wavelengths cannot be: {why}."));
        if list.len() != header.bands {
            let why = format!("there are {} for {} bands", list.len(), header.bands);
            return Err(unfit(why));
        }
        let (nm, note) = to_nanometres(list, unit.as_deref()).map_err(unfit)?;
        header.notes.extend(note);
        header.wavelengths = Some(nm);
    }
    header.fwhm = told.fwhm.clone().or(header.fwhm);
    header.good_bands = told.good_bands.clone().or(header.good_bands);
    header.georeference = told.georeference.clone().or(header.georeference);
    let rest: Vec<usize> = (0..values.ndim()).filter(|axis| !axes.contains(axis)).collect();
    let order: Vec<usize> = axes.iter().chain(&rest).copied().collect();
    let mut cube = values.permuted_axes(order);
    for axis in (3..cube.ndim()).rev() {
        if cube.len_of(ndarray::Axis(axis)) != 1 {
            return Err(Error::file(&name, "has more than three axes that are longer than 1."));
        }
        cube = cube.index_axis_move(ndarray::Axis(axis), 0);
    }
    let cube = cube.into_dimensionality().map_err(|e| Error::file(&name, e.to_string()))?;
    Ok((View::new(cube, header), axes))
}

/// The axes that the caller states of an array of three; none where names and values are to tell.
fn stated(how: &OpenOptions, shape: &[usize]) -> Result<Option<Axes>> {
    let Some(axes) = how.axes.as_ref().filter(|_| shape.len() == 3) else { return Ok(None) };
    let find = |wanted: Axis| axes.iter().position(|axis| *axis == wanted);
    match (find(Axis::Row), find(Axis::Column), find(Axis::Band)) {
        (Some(row), Some(col), Some(band)) => Ok(Some(Axes::Cube { row, col, band })),
        _ => Err(Error::option(
            "axes",
            "name the rows, the columns and the bands of a cube, each once",
        )),
    }
}

/// The value at an index.
type At<'a> = &'a (dyn Fn(&[usize]) -> Option<f32> + Sync);

/// A cube and what lies beside it.
struct Memory<'a> {
    name: &'a Path,
    /// The cube is the first.
    arrays: Vec<Array>,
    at: At<'a>,
}

/// An array of the memory.
#[derive(Debug, Clone)]
struct Array {
    labels: Labels,
    shape: Vec<usize>,
    kind: Kind,
}

impl<'a> Memory<'a> {
    fn new<T: Stored>(
        name: &'a Path,
        (mut labels, shape): (Labels, &[usize]),
        beside: Vec<Labels>,
        at: At<'a>,
    ) -> Self {
        if labels.name.is_empty() || beside.iter().any(|other| other.name == labels.name) {
            labels.name = "the cube".into();
        }
        let kinds = [Kind::U8, Kind::I8, Kind::U16, Kind::I16, Kind::U32, Kind::I32, Kind::U64];
        let kinds = kinds.into_iter().chain([Kind::I64, Kind::F32]);
        let kind = kinds.into_iter().find(|kind| kind.name() == T::NAME).unwrap_or(Kind::F64);
        let mut arrays = vec![Array { labels, shape: shape.to_vec(), kind }];
        let list = |labels: Labels| {
            let shape = vec![labels.values.len()];
            Array { labels, shape, kind: Kind::F64 }
        };
        arrays.extend(beside.into_iter().map(list));
        Memory { name, arrays, at }
    }
}

impl StoredArray for Array {
    fn place(&self) -> &str {
        &self.labels.name
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn chunk_row(&self, _: usize) -> usize {
        0
    }

    fn attribute_numbers(&self, name: &str) -> Option<Vec<f64>> {
        let mut found = self.labels.numbers.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, values)| values.clone())
    }

    fn attribute_text(&self, name: &str) -> Option<String> {
        let mut found = self.labels.texts.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, text)| text.clone())
    }
}

impl Store for Memory<'_> {
    type Array = Array;
    const FORMAT: &'static str = "array";

    fn path(&self) -> &Path {
        self.name
    }

    fn arrays(&self) -> &[Array] {
        &self.arrays
    }

    fn whole(&self, array: &Array) -> Result<Vec<f64>> {
        Ok(array.labels.values.clone())
    }

    fn window(&self, array: &Array, window: &[Range<usize>]) -> Result<Vec<f32>> {
        // Asked for a value at a time.
        let index: Vec<usize> = window.iter().map(|range| range.start).collect();
        let value = match array.labels.values.is_empty() {
            true => (self.at)(&index),
            false => index.first().and_then(|i| array.labels.values.get(*i)).map(|v| *v as f32),
        };
        Ok(value.into_iter().collect())
    }

    fn axes(&self, array: &Array) -> Option<Vec<String>> {
        let names = &array.labels.axes;
        (!names.is_empty() && names.len() == array.shape.len())
            .then(|| names.iter().map(|name| name.to_lowercase()).collect())
    }

    fn root_text(&self, _: &str) -> Option<String> {
        None
    }

    fn refused(&self) -> &[(String, String)] {
        &[]
    }

    fn texts(&self) -> Vec<(String, Vec<String>)> {
        Vec::new()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ndarray::{Array3, ArrayD};

    use super::*;
    use crate::scene::CubeSource;

    fn list(name: &str, values: Vec<f64>, texts: &[(&str, &str)]) -> Labels {
        let texts = texts.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Labels { name: name.into(), axes: vec![name.into()], texts, values, ..Labels::default() }
    }

    fn cube() -> ArrayD<u16> {
        Array3::from_shape_fn((4, 5, 6), |(b, r, c)| (100 * b + 10 * r + c) as u16).into_dyn()
    }

    #[test]
    fn names_coordinates_and_attributes_are_understood() {
        let cube = cube();
        let labels = Labels {
            name: "refl".into(),
            axes: ["band", "y", "x"].map(str::to_owned).to_vec(),
            numbers: vec![("_FillValue".into(), vec![9.0]), ("scale_factor".into(), vec![1e-4])],
            ..Labels::default()
        };
        let beside = vec![
            list("wavelength", vec![0.5, 0.6, 0.7, 0.8], &[("units", "um")]),
            list("y", (0..5).map(|i| 95.0 - 10.0 * f64::from(i)).collect(), &[]),
            list("x", (0..6).map(|i| 25.0 + 10.0 * f64::from(i)).collect(), &[]),
            list("spatial_ref", vec![], &[("crs_wkt", "EPSG:32633")]),
        ];
        let told = Told::default();
        let how = OpenOptions::default();
        let (view, axes) = in_memory(cube.view(), labels.clone(), beside, &told, &how).unwrap();
        assert_eq!(axes, [1, 2, 0]);
        let header = view.header();
        assert_eq!((header.rows, header.cols, header.bands), (5, 6, 4));
        assert_eq!(header.wavelengths.as_ref().unwrap()[1], 600.0);
        assert_eq!(header.ignore_value, Some(9.0));
        assert_eq!(header.stated_scale.as_ref().unwrap().0, [1e-4]);
        let place = header.georeference.as_ref().unwrap();
        assert_eq!(place.crs.epsg, Some(32633));
        assert_eq!(place.transform, [20.0, 10.0, 0.0, 100.0, 0.0, -10.0]);
        // What is told wins.
        let told = Told {
            wavelengths: Some((vec![1.0, 2.0, 3.0, 4.0], Some("micrometres".into()))),
            good_bands: Some(vec![true, true, false, true]),
            ..Told::default()
        };
        let (view, _) = in_memory(cube.view(), labels.clone(), vec![], &told, &how).unwrap();
        assert_eq!(view.header().wavelengths.as_ref().unwrap()[3], 4000.0);
        assert!(!view.header().good_bands.as_ref().unwrap()[2]);
        let told = Told { wavelengths: Some((vec![1.0; 3], None)), ..Told::default() };
        let refused = in_memory(cube.view(), labels, vec![], &told, &how).unwrap_err().to_string();
        assert!(refused.contains("refl: ") && refused.contains("3 for 4 bands"), "{refused}");
    }

    #[test]
    fn axes_are_told_or_found_and_else_asked_for() {
        let cube = cube();
        let sizes = |told: &Told, axes: Option<&str>| {
            let axes = axes.map(|axes| crate::io::parse_axes(axes).unwrap());
            let how = OpenOptions { axes, ..OpenOptions::default() };
            let labels = Labels { name: "array".into(), ..Labels::default() };
            let (view, _) = in_memory(cube.view(), labels, vec![], told, &how)?;
            let mut out = vec![0.0; view.header().cols * view.header().bands];
            let (header, mut view) = (view.header().clone(), view);
            view.read_rows(1, 1, &mut out)?;
            Ok::<_, Error>((header.rows, header.cols, header.bands, out[1]))
        };
        let none = Told::default();
        assert_eq!(sizes(&none, Some("bands,rows,columns")).unwrap(), (5, 6, 4, 110.0));
        assert_eq!(sizes(&none, Some("rows,columns,bands")).unwrap(), (4, 5, 6, 101.0));
        let four =
            Told { wavelengths: Some((vec![450.0, 550.0, 650.0, 750.0], None)), ..none.clone() };
        assert_eq!(sizes(&four, None).unwrap().2, 4);
        assert!(sizes(&none, Some("pixels,bands")).is_err());
        let line = ArrayD::<f32>::zeros(vec![4, 5]);
        let refused =
            in_memory(line.view(), Labels::default(), vec![], &none, &OpenOptions::default());
        assert!(refused.unwrap_err().to_string().contains("2 axes"));
    }
}
