//! The classic format of NetCDF, versions 2 (64-bit offsets) and 5 (64-bit sizes, where one
//! variable needs more than 4 GB), as the NetCDF file format specification of Unidata has it.
//!
//! A small writer rather than a library: the format is a header and then the values, every program
//! that reads NetCDF reads it, and the pure Rust writers of HDF5 are young.

use std::io::{self, Write};

/// The value of an attribute.
pub(super) enum Value {
    Text(String),
    Doubles(Vec<f64>),
    Floats(Vec<f32>),
}

/// The values of a variable, as many as its dimensions ask for.
pub(super) enum Values<'a> {
    Bytes(Vec<u8>),
    Ints(Vec<i32>),
    Doubles(Vec<f64>),
    /// Written in the order in which the closure hands them over.
    Floats(usize, Box<dyn Fn(&mut dyn FnMut(f32)) + 'a>),
}

/// One variable.
pub(super) struct Variable<'a> {
    pub(super) name: String,
    /// Places among the file's dimensions, the slowest first.
    pub(super) dimensions: Vec<usize>,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) values: Values<'a>,
}

/// A whole file.
pub(super) struct File<'a> {
    pub(super) dimensions: Vec<(&'static str, usize)>,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) variables: Vec<Variable<'a>>,
}

// Numbers of types and lists in the format.
const CHAR: u32 = 2;
const INT: u32 = 4;
const FLOAT: u32 = 5;
const DOUBLE: u32 = 6;
const DIMENSIONS: u32 = 10;
const VARIABLES: u32 = 11;
const ATTRIBUTES: u32 = 12;

impl Values<'_> {
    fn kind(&self) -> u32 {
        match self {
            Values::Bytes(_) => CHAR,
            Values::Ints(_) => INT,
            Values::Doubles(_) => DOUBLE,
            Values::Floats(..) => FLOAT,
        }
    }

    /// Bytes in the file, without the filling at the end.
    fn size(&self) -> u64 {
        match self {
            Values::Bytes(v) => v.len() as u64,
            Values::Ints(v) => 4 * v.len() as u64,
            Values::Doubles(v) => 8 * v.len() as u64,
            Values::Floats(count, _) => 4 * *count as u64,
        }
    }

    fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        match self {
            Values::Bytes(v) => to.write_all(v)?,
            Values::Ints(v) => v.iter().try_for_each(|v| to.write_all(&v.to_be_bytes()))?,
            Values::Doubles(v) => v.iter().try_for_each(|v| to.write_all(&v.to_be_bytes()))?,
            Values::Floats(count, each) => {
                let (mut result, mut written) = (Ok(()), 0usize);
                each(&mut |v| {
                    if result.is_ok() {
                        written += 1;
                        result = to.write_all(&v.to_be_bytes());
                    }
                });
                result?;
                if written != *count {
                    return Err(io::Error::other(format!(
                        "{written} values for a variable of {count}"
                    )));
                }
            }
        }
        let filling = self.size().next_multiple_of(4) - self.size();
        to.write_all(&[0; 4][..filling as usize])
    }
}

/// The header as it grows; counts take 4 or 8 bytes.
struct Header {
    bytes: Vec<u8>,
    wide: bool,
}

impl Header {
    fn word(&mut self, value: u32) {
        self.bytes.extend(value.to_be_bytes());
    }

    fn count(&mut self, value: u64) {
        // `wide` was chosen so that they fit.
        if self.wide { self.bytes.extend(value.to_be_bytes()) } else { self.word(value as u32) }
    }

    fn text(&mut self, text: &str) {
        self.count(text.len() as u64);
        self.padded(text.as_bytes());
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn attributes(&mut self, attributes: &[(&'static str, Value)]) {
        self.word(if attributes.is_empty() { 0 } else { ATTRIBUTES });
        self.count(attributes.len() as u64);
        for (name, value) in attributes {
            self.text(name);
            match value {
                Value::Text(text) => {
                    self.word(CHAR);
                    self.text(text);
                }
                Value::Doubles(values) => {
                    self.word(DOUBLE);
                    self.count(values.len() as u64);
                    values.iter().for_each(|v| self.bytes.extend(v.to_be_bytes()));
                }
                Value::Floats(values) => {
                    self.word(FLOAT);
                    self.count(values.len() as u64);
                    values.iter().for_each(|v| self.bytes.extend(v.to_be_bytes()));
                }
            }
        }
    }
}

impl File<'_> {
    /// Writes the file from its first byte to its last.
    pub(super) fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let most = u64::from(u32::MAX) - 3;
        let large = |v: &Variable<'_>| v.values.size() > most;
        let wide = self.variables.iter().any(large)
            || self.dimensions.iter().any(|d| d.1 as u64 > i32::MAX as u64);
        let length = self.header(wide, 0).len() as u64;
        to.write_all(&self.header(wide, length))?;
        self.variables.iter().try_for_each(|variable| variable.values.write(to))
    }

    /// The header, with values that begin at `start`; its length does not depend on that.
    fn header(&self, wide: bool, start: u64) -> Vec<u8> {
        let mut header = Header { bytes: b"CDF".to_vec(), wide };
        header.bytes.push(if wide { 5 } else { 2 });
        header.count(0);
        header.word(DIMENSIONS);
        header.count(self.dimensions.len() as u64);
        for (name, length) in &self.dimensions {
            header.text(name);
            header.count(*length as u64);
        }
        header.attributes(&self.attributes);
        header.word(VARIABLES);
        header.count(self.variables.len() as u64);
        let mut offset = start;
        for variable in &self.variables {
            header.text(&variable.name);
            header.count(variable.dimensions.len() as u64);
            variable.dimensions.iter().for_each(|&d| header.count(d as u64));
            header.attributes(&variable.attributes);
            header.word(variable.values.kind());
            let size = variable.values.size().next_multiple_of(4);
            header.count(size);
            header.bytes.extend(offset.to_be_bytes());
            offset += size;
        }
        header.bytes
    }
}
