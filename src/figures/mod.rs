//! Pictures: maps, spectra, traces, bars, as PNG.

mod axes;
mod bench;
mod calibration;
mod canvas;
mod color;
mod count;
mod figure;
mod labels;
mod map_grid;
mod maps;
mod spectra;
mod text;
mod ticks;
mod trace;
mod true_color;

pub use bench::{BenchBar, BenchGroup, bench_png};
pub use calibration::{CalibrationCurve, CalibrationPanel, calibration_png};
pub use color::{Colormap, NO_DATA, Rgb, endmember_color};
pub use count::count_png;
pub use labels::Labels;
pub use map_grid::map_grid_png;
pub use maps::{MapText, auto_range, composite_png, map_png, side_by_side_png};
pub use spectra::{SpectraFigure, spectra_png};
pub use trace::{Trace, trace_png};
pub use true_color::{true_color_bands, true_color_png};
