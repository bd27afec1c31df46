//! A place on earth in the tags of a GeoTIFF, both ways.

use geotiff_core::geokeys::{self as keys, GeoKeyDirectory, GeoKeyValue};
use geotiff_core::{GeoTransform, RasterType};

use super::crs;
use crate::scene::{Crs, Georeference};

/// Numbers of a register of systems lie below this; 32767 means that the file defines its own.
const USER_DEFINED: u16 = 32767;
/// How ESRI, and GDAL after it, put the text of a system of their own into a GeoTIFF.
const ESRI_TEXT: &str = "ESRI PE String = ";

/// The tags of a GeoTIFF that say where it lies, as they are in the file; empty where absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct GeoTags {
    /// Tag 33550.
    pub(super) pixel_scale: Vec<f64>,
    /// Tag 33922.
    pub(super) tie_points: Vec<f64>,
    /// Tag 34264.
    pub(super) matrix: Vec<f64>,
    /// Tag 34735.
    pub(super) directory: Vec<u16>,
    /// Tag 34736.
    pub(super) doubles: Vec<f64>,
    /// Tag 34737.
    pub(super) ascii: String,
}

impl GeoTags {
    /// The place, where there is one; the note says why one that is stated could not be taken.
    pub(super) fn place(&self) -> (Option<Georeference>, Option<String>) {
        let directory = GeoKeyDirectory::parse(&self.directory, &self.doubles, &self.ascii);
        let of_points = directory.as_ref().and_then(|d| d.get_short(keys::GT_RASTER_TYPE));
        // As GDAL does: a point is the centre of its pixel.
        let raster =
            if of_points == Some(2) { RasterType::PixelIsPoint } else { RasterType::PixelIsArea };
        let matrix: Option<&[f64; 16]> = self.matrix.as_slice().try_into().ok();
        let scale: Option<&[f64; 3]> = self.pixel_scale.as_slice().try_into().ok();
        let tie: Option<&[f64; 6]> = self.tie_points.as_slice().try_into().ok();
        let transform = match (matrix, scale, tie) {
            (Some(matrix), ..) => {
                GeoTransform::from_transformation_matrix_with_raster_type(matrix, raster)
            }
            (None, Some(scale), Some(tie)) => {
                GeoTransform::from_tiepoint_and_scale_with_raster_type(tie, scale, raster)
            }
            (None, None, None) if self.tie_points.len() > 6 => {
                let note = "The file places its pixels by ground control points, which are not \
                            carried to the results; warp it to a grid first (gdalwarp).";
                return (None, Some(note.into()));
            }
            _ => return (None, None),
        };
        let g = transform;
        let t = [g.origin_x, g.pixel_width, g.skew_x, g.origin_y, g.skew_y, g.pixel_height];
        let crs = directory.as_ref().map(system).unwrap_or_default();
        match Georeference::new(crs, t) {
            Some(place) => (Some(place), None),
            None => (
                None,
                Some(format!("The file's place on earth was left aside: {t:?} is no transform.")),
            ),
        }
    }

    /// The tags that state this place.
    pub(super) fn of(place: &Georeference) -> Self {
        let t = place.transform;
        let transform = GeoTransform {
            origin_x: t[0],
            pixel_width: t[1],
            skew_x: t[2],
            origin_y: t[3],
            skew_y: t[4],
            pixel_height: t[5],
        };
        let mut tags = GeoTags::default();
        match transform.to_tiepoint_and_scale() {
            Some((tie, scale)) => {
                (tags.tie_points, tags.pixel_scale) = (tie.to_vec(), scale.to_vec())
            }
            None => tags.matrix = transform.to_transformation_matrix().to_vec(),
        }
        // What cannot be said in keys leaves the transform alone.
        if let Ok((directory, doubles, ascii)) = directory(&place.crs).serialize() {
            (tags.directory, tags.doubles, tags.ascii) = (directory, doubles, ascii);
        }
        tags
    }
}

