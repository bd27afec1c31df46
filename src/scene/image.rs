//! From a list of pixels to an image.

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis};

use crate::engine::ground::error::{Error, Result};
use crate::scene::Scene;

/// Spreads values of the scene's valid pixels, (pixels, columns of values), over the image:
/// (rows, columns, columns of values), NaN where there is no data.
///
/// # Errors
/// [`Error::Fit`] when the number of pixels is not the scene's, or a pixel lies outside.
pub fn to_image(scene: &Scene, values: ArrayView2<'_, f32>) -> Result<Array3<f32>> {
    let (pixels, depth) = values.dim();
    let places = scene.places().len();
    if pixels != places {
        return Err(Error::Fit(format!(
            "the results hold {pixels} pixels, and the scene has {places}; they do not belong \
             together"
        )));
    }
    let mut image = vec![f32::NAN; scene.rows() * scene.cols() * depth];
    for (&place, values) in scene.places().iter().zip(values.outer_iter()) {
        let start = place as usize * depth;
        let Some(pixel) = image.get_mut(start..start + depth) else {
            return Err(Error::Fit(format!(
                "pixel {place} lies outside of the scene of {} x {} pixels",
                scene.rows(),
                scene.cols()
            )));
        };
        for (to, from) in pixel.iter_mut().zip(values) {
            *to = *from;
        }
    }
    Array3::from_shape_vec((scene.rows(), scene.cols(), depth), image)
        .map_err(|error| Error::Fit(format!("an image cannot be made of the results: {error}")))
}

/// One layer of an image; all NaN when there is no such layer.
pub(crate) fn layer(image: ArrayView3<'_, f32>, k: usize) -> Array2<f32> {
    let (rows, cols, depth) = image.dim();
    if k < depth {
        image.index_axis(Axis(2), k).to_owned()
    } else {
        Array2::from_elem((rows, cols), f32::NAN)
    }
}
