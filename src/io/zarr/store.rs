//! The arrays of a Zarr store, and windows of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use super::attributes::{json, numbers_of, text_of};
use super::codecs::decode_chunk;
use super::files::{BUDGET, Files, MOST_ARRAYS};
use super::metadata::{self, Layout};
use super::shard;
use crate::engine::ground::error::{Error, Result};
use crate::io::labelled::{OnDisk, Store, StoredArray};
use crate::io::numbers::{Kind, Numbers, decode};

/// Chunks that stay decoded, at most: those of one row of chunks.
const MOST_CACHED: usize = 1 << 30;
/// Arrays that are read whole, such as wavelengths, have at most this many bytes.
const MOST_WHOLE: usize = 64 << 20;
/// The text of one array, and that of a whole store, is no longer.
const LONGEST_JSON: u64 = 64 << 20;

/// An open store.
pub(super) struct ZarrStore {
    path: PathBuf,
    files: Files,
    arrays: Vec<ZarrArray>,
    refused: Vec<(String, String)>,
    root: Map<String, Value>,
    /// What one chunk may take.
    budget: usize,
    cache: Mutex<Cache>,
}

/// An array of numbers.
#[derive(Debug, Clone)]
pub(super) struct ZarrArray {
    place: String,
    layout: Arc<Layout>,
}

/// Decoded chunks, by array and place, with the time of their last use.
struct Cache {
    most: usize,
    bytes: usize,
    clock: u64,
    chunks: BTreeMap<(String, Vec<usize>), (u64, Arc<Numbers>)>,
}

impl Cache {
    fn get(&mut self, key: &(String, Vec<usize>)) -> Option<Arc<Numbers>> {
        self.clock += 1;
        let (used, numbers) = self.chunks.get_mut(key)?;
        *used = self.clock;
        Some(Arc::clone(numbers))
    }

    fn put(&mut self, key: (String, Vec<usize>), numbers: &Arc<Numbers>) {
        let size = numbers.len() * numbers.kind().size();
        if size > self.most {
            return;
        }
        while self.bytes + size > self.most {
            let oldest = self.chunks.iter().min_by_key(|(_, (used, _))| *used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
            if let Some((_, gone)) = self.chunks.remove(&oldest) {
                self.bytes -= gone.len() * gone.kind().size();
            }
        }
        self.bytes += size;
        self.clock += 1;
        self.chunks.insert(key, (self.clock, Arc::clone(numbers)));
    }
}

impl StoredArray for ZarrArray {
    fn place(&self) -> &str {
        &self.place
    }

    fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    fn kind(&self) -> Kind {
        self.layout.kind
    }

    fn chunk_row(&self, axis: usize) -> usize {
        let along = |(i, (n, chunk)): (usize, (&usize, &usize))| {
            if i == axis { *chunk } else { n.div_ceil(*chunk).saturating_mul(*chunk) }
        };
        let chunks = self.layout.pieces();
        let sizes = self.layout.shape.iter().zip(chunks).enumerate().map(along);
        sizes.fold(self.layout.kind.size(), usize::saturating_mul)
    }

    fn attribute_numbers(&self, name: &str) -> Option<Vec<f64>> {
        numbers_of(self.layout.attributes.get(name)?, self.layout.kind)
    }

    fn attribute_text(&self, name: &str) -> Option<String> {
        text_of(self.layout.attributes.get(name)?)
    }
}

impl OnDisk for ZarrStore {
    fn open_again(path: &Path, cache: usize) -> Result<Self> {
        let files = Files::open(path)?;
        let size = files.size(path).saturating_add(BUDGET);
        let budget = usize::try_from(size).unwrap_or(usize::MAX);
        let most = cache.clamp(BUDGET as usize, MOST_CACHED).min(budget);
        let cache = Cache { most, bytes: 0, clock: 0, chunks: BTreeMap::new() };
        let mut store = ZarrStore {
            path: path.to_owned(),
            files,
            arrays: Vec::new(),
            refused: Vec::new(),
            root: Map::new(),
            budget,
            cache: Mutex::new(cache),
        };
        store.list()?;
        Ok(store)
    }
}

impl Store for ZarrStore {
    type Array = ZarrArray;
    const FORMAT: &'static str = "Zarr";

