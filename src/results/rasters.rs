//! Results as maps that other programs open at the right place: GeoTIFF, ENVI, NetCDF, Zarr.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2, Axis};

use super::folder::OutputFolder;
use super::images::Images;
use super::write::Results;
use crate::convention::Convention;
use crate::engine::ground::error::{Error, Result};
use crate::io::rasters::{
    About, Raster, Spectra, SpectraTable, write_envi_maps, write_envi_spectra, write_geotiff,
    write_netcdf, write_zarr,
};
use crate::posterior::Posterior;
use crate::scene::Scene;

/// A kind of file that results are written as. The table of endmembers and the report are always
/// written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Pictures of maps, spectra and progress.
    Png,
    /// Abundances as NumPy arrays.
    Npy,
    /// Maps with their place, and the spectra as a library.
    Envi,
    /// Maps with their place, cloud-optimised.
    GeoTiff,
    /// All maps and spectra in one file, with the CF conventions.
    NetCdf,
    /// All maps and spectra in one store of chunks, with xarray's conventions.
    Zarr,
}

impl Format {
    /// What is written if nobody says otherwise: pictures and arrays, and GeoTIFF where the scene
    /// has a place on earth. A picture or an array has no room for one, and whoever brings a scene
    /// with a place wants the maps there; files of a few per cent of the scene's size are no cost.
    pub fn usual(scene: &Scene) -> Vec<Format> {
        let mut formats = vec![Format::Png, Format::Npy];
        formats.extend(scene.georeference().is_some().then_some(Format::GeoTiff));
        formats
    }
}

/// Writes what `results.formats` asks for beyond pictures and arrays, and gives the files' names.
pub(super) fn write(
    folder: &OutputFolder,
    results: &Results<'_>,
    names: &[String],
    images: &Images,
) -> Result<Vec<String>> {
    let wants = |format| results.formats.contains(&format);
    described(results, names, images, |rasters, spectra, about| {
        let mut files = Vec::new();
        if wants(Format::GeoTiff) {
            for raster in rasters {
                let file = format!("{}.tif", raster.name);
                folder.write(&file, |to| write_geotiff(raster, about, to))?;
                files.push(file);
            }
        }
        if wants(Format::Envi) {
            for raster in rasters {
                envi(folder, raster.name, "img", &mut files, |to| {
                    write_envi_maps(raster, about, to)
                })?;
            }
            envi_spectra(folder, results, names, &mut files)?;
        }
        if wants(Format::NetCdf) {
            let file = "unmixing.nc".to_owned();
            folder.write(&file, |to| write_netcdf(rasters, spectra, about, to))?;
            files.push(file);
        }
        if wants(Format::Zarr) {
            zarr(&folder.inner("unmixing.zarr")?, rasters, spectra, about)?;
            files.push("unmixing.zarr".to_owned());
        }
        Ok(files)
    })
}

