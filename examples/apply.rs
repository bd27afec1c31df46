//! Fits one scene, saves the fit, and gives another scene its abundances by it:
//! `cargo run --release --example apply`.
#![allow(clippy::print_stdout)]

use unmixel::{Fit, Result, Unmixing, simulate};

fn main() -> Result<()> {
    let of =
        |rows, seed| simulate::Settings { rows, cols: 50, bands: 60, seed, ..Default::default() };
    let path = std::env::temp_dir().join(format!("unmixel-{}.fit", std::process::id()));
    let first = simulate::simulate(&of(40, 1))?;
    Unmixing::new(3).seed(7).fit(&first.scene("first")?)?.save(&path)?;
    // Another scene of the same materials: its abundances are found without a fit.
    let second = simulate::Simulated { ..simulate::simulate(&of(30, 1))? }.scene("second")?;
    let applied = Fit::load(&path)?.apply(&second)?;
    let mean = applied.abundances().mean();
    println!("{:?} abundances of {}", mean.dim(), applied.scene().name());
    std::fs::remove_file(&path).map_err(|error| unmixel::Error::io(&path, error))
}
