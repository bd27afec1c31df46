//! What GDAL and the EnMAP-Box say about bands inside a GeoTIFF: the XML of tag 42112.

use crate::scene::{Header, to_nanometres, widths_in_nanometres};

/// Longer text is no description of bands: 10,000 bands take about 2 MB.
pub(super) const LONGEST: usize = 32 << 20;

/// One entry.
#[derive(Debug)]
struct Item {
    /// In lower case.
    name: String,
    /// The band, from 0; none for the whole file.
    band: Option<usize>,
    /// `scale`, `offset`, `unittype`, `description`, or empty.
    role: String,
    value: String,
}

/// All entries of a file.
#[derive(Debug, Default)]
pub(super) struct Metadata(Vec<Item>);

impl Metadata {
    /// Reads the XML; the error says what is wrong with it.
    pub(super) fn parse(xml: &str) -> Result<Self, String> {
        if xml.len() > LONGEST {
            return Err(format!("{} bytes are too many", xml.len()));
        }
        let tree = roxmltree::Document::parse(xml).map_err(|e| e.to_string())?;
        let item = |node: roxmltree::Node<'_, '_>| {
            let attribute = |name| node.attribute(name).unwrap_or_default().to_lowercase();
            Item {
                name: attribute("name"),
                band: node.attribute("sample").and_then(|s| s.trim().parse().ok()),
                role: attribute("role"),
                value: node.text().unwrap_or_default().trim().to_owned(),
            }
        };
        let items = tree.descendants().filter(|n| n.has_tag_name("Item")).map(item).collect();
        Ok(Metadata(items))
    }

    /// The entries whose name or role is one of these, of single bands: one place a band.
    fn of_bands(&self, bands: usize, wanted: impl Fn(&Item) -> bool) -> Option<Vec<Option<&str>>> {
        let mut found = vec![None; bands];
        for item in self.0.iter().filter(|item| wanted(item)) {
            if let Some(slot) = item.band.and_then(|band| found.get_mut(band)) {
                slot.get_or_insert(item.value.as_str());
            }
        }
        found.iter().any(Option::is_some).then_some(found)
    }

    /// The entry of the whole file that has one of these names.
    fn of_file(&self, names: &[&str]) -> Option<&str> {
        let fits = |item: &&Item| item.band.is_none() && names.contains(&item.name.as_str());
        self.0.iter().find(fits).map(|item| item.value.as_str())
    }

