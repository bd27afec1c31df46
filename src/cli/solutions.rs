//! A picture of the solutions that the search found.

use unmixel::rooms::figures::map_grid_png;
use unmixel::rooms::results::OutputFolder;
use unmixel::scene::to_image;
use unmixel::{Fit, Result};

/// Writes the abundance maps of the competing solutions side by side; the name of the file, where
/// there is more than one solution to see.
pub fn picture(folder: &OutputFolder, fit: &Fit, names: &[String]) -> Result<Option<String>> {
    let solutions = fit.solutions();
    if solutions.len() < 2 {
        return Ok(None);
    }
    let mut rows = Vec::new();
    for (elbo, maps) in solutions {
        let elbo = elbo.unwrap_or(f64::NAN);
        rows.push((format!("ELBO {elbo:.2}"), to_image(fit.scene(), maps.view())?));
    }
    let title = format!("{}: solutions of the search, chosen on top", fit.scene().name());
    let png = map_grid_png(&rows, names, &title)?;
    let name = "solutions.png";
    folder.write(name, |to| to.write_all(&png))?;
    Ok(Some(name.to_owned()))
}
