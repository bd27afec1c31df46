//! What the names of variables say, under all the names that are usual.

/// What a variable seems to hold, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A scene, by a name that means nothing else.
    Scene,
    /// Perhaps a scene.
    Maybe,
    /// A name that says nothing.
    Open,
    /// Something that belongs to a scene but is none: a truth, a map, a picture, coordinates.
    Other,
}

const SCENES: [&str; 17] = [
    "cube",
    "data",
    "hsi",
    "hypercube",
    "hyperspectral",
    "reflectance",
    "rfl",
    "refl",
    "image",
    "img",
    "scene",
    "v",
    "y",
    "datacube",
    "toa",
    "boa",
    "imgcube",
];
/// Radiance is among these: beside reflectance it is not what is to be unmixed.
const MAYBE: [&str; 11] =
    ["x", "i", "z", "pixels", "im", "spectra", "r", "raw", "corrected", "radiance", "rdn"];
const OTHERS: [&str; 67] = [
    "a",
    "m",
    "m1",
    "e",
    "w",
    "h",
    "s",
    "gt",
    "map",
    "maps",
    "label",
    "labels",
    "mask",
    "masks",
    "abundance",
    "abundances",
    "endmember",
    "endmembers",
    "abund",
    "abun",
    "truth",
    "groundtruth",
    "rgb",
    "quicklook",
    "thumbnail",
    "preview",
    "sigma",
    "sd",
    "std",
    "error",
    "uncertainty",
    "noise",
    "snr",
    "wavelength",
    "wavelengths",
    "fwhm",
    "bbl",
    "lat",
    "lon",
    "latitude",
    "longitude",
    "elev",
    "elevation",
    "dem",
    "glt",
    "loc",
    "obs",
    "cood",
    "flag",
    "flags",
    "quality",
    "class",
    "classes",
    "classification",
    "train",
    "test",
    "index",
    "residual",
    "falsecolor",
    "truecolor",
    "composite",
    "panchromatic",
    "pan",
    "library",
    "dictionary",
    "atrue",
    "mtrue",
];

/// A name in lower case, letters and digits only.
pub(crate) fn normalised(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}

/// The words of a name: split at anything but letters, and between `aB`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for c in name.chars() {
        let letter = c.is_alphabetic();
        if !letter || (c.is_uppercase() && lower) {
            words.push(String::new());
        }
        if letter && let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
        lower = c.is_lowercase();
    }
    words.retain(|w| !w.is_empty());
    words
}

/// What a variable of this name seems to hold; only the last part of a path counts.
pub(crate) fn role(name: &str) -> Role {
    let last = name.rsplit(['/', '.']).next().unwrap_or(name);
    let whole = normalised(last);
    if OTHERS.contains(&whole.as_str()) {
        return Role::Other;
    }
    if SCENES.contains(&whole.as_str()) {
        return Role::Scene;
    }
    if MAYBE.contains(&whole.as_str()) {
        return Role::Maybe;
    }
    let words = words(last);
    // One letter within a longer name means nothing.
    let has = |list: &[&str]| words.iter().any(|w| w.len() > 1 && list.contains(&w.as_str()));
    if has(&OTHERS) {
        return Role::Other;
    }
    let within = ["cube", "hyper", "reflect", "radian", "hsi"];
    if has(&SCENES) || has(&MAYBE) || within.iter().any(|w| whole.contains(w)) {
        return Role::Maybe;
    }
    Role::Open
}

/// True for the names of masks.
pub(crate) fn role_of_mask(name: &str) -> bool {
    words(name).iter().any(|w| matches!(w.as_str(), "mask" | "valid" | "roi" | "use"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_scenes_from_what_lies_beside_them() {
        for (name, expected) in [
            ("cube", Role::Scene),
            ("Y", Role::Scene),
            ("HSI", Role::Scene),
            ("/data/reflectance", Role::Scene),
            ("indian_pines_corrected", Role::Maybe),
            ("hyperCubeSmall", Role::Maybe),
            ("paviaU", Role::Open),
            ("paviaU_gt", Role::Other),
            ("A_gt", Role::Other),
            ("abundanceMaps", Role::Other),
            ("rgb", Role::Other),
            ("RGB_image", Role::Other),
            ("M", Role::Other),
            ("reflectance_uncertainty", Role::Other),
            ("foo", Role::Open),
        ] {
            assert_eq!(role(name), expected, "{name}");
        }
    }
}