    fn path(&self) -> &Path {
        &self.path
    }

    fn arrays(&self) -> &[ZarrArray] {
        &self.arrays
    }

    fn whole(&self, array: &ZarrArray) -> Result<Vec<f64>> {
        let count = array.count().filter(|n| n.checked_mul(8).is_some_and(|b| b <= MOST_WHOLE));
        let Some(count) = count else {
            return Err(self.error(array, "holds more numbers than belong there"));
        };
        let mut out = vec![array.layout.fill; count];
        let window: Vec<_> = array.layout.shape.iter().map(|n| 0..*n).collect();
        self.each_run(array, &window, |chunk, from, step, to, count| {
            let run = out.get_mut(to..to + count)?;
            decode!(chunk, chunk.held()?, f64, |values, decode| {
                for (slot, i) in run.iter_mut().zip(0..) {
                    *slot = decode(*values.get(from + i * step)?);
                }
            });
            Some(())
        })?;
        Ok(out)
    }

    fn window(&self, array: &ZarrArray, window: &[Range<usize>]) -> Result<Vec<f32>> {
        let outside = window.len() != array.layout.shape.len()
            || window.iter().zip(&array.layout.shape).any(|(w, n)| w.start > w.end || w.end > *n);
        let count = window.iter().try_fold(1usize, |n, w| n.checked_mul(w.len()));
        let Some(count) = count.filter(|_| !outside) else {
            return Err(self.error(array, "was asked for a window that lies outside of it"));
        };
        let mut out = crate::scene::grow(&self.path, count)?;
        out.resize(count, array.layout.fill as f32);
        self.each_run(array, window, |chunk, from, step, to, count| {
            let run = out.get_mut(to..to + count)?;
            decode!(chunk, chunk.held()?, f32, |values, decode| {
                for (slot, i) in run.iter_mut().zip(0..) {
                    *slot = decode(*values.get(from + i * step)?);
                }
            });
            Some(())
        })?;
        Ok(out)
    }

    fn axes(&self, array: &ZarrArray) -> Option<Vec<String>> {
        array.layout.axes.clone()
    }

    fn root_text(&self, name: &str) -> Option<String> {
        text_of(self.root.get(name)?)
    }

    fn refused(&self) -> &[(String, String)] {
        &self.refused
    }

    /// None: those of Zarr are arrays of types that differ from writer to writer.
    fn texts(&self) -> Vec<(String, Vec<String>)> {
        Vec::new()
    }
}

impl ZarrStore {
    fn error(&self, array: &ZarrArray, what: &str) -> Error {
        Error::file(&self.path, format!("`{}` {what}.", array.place))
    }

    fn json(&self, key: &str) -> Result<Option<Value>> {
        let Some(bytes) = self.files.read(&self.path, key, LONGEST_JSON)? else { return Ok(None) };
        let value = json(&bytes).map_err(|why| {
            Error::file(&self.path, format!("its `{key}` is no JSON ({why}); it is damaged."))
        })?;
        Ok(Some(value))
    }