    /// Numbers of the bands under any of these names, from entries of bands or a list of the file;
    /// `None` for a band without one.
    fn numbers(&self, bands: usize, names: &[&str]) -> Option<Vec<Option<f64>>> {
        let named = |item: &Item| names.contains(&item.name.as_str());
        if let Some(texts) = self.of_bands(bands, named) {
            return Some(texts.iter().map(|t| t.and_then(|t| t.parse().ok())).collect());
        }
        let list = self.of_file(names)?.trim_matches(['{', '}']);
        let values: Vec<Option<f64>> = list
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|s| !s.is_empty())
            .map(|s| s.parse().ok())
            .collect();
        (values.len() == bands).then_some(values)
    }

    /// Band names, as GDAL's descriptions give them; empty where a band has none.
    pub(super) fn descriptions(&self, bands: usize) -> Option<Vec<String>> {
        let found = self.of_bands(bands, |item| item.role == "description")?;
        Some(found.into_iter().map(|text| text.unwrap_or_default().to_owned()).collect())
    }

    /// Puts what is said about bands into `header`, whose number of bands is known.
    pub(super) fn describe(&self, header: &mut Header) {
        let bands = header.bands;
        self.wavelengths(header);
        if let Some(flags) = self.numbers(bands, &["bbl", "bad_band_multiplier"]) {
            header.good_bands = Some(flags.iter().map(|f| f.is_none_or(|f| f != 0.0)).collect());
        }
        let role = |role: &'static str, fallback: f64| {
            let found = self.of_bands(bands, |item| item.role == role)?;
            let value = |text: Option<&str>| text.and_then(|t| t.parse().ok()).unwrap_or(fallback);
            Some(found.into_iter().map(value).collect::<Vec<f64>>())
        };
        let (gain, offset) = (role("scale", 1.0), role("offset", 0.0));
        let gain = gain.unwrap_or_else(|| vec![1.0; bands]);
        let offset = offset.unwrap_or_else(|| vec![0.0; bands]);
        let said = gain.iter().any(|g| *g != 1.0) || offset.iter().any(|o| *o != 0.0);
        let sound = gain.iter().chain(&offset).all(|v| v.is_finite());
        if said && sound {
            header.stated_scale = Some((gain, offset, "scale and offset of bands".into()));
        } else if said {
            header.notes.push("The file's scale and offset of bands are not finite.".into());
        }
    }

    /// Wavelengths and widths in nanometres: GDAL's `IMAGERY` domain (micrometres), the EnMAP-Box's
    /// items with their unit, or numbers with a unit in the bands' names.
    fn wavelengths(&self, header: &mut Header) {
        let bands = header.bands;
        let whole =
            |found: Option<Vec<Option<f64>>>| -> Option<Vec<f64>> { found?.into_iter().collect() };
        let micrometres = whole(self.numbers(bands, &["central_wavelength_um"]));
        let unit = self
            .of_bands(bands, |item| is_unit(&item.name))
            .and_then(|u| u.into_iter().flatten().next());
        let unit = unit
            .or_else(|| self.of_file(&["wavelength_units", "wavelength units", "wavelength_unit"]));
        let named = whole(self.numbers(
            bands,
            &["wavelength", "wavelengths", "center_wavelength", "central_wavelength"],
        ));
        let (values, unit) = match (micrometres, named) {
            (Some(values), _) => (Some(values), Some("um")),
            (None, Some(values)) => (Some(values), unit),
            (None, None) => match self.in_descriptions(bands) {
                Some((values, unit)) => {
                    header.notes.push("Wavelengths were read from the names of the bands.".into());
                    (Some(values), Some(unit))
                }
                None => (None, None),
            },
        };
        let Some(values) = values else { return };
        match to_nanometres(&values, unit) {
            Ok((nm, note)) => {
                header.wavelengths = Some(nm);
                header.notes.extend(note);
            }
            Err(why) => {
                header.notes.push(format!("The file's wavelengths were left aside: {why}."));
                return;
            }
        }
        // Widths have the unit of the wavelengths; what is known of those of wavelengths would take
        // 6.5 nm for micrometres.
        let told = header.wavelengths.iter().flatten().zip(&values).next().map(|(nm, v)| nm / v);
        let widths = match whole(self.numbers(bands, &["fwhm_um"])) {
            Some(widths) => Some((widths, Some(1e3))),
            None => whole(self.numbers(bands, &["fwhm"])).map(|widths| (widths, told)),
        };
        header.fwhm = widths.and_then(|(widths, factor)| widths_in_nanometres(&widths, factor));
    }

    /// `band 1 (418.24 Nanometers)`, `418.24 nm`: a number and a unit of length in each name.
    fn in_descriptions(&self, bands: usize) -> Option<(Vec<f64>, &'static str)> {
        let names = self.descriptions(bands)?;
        let mut unit = None;
        let values = names.iter().map(|name| {
            let words: Vec<&str> = name
                .split(|c: char| c.is_whitespace() || "()[]{},;".contains(c))
                .filter(|w| !w.is_empty())
                .collect();
            let (value, own) = words.windows(2).find_map(|pair| match pair {
                [value, unit] => Some((value.parse::<f64>().ok()?, length_unit(unit)?)),
                _ => None,
            })?;
            (*unit.get_or_insert(own) == own).then_some(value)
        });
        let values: Option<Vec<f64>> = values.collect();
        Some((values?, unit?))
    }
}

