//! `unmixel simulate`.

use std::path::Path;
use std::sync::Arc;

use unmixel::rooms::io::{write_envi, write_npz, write_truth};
use unmixel::rooms::results::OutputFolder;
use unmixel::simulate::{Maps, Mixing, Settings, Simulated, simulate};
use unmixel::{Error, Result};

use crate::cli::args::{MapsArg, MixingArg, SimulateArgs};
use crate::cli::{Done, aside, commit, print};

/// What stands for no data in the ENVI file; NPZ has NaN.
const NO_DATA: f32 = -9999.0;

/// A file of a simulated scene, and how it is written.
type File = (&'static str, fn(&Path, &Simulated) -> Result<()>);

const FILES: [File; 3] = [
    ("scene.npz", |path, made| write_npz(path, made.cube.view(), Some(&made.wavelengths))),
    ("truth.npz", |path, made| write_truth(path, made.endmembers.view(), made.abundances.view())),
    ("scene.img", |path, made| {
        let filled = made.cube.mapv(|y| if y.is_nan() { NO_DATA } else { y });
        write_envi(path, filled.view(), Some(&made.wavelengths), Some(NO_DATA)).map(drop)
    }),
];

/// Writes a simulated scene with its truth: all of it, or nothing when interrupted.
pub fn run(args: &SimulateArgs) -> Result<Done> {
    let settings = Settings {
        rows: args.rows,
        cols: args.cols,
        bands: args.bands,
        endmembers: args.endmembers,
        noise_sd: args.noise,
        maps: match args.maps {
            MapsArg::Smooth => Maps::Smooth,
            MapsArg::Dirichlet => Maps::Dirichlet,
            MapsArg::Flat => Maps::Flat,
            MapsArg::Dominant => Maps::Dominant,
        },
        pure_pixels: !args.no_pure_pixels,
        brightness_sd: args.brightness,
        variability_sd: args.variability,
        band_correlation: args.band_correlation,
        no_data_fraction: args.no_data,
        rare_share: args.rare,
        close_angle: args.close,
        shared_variability_sd: args.shared_variability,
        mixing: match args.mixing {
            MixingArg::Linear => Mixing::Linear,
            MixingArg::Intimate => Mixing::Intimate,
        },
        signal_noise: args.signal_noise,
        least_abundance: args.least_abundance,
        dark: args.dark,
        outlier_share: args.outliers,
        seed: args.seed,
    };
    let simulated = Arc::new(aside(move || simulate(&settings))?);
    let folder = OutputFolder::prepare(&args.out, args.force)?;
    for (name, write) in FILES {
        let (path, shared) = (folder.staged(name)?, Arc::clone(&simulated));
        // By the name that it is to have.
        aside(move || write(&path, &shared)).map_err(|error| match error {
            Error::Io { source, .. } => Error::io(folder.path().join(name), source),
            other => other,
        })?;
    }
    commit(&folder, "simulate")?;
    print(&format!(
        "scene.npz, scene.img with scene.hdr, truth.npz ({}) in {}",
        simulated.names.join(", "),
        folder.path().display()
    ))?;
    Ok(Done::Whole)
}
