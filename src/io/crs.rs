//! Coordinate reference systems: from EPSG numbers to well-known text and back.
//!
//! The register comes from `crs-definitions`. Text without a number in it (ESRI writes such) is
//! recognised where it names WGS 84, ETRS89 or NAD83, geographic or in a UTM zone; any other keeps
//! its text and has no number.

use crate::scene::Crs;

/// A number, or text that is none.
type Attribute = Result<f64, &'static str>;

impl Crs {
    /// The system of a number in the EPSG register, with its well-known text where the register has
    /// it.
    pub fn of_epsg(epsg: u32) -> Self {
        from_epsg(epsg)
    }

    /// The system that well-known text of any version describes, or `EPSG:32633`; `None` when it is
    /// neither.
    pub fn of_text(text: &str) -> Option<Self> {
        from_text(text)
    }
}

/// Text longer than this is no description of a coordinate system.
const LONGEST: usize = 1 << 16;
/// Deeper nesting is no well-known text.
const DEEPEST: usize = 16;

/// The system of an EPSG number, with its text where the register has it.
pub(crate) fn from_epsg(epsg: u32) -> Crs {
    let known = u16::try_from(epsg).ok().and_then(crs_definitions::from_code);
    Crs { epsg: Some(epsg), wkt: known.map(|definition| definition.wkt.to_owned()) }
}

/// The system that a text describes; `EPSG:32633` is taken, too. `None` when it is no such text.
pub(crate) fn from_text(text: &str) -> Option<Crs> {
    let text = text.trim().trim_matches('\0').trim();
    if let Some((authority, code)) = text.split_once(':')
        && authority.eq_ignore_ascii_case("EPSG")
    {
        return code.trim().parse().ok().map(from_epsg);
    }
    if text.len() > LONGEST {
        return None;
    }
    let node = Node::parse(text)?;
    let known = [
        "PROJCS",
        "GEOGCS",
        "GEOCCS",
        "LOCAL_CS",
        "COMPD_CS",
        "PROJCRS",
        "GEOGCRS",
        "PROJECTEDCRS",
        "GEOGRAPHICCRS",
        "GEODCRS",
        "BOUNDCRS",
        "COMPOUNDCRS",
        "ENGCRS",
        "LOCAL_CRS",
    ];
    if !known.contains(&node.word.as_str()) {
        return None;
    }
    let epsg = node.authority().or_else(|| recognise(&node));
    Some(Crs { epsg, wkt: Some(text.to_owned()) })
}

/// The EPSG number of WGS 84, ETRS89 or NAD83, geographic or in a UTM zone, from what a text says
/// of it.
fn recognise(node: &Node) -> Option<u32> {
    let datum = ["DATUM", "GEODETICDATUM", "ENSEMBLE"].iter().find_map(|w| node.find(w))?.name()?;
    let datum: String = datum.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    let is = |names: &[&str]| names.iter().any(|name| datum.trim_start_matches('d') == *name);
    let wgs84 = is(&["wgs1984", "wgs84", "worldgeodeticsystem1984"]);
    let etrs89 = is(&["etrs1989", "etrs89", "europeanterrestrialreferencesystem1989"]);
    let nad83 = is(&["northamerican1983", "northamericandatum1983", "nad83"]);
    let greenwich = node.find("PRIMEM").and_then(|p| p.number(1)).is_none_or(|lon| lon == 0.0);
    if !greenwich {
        return None;
    }
    if node.word == "GEOGCS" {
        return match (wgs84, etrs89, nad83) {
            (true, ..) => Some(4326),
            (_, true, _) => Some(4258),
            (.., true) => Some(4269),
            _ => None,
        };
    }
    let method = node.find("PROJECTION").or_else(|| node.find("METHOD"))?.name()?;
    let metres = node.items.iter().rev().find_map(|item| match item {
        Item::Node(n) if n.word == "UNIT" => n.number(1),
        _ => None,
    });
    if node.word != "PROJCS" || method != "Transverse_Mercator" || metres != Some(1.0) {
        return None;
    }
    let parameter = |name: &str| node.parameter(name).unwrap_or(0.0);
    let (zone, south) = (
        (parameter("central_meridian") + 183.0) / 6.0,
        parameter("false_northing") == 10_000_000.0,
    );
    let utm = parameter("latitude_of_origin") == 0.0
        && (parameter("scale_factor") - 0.9996).abs() < 1e-12
        && parameter("false_easting") == 500_000.0
        && (south || parameter("false_northing") == 0.0)
        && zone.fract() == 0.0
        && (1.0..=60.0).contains(&zone);
    if !utm {
        return None;
    }
    utm_number(zone as u32, south, (wgs84, etrs89, nad83))
}

fn utm_number(zone: u32, south: bool, datum: (bool, bool, bool)) -> Option<u32> {
    match datum {
        (true, ..) => Some(if south { 32700 } else { 32600 } + zone),
        (_, true, _) if !south && (28..=38).contains(&zone) => Some(25800 + zone),
        (.., true) if !south && zone <= 23 => Some(26900 + zone),
        _ => None,
    }
}