fn is_unit(name: &str) -> bool {
    ["wavelength_units", "wavelength_unit", "wavelength units", "wavelengthunits"].contains(&name)
}

fn length_unit(word: &str) -> Option<&'static str> {
    match word.to_lowercase().as_str() {
        "nm" | "nanometers" | "nanometres" | "nanometer" | "nanometre" => Some("nm"),
        "um" | "µm" | "μm" | "micrometers" | "micrometres" | "microns" => Some("um"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(xml: &str, bands: usize) -> Header {
        let mut header = Header { bands, ..Header::default() };
        Metadata::parse(xml).unwrap().describe(&mut header);
        header
    }

    #[test]
    fn items_of_the_enmap_box() {
        let xml = r#"<GDALMetadata>
            <Item name="wavelength" sample="0">0.41824</Item>
            <Item name="wavelength" sample="1">2.4</Item>
            <Item name="wavelength_units" sample="0">Micrometers</Item>
            <Item name="fwhm" sample="0">0.007</Item><Item name="fwhm" sample="1">0.01</Item>
            <Item name="bbl" sample="1">0</Item>
            <Item name="SCALE" sample="0" role="scale">0.0001</Item>
            <Item name="OFFSET" sample="1" role="offset">0.5</Item>
            </GDALMetadata>"#;
        let header = header(xml, 2);
        assert_eq!(header.wavelengths, Some(vec![418.24, 2400.0]));
        assert_eq!(header.fwhm, Some(vec![7.0, 10.0]));
        let nm = xml.replace("Micrometers", "Nanometers").replace("0.41824", "418.24");
        let nm = nm.replace(">2.4<", ">2400<").replace("0.007", "7").replace("0.01<", "10<");
        assert_eq!(self::header(&nm, 2).fwhm, Some(vec![7.0, 10.0]));
        assert_eq!(header.good_bands, Some(vec![true, false]));
        let (gain, offset, _) = header.stated_scale.unwrap();
        assert_eq!((gain, offset), (vec![0.0001, 1.0], vec![0.0, 0.5]));
    }

    #[test]
    fn the_imagery_domain_and_lists_and_names() {
        let xml = r#"<GDALMetadata>
            <Item name="CENTRAL_WAVELENGTH_UM" sample="0" domain="IMAGERY">0.5</Item>
            <Item name="FWHM_UM" sample="0" domain="IMAGERY">0.01</Item>
            </GDALMetadata>"#;
        assert_eq!(header(xml, 1).wavelengths, Some(vec![500.0]));
        assert_eq!(header(xml, 1).fwhm, Some(vec![10.0]));
        // A band without one: no wavelengths rather than wrong ones.
        assert_eq!(header(xml, 2).wavelengths, None);
        let list = r#"<GDALMetadata>
            <Item name="wavelength" domain="ENVI">{500, 600.5}</Item>
            </GDALMetadata>"#;
        assert_eq!(header(list, 2).wavelengths, Some(vec![500.0, 600.5]));
        let names = r#"<GDALMetadata>
            <Item name="DESCRIPTION" sample="0" role="description">band 1 (418.24 Nanometers)</Item>
            <Item name="DESCRIPTION" sample="1" role="description">band 2 (423.9 Nanometers)</Item>
            </GDALMetadata>"#;
        assert_eq!(header(names, 2).wavelengths, Some(vec![418.24, 423.9]));
    }

    #[test]
    fn damaged_text_is_an_error_and_odd_entries_are_none() {
        assert!(Metadata::parse("<GDALMetadata><Item>").is_err());
        let odd = r#"<GDALMetadata><Item name="wavelength" sample="7">5</Item><Item/>
            <Item name="SCALE" sample="0" role="scale">nan</Item>
            </GDALMetadata>"#;
        let header = header(odd, 2);
        assert!(header.wavelengths.is_none() && header.stated_scale.is_none());
        assert_eq!(header.notes.len(), 1);
    }
}
