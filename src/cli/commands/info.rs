//! `unmixel info`.

use std::path::Path;

use ndarray::Array2;
use unmixel::rooms::figures::{true_color_bands, true_color_png};
use unmixel::scene::{Header, Scaling, Scene, to_image};
use unmixel::{Error, Result};

use crate::cli::args::InfoArgs;
use crate::cli::{Done, print, scene};

/// What is understood of a scene.
#[derive(serde::Serialize)]
struct Info {
    path: String,
    name: String,
    /// How the values are stored.
    format: String,
    rows: usize,
    cols: usize,
    file_bands: usize,
    /// Bands in use and left out, numbered in the file from 1.
    bands_used: Vec<usize>,
    bands_left_out: Vec<usize>,
    /// Nanometres, one a band in use; missing where the file has none.
    wavelengths: Option<Vec<f64>>,
    /// Widths of the bands in use at half of their maximum, nanometres.
    fwhm: Option<Vec<f64>>,
    pixels: usize,
    pixels_used: usize,
    /// Share of the pixels that hold no data, or too little to be used.
    share_left_out: f64,
    /// Reflectance at 0, 1, 25, 50, 75, 99 and 100 per cent of the values in use.
    reflectance: [f32; 7],
    scaling: Scaling,
    /// What the file states as no data.
    no_data: Option<f64>,
    /// Where it lies on earth; missing where the file does not say.
    place: Option<Place>,
    notes: Vec<String>,
}

/// Where a scene lies on earth.
#[derive(serde::Serialize)]
struct Place {
    /// For people: system, size of a pixel, top left corner.
    sentence: String,
    /// Number of the system in the EPSG register, and its well-known text.
    epsg: Option<u32>,
    wkt: Option<String>,
    /// From columns and rows to coordinates, in GDAL's order.
    transform: [f64; 6],
    /// Coordinates of the corners: top left, top right, bottom left, bottom right.
    corners: [(f64, f64); 4],
}

impl Place {
    fn of(scene: &Scene) -> Option<Place> {
        let place = scene.georeference()?;
        // A scene in the geometry of its sensor lies on a grid of its own size.
        let grid = place.lookup.as_ref().map(|grid| (grid.rows, grid.cols));
        let (rows, cols) = grid.unwrap_or((scene.rows(), scene.cols()));
        Some(Place {
            sentence: place.sentence(),
            epsg: place.crs.epsg,
            wkt: place.crs.wkt.clone(),
            transform: place.transform,
            corners: place.corners(rows, cols),
        })
    }
}

/// Values looked at for the quantiles.
const SAMPLED: usize = 1 << 20;

/// Says what is understood of a scene.
pub fn run(args: &InfoArgs) -> Result<Done> {
    if let Some(out) = &args.out {
        check_free(out, &args.scene, args.force)?;
    }
    let (scene, header) = scene::read_quietly(&args.scene, &args.layout)?;
    let info = understood(&args.scene, &scene, &header);
    if let Some(out) = &args.out {
        draw(out, &scene)?;
    }
    if args.json {
        print(&format!("{:#}", serde_json::json!(info)))?;
    } else {
        print(&text(&info))?;
    }
    Ok(Done::Whole)
}

/// Refuses a place for the picture that is taken. With `force` a file may go, but no scene, nor
/// what goes with it (of an ENVI scene the header, or the data), and nothing that is no file.
fn check_free(out: &Path, scene: &Path, force: bool) -> Result<()> {
    let Ok(found) = std::fs::symlink_metadata(out) else { return Ok(()) };
    if !force {
        return Err(Error::file(out, "exists; give --force to overwrite it."));
    }
    if !found.is_file() {
        return Err(Error::file(out, "is no ordinary file; name another for the picture."));
    }
    if let (Ok(out), Ok(scene)) = (out.canonicalize(), scene.canonicalize())
        && out.with_extension("") == scene.with_extension("")
        && (out == scene || !has_picture(&out))
    {
        return Err(Error::file(out, "is the scene, or goes with it; name another file."));
    }
    Ok(())
}

/// Whether the name is one of a picture, as this program writes it.
fn has_picture(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("png"))
}

fn understood(path: &Path, scene: &Scene, header: &Header) -> Info {
    let used: Vec<usize> = scene.bands().iter().map(|b| b.index + 1).collect();
    let pixels = scene.rows() * scene.cols();
    let pixels_used = scene.places().len();
    Info {
        path: path.display().to_string(),
        name: scene.name().to_owned(),
        format: header.format.clone(),
        rows: scene.rows(),
        cols: scene.cols(),
        file_bands: scene.file_bands(),
        bands_left_out: (1..=scene.file_bands())
            .filter(|b| used.binary_search(b).is_err())
            .collect(),
        bands_used: used,
        wavelengths: scene.bands().iter().map(|b| b.wavelength).collect(),
        fwhm: scene.bands().iter().map(|b| b.fwhm).collect(),
        pixels,
        pixels_used,
        share_left_out: (pixels - pixels_used) as f64 / pixels as f64,
        reflectance: quantiles(scene),
        scaling: scene.scaling().clone(),
        no_data: header.ignore_value,
        place: Place::of(scene),
        notes: scene.notes().to_vec(),
    }
}

