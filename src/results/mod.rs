//! The folder of results: pictures, arrays, a table and a report.
//!
//! [`OutputFolder`] is checked before a fit starts, [`write_all`] writes the results of one, and
//! [`Report::write`] the record of it.

mod folder;
mod npy;
mod rasters;
mod report;
mod table;
mod write;

pub use folder::OutputFolder;
pub use npy::write_npy;
pub use rasters::Format;
pub use report::{
    DeviceReport, ElboPoint, ElboReport, HostReport, REPORT_FILE, Report, RunReport, SceneReport,
    Stages, peak_memory_bytes,
};
pub use table::write_endmembers;
pub use write::{Results, TruthView, write_all};
