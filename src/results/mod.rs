//! The folder of results: pictures, arrays, a table and a report.
//!
//! [`OutputFolder`] is checked before a fit starts, [`write_all`] writes the results of one,
//! [`Report::write`] the report, and [`OutputFolder::commit`] makes all of them visible at once.
//! [`check`] says whether a folder holds what one run wrote.

mod disk;
#[cfg(test)]
mod faults;
mod folder;
mod images;
mod npy;
mod parts;
mod rasters;
mod record;
mod reduced;
mod report;
mod stage;
mod stream;
mod summary;
mod swap;
mod table;
mod whole;
mod write;

pub use folder::OutputFolder;
pub use npy::write_npy;
pub use parts::Parts;
pub use rasters::{Format, unit};
pub use record::{RECORD_FILE, check};
pub use report::{
    DeviceReport, ElboPoint, ElboReport, HostReport, REPORT_FILE, Report, RunReport, SceneReport,
    Stages, WindowReport, peak_memory_bytes,
};
pub use stream::{Stream, check_space, formats_by_rows};
pub use summary::{sentences, warnings};
pub use table::write_endmembers;
pub use whole::{Beside, Single, write_fit, write_single, write_store};
pub use write::{Results, TruthView, write_all};
