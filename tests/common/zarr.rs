//! Chunks of Zarr arrays, packed in every way that is read.

use std::io::Write;

/// A chunk of 3 x 4 x 5 numbers in 16 bits as each compressor packs it, with the JSON that says so.
pub fn packed_chunks() -> Vec<(serde_json::Value, Vec<u8>)> {
    let raw: Vec<u8> = (0..60u16).flat_map(|v| (1000 + 37 * (v % 7)).to_le_bytes()).collect();
    let packed = |bytes: &mut dyn Write| bytes.write_all(&raw).unwrap();
    let level = flate2::Compression::default;
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level());
    packed(&mut zlib);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level());
    packed(&mut gzip);
    let zstd =
        ruzstd::encoding::compress_to_vec(&raw[..], ruzstd::encoding::CompressionLevel::Fastest);
    let block = lz4_flex::block::compress(&raw);
    let lz4 = [&(raw.len() as u32).to_le_bytes()[..], &block].concat();
    let word = |n: usize| (n as u32).to_le_bytes();
    let blosc = [
        &[2, 1, 16 | 1 << 5, 2][..],
        &[word(120), word(120), word(24 + block.len()), word(20), word(block.len())].concat(),
        &block,
    ];
    let id = |name: &str| serde_json::json!({"id": name});
    vec![
        (serde_json::Value::Null, raw.clone()),
        (id("zlib"), zlib.finish().unwrap()),
        (id("gzip"), gzip.finish().unwrap()),
        (id("zstd"), zstd),
        (id("lz4"), lz4),
        (id("blosc"), blosc.concat()),
    ]
}
