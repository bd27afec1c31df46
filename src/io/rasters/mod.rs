//! Maps out, with their place on earth: GeoTIFF, ENVI, NetCDF and Zarr.

mod envi;
mod geotiff;
mod netcdf;
mod netcdf_classic;
mod zarr;

use ndarray::{Array3, ArrayView3};

use crate::scene::{Georeference, Lookup};

pub use envi::{
    NO_DATA as ENVI_NO_DATA, Spectra, envi_maps_header, write_envi_maps, write_envi_spectra,
};
pub use geotiff::write_geotiff;
pub use netcdf::{SpectraTable, write_netcdf};
pub use zarr::write_zarr;

/// Maps of one kind, such as the mean abundances of all endmembers.
#[derive(Debug)]
pub struct Raster<'a> {
    /// Name of the file without extension and of the variable: lower case, no blanks.
    pub name: &'static str,
    /// What the values are, for people.
    pub title: &'a str,
    /// Unit of the values in the words of UDUNITS: `1` for shares and ratios.
    pub unit: &'static str,
    /// A name a band.
    pub bands: &'a [String],
    /// (rows, columns, bands); NaN for no data.
    pub values: ArrayView3<'a, f32>,
}

/// What all maps of one scene share.
#[derive(Debug)]
pub struct About<'a> {
    /// Where the scene lies.
    pub place: Option<&'a Georeference>,
    /// One line on how the maps came about.
    pub history: &'a str,
}

/// Maps on the grid that the place speaks of: those of a scene in the geometry of its sensor are
/// put there by its lookup, NaN beside the scene; others are copied as they are.
fn on_grid(values: ArrayView3<'_, f32>, place: Option<&Georeference>) -> Array3<f32> {
    let Some(lookup) = place.and_then(|place| place.lookup.as_ref()) else {
        return values.to_owned();
    };
    let (_, cols, bands) = values.dim();
    let cols = cols.max(1);
    Array3::from_shape_fn((lookup.rows, lookup.cols, bands), |(row, col, band)| {
        let pixel = lookup.pixels.get(row * lookup.cols + col).copied().unwrap_or(Lookup::NONE);
        let place = (pixel as usize / cols, pixel as usize % cols, band);
        let shown = (pixel != Lookup::NONE).then(|| values.get(place)).flatten();
        shown.copied().unwrap_or(f32::NAN)
    })
}