    /// Finds all arrays. Those that hold no numbers, or are stored in a way that is not read, are
    /// left out; a cube among them is remembered.
    fn list(&mut self) -> Result<()> {
        let mut texts: BTreeMap<String, Value> = BTreeMap::new();
        // What one text says of all, where there is such a text; the texts themselves win.
        let all = self.json(".zmetadata")?;
        if let Some(Value::Object(all)) = all.as_ref().and_then(|all| all.get("metadata")) {
            texts.extend(all.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        for place in self.files.places() {
            let key = |name: &str| match place.is_empty() {
                true => name.to_owned(),
                false => format!("{place}/{name}"),
            };
            for name in ["zarr.json", ".zarray", ".zattrs"] {
                if let Some(value) = self.json(&key(name))? {
                    texts.insert(key(name), value);
                }
            }
        }
        for (key, json) in texts.iter().take(MOST_ARRAYS) {
            let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
            // A text may name a place outside of the store.
            if folder.split('/').any(|part| matches!(part, "." | ".."))
                || folder.starts_with('/')
                || folder.contains('\\')
            {
                continue;
            }
            let beside = |name: &str| match folder.is_empty() {
                true => texts.get(name),
                false => texts.get(&format!("{folder}/{name}")),
            };
            let attributes = || beside(".zattrs").and_then(Value::as_object).cloned();
            let is_array = match name {
                ".zarray" => true,
                "zarr.json" => json.get("node_type").and_then(Value::as_str) == Some("array"),
                _ => false,
            };
            if !is_array {
                if folder.is_empty() && name == "zarr.json" {
                    self.root.extend(
                        json.get("attributes")
                            .and_then(Value::as_object)
                            .cloned()
                            .into_iter()
                            .flatten(),
                    );
                } else if folder.is_empty() && name == ".zattrs" {
                    self.root.extend(json.as_object().cloned().into_iter().flatten());
                }
                continue;
            }
            match metadata::parse(json, attributes().unwrap_or_default()) {
                Ok(layout) => {
                    let place = format!("/{folder}");
                    self.arrays.push(ZarrArray { place, layout: Arc::new(layout) });
                }
                Err(why) => {
                    let axes = json.get("shape").and_then(Value::as_array).map_or(0, Vec::len);
                    if axes > 2 || texts.len() <= 3 {
                        self.refused.push((format!("/{folder}"), why));
                    }
                }
            }
        }
        Ok(())
    }

    /// Hands runs of numbers of a window to `each`: the chunk, where the run begins in it, the step
    /// between its numbers, where it begins in the window, and how many there are. Chunks that were
    /// never written are left out.
    fn each_run(
        &self,
        array: &ZarrArray,
        window: &[Range<usize>],
        mut each: impl FnMut(&Numbers, usize, usize, usize, usize) -> Option<()>,
    ) -> Result<()> {
        let short = || self.error(array, "has a chunk with fewer numbers than its size");
        if window.iter().any(Range::is_empty) {
            return Ok(());
        }
        let chunks = array.layout.pieces();
        let grid: Vec<Range<usize>> = window
            .iter()
            .zip(chunks)
            .map(|(w, chunk)| w.start / chunk..w.end.div_ceil(*chunk))
            .collect();
        let strides = array.layout.strides(chunks);
        let widths: Vec<usize> = window.iter().map(Range::len).collect();
        let own = steps(&widths);
        let mut result = Ok(());
        for_each_index(&grid, |index| {
            let chunk = match self.chunk(array, index) {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return true,
                Err(error) => {
                    result = Err(error);
                    return false;
                }
            };
            let part: Vec<Range<usize>> = index
                .iter()
                .zip(chunks)
                .zip(window)
                .map(|((i, n), w)| (i * n).max(w.start)..(i * n).saturating_add(*n).min(w.end))
                .collect();
            let (outer, last) = match part.split_last() {
                Some((last, outer)) => (outer, last.clone()),
                None => (&part[..], 0..1),
            };
            let run = strides.last().copied().unwrap_or(1);
            let complete = for_each_index(outer, |at| {
                let full = at.iter().copied().chain(part.last().map(|_| last.start));
                let (mut from, mut to) = (0, 0);
                for (axis, place) in full.enumerate() {
                    from += (place - index[axis] * chunks[axis]) * strides[axis];
                    to += (place - window[axis].start) * own[axis];
                }
                each(&chunk, from, run, to, last.len()).is_some()
            });
            if !complete {
                result = Err(short());
            }
            complete
        });
        result
    }

    /// The numbers of one piece; `None` where it was never written.
    fn chunk(&self, array: &ZarrArray, index: &[usize]) -> Result<Option<Arc<Numbers>>> {
        let key = (array.place.clone(), index.to_vec());
        let failed = || self.error(array, "cannot be read since a reader of it has failed");
        if let Some(found) = self.cache.lock().map_err(|_| failed())?.get(&key) {
            return Ok(Some(found));
        }
        let layout = &array.layout;
        let numbers = layout.pieces().iter().try_fold(1usize, |n, c| n.checked_mul(*c));
        let length = numbers.and_then(|n| n.checked_mul(layout.kind.size()));
        let Some(length) = length.filter(|n| *n <= self.budget) else {
            return Err(self.error(array, "states chunks that are larger than its files can hold"));
        };
        let (outer, inner) = layout.split(index);
        let file = format!("{}/{}", array.place.trim_start_matches('/'), layout.keys.of(&outer));
        let file = file.trim_start_matches('/');
        let Some(stored) = self.files.read(&self.path, file, self.budget as u64)? else {
            return Ok(None);
        };
        let wrong = |why: String| {
            Error::file(
                &self.path,
                format!("its `{file}` cannot be read: {why}. Fetch or save it again."),
            )
        };
        let stored = match &layout.shard {
            None => Some(&stored[..]),
            Some(shard) => shard::piece(&stored, shard, &layout.chunks, &inner).map_err(wrong)?,
        };
        let Some(stored) = stored else { return Ok(None) };
        let bytes =
            decode_chunk(&layout.inner.codecs, stored, length, layout.kind).map_err(wrong)?;
        let numbers = Arc::new(Numbers::owned(bytes, layout.kind, layout.inner.big_endian));
        self.cache.lock().map_err(|_| failed())?.put(key, &numbers);
        Ok(Some(numbers))
    }
}

/// Numbers from one index of each axis to the next, in C order.
pub(super) fn steps(shape: &[usize]) -> Vec<usize> {
    let mut steps = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        steps[axis - 1] = steps[axis].saturating_mul(shape[axis]);
    }
    steps
}

/// Runs `each` for every index within the ranges, the last axis fastest, until it gives false;
/// then false.
fn for_each_index(ranges: &[Range<usize>], mut each: impl FnMut(&[usize]) -> bool) -> bool {
    let mut index: Vec<usize> = ranges.iter().map(|r| r.start).collect();
    if ranges.iter().any(Range::is_empty) {
        return true;
    }
    loop {
        if !each(&index) {
            return false;
        }
        let mut axis = ranges.len();
        loop {
            let Some(next) = axis.checked_sub(1) else { return true };
            axis = next;
            index[axis] += 1;
            if index[axis] < ranges[axis].end {
                break;
            }
            index[axis] = ranges[axis].start;
        }
    }
}

impl Layout {
    /// Lengths of the pieces that are unpacked one by one.
    pub(super) fn pieces(&self) -> &[usize] {
        self.shard.as_ref().map_or(&self.chunks, |shard| &shard.chunks)
    }

    /// Which file the piece at an index lies in, and its place among the pieces there.
    fn split(&self, index: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let Some(shard) = &self.shard else { return (index.to_vec(), Vec::new()) };
        let along = self.chunks.iter().zip(&shard.chunks).map(|(all, one)| all / one);
        index.iter().zip(along).map(|(i, n)| (i / n, i % n)).unzip()
    }

    /// Numbers in a piece from one index of each axis to the next.
    fn strides(&self, pieces: &[usize]) -> Vec<usize> {
        let stored: Vec<usize> =
            self.inner.order.iter().map(|axis| pieces.get(*axis).copied().unwrap_or(1)).collect();
        let mut strides = vec![1; pieces.len()];
        for (axis, step) in self.inner.order.iter().zip(steps(&stored)) {
            if let Some(slot) = strides.get_mut(*axis) {
                *slot = step;
            }
        }
        strides
    }
}
