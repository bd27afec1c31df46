//! EnMAP's own products: a GeoTIFF of spectra, and what it means in an XML file beside it.

use std::path::{Path, PathBuf};

use crate::scene::{Header, to_nanometres};

/// A metadata file of EnMAP takes about 500 KB.
const LONGEST: u64 = 32 << 20;

/// Adds wavelengths, widths and the scale of the bands from `...-METADATA.XML` beside
/// `...-SPECTRAL_IMAGE.TIF`, where there is one and the file itself does not say.
pub(super) fn describe(path: &Path, header: &mut Header) {
    let Some(beside) = metadata_file(path) else { return };
    let short = std::fs::metadata(&beside).is_ok_and(|m| m.len() <= LONGEST);
    let name = beside.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let Some(text) = std::fs::read_to_string(&beside).ok().filter(|_| short) else {
        header
            .notes
            .push(format!("`{name}` beside the file could not be read and was left aside."));
        return;
    };
    match Bands::parse(&text) {
        Ok(bands) => bands.describe(header, &name),
        Err(why) => header.notes.push(format!("`{name}` was left aside: {why}.")),
    }
}

fn metadata_file(path: &Path) -> Option<PathBuf> {
    let name = path.file_stem()?.to_str()?;
    let at = name.to_uppercase().find("-SPECTRAL_IMAGE")?;
    let stem = name.get(..at)?;
    ["-METADATA.XML", "-METADATA.xml"]
        .iter()
        .map(|end| path.with_file_name(format!("{stem}{end}")))
        .find(|file| file.is_file())
}

/// What the XML says of each band.
#[derive(Debug, Default)]
struct Bands {
    wavelengths: Vec<f64>,
    widths: Vec<f64>,
    gains: Vec<f64>,
    offsets: Vec<f64>,
}

impl Bands {
    fn parse(text: &str) -> Result<Self, String> {
        let tree = roxmltree::Document::parse(text).map_err(|e| e.to_string())?;
        let mut bands = Bands::default();
        let described = tree.descendants().find(|n| n.has_tag_name("bandCharacterisation"));
        let described = described.ok_or("it describes no bands")?;
        for band in described.children().filter(|n| n.has_tag_name("bandID")) {
            let number = |name: &str| {
                let node = band.children().find(|n| n.has_tag_name(name))?;
                node.text()?.trim().parse::<f64>().ok().filter(|v| v.is_finite())
            };
            let wavelength = number("wavelengthCenterOfBand").ok_or("a band has no wavelength")?;
            bands.wavelengths.push(wavelength);
            bands.widths.extend(number("FWHMOfBand"));
            bands.gains.push(number("GainOfBand").unwrap_or(1.0));
            bands.offsets.push(number("OffsetOfBand").unwrap_or(0.0));
        }
        Ok(bands)
    }

    fn describe(self, header: &mut Header, name: &str) {
        let found = self.wavelengths.len();
        if found != header.bands {
            header.notes.push(format!(
                "`{name}` describes {found} bands, the file has {}; it was left aside.",
                header.bands
            ));
            return;
        }
        if header.wavelengths.is_none()
            && let Ok((nm, _)) = to_nanometres(&self.wavelengths, Some("nm"))
        {
            header.wavelengths = Some(nm);
            header.fwhm = Some(self.widths).filter(|w| w.len() == found);
            header.notes.push(format!("Wavelengths were read from `{name}`."));
        }
        let says = self.gains.iter().any(|g| *g != 1.0) || self.offsets.iter().any(|o| *o != 0.0);
        if header.stated_scale.is_none() && says {
            let key = format!("GainOfBand of {name}");
            header.stated_scale = Some((self.gains, self.offsets, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_of_a_metadata_file() {
        let text = "<level_X><specific><bandCharacterisation>\
            <bandID number=\"1\"><wavelengthCenterOfBand>418.4</wavelengthCenterOfBand><FWHMOfBand>6.9</FWHMOfBand>\
            <GainOfBand>0.0001</GainOfBand><OffsetOfBand>0</OffsetOfBand></bandID>\
            <bandID number=\"2\"><wavelengthCenterOfBand>423.8</wavelengthCenterOfBand><FWHMOfBand>6.6</FWHMOfBand>\
            <GainOfBand>0.0001</GainOfBand><OffsetOfBand>0</OffsetOfBand></bandID>\
            </bandCharacterisation></specific></level_X>";
        let mut header = Header { bands: 2, ..Header::default() };
        Bands::parse(text).unwrap().describe(&mut header, "x");
        assert_eq!(header.wavelengths, Some(vec![418.4, 423.8]));
        assert_eq!(header.fwhm, Some(vec![6.9, 6.6]));
        assert_eq!(header.stated_scale.unwrap().0, [0.0001, 0.0001]);
        let mut other = Header { bands: 3, ..Header::default() };
        Bands::parse(text).unwrap().describe(&mut other, "x");
        assert!(other.wavelengths.is_none() && other.notes.len() == 1);
        assert!(Bands::parse("<a/>").is_err() && Bands::parse("<a>").is_err());
    }
}
