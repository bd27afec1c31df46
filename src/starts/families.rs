//! Several starts out of several families.

use ndarray::Array2;
use rayon::prelude::*;

use super::finder::Finder;
use super::{Init, check_spectra};
use crate::engine::ground::error::Result;
use crate::scene::Cube;
use crate::statistics::angles::match_spectra;

/// Two sets of spectra are one start when no pair is farther apart, radians: far below what tells
/// materials apart, far above round-off.
const SAME: f64 = 0.005;
/// Seeds tried for each start that is wanted; if none gives a new one, there are taken to be no
/// more.
const TRIES: u64 = 3;

/// Spectra to start from. [`Start::around`](super::Start::around) gives the abundances that go with
/// them, which for a large scene is the dearer part.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Name of the family ([`Init::name`]).
    pub family: &'static str,
    /// The seed that it came from.
    pub seed: u64,
    /// Endmember spectra, (K, L), reflectance.
    pub endmembers: Array2<f64>,
    /// Root of the mean square that their mixtures leave, reflectance, over some 2,000 to 4,000 of
    /// the pixels (all of a smaller scene).
    pub misfit: f64,
}

/// Up to `count` different starts of `k` endmembers: one of each of `inits` in turn with the given
/// seed, then with the next, and so on. Starts whose spectra all lie within 0.005 rad of those of
/// an earlier one are left out, and a family that gives nothing new with three seeds in a row is
/// left aside. Families and `brightness` are those of [`start`](super::start).
///
/// # Errors
///
/// What [`start`](super::start) refuses: [`Error::Setting`](crate::Error::Setting) for a number of
/// endmembers that is 0 or more than the cube has pixels or bands,
/// [`Error::Scene`](crate::Error::Scene) when the cube holds a value that is not finite.
pub fn families(
    cube: &Cube,
    k: usize,
    inits: &[Init],
    count: usize,
    brightness: bool,
    seed: u64,
) -> Result<Vec<Proposal>> {
    let mut found = Vec::new();
    Families::new(cube, k, brightness, seed)?.each(inits, count, &mut |proposal| {
        found.push(proposal);
        true
    })?;
    Ok(found)
}

/// The starts of one scene, family by family; what families have in common is computed once.
pub struct Families<'a> {
    cube: &'a Cube,
    finder: Finder<'a>,
    k: usize,
    seed: u64,
}

impl<'a> Families<'a> {
    /// Those of `k` endmembers; `brightness` and `seed` are those of [`start`](super::start).
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) for a number of endmembers that is 0 or more than
    /// the cube has pixels or bands, [`Error::Scene`](crate::Error::Scene) when the cube holds a
    /// value that is not finite.
    pub fn new(cube: &'a Cube, k: usize, brightness: bool, seed: u64) -> Result<Self> {
        Ok(Families { cube, finder: Finder::new(cube, k, brightness, seed)?, k, seed })
    }

    /// Gives the starts of [`families`] to `tell` one by one, as they are found, until it says that
    /// it is enough.
    ///
    /// # Errors
    ///
    /// What [`start`](super::start) refuses of the spectra of [`Init::Spectra`].
    pub fn each(
        &self,
        inits: &[Init],
        count: usize,
        tell: &mut dyn FnMut(Proposal) -> bool,
    ) -> Result<()> {
        for init in inits {
            if let Init::Spectra(spectra) = init {
                check_spectra(self.cube, self.k, spectra)?;
            }
        }
        let mut found: Vec<Array2<f64>> = Vec::new();
        let mut fruitless = vec![0; inits.len()];
        for round in 0_usize.. {
            if found.len() >= count || fruitless.iter().all(|&tries| tries >= TRIES) {
                break;
            }
            let seed = self.seed.wrapping_add(round as u64);
            let open: Vec<usize> = (0..inits.len()).filter(|&i| fruitless[i] < TRIES).collect();
            let mut left = &open[..];
            while found.len() < count && !left.is_empty() {
                // So few side by side as keep the cores at work: the first are told soon.
                let most = (2 * rayon::current_num_threads()).min(count - found.len());
                let (now, later) = left.split_at(left.len().min(most));
                left = later;
                let these: Vec<&Init> = now.iter().map(|&i| &inits[i]).collect();
                for (&i, start) in now.iter().zip(self.finder.each(&these, seed, round)) {
                    let (endmembers, misfit) = start?;
                    if found.iter().any(|before| same(before, &endmembers)) {
                        // Given spectra are the same with every seed.
                        let is_given = matches!(inits[i], Init::Spectra(_));
                        fruitless[i] = if is_given { TRIES } else { fruitless[i] + 1 };
                        continue;
                    }
                    fruitless[i] = 0;
                    found.push(endmembers.clone());
                    if !tell(Proposal { family: inits[i].name(), seed, endmembers, misfit }) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

/// How badly mixtures of each of these sets of spectra, (K, L) each, fit: root of the mean square
/// they leave, reflectance, over some 2,000 to 4,000 of the pixels, with brightness free or not.
///
/// # Errors
///
/// What [`start`](super::start) refuses: [`Error::Setting`](crate::Error::Setting) for a number of
/// endmembers that is 0 or more than the cube has pixels or bands,
/// [`Error::Scene`](crate::Error::Scene) when the cube holds a value that is not finite.
pub fn misfits(cube: &Cube, sets: &[Array2<f64>], brightness: bool, seed: u64) -> Result<Vec<f64>> {
    let Some(first) = sets.first() else { return Ok(Vec::new()) };
    let finder = Finder::new(cube, first.nrows(), brightness, seed)?;
    sets.par_iter().map(|set| finder.misfit(set)).collect()
}

fn same(a: &Array2<f64>, b: &Array2<f64>) -> bool {
    // Black spectra have no angle, not even to themselves.
    a == b
        || match_spectra(a.view(), b.view())
            .is_ok_and(|pairs| pairs.iter().all(|&(_, angle)| angle <= SAME))
}
