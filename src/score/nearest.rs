//! Which materials of a spectral library an endmember is like.

use ndarray::{ArrayView1, ArrayView2};

use super::sad;

/// A material and how far it is.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Nearest {
    /// Name of the spectrum in the library.
    pub name: String,
    /// Spectral angle to the endmember in radians: size does not count, shape does.
    pub angle: f64,
}

impl Nearest {
    /// `dry grass 0.03 rad`.
    pub fn text(&self) -> String {
        format!("{} {:.2} rad", self.name, self.angle)
    }
}

/// For each endmember, a row of `endmembers` (K, bands), the up to `count` spectra of `library`
/// (spectra, bands) with the smallest spectral angles, the nearest first. `names` has a name a
/// spectrum; missing ones are numbered from 1. Of spectra at one angle the first in the library
/// comes first, and spectra that are not finite are passed over.
pub fn nearest(
    endmembers: ArrayView2<'_, f64>,
    library: ArrayView2<'_, f64>,
    names: &[String],
    count: usize,
) -> Vec<Vec<Nearest>> {
    let of = |endmember: ArrayView1<'_, f64>| {
        let usable =
            |(_, spectrum): &(usize, ArrayView1<'_, f64>)| spectrum.iter().all(|v| v.is_finite());
        let mut found: Vec<(usize, f64)> = library
            .outer_iter()
            .enumerate()
            .filter(usable)
            .map(|(i, spectrum)| (i, sad(endmember, spectrum)))
            .collect();
        found.sort_by(|a, b| a.1.total_cmp(&b.1));
        let named = |(i, angle): &(usize, f64)| Nearest {
            name: names.get(*i).cloned().unwrap_or_else(|| format!("spectrum {}", i + 1)),
            angle: *angle,
        };
        found.iter().take(count).map(named).collect()
    };
    endmembers.outer_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_nearest_by_shape_come_first() {
        let library = array![[1.0, 0.0], [f64::NAN, 1.0], [1.0, 1.0], [0.0, 2.0]];
        let names = ["red".to_owned(), "broken".into(), "grey".into()];
        let found = nearest(array![[0.2, 0.19], [0.01, 0.5]].view(), library.view(), &names, 2);
        let names = |k: usize| found[k].iter().map(|n| n.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names(0), ["grey", "red"]);
        assert_eq!(names(1), ["spectrum 4", "grey"]);
        assert!(found[0][0].angle < 0.03 && found[0][0].text() == "grey 0.03 rad");
        assert!(nearest(array![[1.0, 0.0]].view(), library.view(), &[], 0)[0].is_empty());
    }
}
