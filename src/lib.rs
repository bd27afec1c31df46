//! Bayesian hyperspectral unmixing on any vendor's GPU, or none.
//!
//! ```text
//! file ─► Scene ─► Pixels ─► start or search ─► Guide ─► Run ─► Posterior ─► Fit
//!  io     scene    engine    starts, search     engine  engine  posterior    fit
//! ```
//!
//! [`Unmixing`] has every setting and default, and gives a [`Fit`], or a [`Run`] that the caller
//! drives. `docs/guide.md` in the repository leads a newcomer from a scene to results.
//!
//! A fit in a few lines, on a simulated scene:
//!
//! ```
//! use unmixel::{Device, Unmixing, simulate};
//!
//! # fn main() -> unmixel::Result<()> {
//! let settings = simulate::Settings { rows: 12, cols: 15, bands: 20, ..Default::default() };
//! let scene = simulate::simulate(&settings)?.scene("example")?;
//! let fit = Unmixing::new(3).steps(200).seed(7).device(Device::cpu()).fit(&scene)?;
//! assert_eq!(fit.abundances().mean().dim(), (12, 15, 3));
//! # Ok(())
//! # }
//! ```

// What only readers of files need is not in use without them.
#![cfg_attr(not(all(feature = "figures", feature = "formats")), allow(dead_code, unused_imports))]

pub mod engine;
pub mod rooms;
pub mod scene;
pub mod simulate;
mod store;

// Within the crate every room stands at the top.
#[cfg(feature = "figures")]
use rooms::figures;
#[cfg(feature = "formats")]
use rooms::io;
use rooms::{
    convention, count, event, fit, posterior, score, search, settings, starts, statistics, unmixing,
};

pub use convention::Convention;
pub use engine::backend::Device;
pub use engine::ground::error::{Error, Result};
pub use engine::model::{Family, Noise};
pub use engine::svi::Progress;
pub use event::Event;
pub use fit::Fit;
pub use posterior::Posterior;
pub use scene::{Scene, Truth};
pub use settings::{
    Concentration, CubeFormat, EffectiveBands, PosteriorKind, SearchBudget, Spectra,
};
pub use starts::Init;
pub use unmixing::{Checkpoint, Run, Unmixing};
