//! Bytes of a file, read where they are needed. The file is not mapped into memory: one that is
//! cut short while it is read would end the program with a signal instead of a sentence.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::spare::asking;

/// An open file and the length that it had then.
#[derive(Debug)]
pub(crate) struct FileBytes {
    path: PathBuf,
    file: File,
    len: u64,
}

impl FileBytes {
    /// Opens an ordinary file.
    pub(crate) fn open(path: &Path) -> Result<Arc<Self>> {
        let file = super::open::open_file(path)?;
        let len = file.metadata().map_err(|e| Error::io(path, e))?.len();
        Ok(Arc::new(FileBytes { path: path.to_owned(), file, len }))
    }

    /// A file without a name that this program has filled from the one at `path`.
    pub(crate) fn own(path: &Path, file: File) -> Result<Arc<Self>> {
        let len = file.metadata().map_err(|e| Error::io(path, e))?.len();
        Ok(Arc::new(FileBytes { path: path.to_owned(), file, len }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `out` with the bytes from `at` on.
    pub(crate) fn read_at(&self, at: u64, out: &mut [u8]) -> Result<()> {
        read_exact_at(&self.file, at, out).map_err(|error| self.failed(at, error))
    }

    /// The bytes of a range, at most `most` of them.
    pub(crate) fn first(&self, range: Range<u64>, most: usize) -> Result<Vec<u8>> {
        let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(most).min(most);
        let mut out = crate::scene::grow(&self.path, len)?;
        out.resize(len, 0);
        self.read_at(range.start, &mut out)?;
        Ok(out)
    }

    /// What went wrong while it was read.
    fn failed(&self, at: u64, error: io::Error) -> Error {
        if error.kind() != io::ErrorKind::UnexpectedEof {
            return Error::io(&self.path, error);
        }
        Error::file(
            &self.path,
            format!(
                "had {} bytes when it was opened and ends now before those from byte {at} on: it \
                 was cut short while it was read. Let whatever writes it end, then try again.",
                self.len
            ),
        )
    }

    /// Reads a range from its start to its end.
    pub(crate) fn reader(self: &Arc<Self>, range: Range<u64>) -> Reader {
        Reader { file: Arc::clone(self), start: range.start, end: range.end, at: range.start }
    }
}

/// A range of a file as a stream.
pub(crate) struct Reader {
    file: Arc<FileBytes>,
    start: u64,
    end: u64,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let len = left.min(out.len());
        read_exact_at(&self.file.file, self.at, &mut out[..len])?;
        self.at += len as u64;
        Ok(len)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(at) => (self.start.checked_add(at), 0),
            SeekFrom::End(by) => (Some(self.end), by),
            SeekFrom::Current(by) => (Some(self.at), by),
        };
        let at = from.and_then(|from| from.checked_add_signed(by)).filter(|at| *at >= self.start);
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at - self.start)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, at: u64, out: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut at: u64, mut out: &mut [u8]) -> io::Result<()> {
    while !out.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, out, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => (at, out) = (at + n as u64, &mut out[n..]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Bytes after the wanted ones that are read along to see the end of a stream.
const MOST_PADDING: usize = 1 << 16;

/// Bytes that come out of a compressed part of a file: not before they are asked for, and not more
/// than are expected.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) file: Arc<FileBytes>,
    pub(crate) stream: Stream,
    /// How many bytes come before the wanted ones, and how many are wanted.
    pub(crate) skip: u64,
    pub(crate) len: usize,
}

/// A compressed part of a file.
#[derive(Debug, Clone)]
pub(crate) enum Stream {
    /// A zlib stream in these bytes.
    Zlib(Range<u64>),
    /// An entry of a zip archive, by number.
    Zip(usize),
}

impl Packed {
    /// Unpacks the bytes; memory grows only with what really comes.
    pub(crate) fn unpack(&self) -> Result<Vec<u8>> {
        let path = &self.file.path;
        check_memory(path, self.len)?;
        let damaged = |why: String| {
            Error::file(
                path,
                format!(
                    "its compressed data are bad ({why}). It is damaged; fetch or save it again."
                ),
            )
        };
        with_stream(&self.file, &self.stream, |stream| {
            let skipped = io::copy(&mut stream.take(self.skip), &mut io::sink());
            let skipped = skipped.map_err(|e| damaged(e.to_string()))?;
            let mut out = crate::scene::grow(path, 0)?;
            let mut block = vec![0; 1 << 16];
            while skipped == self.skip && out.len() < self.len {
                let most = block.len().min(self.len - out.len());
                let n = stream.read(&mut block[..most]).map_err(|e| damaged(e.to_string()))?;
                if n == 0 {
                    break;
                }
                if asking(|| out.try_reserve(n)).is_err() {
                    return Err(too_much(path, self.len));
                }
                out.extend_from_slice(&block[..n]);
            }
            if out.len() < self.len {
                return Err(damaged(format!("{} of {} bytes come out", out.len(), self.len)));
            }
            // At its end a stream is compared with its checksum. What follows the values of a
            // MATLAB array is padding.
            let mut rest = 0;
            while rest <= MOST_PADDING {
                match stream.read(&mut block).map_err(|e| damaged(e.to_string()))? {
                    0 => break,
                    n => rest += n,
                }
            }
            if rest > 0 && matches!(self.stream, Stream::Zip(_)) {
                return Err(damaged(format!("more than {} bytes come out", self.len)));
            }
            Ok(out)
        })
        .map_err(damaged)?
    }
}

/// Runs `read` on the unpacked stream, or says why it cannot be opened.
pub(crate) fn with_stream<T>(
    file: &Arc<FileBytes>,
    stream: &Stream,
    read: impl FnOnce(&mut dyn Read) -> T,
) -> Result<T, String> {
    match stream {
        Stream::Zlib(range) => {
            let packed = io::BufReader::with_capacity(1 << 16, file.reader(range.clone()));
            Ok(read(&mut flate2::bufread::ZlibDecoder::new(packed)))
        }
        Stream::Zip(index) => {
            let mut archive = archive(file)?;
            let mut entry = archive.by_index(*index).map_err(|e| e.to_string())?;
            Ok(read(&mut entry))
        }
    }
}

/// The archive that a zip file is.
pub(crate) fn archive(
    file: &Arc<FileBytes>,
) -> Result<zip::ZipArchive<io::BufReader<Reader>>, String> {
    let reader = io::BufReader::with_capacity(1 << 16, file.reader(0..file.len));
    zip::ZipArchive::new(reader).map_err(|e| e.to_string())
}

/// Refuses what the machine's memory does not hold.
pub(crate) fn check_memory(path: &Path, bytes: usize) -> Result<()> {
    match crate::engine::backend::available_memory() {
        Some(free) if bytes as u64 > free => Err(too_much(path, bytes)),
        _ => Ok(()),
    }
}

fn too_much(path: &Path, bytes: usize) -> Error {
    Error::file(
        path,
        format!(
            "needs {:.1} MB of memory once unpacked, which this machine, or a limit set for this \
             program, does not give; cut a smaller piece out of it.",
            bytes as f64 / 1e6
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_that_was_cut_short_is_a_sentence() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[7; 100_000]).unwrap();
        let bytes = FileBytes::open(file.path()).unwrap();
        let mut out = [0; 8];
        bytes.read_at(99_992, &mut out).unwrap();
        assert_eq!(out, [7; 8]);
        // A map of these bytes would end the program here.
        file.as_file().set_len(10).unwrap();
        let error = bytes.read_at(99_992, &mut out).unwrap_err();
        assert!(error.is_bad_input());
        let told = error.to_string();
        assert!(told.contains("100000 bytes") && told.contains("cut short"), "{told}");
        assert!(bytes.first(0..100, 100).is_err());
        let mut all = Vec::new();
        assert!(bytes.reader(0..bytes.len()).read_to_end(&mut all).is_err());
    }

    #[test]
    fn a_range_is_read_and_nothing_beyond() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"0123456789").unwrap();
        let bytes = FileBytes::open(file.path()).unwrap();
        let mut reader = bytes.reader(2..7);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "23456");
        assert_eq!(reader.seek(SeekFrom::End(-2)).unwrap(), 3);
        text.clear();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "56");
        assert!(reader.seek(SeekFrom::Current(-6)).is_err());
    }

    #[test]
    fn no_more_is_unpacked_than_is_expected() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
        packed.write_all(&[5; 1000]).unwrap();
        file.write_all(&packed.finish().unwrap()).unwrap();
        let bytes = FileBytes::open(file.path()).unwrap();
        let stream = Stream::Zlib(0..bytes.len());
        let of = |skip, len| Packed { file: Arc::clone(&bytes), stream: stream.clone(), skip, len };
        assert_eq!(of(10, 20).unpack().unwrap(), [5; 20]);
        assert_eq!(of(0, 1000).unpack().unwrap().len(), 1000);
        for (skip, len) in [(0, 1001), (990, 11), (2000, 1)] {
            assert!(of(skip, len).unpack().unwrap_err().is_bad_input(), "{skip}, {len}");
        }
        // A wrong checksum at the end is seen although all values came.
        let mut text = std::fs::read(file.path()).unwrap();
        *text.last_mut().unwrap() ^= 1;
        std::fs::write(file.path(), text).unwrap();
        assert!(of(0, 1000).unpack().is_err());
        // More than any machine has is refused before the first byte.
        let told = of(0, usize::MAX / 2).unpack().unwrap_err().to_string();
        assert!(!cfg!(target_os = "linux") || told.contains("memory"), "{told}");
    }
}
