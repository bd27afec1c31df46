//! A fit as a file.

use std::path::Path;
use std::sync::Arc;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{Fit, Record};
use crate::convention::Convention;
use crate::engine::ground::error::{Error, Result};
use crate::engine::guide::Guide;
use crate::engine::svi;
use crate::posterior::Posterior;
use crate::posterior::nested::{SceneNormal, Shared, SpectraNormal};
use crate::scene::{Band, Cube, Georeference, Lookup, Scaling, Scene, SceneParts};
use crate::store::Store;

/// The kind of file, which it names inside.
const KIND: &str = "fit";

/// Everything of a fit but its large arrays.
#[derive(Serialize, Deserialize)]
struct Meta {
    name: String,
    rows: usize,
    cols: usize,
    file_bands: usize,
    bands: Vec<Band>,
    scaling: Scaling,
    notes: Vec<String>,
    georeference: Option<Georeference>,
    /// Height and width of the grid whose cells `lookup` has.
    grid: Option<(usize, usize)>,
    convention: Convention,
    concentration: f64,
    mean_abundance: Vec<f64>,
    noise_sd: Vec<f64>,
    /// Pixels that the guide has.
    learned_from: usize,
    visits: f64,
    record: Record,
}

impl Fit {
    /// Writes the fit to a file, whole or not at all: all of it but the table of its search.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; an earlier file of that name then stays as it was.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.store()?.write(path.as_ref())
    }

    /// Reads a fit that [`Fit::save`] wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::File`] where it is another kind of file, cut off or damaged.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let store = Store::read(path, KIND)?;
        Self::from_store(store).map_err(|why| Error::file(path, why))
    }

    /// The fit as the bytes of a file.
    ///
    /// # Errors
    ///
    /// [`Error::Fit`] where a record cannot be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        Ok(self.store()?.to_bytes())
    }

    /// A fit from the bytes that [`Fit::to_bytes`] gave.
    ///
    /// # Errors
    ///
    /// [`Error::Fit`] where they are something else, cut off or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let store = Store::from_bytes(bytes, KIND).map_err(Error::Fit)?;
        Self::from_store(store).map_err(Error::Fit)
    }

    fn store(&self) -> Result<Store> {
        let (scene, p) = (&self.scene, &self.posterior);
        let lookup = scene.georeference().and_then(|place| place.lookup.as_ref());
        let mut store = Store::new(
            KIND,
            &Meta {
                name: scene.name().to_owned(),
                rows: scene.rows(),
                cols: scene.cols(),
                file_bands: scene.file_bands(),
                bands: scene.bands().to_vec(),
                scaling: scene.scaling().clone(),
                notes: scene.notes().to_vec(),
                georeference: scene.georeference().cloned(),
                grid: lookup.map(|lookup| (lookup.rows, lookup.cols)),
                convention: p.convention,
                concentration: p.concentration,
                mean_abundance: p.mean_abundance.clone(),
                noise_sd: p.noise_sd.clone(),
                learned_from: self.guide.params.pixels as usize,
                visits: self.guide.visits,
                record: self.record.clone(),
            },
        )?;
        store.put_u32("places", scene.places());
        if let Some(lookup) = lookup {
            store.put_u32("lookup", &lookup.pixels);
        }
        for (name, values) in [
            ("globals", &self.guide.globals),
            ("locals", &self.guide.locals),
            ("prior_centre", &self.guide.prior_centre),
            ("residual", &p.residual),
        ] {
            store.put_f32(name, values);
        }
        let flat32 = |values: &Array2<f32>| values.iter().copied().collect::<Vec<f32>>();
        let flat = |values: &Array2<f64>| values.iter().copied().collect::<Vec<f64>>();
        for (name, values) in [
            ("abundance_mean", &p.abundance_mean),
            ("abundance_sd", &p.abundance_sd),
            ("abundance_q05", &p.abundance_q05),
            ("abundance_q50", &p.abundance_q50),
            ("abundance_q95", &p.abundance_q95),
        ] {
            store.put_f32(name, &flat32(values));
        }
        if let Some(worth) = &p.draws_worth {
            store.put_f32("draws_worth", &worth.to_vec());
        }
        if let Some(brightness) = &p.brightness {
            store.put_f32("brightness", &brightness.to_vec());
        }
        for (name, values) in [
            ("endmember_mean", Some(&p.endmember_mean)),
            ("endmember_sd", Some(&p.endmember_sd)),
            ("endmember_q05", Some(&p.endmember_q05)),
            ("endmember_q95", Some(&p.endmember_q95)),
            ("variability", p.variability.as_ref()),
            ("noise_correlation", p.noise_correlation.as_ref()),
        ] {
            if let Some(values) = values {
                store.put_f64(name, &flat(values));
            }
        }
        if let Some(normal) = &self.scene_normal {
            match &normal.spectra {
                SpectraNormal::Independent { centre, roots } => {
                    store.put_f64("scene_centre", centre);
                    store.put_f64("scene_roots", roots);
                }
                SpectraNormal::Cut { mean, factor, sds } => {
                    store.put_f64("scene_mean", mean);
                    // Column by column.
                    store.put_f64("scene_factor", factor.as_slice());
                    store.put_f64("scene_sds", sds);
                }
            }
            if let Some(shared) = &normal.shared {
                store.put_f64("shared_sds", &shared.sds);
                store.put_f64("shared_noise_sds", &shared.noise_sds);
                store.put_f64("shared_noise", &shared.noise);
                store.put_f64("shared_variability", &shared.variability);
                if let Some(dirichlet) = &shared.dirichlet {
                    store.put_f64("shared_dirichlet", dirichlet);
                }
            }
            if let Some(mixture) = &normal.mixture {
                store.put_f64("scene_mixture", mixture);
            }
        }
        Ok(store)
    }

    fn from_store(mut store: Store) -> Result<Self, String> {
        let meta: Meta = store.meta()?;
        let missing = |name: &str| format!("has no `{name}` of the size that its scene asks for");
        let record = meta.record;
        let (n, l) = (store.take_u32("places").ok_or_else(|| missing("places"))?, meta.bands.len());
        let (places, n) = (n.clone(), n.len());
        let k = record.model.endmembers;
        let mut georeference = meta.georeference;
        if let (Some(place), Some((rows, cols))) = (&mut georeference, meta.grid) {
            let fits = |pixels: &Vec<u32>| rows.checked_mul(cols) == Some(pixels.len());
            let pixels = store.take_u32("lookup").filter(fits).ok_or_else(|| missing("lookup"))?;
            place.lookup = Some(Arc::new(Lookup { rows, cols, pixels }));
        }
        let mut f32s = |name: &str, len: usize| {
            store.take_f32(name).filter(|v| v.len() == len).ok_or_else(|| missing(name))
        };
        let say = |error: Error| error.to_string();
        let learned_from = meta.learned_from;
        let params = svi::params(&record.model, &record.svi, (learned_from, l)).map_err(say)?;
        let guide = Guide {
            globals: f32s("globals", params.global_stride())?,
            locals: f32s("locals", learned_from.saturating_mul(params.local_stride as usize))?,
            prior_centre: f32s("prior_centre", k * params.stride())?,
            visits: meta.visits,
            ..Guide::empty(record.model.clone(), params)
        };
        let table = |values: Vec<f32>| {
            Array2::from_shape_vec((n, k), values).map_err(|error| error.to_string())
        };
        let abundance_mean = table(f32s("abundance_mean", n * k)?)?;
        let abundance_sd = table(f32s("abundance_sd", n * k)?)?;
        let abundance_q05 = table(f32s("abundance_q05", n * k)?)?;
        let abundance_q50 = table(f32s("abundance_q50", n * k)?)?;
        let abundance_q95 = table(f32s("abundance_q95", n * k)?)?;
        let draws_worth = f32s("draws_worth", n).ok().map(Into::into);
        let residual = f32s("residual", n)?;
        let brightness = match meta.convention.has_brightness(record.model.brightness.is_some()) {
            true => Some(f32s("brightness", n)?.into()),
            false => None,
        };
        let mut f64s = |name: &str, shape: (usize, usize)| {
            let values = store.take_f64(name).ok_or_else(|| missing(name))?;
            Array2::from_shape_vec(shape, values).map_err(|_| missing(name))
        };
        let posterior = Posterior {
            convention: meta.convention,
            abundance_mean,
            abundance_sd,
            abundance_q05,
            abundance_q50,
            abundance_q95,
            draws_worth,
            brightness,
            endmember_mean: f64s("endmember_mean", (k, l))?,
            endmember_sd: f64s("endmember_sd", (k, l))?,
            endmember_q05: f64s("endmember_q05", (k, l))?,
            endmember_q95: f64s("endmember_q95", (k, l))?,
            variability: match record.model.variability {
                Some(_) => Some(f64s("variability", (k, l))?),
                None => None,
            },
            noise_sd: meta.noise_sd,
            noise_correlation: f64s("noise_correlation", (l, l)).ok(),
            concentration: meta.concentration,
            mean_abundance: meta.mean_abundance,
            residual,
        };
        let scene_normal = normal(&mut store, k, l)?;
        let sound = posterior.noise_sd.len() == l
            && posterior.mean_abundance.len() == k
            && record.order.len() == k
            && (0..k).all(|i| record.order.contains(&i));
        if !sound {
            return Err("does not agree with itself about the number of bands or endmembers".into());
        }
        let scene = Scene::new(SceneParts {
            name: meta.name,
            rows: meta.rows,
            cols: meta.cols,
            cube: Arc::new(Cube::zeros(0, l)),
            bands: meta.bands,
            file_bands: meta.file_bands,
            places,
            georeference,
            scaling: meta.scaling,
            notes: meta.notes,
        })
        .map_err(say)?;
        Ok(Fit { scene, guide, posterior, record, scene_normal, drawn: None, found: None })
    }
}

