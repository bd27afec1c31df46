//! A place on earth in the words of an ENVI header: `map info` and `coordinate system string`.

use super::crs;
use crate::scene::{Crs, Georeference};

/// The place that a header states through `get`, which gives the value of a key; the note says why
/// one that is stated could not be taken.
pub(crate) fn read<'a>(
    get: impl Fn(&str) -> Option<&'a str>,
) -> (Option<Georeference>, Option<String>) {
    let Some(info) = get("map info") else { return (None, None) };
    let text = get("coordinate system string").map(inside_braces);
    match place(inside_braces(info), text) {
        Ok(place) => (Some(place), None),
        Err(why) => (None, Some(format!("`map info` was left aside: {why}."))),
    }
}

/// The place that the items of `map info` and a text of the coordinate system describe; the error
/// says what is wrong, without a full stop.
pub(crate) fn place(info: &str, crs_text: Option<&str>) -> Result<Georeference, String> {
    let items: Vec<&str> = info.split(',').map(str::trim).collect();
    let number = |at: usize| {
        let item =
            items.get(at).ok_or_else(|| format!("it has {} items of at least 7", items.len()));
        item.and_then(|item| match item.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(format!("`{item}` is not a number")),
        })
    };
    let (col, row) = (number(1)? - 1.0, number(2)? - 1.0);
    let (x, y) = (number(3)?, number(4)?);
    let (width, height) = (number(5)?, number(6)?);
    let setting = |name: &str| {
        items.iter().skip(7).find_map(|item| {
            let (key, value) = item.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    // Degrees, anticlockwise.
    let turn = setting("rotation").map_or(Ok(0.0), |text| {
        text.parse::<f64>()
            .ok()
            .filter(|v| v.is_finite())
            .ok_or(format!("`rotation={text}` is not a number"))
    })?;
    let (sin, cos) = sine_cosine(turn);
    // As GDAL reads it.
    let linear = [cos * width, sin * width, sin * height, -cos * height];
    let transform = [
        x - col * linear[0] - row * linear[1],
        linear[0],
        linear[1],
        y - col * linear[2] - row * linear[3],
        linear[2],
        linear[3],
    ];
    let stated = crs_text.and_then(crs::from_text);
    let crs = stated.or_else(|| from_items(&items)).unwrap_or_default();
    Georeference::new(crs, transform)
        .ok_or_else(|| format!("pixels of {width} x {height} are no size"))
}

/// Exact for right angles, which would else leave 6e-17 where a zero belongs.
fn sine_cosine(degrees: f64) -> (f64, f64) {
    match degrees.rem_euclid(360.0) {
        0.0 => (0.0, 1.0),
        90.0 => (1.0, 0.0),
        180.0 => (0.0, -1.0),
        270.0 => (-1.0, 0.0),
        other => other.to_radians().sin_cos(),
    }
}

/// The coordinate system that the items themselves name.
fn from_items(items: &[&str]) -> Option<Crs> {
    let name = items.first()?.to_lowercase();
    if name == "utm" {
        let zone = items.get(7)?.parse().ok()?;
        let south = items.get(8)?.to_lowercase().starts_with('s');
        return crs::utm(zone, south, items.get(9).copied().unwrap_or("WGS-84"));
    }
    if name.starts_with("geographic") {
        let datum = items.get(7).copied().unwrap_or("WGS-84").to_lowercase();
        return match datum.replace('-', "").as_str() {
            "wgs84" | "" => Some(crs::from_epsg(4326)),
            _ => None,
        };
    }
    None
}

/// The lines of a header that state this place: `map info` and, where the text is known,
/// `coordinate system string`. ENVI knows pixels that are scaled and turned, not sheared: the error
/// says that the place is another.
pub(crate) fn lines(place: &Georeference) -> Result<String, String> {
    let t = &place.transform;
    let (width, height) = (t[1].hypot(t[2]), t[4].hypot(t[5]));
    // [cos w, sin w, sin h, -cos h], as `place` has it.
    let turn = if place.is_rotated() { (t[2] / width).atan2(t[1] / width) } else { 0.0 };
    let upright = !place.is_rotated() && t[1] > 0.0 && t[5] < 0.0;
    let (sin, cos) = turn.sin_cos();
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * width.max(height);
    if !upright && !(close(sin * height, t[4]) && close(-cos * height, t[5]) && place.is_rotated())
    {
        return Err(format!(
            "the place of the scene, {}, is mirrored or sheared, which ENVI headers cannot say; \
             take geotiff or netcdf",
            place.sentence()
        ));
    }
    let (name, tail) = names(&place.crs);
    let mut line =
        format!("map info = {{{name}, 1, 1, {}, {}, {width}, {height}{tail}", t[0], t[3]);
    if place.is_rotated() {
        line += &format!(", rotation={}", turn.to_degrees());
    }
    line += "}\n";
    if let Some(wkt) = &place.crs.wkt {
        let one_line = wkt.split_whitespace().collect::<Vec<_>>().join(" ");
        line += &format!("coordinate system string = {{{one_line}}}\n");
    }
    Ok(line)
}

/// The projection's name in `map info`, and the items that follow the size of a pixel.
fn names(crs: &Crs) -> (&'static str, String) {
    match crs.epsg {
        Some(epsg @ 32601..=32660) => {
            ("UTM", format!(", {}, North, WGS-84, units=Meters", epsg - 32600))
        }
        Some(epsg @ 32701..=32760) => {
            ("UTM", format!(", {}, South, WGS-84, units=Meters", epsg - 32700))
        }
        Some(epsg @ 26901..=26923) => {
            ("UTM", format!(", {}, North, North America 1983, units=Meters", epsg - 26900))
        }
        Some(4326) => ("Geographic Lat/Lon", ", WGS-84, units=Degrees".into()),
        _ => ("Arbitrary", String::new()),
    }
}

fn inside_braces(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_info_of_a_zone() {
        let info =
            "UTM, 1.000, 1.000, 366015.0, 5809965.0, 30, 30, 33, North, WGS-84, units=Meters";
        let place = place(info, None).unwrap();
        assert_eq!(place.transform, [366015.0, 30.0, 0.0, 5809965.0, 0.0, -30.0]);
        assert_eq!(place.crs.epsg, Some(32633));
    }

    #[test]
    fn the_reference_pixel_counts_from_one_at_its_corner() {
        let place = place("Arbitrary, 1.5, 3, 100, 200, 2, 4", None).unwrap();
        assert_eq!(place.transform, [99.0, 2.0, 0.0, 208.0, 0.0, -4.0]);
        assert!(place.crs.is_unknown());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let upright = [366015.0, 30.0, 0.0, 5809965.0, 0.0, -30.0];
        let (sin, cos) = 33f64.to_radians().sin_cos();
        let turned = [1.5, 20.0 * cos, 20.0 * sin, 7.5, 10.0 * sin, -10.0 * cos];
        let (sin, cos) = (-120f64).to_radians().sin_cos();
        let far = [1.5, 20.0 * cos, 20.0 * sin, 7.5, 20.0 * sin, -20.0 * cos];
        for (transform, epsg) in [(upright, 32633), (turned, 4326), (far, 3035), (turned, 26911)] {
            let before = Georeference::new(crs::from_epsg(epsg), transform).unwrap();
            let text = lines(&before).unwrap();
            let value = |key: &str| {
                text.lines().find_map(|l| l.strip_prefix(key)?.trim().strip_prefix('='))
            };
            let (after, note) = read(value);
            let after = after.unwrap();
            assert_eq!((after.crs.epsg, note), (Some(epsg), None));
            for (a, b) in before.transform.iter().zip(after.transform) {
                // A turn goes through degrees and back: a few roundings.
                assert!((a - b).abs() < 1e-11, "{before:?} {after:?}");
            }
        }
        let sheared = Georeference::new(Crs::default(), [0.0, 1.0, 0.5, 0.0, 0.0, -1.0]).unwrap();
        assert!(lines(&sheared).is_err());
        let mirrored = Georeference::new(Crs::default(), [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]).unwrap();
        assert!(lines(&mirrored).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for info in [
            "UTM, 1, 1, 3",
            "UTM, 1, 1, x, 5, 3, 3",
            "UTM, 1, 1, 3, 5, 0, 3",
            "UTM,1,1,1,1,1,1,rotation=x",
        ] {
            let (place, note) = read(|key| (key == "map info").then_some(info));
            assert!(place.is_none() && note.unwrap().contains("left aside"), "{info}");
        }
    }
}
