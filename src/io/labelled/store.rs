//! What a format must offer so that a scene can be found and read in it.

use std::ops::Range;
use std::path::Path;

use crate::engine::ground::error::Result;
use crate::io::numbers::Kind;

/// An array of numbers, with attributes.
pub(crate) trait StoredArray: Clone + Send {
    /// Where it lies in the file, `/group/name`.
    fn place(&self) -> &str;

    fn shape(&self) -> &[usize];

    fn kind(&self) -> Kind;

    /// Bytes of all chunks that one index of `axis` crosses; 0 where there are no chunks.
    fn chunk_row(&self, axis: usize) -> usize;

    /// Numbers of an attribute.
    fn attribute_numbers(&self, name: &str) -> Option<Vec<f64>>;

    /// Text of an attribute.
    fn attribute_text(&self, name: &str) -> Option<String>;

    /// The last part of the place.
    fn last_name(&self) -> &str {
        self.place().rsplit('/').next().unwrap_or_default()
    }

    /// How many numbers it holds; `None` where that is more than can be counted.
    fn count(&self) -> Option<usize> {
        self.shape().iter().try_fold(1usize, |n, s| n.checked_mul(*s))
    }

    /// The size as a reader would write it: `/cube` (37 x 53 x 12).
    fn sentence(&self) -> String {
        let size: Vec<String> = self.shape().iter().map(usize::to_string).collect();
        format!("`{}` ({})", self.place(), size.join(" x "))
    }
}

/// An open file, or folder, of arrays.
pub(crate) trait Store: Send + Sized {
    type Array: StoredArray;

    /// The name of the format, for people.
    const FORMAT: &'static str;

    fn path(&self) -> &Path;

    /// Every array of numbers.
    fn arrays(&self) -> &[Self::Array];

    /// All numbers of an array that is small; an error for a large one.
    fn whole(&self, array: &Self::Array) -> Result<Vec<f64>>;

    /// A window of an array, in the order of its axes.
    fn window(&self, array: &Self::Array, window: &[Range<usize>]) -> Result<Vec<f32>>;

    /// Names of the axes in lower case, where all have one.
    fn axes(&self, array: &Self::Array) -> Option<Vec<String>>;

    /// Text of an attribute of the file as a whole.
    fn root_text(&self, name: &str) -> Option<String>;

    /// Arrays that could be a scene by their axes and hold what is not read: the place, and the end
    /// of a sentence that says what.
    fn refused(&self) -> &[(String, String)];

    /// Short lists of texts, by their places.
    fn texts(&self) -> Vec<(String, Vec<String>)>;

    /// The array at a place; the first `/` may be missing.
    fn array_at(&self, place: &str) -> Option<&Self::Array> {
        let place = place.trim_start_matches('/');
        self.arrays().iter().find(|array| array.place().trim_start_matches('/') == place)
    }

    /// What the file holds, for messages.
    fn inventory(&self) -> String {
        let arrays = self.arrays();
        let list: Vec<String> = arrays.iter().take(12).map(StoredArray::sentence).collect();
        match arrays.len() {
            0 => "no arrays of numbers".into(),
            n if n > 12 => format!("{} and {} more", list.join(", "), n - 12),
            _ => list.join(", "),
        }
    }
}

/// A store that lies on a disk.
pub(crate) trait OnDisk: Store {
    /// Opens the file once more; chunks that take `cache` bytes stay decoded, within limits.
    fn open_again(path: &Path, cache: usize) -> Result<Self>;
}
