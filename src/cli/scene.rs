//! Scenes from files, as several commands read them.

use std::path::Path;

use unmixel::rooms::io::{mask, open};
use unmixel::rooms::results::WindowReport;
use unmixel::scene::{CubeSource, Header, LoadOptions, Scene, load, window};
use unmixel::{Error, Result};

use super::args::LayoutArgs;
use super::aside;

/// A scene that is opened and not yet read.
pub struct Opened {
    pub source: Box<dyn CubeSource>,
    /// Which part of the file it is; none: all of it.
    pub window: Option<WindowReport>,
    pub name: String,
    pub options: LoadOptions,
}

/// Reads a scene and tells what it is.
pub fn read(path: &Path, layout: &LayoutArgs) -> Result<Scene> {
    open_aside(path, layout).and_then(read_whole)
}

/// Opens a scene; an interrupt is heard meanwhile.
pub fn open_aside(path: &Path, layout: &LayoutArgs) -> Result<Opened> {
    let (path, layout) = (path.to_owned(), layout.clone());
    aside(move || open_quietly(&path, &layout))
}

/// Reads all of a scene and tells what it is.
pub fn read_whole(mut opened: Opened) -> Result<Scene> {
    let load = move || load(opened.source.as_mut(), &opened.name, &opened.options);
    let scene = aside(load)?;
    describe(&scene, scene.places().len());
    Ok(scene)
}

/// Reads a scene, and what its file says about the part that is used.
pub fn read_quietly(path: &Path, layout: &LayoutArgs) -> Result<(Scene, Header)> {
    let mut opened = open_quietly(path, layout)?;
    let scene = load(opened.source.as_mut(), &opened.name, &opened.options)?;
    Ok((scene, opened.source.header().clone()))
}

fn open_quietly(path: &Path, layout: &LayoutArgs) -> Result<Opened> {
    let mut source = open(path, &layout.open_options())?;
    check_size(layout, source.header())?;
    let mut options = layout.load_options();
    let (rows, cols) = (source.header().rows, source.header().cols);
    if let Some(file) = &layout.mask {
        options.mask = Some(mask::read(file, rows, cols)?);
    }
    let mut part = None;
    if let Some(asked) = layout.window {
        let of = [rows, cols];
        let (rows, cols) = asked.ranges(rows, cols);
        let place = source.header().georeference.as_ref().filter(|place| place.lookup.is_none());
        part = Some(WindowReport {
            rows: [rows.start, rows.end],
            cols: [cols.start, cols.end],
            of,
            transform: place.map(|place| place.transform),
        });
        source = window(source, rows.clone(), cols.clone())?;
        options.mask = options.mask.map(|mask| mask.window(rows, cols)).transpose()?;
    }
    let name =
        path.file_stem().map_or_else(|| "scene".into(), |s| s.to_string_lossy().into_owned());
    Ok(Opened { source, window: part, name, options })
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

/// Tells what a scene is, of which so many pixels are in use.
pub fn describe(scene: &Scene, pixels: usize) {
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
        pixels,
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