fn quantiles(scene: &Scene) -> [f32; 7] {
    let (pixels, bands) = (scene.cube().pixels(), scene.cube().bands());
    let step = (pixels * bands).div_ceil(SAMPLED).max(1);
    let mut values: Vec<f32> =
        (0..pixels).step_by(step).flat_map(|p| scene.cube().spectrum(p).to_vec()).collect();
    values.sort_unstable_by(f32::total_cmp);
    let last = values.len().saturating_sub(1) as f64;
    [0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0]
        .map(|share: f64| values.get((share * last).round() as usize).copied().unwrap_or(f32::NAN))
}

fn draw(out: &Path, scene: &Scene) -> Result<()> {
    let nm: Option<Vec<f64>> = scene.bands().iter().map(|b| b.wavelength).collect();
    let (chosen, true_colours) = true_color_bands(nm.as_deref(), scene.bands().len());
    let values = Array2::from_shape_fn((scene.cube().pixels(), 3), |(pixel, k)| {
        scene.cube().spectrum_padded(pixel)[chosen[k]]
    });
    let image = to_image(scene, values.view())?;
    let named = chosen.map(|b| match scene.bands()[b].wavelength {
        Some(nm) => format!("{nm:.0} nm"),
        None => format!("band {}", scene.bands()[b].index + 1),
    });
    let note = format!(
        "{}: {}",
        if true_colours { "True colours" } else { "Red, green and blue" },
        named.join(", ")
    );
    let png = true_color_png(&image, scene.name(), &note)?;
    let folder = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Renamed when it is whole, so that the name never stands for half a picture.
    let mut builder = tempfile::Builder::new();
    // Temporary files are private by default; this one is to become an ordinary file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(|e| Error::io(folder, e))?;
    std::io::Write::write_all(&mut file, &png).map_err(|e| Error::io(out, e))?;
    file.persist(out).map_err(|e| Error::io(out, e.error))?;
    Ok(())
}

/// Numbers as ranges: `1-7, 100`.
fn ranges(numbers: &[usize]) -> String {
    let mut text: Vec<String> = Vec::new();
    let mut rest = numbers;
    while let Some(&first) = rest.first() {
        let run = rest.iter().zip(first..).take_while(|(a, b)| **a == *b).count();
        let last = first + run - 1;
        text.push(if run == 1 { first.to_string() } else { format!("{first}-{last}") });
        rest = &rest[run..];
    }
    text.join(", ")
}

fn text(info: &Info) -> String {
    let mut lines = vec![format!("{}: {}", info.name, info.path)];
    let mut line = |key: &str, value: String| lines.push(format!("  {key:<13}{value}"));
    if !info.format.is_empty() {
        line("format", info.format.clone());
    }
    line("size", format!("{} rows x {} columns x {} bands", info.rows, info.cols, info.file_bands));
    match info.wavelengths.as_deref() {
        Some([first, .., last]) => line("wavelengths", format!("{first:.1} to {last:.1} nm")),
        Some([one]) => line("wavelengths", format!("{one:.1} nm")),
        _ => line("wavelengths", "none".into()),
    }
    if let Some(fwhm) = &info.fwhm {
        let low = fwhm.iter().copied().fold(f64::INFINITY, f64::min);
        let high = fwhm.iter().copied().fold(0.0, f64::max);
        line("band widths", format!("{low:.1} to {high:.1} nm"));
    }
    line("bands in use", format!("{}: {}", info.bands_used.len(), ranges(&info.bands_used)));
    if !info.bands_left_out.is_empty() {
        line(
            "left out",
            format!("{}: {}", info.bands_left_out.len(), ranges(&info.bands_left_out)),
        );
    }
    line(
        "pixels",
        format!(
            "{} of {} in use; {:.1} % left out",
            info.pixels_used,
            info.pixels,
            100.0 * info.share_left_out
        ),
    );
    if let Some(value) = info.no_data {
        line("no data", format!("{value}, as the file states"));
    }
    let [low, q01, q25, median, q75, q99, high] = info.reflectance;
    line(
        "reflectance",
        format!(
            "{low:.4} to {high:.4}; 1 %: {q01:.4}, quartiles {q25:.4}, {median:.4}, {q75:.4}, 99 \
             %: {q99:.4}"
        ),
    );
    line("scale", info.scaling.rule.clone());
    line("place", info.place.as_ref().map_or("none".into(), |place| place.sentence.clone()));
    for note in info.notes.iter().filter(|note| **note != info.scaling.rule) {
        line("note", note.clone());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_ranges() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), "1-3, 7, 9-10");
        assert_eq!(ranges(&[]), "");
    }
}