/// Gives all maps and spectra, and what they share, to `then`.
pub(super) fn described<T>(
    results: &Results<'_>,
    names: &[String],
    images: &Images,
    then: impl FnOnce(&[Raster<'_>], &SpectraTable<'_>, &About<'_>) -> T,
) -> T {
    let scene = results.scene;
    let history = history(scene);
    let about = About { place: scene.georeference(), history: &history };
    let single = |name: &str| vec![name.to_owned()];
    let (residual_name, brightness_name) = (single("residual"), single("brightness"));
    let rasters = rasters(names, images, &residual_name, &brightness_name);
    let spectra = SpectraTable {
        bands: scene.bands(),
        names,
        tables: tables(results.posterior),
        unit: unit(results.posterior.convention),
    };
    then(&rasters, &spectra, &about)
}

/// Writes all maps and spectra as a Zarr store into a folder.
pub(super) fn zarr(
    store: &OutputFolder,
    rasters: &[Raster<'_>],
    spectra: &SpectraTable<'_>,
    about: &About<'_>,
) -> Result<()> {
    let mut arrays: BTreeMap<String, OutputFolder> = BTreeMap::new();
    let mut failed = None;
    let written = write_zarr(rasters, spectra, about, &mut |array, name, bytes| {
        let mut put = || -> Result<()> {
            if !array.is_empty() && !arrays.contains_key(array) {
                arrays.insert(array.to_owned(), store.inner(array)?);
            }
            arrays.get(array).unwrap_or(store).write(name, |to| to.write_all(bytes))
        };
        put().map_err(|error| {
            failed = Some(error);
            std::io::Error::other("a file of the store cannot be written")
        })
    });
    match failed {
        Some(error) => Err(error),
        None => written.map_err(|error| Error::io(store.path(), error)),
    }
}

/// How the maps came about, in a line.
pub(super) fn history(scene: &Scene) -> String {
    format!(
        "Bayesian unmixing of {} by unmixel {}; settings, seed and device are in report.json",
        scene.name(),
        env!("CARGO_PKG_VERSION")
    )
}

/// The spectra as a library.
pub(super) fn envi_spectra(
    folder: &OutputFolder,
    results: &Results<'_>,
    names: &[String],
    files: &mut Vec<String>,
) -> Result<()> {
    let bands = results.scene.bands();
    let wavelengths: Option<Vec<f64>> = bands.iter().map(|b| b.wavelength).collect();
    let spectra = Spectra {
        title: "Endmembers, posterior mean",
        names,
        wavelengths: wavelengths.as_deref(),
        values: results.posterior.endmember_mean.view(),
    };
    envi(folder, "endmembers", "sli", files, |to| write_envi_spectra(&spectra, to))
}

/// What the residual is.
pub(super) const RESIDUAL: &str = "Root mean square over bands of data minus fit, reflectance";
/// What the brightness is.
pub(super) const BRIGHTNESS: &str = "Brightness of each pixel, posterior mean";

/// What spectra are measured in.
pub fn unit(convention: Convention) -> &'static str {
    match convention {
        Convention::Reflectance => "reflectance",
        Convention::Peak => "reflectance, relative to the peak",
    }
}

fn rasters<'a>(
    names: &'a [String],
    images: &'a Images,
    residual_name: &'a [String],
    brightness_name: &'a [String],
) -> Vec<Raster<'a>> {
    let raster =
        |name, title, bands: &'a [String], values| Raster { name, title, unit: "1", bands, values };
    let flat = |map: &'a Array2<f32>| map.view().insert_axis(Axis(2));
    let mut rasters: Vec<Raster<'_>> = images
        .abundances()
        .into_iter()
        .map(|(name, title, values)| raster(name, title, names, values.view()))
        .collect();
    rasters.push(raster("residual", RESIDUAL, residual_name, flat(&images.residual)));
    let bright = images.brightness.as_ref();
    rasters.extend(bright.map(|map| raster("brightness", BRIGHTNESS, brightness_name, flat(map))));
    rasters
}

fn tables(posterior: &Posterior) -> Vec<(&'static str, &'static str, ArrayView2<'_, f64>)> {
    let mut tables = vec![
        ("spectrum_mean", "Endmember, posterior mean", posterior.endmember_mean.view()),
        ("spectrum_sd", "Endmember, posterior standard deviation", posterior.endmember_sd.view()),
        ("spectrum_q05", "Endmember, 5 % quantile", posterior.endmember_q05.view()),
        ("spectrum_q95", "Endmember, 95 % quantile", posterior.endmember_q95.view()),
    ];
    tables.extend(posterior.variability.as_ref().map(|sd| {
        ("spectrum_variability", "Endmember, standard deviation between pixels", sd.view())
    }));
    tables
}

/// Writes an ENVI file and its header.
fn envi(
    folder: &OutputFolder,
    name: &str,
    extension: &str,
    files: &mut Vec<String>,
    fill: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<String>,
) -> Result<()> {
    let mut header = String::new();
    let data = format!("{name}.{extension}");
    folder.write(&data, |to| {
        header = fill(to)?;
        Ok(())
    })?;
    let header_file = format!("{name}.hdr");
    folder.write(&header_file, |to| to.write_all(header.as_bytes()))?;
    files.extend([header_file, data]);
    Ok(())
}