/// The posterior of K spectra of L bands, where it was kept.
fn normal(store: &mut Store, k: usize, l: usize) -> Result<Option<SceneNormal>, String> {
    let size = k * l;
    let broken = |what: &str| {
        format!(
            "has {what} of its spectra that is not whole, or of another version of unmixel; fit \
             again"
        )
    };
    let names = ["scene_centre", "scene_roots", "scene_mean", "scene_factor", "scene_sds"];
    let spectra = match names.map(|name| store.take_f64(name)) {
        [None, None, None, None, None] => return Ok(None),
        [Some(centre), Some(roots), None, None, None] => {
            SpectraNormal::Independent { centre, roots }
        }
        [None, None, Some(mean), Some(factor), Some(sds)]
            if size.checked_mul(size) == Some(factor.len()) =>
        {
            // Column by column, as it was written.
            let factor = nalgebra::DMatrix::from_vec(size, size, factor);
            SpectraNormal::Cut { mean, factor, sds }
        }
        _ => return Err(broken("a posterior")),
    };
    let names = ["shared_sds", "shared_noise_sds", "shared_noise", "shared_variability"];
    let shared = match names.map(|name| store.take_f64(name)) {
        [None, None, None, None] => None,
        [Some(sds), Some(noise_sds), Some(noise), Some(variability)] => {
            let dirichlet = store.take_f64("shared_dirichlet");
            let shared = Shared { sds, noise_sds, noise, variability, dirichlet };
            Some(shared.checked(k, l).ok_or_else(|| broken("a variability"))?)
        }
        _ => return Err(broken("a variability")),
    };
    let spectra = spectra.checked(size).ok_or_else(|| broken("a posterior"))?;
    let mixture = store.take_f64("scene_mixture");
    if mixture.as_ref().is_some_and(|m| m.len() != l || m.iter().any(|x| !x.is_finite())) {
        return Err(broken("a common mixture"));
    }
    Ok(Some(SceneNormal { spectra, shared, mixture }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What is read from a file that has these arrays, all of one spectrum of two bands.
    fn read(arrays: &[(&str, &[f64])]) -> Result<Option<SceneNormal>, String> {
        let mut store = Store::new(KIND, &()).unwrap();
        arrays.iter().for_each(|(name, values)| store.put_f64(name, values));
        normal(&mut store, 1, 2)
    }

    #[test]
    fn a_posterior_that_is_not_whole_is_refused_and_not_left_out() {
        assert_eq!(read(&[]), Ok(None));
        let centre = ("scene_centre", &[0.1, 0.2][..]);
        let factor = ("scene_factor", &[1.0, 0.5, 0.0, 1.0][..]);
        let mean = ("scene_mean", &[0.1, -0.2][..]);
        let sds = ("scene_sds", &[1.0, 1.0][..]);
        assert!(read(&[centre, ("scene_roots", &[1.0, 2.0])]).unwrap().is_some());
        assert!(read(&[mean, factor, sds]).unwrap().is_some());
        let mixture = ("scene_mixture", &[0.3, 0.2][..]);
        assert_eq!(
            read(&[mean, factor, sds, mixture]).unwrap().unwrap().mixture,
            Some(vec![0.3, 0.2])
        );
        let short = ("scene_factor", &[1.0][..]);
        let negative = ("scene_sds", &[1.0, -1.0][..]);
        let shared = ("shared_sds", &[0.1][..]);
        // The first is how a version before this one wrote it.
        for broken in [
            &[centre, factor][..],
            &[centre],
            &[mean, short, sds],
            &[mean, factor, negative],
            &[mean, factor, sds, shared],
            &[mean, factor, sds, ("scene_mixture", &[0.3])],
            &[mean, factor, sds, ("scene_mixture", &[0.3, f64::NAN])],
        ] {
            let why = read(broken).unwrap_err();
            assert!(why.contains("not whole") && why.contains("fit again"), "{why}");
        }
    }
}
