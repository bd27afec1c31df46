//! A file of named arrays behind a header of JSON, for fits and checkpoints. Written whole or not
//! at all, and read with every size checked against the file's.
//!
//! Layout: eight bytes of magic, the header's length (u64, little-endian), the header, the arrays
//! (f32, f64 or u32, little-endian) one after the other, and a CRC-32 of all before it (u32).

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::files;

const MAGIC: &[u8; 8] = b"unmixel\x01";

/// The head of a file: its kind, the program's version, and where its arrays lie.
#[derive(Serialize, Deserialize)]
struct Header {
    kind: String,
    unmixel: String,
    meta: serde_json::Value,
    arrays: Vec<Entry>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    name: String,
    /// `f32`, `f64` or `u32`.
    number: String,
    len: usize,
}

/// Arrays and what describes them.
pub(crate) struct Store {
    kind: String,
    meta: serde_json::Value,
    arrays: Vec<(Entry, Vec<u8>)>,
}

impl Store {
    /// An empty one of a kind, such as `fit`.
    pub fn new(kind: &str, meta: &impl Serialize) -> Result<Self> {
        let meta = serde_json::to_value(meta)
            .map_err(|error| Error::Fit(format!("the {kind} cannot be written: {error}")))?;
        Ok(Store { kind: kind.to_owned(), meta, arrays: Vec::new() })
    }

    fn put(&mut self, name: &str, number: &str, len: usize, bytes: Vec<u8>) {
        let entry = Entry { name: name.to_owned(), number: number.to_owned(), len };
        self.arrays.push((entry, bytes));
    }

    pub fn put_f32(&mut self, name: &str, values: &[f32]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.put(name, "f32", values.len(), bytes);
    }

    pub fn put_f64(&mut self, name: &str, values: &[f64]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.put(name, "f64", values.len(), bytes);
    }

    pub fn put_u32(&mut self, name: &str, values: &[u32]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.put(name, "u32", values.len(), bytes);
    }

    /// The array of this name, taken out; none where there is none.
    fn take(&mut self, name: &str, number: &str) -> Option<Vec<u8>> {
        let is = |(entry, _): &(Entry, Vec<u8>)| entry.name == name && entry.number == number;
        let at = self.arrays.iter().position(is)?;
        Some(self.arrays.swap_remove(at).1)
    }

    pub fn take_f32(&mut self, name: &str) -> Option<Vec<f32>> {
        let bytes = self.take(name, "f32")?;
        Some(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    pub fn take_f64(&mut self, name: &str) -> Option<Vec<f64>> {
        let bytes = self.take(name, "f64")?;
        Some(bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
    }

    pub fn take_u32(&mut self, name: &str) -> Option<Vec<u32>> {
        let bytes = self.take(name, "u32")?;
        Some(bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect())
    }

    /// The part of the file that describes its arrays.
    pub fn meta<T: DeserializeOwned>(&self) -> Result<T, String> {
        T::deserialize(&self.meta).map_err(|error| error.to_string())
    }

    /// The whole file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = Header {
            kind: self.kind.clone(),
            unmixel: env!("CARGO_PKG_VERSION").to_owned(),
            meta: self.meta.clone(),
            arrays: self.arrays.iter().map(|(entry, _)| entry.clone()).collect(),
        };
        // A value of strings, numbers and lists is always JSON.
        let header = serde_json::to_vec(&header).unwrap_or_default();
        let mut bytes = MAGIC.to_vec();
        bytes.extend((header.len() as u64).to_le_bytes());
        bytes.extend(header);
        self.arrays.iter().for_each(|(_, values)| bytes.extend(values));
        let sum = crc32fast::hash(&bytes);
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    /// From the bytes of a file of this kind; the reason where it is none.
    pub fn from_bytes(bytes: &[u8], kind: &str) -> Result<Self, String> {
        let foreign = || format!("is no {kind} that unmixel wrote");
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(foreign)?;
        let damaged = || "is cut off or damaged; write it again".to_owned();
        let (rest, sum) = rest.split_last_chunk::<4>().ok_or_else(damaged)?;
        if crc32fast::hash(&bytes[..bytes.len() - 4]) != u32::from_le_bytes(*sum) {
            return Err(damaged());
        }
        let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| damaged())?;
        let (header, mut rest) = rest.split_at_checked(length).ok_or_else(damaged)?;
        let header: Header = serde_json::from_slice(header).map_err(|_| damaged())?;
        if header.kind != kind {
            return Err(format!("is a {}, and a {kind} is needed", header.kind));
        }
        let mut arrays = Vec::new();
        for entry in header.arrays {
            let size = match entry.number.as_str() {
                "f32" | "u32" => 4,
                "f64" => 8,
                _ => return Err(damaged()),
            };
            let length = entry.len.checked_mul(size).ok_or_else(damaged)?;
            let (values, after) = rest.split_at_checked(length).ok_or_else(damaged)?;
            arrays.push((entry, values.to_vec()));
            rest = after;
        }
        if !rest.is_empty() {
            return Err(damaged());
        }
        Ok(Store { kind: header.kind, meta: header.meta, arrays })
    }

    /// Writes the file; one of that name is replaced once the new one is whole.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; an earlier file of that name then stays as it was.
    pub fn write(&self, path: &Path) -> Result<()> {
        let fail = |error| Error::io(path, error);
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".part{}", std::process::id()));
        let part = path.with_file_name(name);
        let written = File::create(&part).and_then(|mut file| {
            file.write_all(&self.to_bytes())?;
            file.sync_all()?;
            std::fs::rename(&part, path)
        });
        if written.is_err() {
            // What went wrong is said already.
            let _ = std::fs::remove_file(&part);
        }
        written.map_err(fail)?;
        // The new name, too, must outlive a power failure; not every system can say so of a folder.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    /// Reads a file of this kind.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::File`] for a file of another kind, cut off or damaged.
    pub fn read(path: &Path, kind: &str) -> Result<Self> {
        let bytes = files::read(path)?;
        Store::from_bytes(&bytes, kind).map_err(|why| Error::file(path, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Store {
        let mut store = Store::new("fit", &vec![1, 2]).unwrap();
        store.put_f32("one", &[1.0, f32::NAN]);
        store.put_f64("two", &[-0.0; 3]);
        store
    }

    #[test]
    fn what_is_put_in_comes_out() {
        let mut back = Store::from_bytes(&store().to_bytes(), "fit").unwrap();
        assert_eq!(back.meta::<Vec<i32>>().unwrap(), [1, 2]);
        assert_eq!(back.take_f64("two").unwrap().map_bits(), vec![(-0.0f64).to_bits(); 3]);
        let one = back.take_f32("one").unwrap();
        assert!(one[0] == 1.0 && one[1].is_nan() && back.take_f32("one").is_none());
        assert!(back.meta::<String>().is_err());
    }

    trait Bits {
        fn map_bits(self) -> Vec<u64>;
    }

    impl Bits for Vec<f64> {
        fn map_bits(self) -> Vec<u64> {
            self.into_iter().map(f64::to_bits).collect()
        }
    }

    #[test]
    fn no_cut_and_no_changed_byte_is_taken_for_a_file() {
        let bytes = store().to_bytes();
        for length in 0..bytes.len() {
            assert!(Store::from_bytes(&bytes[..length], "fit").is_err(), "{length}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            assert!(Store::from_bytes(&changed, "fit").is_err(), "{at}");
        }
        let other = Store::from_bytes(&bytes, "checkpoint").err().unwrap();
        assert!(other.contains("is a fit, and a checkpoint is needed"), "{other}");
    }
}
