//! Scenes from files, as several commands read them.

use std::path::Path;

use unmixel::rooms::io::{mask, open};
use unmixel::scene::{Header, Scene, load, window};
use unmixel::{Error, Result};

use super::args::LayoutArgs;
use super::aside;

/// Reads a scene and tells what it is.
pub fn read(path: &Path, layout: &LayoutArgs) -> Result<Scene> {
    let (path, layout) = (path.to_owned(), layout.clone());
    let (scene, _) = aside(move || read_quietly(&path, &layout))?;
    describe(&scene);
    Ok(scene)
}

/// Reads a scene, and what its file says about the part that is used.
pub fn read_quietly(path: &Path, layout: &LayoutArgs) -> Result<(Scene, Header)> {
    let mut source = open(path, &layout.open_options())?;
    check_size(layout, source.header())?;
    let mut options = layout.load_options();
    let (rows, cols) = (source.header().rows, source.header().cols);
    if let Some(file) = &layout.mask {
        options.mask = Some(mask::read(file, rows, cols)?);
    }
    if let Some(asked) = layout.window {
        let (rows, cols) = asked.ranges(rows, cols);
        source = window(source, rows.clone(), cols.clone())?;
        options.mask = options.mask.map(|mask| mask.window(rows, cols)).transpose()?;
    }
    let name =
        path.file_stem().map_or_else(|| "scene".into(), |s| s.to_string_lossy().into_owned());
    let scene = load(source.as_mut(), &name, &options)?;
    Ok((scene, source.header().clone()))
}

/// Refuses a height or width other than the file's own, where that is no matter of reading it.
fn check_size(layout: &LayoutArgs, header: &Header) -> Result<()> {
    for (flag, given, own) in
        [("--rows", layout.rows, header.rows), ("--cols", layout.cols, header.cols)]
    {
        if let Some(given) = given.filter(|given| *given != own) {
            return Err(Error::option(
                format!("{flag} {given}"),
                format!("the cube in the file has {own}; leave the flag out"),
            ));
        }
    }
    Ok(())
}

fn describe(scene: &Scene) {
    let wavelengths = match (
        scene.bands().first().and_then(|b| b.wavelength),
        scene.bands().last().and_then(|b| b.wavelength),
    ) {
        (Some(first), Some(last)) => format!(", {first:.0} to {last:.0} nm"),
        _ => String::new(),
    };
    tell!(
        "scene: {} x {} pixels ({} in use), {} of {} bands{wavelengths}",
        scene.rows(),
        scene.cols(),
        scene.places().len(),
        scene.bands().len(),
        scene.file_bands()
    );
    if let Some(place) = scene.georeference() {
        tell!("place: {}", place.sentence());
    }
    tell!("scale: {}", scene.scaling().rule);
    // The rule is among the notes, too.
    for note in scene.notes().iter().filter(|note| **note != scene.scaling().rule) {
        tell!("note: {note}");
    }
}
