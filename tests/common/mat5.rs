//! A writer of MATLAB v5 files, as much of the format as the tests read back.

use std::io::Write;

/// One dense variable, values in column-major order.
pub struct Var<'a> {
    pub name: &'a str,
    pub dims: Vec<usize>,
    pub values: Vec<f64>,
    /// The type in which values are stored: 2 (uint8), 3 (int16), 5 (int32), 7 (single), 9
    /// (double).
    pub stored: u32,
    /// The class: 6 for double, 1 for a cell array (whose values are then left out).
    pub class: u8,
}

impl<'a> Var<'a> {
    pub fn double(name: &'a str, dims: &[usize], values: Vec<f64>) -> Self {
        Var { name, dims: dims.to_vec(), values, stored: 9, class: 6 }
    }
}

/// A whole file.
pub fn file(vars: &[Var], big_endian: bool, compressed: bool) -> Vec<u8> {
    let word = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut out = b"MATLAB 5.0 MAT-file, written by a test".to_vec();
    out.resize(124, b' ');
    out.extend(if big_endian { *b"\x01\x00MI" } else { *b"\x00\x01IM" });
    for var in vars {
        let mut body = Vec::new();
        let element = |body: &mut Vec<u8>, kind: u32, data: &[u8]| {
            body.extend(word(kind));
            body.extend(word(data.len() as u32));
            body.extend(data);
            body.resize(body.len().next_multiple_of(8), 0);
        };
        element(&mut body, 6, &[word(var.class.into()), word(0)].concat());
        let dims: Vec<u8> = var.dims.iter().flat_map(|d| word(*d as u32)).collect();
        element(&mut body, 5, &dims);
        if var.name.len() <= 4 {
            // The small format, as MATLAB writes short names.
            body.extend(word((var.name.len() as u32) << 16 | 1));
            let mut name = var.name.as_bytes().to_vec();
            name.resize(4, 0);
            body.extend(name);
        } else {
            element(&mut body, 1, var.name.as_bytes());
        }
        if var.class != 1 {
            let swap = |mut bytes: Vec<u8>| {
                if big_endian {
                    bytes.reverse();
                }
                bytes
            };
            let data: Vec<u8> = var
                .values
                .iter()
                .flat_map(|v| {
                    swap(match var.stored {
                        2 => (*v as u8).to_le_bytes().to_vec(),
                        3 => (*v as i16).to_le_bytes().to_vec(),
                        5 => (*v as i32).to_le_bytes().to_vec(),
                        7 => (*v as f32).to_le_bytes().to_vec(),
                        _ => v.to_le_bytes().to_vec(),
                    })
                })
                .collect();
            element(&mut body, var.stored, &data);
        }
        let matrix = [word(14).to_vec(), word(body.len() as u32).to_vec(), body].concat();
        if compressed {
            let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
            zlib.write_all(&matrix).unwrap();
            let packed = zlib.finish().unwrap();
            out.extend(word(15));
            out.extend(word(packed.len() as u32));
            out.extend(packed);
        } else {
            out.extend(matrix);
        }
    }
    out
}
