//! Results as files: maps, spectra and traces as pictures, arrays, a table and a report.
//!
//! [`OutputFolder`] is checked before a fit starts, [`write_all`] writes the results of one, and
//! [`Report::write`] the record of it.

mod axes;
mod bench;
mod calibration;
mod canvas;
mod color;
mod figure;
mod folder;
mod grid;
mod labels;
mod map_grid;
mod maps;
mod npy;
mod rank;
mod report;
mod spectra;
mod table;
mod text;
mod ticks;
mod trace;
mod write;

pub use bench::{BenchBar, BenchGroup, bench_png};
pub use calibration::{CalibrationCurve, CalibrationPanel, calibration_png};
pub use color::{Colormap, NO_DATA, Rgb, endmember_color};
pub use folder::OutputFolder;
pub use grid::to_image;
pub use labels::Labels;
pub use map_grid::map_grid_png;
pub use maps::{MapText, auto_range, composite_png, map_png, side_by_side_png};
pub use npy::write_npy;
pub use rank::rank_png;
pub use report::{
    DeviceReport, ElboPoint, ElboReport, HostReport, REPORT_FILE, Report, RunReport, SceneReport,
    Stages, peak_memory_bytes,
};
pub use spectra::{Spectra, spectra_png};
pub use table::write_endmembers;
pub use trace::{Trace, trace_png};
pub use write::{Results, TruthView, write_all};
