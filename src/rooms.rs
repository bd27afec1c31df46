//! The rooms behind the names at the top of the crate: for programs that want more than a fit.
//! What is in here may change with any version.

#[path = "bench/mod.rs"]
pub mod bench;
#[path = "convention.rs"]
pub mod convention;
#[path = "count/mod.rs"]
pub mod count;
#[path = "event.rs"]
pub mod event;
#[cfg(feature = "figures")]
#[path = "figures/mod.rs"]
pub mod figures;
#[path = "fit/mod.rs"]
pub mod fit;
#[cfg(feature = "formats")]
#[path = "io/mod.rs"]
pub mod io;
#[path = "posterior/mod.rs"]
pub mod posterior;
#[cfg(all(feature = "figures", feature = "formats"))]
#[path = "results/mod.rs"]
pub mod results;
#[path = "score/mod.rs"]
pub mod score;
#[path = "search/mod.rs"]
pub mod search;
#[path = "settings.rs"]
pub mod settings;
#[path = "starts/mod.rs"]
pub mod starts;
#[path = "statistics/mod.rs"]
pub mod statistics;
#[path = "unmixing/mod.rs"]
pub mod unmixing;
