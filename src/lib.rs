//! Bayesian hyperspectral unmixing on any vendor's GPU, or none.
//!
//! ```text
//! scene file -> Scene -> start -> State -> [ passes ] x steps -> Posterior -> maps, tables, report
//!   scene       starts           guide    backend, svi          posterior    output
//! ```
//!
//! A fit in a few lines, on a simulated scene:
//!
//! ```
//! use std::sync::Arc;
//! use unmixel::{backend::device, guide::State, model::Model, posterior::Posterior};
//! use unmixel::{score::Convention, simulate, starts, svi};
//!
//! # fn main() -> unmixel::Result<()> {
//! let simulated = simulate::simulate(&simulate::Settings {
//!     rows: 12,
//!     cols: 15,
//!     bands: 20,
//!     ..Default::default()
//! })?;
//! let mut scene = simulated.scene("example")?;
//! scene.scatter();
//! let (model, cube) = (Model::new(3), Arc::new(scene.cube));
//! let settings = svi::Settings { steps: 100, ..Default::default() };
//! let start = starts::start(&cube, model.endmembers, &starts::Init::Vca, false, settings.seed)?;
//! let sizes = svi::params(&model, &settings, &cube)?;
//! let state =
//!     Guide::around(&sizes, &model, &cube, start.endmembers.view(), start.abundances.view(), None);
//! let device = device::choose(&device::Choice::Cpu)?;
//! let fit = svi::fit(&device, &model, &settings, &cube, state, &mut |_| (), &|| false)?;
//! let posterior = Posterior::new(&fit.params, &cube, &fit.globals, &fit.locals, Convention::Reflectance);
//! assert_eq!(posterior.abundance_mean.dim(), (12 * 15, 3));
//! # Ok(())
//! # }
//! ```

pub mod bench;
pub mod count;
pub mod engine;
pub mod figures;
pub mod io;
pub mod posterior;
pub mod results;
pub mod scene;
pub mod score;
pub mod search;
pub mod simulate;
pub mod starts;
pub mod statistics;

pub use engine::ground::error::{Error, Result};