/// The system of a UTM zone on a datum that ENVI's `map info` names; `None` for any other datum.
pub(crate) fn utm(zone: u32, south: bool, datum: &str) -> Option<Crs> {
    let datum: String = datum.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    let is = |names: &[&str]| names.contains(&datum.as_str());
    let datum = (
        is(&["wgs84", "wgs1984", "dwgs1984"]),
        is(&["etrs89", "etrs1989", "detrs1989"]),
        is(&["nad83", "northamerica1983", "northamerican1983", "dnorthamerican1983"]),
    );
    (1..=60).contains(&zone).then(|| utm_number(zone, south, datum))?.map(from_epsg)
}

/// How the CF conventions say the system, as attributes of a grid mapping: numbers, or the text of
/// those that are none. Empty for a projection that they do not know, and for unknown systems.
pub(crate) fn conventions(crs: &Crs) -> Vec<(&'static str, Attribute)> {
    let Some(node) = crs.wkt.as_deref().and_then(Node::parse) else { return Vec::new() };
    let spheroid = node.find("SPHEROID").or_else(|| node.find("ELLIPSOID"));
    let mut list: Vec<(&'static str, Attribute)> = Vec::new();
    let method = node.find("PROJECTION").and_then(Node::name).unwrap_or_default().to_lowercase();
    let parameter =
        |names: &[&str]| names.iter().find_map(|name| node.parameter(name)).unwrap_or(0.0);
    let latitude = parameter(&["latitude_of_origin", "latitude_of_center"]);
    let longitude = parameter(&["central_meridian", "longitude_of_center"]);
    let scale = node.parameter("scale_factor").unwrap_or(1.0);
    let named = match (node.word.as_str(), method.as_str()) {
        ("GEOGCS", _) => "latitude_longitude",
        (_, "transverse_mercator") => "transverse_mercator",
        (_, "lambert_azimuthal_equal_area") => "lambert_azimuthal_equal_area",
        (_, "lambert_conformal_conic_2sp") => "lambert_conformal_conic",
        (_, "albers_conic_equal_area") => "albers_conical_equal_area",
        (_, "sinusoidal") => "sinusoidal",
        _ => return Vec::new(),
    };
    list.push(("grid_mapping_name", Err(named)));
    if let Some(major) = spheroid.and_then(|s| s.number(1)) {
        list.push(("semi_major_axis", Ok(major)));
    }
    if let Some(inverse) = spheroid.and_then(|s| s.number(2)) {
        list.push(("inverse_flattening", Ok(inverse)));
    }
    if named == "latitude_longitude" {
        list.push((
            "longitude_of_prime_meridian",
            Ok(node.find("PRIMEM").and_then(|p| p.number(1)).unwrap_or(0.0)),
        ));
        return list;
    }
    list.push(("false_easting", Ok(parameter(&["false_easting"]))));
    list.push(("false_northing", Ok(parameter(&["false_northing"]))));
    if named != "sinusoidal" {
        list.push(("latitude_of_projection_origin", Ok(latitude)));
    }
    match named {
        "transverse_mercator" => {
            list.push(("longitude_of_central_meridian", Ok(longitude)));
            list.push(("scale_factor_at_central_meridian", Ok(scale)));
        }
        "lambert_conformal_conic" | "albers_conical_equal_area" => {
            list.push(("longitude_of_central_meridian", Ok(longitude)));
        }
        _ => list.push(("longitude_of_projection_origin", Ok(longitude))),
    }
    list
}

/// A word with a list in brackets: `PARAMETER["scale_factor",0.9996]`.
struct Node {
    /// In capitals.
    word: String,
    items: Vec<Item>,
}

enum Item {
    Text(String),
    Number(f64),
    Node(Node),
    Other,
}

impl Node {
    fn parse(text: &str) -> Option<Node> {
        let (node, rest) = Self::parse_at(text.trim(), 0)?;
        rest.trim().is_empty().then_some(node)
    }

    fn parse_at(text: &str, depth: usize) -> Option<(Node, &str)> {
        let open = text.find(['[', '('])?;
        let (word, rest) = text.split_at(open);
        let word = word.trim().to_uppercase();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if depth > DEEPEST || word.is_empty() || !word.chars().all(plain) {
            return None;
        }
        let mut rest = rest.get(1..)?;
        let mut items = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(quoted) = rest.strip_prefix('"') {
                let (text, after) = quoted.split_once('"')?;
                items.push(Item::Text(text.to_owned()));
                rest = after;
            } else {
                let end = rest.find(['[', '(', ']', ')', ','])?;
                let stop = rest.as_bytes().get(end)?;
                if matches!(stop, b'[' | b'(') {
                    let (node, after) = Self::parse_at(rest, depth + 1)?;
                    items.push(Item::Node(node));
                    rest = after;
                } else {
                    let bare = rest.get(..end)?.trim();
                    items.push(bare.parse().map_or(Item::Other, Item::Number));
                    rest = rest.get(end..)?;
                }
            }
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix(',') {
                rest = after;
            } else {
                let after = rest.strip_prefix(']').or_else(|| rest.strip_prefix(')'))?;
                return Some((Node { word, items }, after));
            }
        }
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.items.iter().filter_map(|item| match item {
            Item::Node(node) => Some(node),
            _ => None,
        })
    }

    /// The first node of this word below this one.
    fn find(&self, word: &str) -> Option<&Node> {
        self.nodes().find_map(|node| if node.word == word { Some(node) } else { node.find(word) })
    }

    fn name(&self) -> Option<&str> {
        match self.items.first()? {
            Item::Text(text) => Some(text),
            _ => None,
        }
    }

    fn number(&self, at: usize) -> Option<f64> {
        match self.items.get(at)? {
            Item::Number(value) => Some(*value),
            _ => None,
        }
    }

    fn parameter(&self, name: &str) -> Option<f64> {
        let wanted = |node: &&Node| {
            node.word == "PARAMETER" && node.name().is_some_and(|n| n.eq_ignore_ascii_case(name))
        };
        self.nodes().find(wanted)?.number(1)
    }

    /// The EPSG number that the text gives for the whole system.
    fn authority(&self) -> Option<u32> {
        let own = self.nodes().find(|node| node.word == "AUTHORITY" || node.word == "ID")?;
        if !own.name()?.eq_ignore_ascii_case("EPSG") {
            return None;
        }
        match own.items.get(1)? {
            Item::Text(text) => text.trim().parse().ok(),
            Item::Number(v) if v.fract() == 0.0 && *v > 0.0 && *v < 1e9 => Some(*v as u32),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESRI: &str = r#"PROJCS["WGS_1984_UTM_Zone_11N",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",
        SPHEROID["WGS_1984",6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],
        UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],
        PARAMETER["False_Easting",500000.0],PARAMETER["False_Northing",0.0],
        PARAMETER["Central_Meridian",-117.0],PARAMETER["Scale_Factor",0.9996],
        PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]"#;

    #[test]
    fn the_register_gives_text_and_the_text_its_number() {
        for epsg in [32633, 32711, 4326, 3035, 25832, 26911, 2056] {
            let crs = from_epsg(epsg);
            let again = from_text(crs.wkt.as_ref().unwrap()).unwrap();
            assert_eq!(again.epsg, Some(epsg));
        }
        assert_eq!(from_text(" EPSG:3035 ").unwrap(), from_epsg(3035));
        assert_eq!(from_epsg(999_999).wkt, None);
    }

    #[test]
    fn text_without_a_number_is_recognised_by_what_it_says() {
        assert_eq!(from_text(ESRI).unwrap().epsg, Some(32611));
        let south = ESRI.replace("\"False_Northing\",0.0", "\"False_Northing\",10000000.0");
        assert_eq!(from_text(&south).unwrap().epsg, Some(32711));
        // Another scale is another projection.
        assert_eq!(from_text(&ESRI.replace("0.9996", "0.9999")).unwrap().epsg, None);
        assert_eq!(
            from_text(&ESRI.replace("UNIT[\"Meter\",1.0]", "UNIT[\"Foot\",0.3048]")).unwrap().epsg,
            None
        );
        let geographic = "GEOGCS[\"GCS_WGS_1984\",DATUM[\"D_WGS_1984\",\
                          SPHEROID[\"WGS_1984\",6378137,298.257]],\
                          PRIMEM[\"Greenwich\",0],UNIT[\"Degree\",0.01745]]";
        assert_eq!(from_text(geographic).unwrap().epsg, Some(4326));
    }

    #[test]
    fn what_is_no_such_text_is_refused() {
        for text in [
            "",
            "nonsense",
            "PROJCS[",
            "PROJCS[\"a\"",
            "PROJCS[\"a\"]]",
            "FOO[\"a\"]",
            "[\"a\"]",
            "EPSG:",
            "EPSG:x",
            &"PROJCS[".repeat(1000),
            "PROJCS[\"a]",
            "é[\"a\"]",
        ] {
            assert_eq!(from_text(text), None, "{text}");
        }
    }

    #[test]
    fn zones_of_map_info() {
        assert_eq!(utm(33, false, "WGS-84").unwrap().epsg, Some(32633));
        assert_eq!(utm(33, true, "WGS-84").unwrap().epsg, Some(32733));
        assert_eq!(utm(11, false, "North America 1983").unwrap().epsg, Some(26911));
        assert_eq!(utm(33, false, "ED50"), None);
        assert_eq!(utm(0, false, "WGS-84"), None);
        assert_eq!(utm(61, false, "WGS-84"), None);
    }
}
