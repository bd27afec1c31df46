//! Zarr arrays of one chunk, packed in every way that is read.

use std::io::Write;

/// Arrays of 3 x 4 x 5 numbers in 16 bits: the JSON that describes each, and its only chunk.
pub fn small_stores() -> Vec<(serde_json::Value, Vec<u8>)> {
    let shape = [3, 4, 5];
    let second = |(compressor, chunk)| {
        let array = serde_json::json!({
            "zarr_format": 2, "shape": shape, "chunks": shape, "dtype": "<u2", "order": "C",
            "fill_value": 0, "compressor": compressor, "filters": null,
        });
        (array, chunk)
    };
    let third = |(codecs, chunk)| {
        let array = serde_json::json!({
            "zarr_format": 3, "node_type": "array", "shape": shape, "data_type": "uint16",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shape}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0, "dimension_names": ["y", "x", "band"], "codecs": codecs,
        });
        (array, chunk)
    };
    let of_third = packed_for_version_3().into_iter().map(third);
    packed_for_version_2().into_iter().map(second).chain(of_third).collect()
}

/// A chunk as each compressor packs it, with the JSON that says so.
fn packed_for_version_2() -> Vec<(serde_json::Value, Vec<u8>)> {
    let raw = raw();
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

/// A chunk with a checksum, with axes in another order, and as a shard of three chunks, with the
/// JSON of the codecs.
fn packed_for_version_3() -> Vec<(serde_json::Value, Vec<u8>)> {
    let raw = raw();
    let packed = |bytes: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    };
    let bytes = serde_json::json!({"name": "bytes", "configuration": {"endian": "little"}});
    let gzip = serde_json::json!({"name": "gzip", "configuration": {"level": 5}});
    let sum = serde_json::json!({"name": "crc32c"});
    let turned = serde_json::json!({"name": "transpose", "configuration": {"order": [2, 0, 1]}});
    // Rows are chunks of their own; the last is not stored.
    let (mut shard, mut index) = (Vec::new(), Vec::new());
    for row in raw.chunks_exact(40).take(2) {
        let chunk = packed(row);
        index.extend([shard.len() as u64, chunk.len() as u64]);
        shard.extend(chunk);
    }
    index.extend([u64::MAX; 2]);
    shard.extend(index.iter().flat_map(|word| word.to_le_bytes()));
    let shards = serde_json::json!([{"name": "sharding_indexed", "configuration": {
        "chunk_shape": [1, 4, 5], "codecs": [bytes, gzip], "index_codecs": [bytes],
    }}]);
    let checked = [&raw[..], &CHECKSUM.to_le_bytes()].concat();
    vec![
        (serde_json::json!([bytes, sum]), checked),
        (serde_json::json!([turned, bytes, gzip]), packed(&raw)),
        (shards, shard),
    ]
}

fn raw() -> Vec<u8> {
    (0..60u16).flat_map(|v| (1000 + 37 * (v % 7)).to_le_bytes()).collect()
}

/// CRC-32C of [`raw`].
const CHECKSUM: u32 = 0x3296_c478;
