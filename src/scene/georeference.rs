//! Where a scene lies on earth.

use std::sync::Arc;

/// A coordinate reference system, named as well as the file names it: by its number in the EPSG
/// register, as well-known text, or both.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Crs {
    /// Number in the EPSG register, such as 32633 for UTM zone 33 north on WGS 84.
    pub epsg: Option<u32>,
    /// Well-known text, version 1 or 2, as the file has it or as the register has the number.
    pub wkt: Option<String>,
}

/// For a scene in the geometry of its sensor: which of its pixels each cell of a map grid shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    /// Height of the grid in cells.
    pub rows: usize,
    /// Width of the grid in cells.
    pub cols: usize,
    /// The pixel of the scene, `row * scene columns + column`, that each cell shows, row by row;
    /// [`Lookup::NONE`] where the grid lies beside the scene. `rows * cols` entries.
    pub pixels: Vec<u32>,
}

impl Lookup {
    /// The entry of a cell that shows no pixel.
    pub const NONE: u32 = u32::MAX;
}

/// The coordinates of a raster's pixels.
///
/// `transform` takes the corners of pixels to the CRS, in GDAL's order: the corner of column `c`
/// and row `r` lies at `x = t[0] + c t[1] + r t[2]`, `y = t[3] + c t[4] + r t[5]`. Rotated and
/// mirrored rasters are as good as others.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Georeference {
    /// What the coordinates mean.
    pub crs: Crs,
    /// Six finite numbers, of an invertible transform.
    pub transform: [f64; 6],
    /// Where the scene is not on the grid of `transform` itself, the way there; results are put on
    /// that grid when they are written as maps.
    #[serde(skip)]
    pub lookup: Option<Arc<Lookup>>,
}

impl Georeference {
    /// A place on earth; `None` when the transform is not finite or takes all pixels to a line.
    pub fn new(crs: Crs, transform: [f64; 6]) -> Option<Self> {
        let determinant = transform[1] * transform[5] - transform[2] * transform[4];
        let sound = transform.iter().all(|v| v.is_finite()) && determinant != 0.0;
        (sound && determinant.is_finite()).then_some(Georeference { crs, transform, lookup: None })
    }

    /// Coordinates of the corner of a pixel (whole numbers) or of any point between corners.
    pub fn at(&self, col: f64, row: f64) -> (f64, f64) {
        let t = &self.transform;
        (t[0] + col * t[1] + row * t[2], t[3] + col * t[4] + row * t[5])
    }

    /// Coordinates of the four corners of a raster of this size: top left, top right, bottom left,
    /// bottom right, as the raster is stored.
    pub fn corners(&self, rows: usize, cols: usize) -> [(f64, f64); 4] {
        let (rows, cols) = (rows as f64, cols as f64);
        [self.at(0.0, 0.0), self.at(cols, 0.0), self.at(0.0, rows), self.at(cols, rows)]
    }

    /// True when rows do not run along the first axis of the CRS, or columns along the second.
    pub fn is_rotated(&self) -> bool {
        self.transform[2] != 0.0 || self.transform[4] != 0.0
    }

    /// The place of a window of the scene: `rows` x `cols` pixels from (`first_row`, `first_col`)
    /// of a scene with `scene_cols` columns.
    pub fn window(
        &self,
        (first_row, rows): (usize, usize),
        (first_col, cols): (usize, usize),
        scene_cols: usize,
    ) -> Self {
        let mut place = self.clone();
        let Some(lookup) = &self.lookup else {
            let (x, y) = self.at(first_col as f64, first_row as f64);
            (place.transform[0], place.transform[3]) = (x, y);
            return place;
        };
        let inside = |pixel: u32| {
            let (row, col) =
                (pixel as usize / scene_cols.max(1), pixel as usize % scene_cols.max(1));
            let (row, col) = (row.checked_sub(first_row)?, col.checked_sub(first_col)?);
            (row < rows && col < cols).then_some((row * cols + col) as u32)
        };
        let of = |&pixel: &u32| match pixel {
            Lookup::NONE => Lookup::NONE,
            pixel => inside(pixel).unwrap_or(Lookup::NONE),
        };
        let pixels = lookup.pixels.iter().map(of).collect();
        place.lookup = Some(Arc::new(Lookup { rows: lookup.rows, cols: lookup.cols, pixels }));
        place
    }

    /// One line for people: the CRS, the size of a pixel, the top left corner.
    pub fn sentence(&self) -> String {
        let t = &self.transform;
        let name = self.crs.name().unwrap_or_else(|| "an unnamed coordinate system".into());
        let size = (t[1].hypot(t[4]), t[2].hypot(t[5]));
        let rotated = if self.is_rotated() { ", rotated" } else { "" };
        format!(
            "{name}, pixels of {} x {}{rotated}, top left corner at {}, {}",
            short(size.0),
            short(size.1),
            short(t[0]),
            short(t[3])
        )
    }
}

impl Crs {
    /// True when nothing is known.
    pub fn is_unknown(&self) -> bool {
        self.epsg.is_none() && self.wkt.is_none()
    }

    /// A name for people: that of the well-known text, with the EPSG number where known.
    pub fn name(&self) -> Option<String> {
        let quoted = self.wkt.as_ref().and_then(|wkt| wkt.split('"').nth(1)).map(str::to_owned);
        match (quoted, self.epsg) {
            (Some(name), Some(epsg)) => Some(format!("{name} (EPSG:{epsg})")),
            (None, Some(epsg)) => Some(format!("EPSG:{epsg}")),
            (name, None) => name,
        }
    }
}

/// Up to nine digits after the point, without trailing zeros.
fn short(value: f64) -> String {
    let text = format!("{value:.9}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_lies_where_its_pixels_lie() {
        let place = Georeference::new(Crs::default(), [10.0, 2.0, 0.5, 50.0, -0.25, -3.0]).unwrap();
        let window = place.window((4, 2), (3, 2), 9);
        assert_eq!(window.at(0.0, 0.0), place.at(3.0, 4.0));
        assert_eq!(window.at(1.0, 2.0), place.at(4.0, 6.0));
        assert!(window.is_rotated());
    }

    #[test]
    fn a_window_of_a_lookup_shows_the_same_pixels() {
        let mut place = Georeference::new(Crs::default(), [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]).unwrap();
        // A scene of 3 columns; pixels 4 and 5 are (1, 1) and (1, 2).
        let pixels = vec![Lookup::NONE, 4, 5, 0];
        place.lookup = Some(Arc::new(Lookup { rows: 2, cols: 2, pixels }));
        let window = place.window((1, 1), (1, 2), 3).lookup.unwrap();
        assert_eq!(window.pixels, [Lookup::NONE, 0, 1, Lookup::NONE]);
    }

    #[test]
    fn a_transform_to_a_line_is_no_place() {
        assert!(Georeference::new(Crs::default(), [0.0, 1.0, 1.0, 0.0, 2.0, 2.0]).is_none());
        assert!(Georeference::new(Crs::default(), [f64::NAN, 1.0, 0.0, 0.0, 0.0, 1.0]).is_none());
    }
}
