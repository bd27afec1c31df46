//! `unmixel simulate`.

use unmixel::Result;
use unmixel::rooms::io::{write_envi, write_npz, write_truth};
use unmixel::rooms::results::OutputFolder;
use unmixel::simulate::{Maps, Settings, simulate};

use crate::cli::args::{MapsArg, SimulateArgs};
use crate::cli::{Done, commit, print};

/// What stands for no data in the ENVI file; NPZ has NaN.
const NO_DATA: f32 = -9999.0;

/// Writes a simulated scene with its truth.
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
        },
        pure_pixels: !args.no_pure_pixels,
        brightness_sd: args.brightness,
        variability_sd: args.variability,
        band_correlation: args.band_correlation,
        no_data_fraction: args.no_data,
        rare_share: args.rare,
        close_angle: args.close,
        seed: args.seed,
    };
    let simulated = simulate(&settings)?;
    let folder = OutputFolder::prepare(&args.out, args.force)?;
    let at = |name: &str| folder.staged(name);
    write_npz(at("scene.npz")?, simulated.cube.view(), Some(&simulated.wavelengths))?;
    write_truth(at("truth.npz")?, simulated.endmembers.view(), simulated.abundances.view())?;
    let filled = simulated.cube.mapv(|y| if y.is_nan() { NO_DATA } else { y });
    write_envi(at("scene.img")?, filled.view(), Some(&simulated.wavelengths), Some(NO_DATA))?;
    commit(&folder, "simulate")?;
    print(&format!(
        "scene.npz, scene.img with scene.hdr, truth.npz ({}) in {}",
        simulated.names.join(", "),
        folder.path().display()
    ))?;
    Ok(Done::Whole)
}