/// What the keys say of the coordinate system.
fn system(directory: &GeoKeyDirectory) -> Crs {
    let code = |key| directory.get_short(key).filter(|c| *c != 0 && *c != USER_DEFINED);
    if let Some(epsg) = code(keys::PROJECTED_CRS_TYPE) {
        return crs::from_epsg(u32::from(epsg));
    }
    let texts = [keys::PROJ_CITATION, keys::GT_CITATION, keys::GEODETIC_CITATION];
    for text in texts.into_iter().filter_map(|key| directory.get_ascii(key)) {
        let own = text.split_once(ESRI_TEXT).map_or(text, |(_, own)| own);
        if let Some(found) = crs::from_text(own.trim_end_matches('|')) {
            return found;
        }
    }
    let projected = directory.get_short(keys::GT_MODEL_TYPE) == Some(1);
    if projected {
        return super::geokeys_projection::system(directory).unwrap_or_default();
    }
    code(keys::GEODETIC_CRS_TYPE).map_or_else(Crs::default, |epsg| crs::from_epsg(u32::from(epsg)))
}

fn directory(crs: &Crs) -> GeoKeyDirectory {
    let mut directory = GeoKeyDirectory::new();
    let mut short = |key, value| directory.set(key, GeoKeyValue::Short(value));
    short(keys::GT_RASTER_TYPE, 1);
    let text = crs.wkt.as_deref().unwrap_or_default().trim();
    let word = text.to_uppercase();
    let geographic = word.starts_with("GEOG") || word.starts_with("GEODCRS");
    let epsg = crs.epsg.and_then(|e| u16::try_from(e).ok()).filter(|e| *e < USER_DEFINED);
    match epsg {
        Some(epsg) if geographic => {
            short(keys::GT_MODEL_TYPE, 2);
            short(keys::GEODETIC_CRS_TYPE, epsg);
        }
        Some(epsg) => {
            short(keys::GT_MODEL_TYPE, 1);
            short(keys::PROJECTED_CRS_TYPE, epsg);
        }
        None if text.is_empty() => {}
        None => {
            short(keys::GT_MODEL_TYPE, if geographic { 2 } else { 1 });
            let type_key =
                if geographic { keys::GEODETIC_CRS_TYPE } else { keys::PROJECTED_CRS_TYPE };
            short(type_key, USER_DEFINED);
            let plain = |c: char| if c.is_ascii() && c != '|' { c } else { '?' };
            let text: String =
                text.split_whitespace().collect::<Vec<_>>().join(" ").chars().map(plain).collect();
            let citation = if geographic { keys::GEODETIC_CITATION } else { keys::PROJ_CITATION };
            directory.set(citation, GeoKeyValue::Ascii(format!("{ESRI_TEXT}{text}")));
        }
    }
    directory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let own = "PROJCS[\"my lambert\",GEOGCS[\"g\",DATUM[\"d\",SPHEROID[\"s\",6378137,298.2]],\
                   PRIMEM[\"Greenwich\",0],UNIT[\"degree\",0.0174]],PROJECTION[\"Lambert_Azimuthal_Equal_Area\"],\
                   UNIT[\"metre\",1]]";
        for crs in [
            crs::from_epsg(32633),
            crs::from_epsg(4326),
            crs::from_text(own).unwrap(),
            Crs::default(),
        ] {
            for t in [
                [5.0, 30.0, 0.0, 9.0, 0.0, -30.0],
                [5.0, 26.0, 15.0, 9.0, 15.0, -26.0],
                [5.0, 1.0, 0.0, 9.0, 0.0, 1.0],
            ] {
                let place = Georeference::new(crs.clone(), t).unwrap();
                assert_eq!(GeoTags::of(&place).place(), (Some(place), None));
            }
        }
    }

    #[test]
    fn odd_tags_are_no_place() {
        let tags = GeoTags { tie_points: vec![0.0; 12], ..GeoTags::default() };
        assert!(matches!(tags.place(), (None, Some(_))));
        let tags =
            GeoTags { tie_points: vec![0.0; 6], pixel_scale: vec![0.0; 3], ..GeoTags::default() };
        assert!(matches!(tags.place(), (None, Some(_))));
        let tags =
            GeoTags { tie_points: vec![0.0; 5], pixel_scale: vec![1.0; 3], ..GeoTags::default() };
        assert_eq!(tags.place(), (None, None));
    }
}
