//! What the JSON of an array says, in versions 2 and 3 of Zarr.

use serde_json::{Map, Value};

use super::codecs::{self, Codec};
use crate::io::numbers::Kind;

/// How an array is stored.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) shape: Vec<usize>,
    /// Lengths of the pieces that lie in files of their own, one an axis.
    pub(super) chunks: Vec<usize>,
    pub(super) kind: Kind,
    /// What chunks that were not written are full of.
    pub(super) fill: f64,
    /// How the numbers lie in a piece.
    pub(super) inner: Inner,
    /// Where a piece is a shard of several pieces: how.
    pub(super) shard: Option<Shard>,
    pub(super) keys: Keys,
    pub(super) axes: Option<Vec<String>>,
    pub(super) attributes: Map<String, Value>,
}

/// How the numbers of a piece become bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Inner {
    /// Axes of the array from the slowest to the fastest.
    pub(super) order: Vec<usize>,
    pub(super) big_endian: bool,
    pub(super) codecs: Vec<Codec>,
}

/// Pieces in one file, with a list of where each begins.
#[derive(Debug, Clone)]
pub(super) struct Shard {
    /// Lengths of the pieces within the shard.
    pub(super) chunks: Vec<usize>,
    pub(super) index_at_end: bool,
    /// True where a checksum stands behind the list.
    pub(super) checked: bool,
    pub(super) big_endian: bool,
}

/// Names of the files of chunks.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    /// True for `c/0/1/2`.
    prefixed: bool,
    separator: char,
}

impl Keys {
    /// The name of the file of a chunk, within the array.
    pub(super) fn of(&self, index: &[usize]) -> String {
        let numbers: Vec<String> = index.iter().map(usize::to_string).collect();
        let numbers = numbers.join(&self.separator.to_string());
        match (self.prefixed, numbers.is_empty()) {
            (true, true) => "c".into(),
            (true, false) => format!("c{}{numbers}", self.separator),
            (false, true) => "0".into(),
            (false, false) => numbers,
        }
    }
}

/// The type that a word of NumPy or of Zarr 3 means, and whether the highest byte comes first.
///
/// # Errors
/// The end of a sentence about an array.
pub(super) fn kind_of(word: &str) -> Result<(Kind, bool), String> {
    let big_endian = word.starts_with('>');
    let kind = match word.trim_start_matches(['<', '>', '|', '=']) {
        "u1" | "uint8" | "b1" | "bool" => Kind::U8,
        "i1" | "int8" => Kind::I8,
        "u2" | "uint16" => Kind::U16,
        "i2" | "int16" => Kind::I16,
        "u4" | "uint32" => Kind::U32,
        "i4" | "int32" => Kind::I32,
        "u8" | "uint64" => Kind::U64,
        "i8" | "int64" => Kind::I64,
        "f2" | "float16" => Kind::F16,
        "f4" | "float32" => Kind::F32,
        "f8" | "float64" => Kind::F64,
        _ => {
            return Err(format!(
                "has values of the type {word}; whole numbers and floating-point numbers are read"
            ));
        }
    };
    Ok((kind, big_endian))
}

fn sizes(value: Option<&Value>) -> Option<Vec<usize>> {
    let size = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
    value?.as_array()?.iter().map(size).collect()
}

/// The layout of an array from its JSON; `attributes` are those of a version 2 array.
///
/// # Errors
/// The end of a sentence about the array: why it cannot be read.
pub(super) fn parse(json: &Value, attributes: Map<String, Value>) -> Result<Layout, String> {
    let version = json.get("zarr_format").and_then(Value::as_u64);
    let layout = match version {
        Some(2) => version_2(json, attributes)?,
        Some(3) => version_3(json)?,
        _ => return Err("does not say that it is of version 2 or 3 of Zarr".into()),
    };
    let axes = layout.shape.len();
    let mut order = layout.inner.order.clone();
    order.sort_unstable();
    let whole = layout.chunks.len() == axes && order == (0..axes).collect::<Vec<_>>();
    let parts = layout.shard.as_ref().is_none_or(|shard| {
        shard.chunks.len() == axes
            && shard.chunks.iter().zip(&layout.chunks).all(|(c, s)| *c > 0 && s % c == 0)
    });
    if !whole || !parts || layout.chunks.contains(&0) {
        return Err("states chunks that do not go with its size".into());
    }
    Ok(layout)
}

fn version_2(json: &Value, attributes: Map<String, Value>) -> Result<Layout, String> {
    let shape = sizes(json.get("shape")).ok_or("does not say its size")?;
    let chunks = sizes(json.get("chunks")).ok_or("does not say the size of its chunks")?;
    let word = json.get("dtype").and_then(Value::as_str);
    let word = word.ok_or("has values that are no plain numbers")?;
    let typed @ (kind, big_endian) = kind_of(word)?;
    let mut order: Vec<usize> = (0..shape.len()).collect();
    if json.get("order").and_then(Value::as_str) == Some("F") {
        order.reverse();
    }
    let filters = json.get("filters").and_then(Value::as_array).into_iter().flatten();
    let steps = filters.chain(json.get("compressor").filter(|c| !c.is_null()));
    let mut list = Vec::new();
    for step in steps {
        let name = step.get("id").and_then(Value::as_str).unwrap_or_default();
        list.extend(codecs::parse(name, step, typed)?);
    }
    let separator = json.get("dimension_separator").and_then(Value::as_str);
    let mut attributes = attributes;
    let fill = json.get("fill_value").and_then(fill);
    // Zero is what stands there where nobody chose a value.
    if let Some(fill) = fill.filter(|v| *v != 0.0)
        && !attributes.contains_key("_FillValue")
        && let Some(number) = serde_json::Number::from_f64(fill)
    {
        attributes.insert("_FillValue".into(), Value::Number(number));
    }
    let names = attributes.get("_ARRAY_DIMENSIONS").and_then(Value::as_array);
    let axes = names.and_then(|names| names.iter().map(name).collect());
    Ok(Layout {
        chunks: scalar(chunks, &shape),
        shape,
        kind,
        fill: fill.unwrap_or(0.0),
        inner: Inner { order, big_endian, codecs: list },
        shard: None,
        keys: Keys { prefixed: false, separator: if separator == Some("/") { '/' } else { '.' } },
        axes,
        attributes,
    })
}

/// Some writers give a single number one chunk of length 1.
fn scalar(chunks: Vec<usize>, shape: &[usize]) -> Vec<usize> {
    if shape.is_empty() { Vec::new() } else { chunks }
}

fn name(value: &Value) -> Option<String> {
    value.as_str().map(str::to_lowercase)
}

/// A fill value: a number, a word, or bits in hexadecimal.
fn fill(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(flag) => Some(f64::from(*flag)),
        Value::String(word) => match word.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            // The bits of a NaN, since other numbers are written as such.
            hex if hex.starts_with("0x") => Some(f64::NAN),
            _ => None,
        },
        _ => value.as_f64(),
    }
}

/// Name and settings of a codec or a grid of version 3, which may be a name alone.
fn named(value: &Value) -> Option<(&str, &Value)> {
    match value {
        Value::String(name) => Some((name, &Value::Null)),
        _ => {
            Some((value.get("name")?.as_str()?, value.get("configuration").unwrap_or(&Value::Null)))
        }
    }
}

fn version_3(json: &Value) -> Result<Layout, String> {
    let shape = sizes(json.get("shape")).ok_or("does not say its size")?;
    let word = json.get("data_type").and_then(Value::as_str);
    let (kind, _) = kind_of(word.ok_or("has values that are no plain numbers")?)?;
    let chunks = match json.get("chunk_grid").and_then(named) {
        Some(("regular", settings)) => sizes(settings.get("chunk_shape")),
        _ => None,
    };
    let chunks = chunks.ok_or("has chunks that are not all of one size")?;
    let list = json.get("codecs").and_then(Value::as_array).ok_or("does not say its codecs")?;
    let (inner, shard) = pipeline(list, kind, shape.len(), true)?;
    let (kind_of_keys, settings) =
        json.get("chunk_key_encoding").and_then(named).unwrap_or(("default", &Value::Null));
    let prefixed = match kind_of_keys {
        "default" => true,
        "v2" => false,
        other => return Err(format!("names its chunks in the way `{other}`, which is not read")),
    };
    let separator = settings.get("separator").and_then(Value::as_str);
    let separator = match separator {
        Some(".") => '.',
        Some(_) => '/',
        None if prefixed => '/',
        None => '.',
    };
    let axes = json.get("dimension_names").and_then(Value::as_array);
    Ok(Layout {
        shape,
        chunks,
        kind,
        fill: json.get("fill_value").and_then(fill).unwrap_or(0.0),
        inner,
        shard,
        keys: Keys { prefixed, separator },
        axes: axes.and_then(|names| names.iter().map(name).collect()),
        attributes: json.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default(),
    })
}

/// The codecs of version 3, which may hold those of the pieces of a shard.
fn pipeline(
    list: &[Value],
    kind: Kind,
    axes: usize,
    outermost: bool,
) -> Result<(Inner, Option<Shard>), String> {
    let mut order: Vec<usize> = (0..axes).collect();
    let mut big_endian = false;
    let mut steps: Vec<(&str, &Value)> = Vec::new();
    let mut sharded = None;
    for codec in list {
        let (name, settings) = named(codec).ok_or("has a codec without a name")?;
        match name {
            "transpose" => {
                let by = sizes(settings.get("order")).ok_or("transposes without an order")?;
                let permuted: Option<Vec<usize>> =
                    by.iter().map(|axis| order.get(*axis).copied()).collect();
                order = permuted.ok_or("transposes axes that it does not have")?;
            }
            "bytes" | "endian" => {
                big_endian = settings.get("endian").and_then(Value::as_str) == Some("big");
            }
            "sharding_indexed" if outermost && sharded.is_none() => sharded = Some(settings),
            "sharding_indexed" => return Err("has shards in shards, which are not read".into()),
            _ => steps.push((name, settings)),
        }
    }
    let mut codecs = Vec::new();
    for (name, settings) in &steps {
        codecs.extend(codecs::parse(name, settings, (kind, big_endian))?);
    }
    let Some(settings) = sharded else {
        return Ok((Inner { order, big_endian, codecs }, None));
    };
    if !codecs.is_empty() || order.iter().enumerate().any(|(i, axis)| i != *axis) {
        return Err("packs or transposes whole shards, which is not read".into());
    }
    let inside = settings.get("codecs").and_then(Value::as_array);
    let inside = inside.ok_or("has shards that do not say their codecs")?;
    let (inner, _) = pipeline(inside, kind, axes, false)?;
    let index = settings.get("index_codecs").and_then(Value::as_array);
    let index: Vec<(&str, &Value)> = index.into_iter().flatten().filter_map(named).collect();
    if let Some((name, _)) = index.iter().find(|(name, _)| !["bytes", "crc32c"].contains(name)) {
        return Err(format!("packs the lists of its shards with `{name}`, which is not read"));
    }
    let big = |(name, settings): &(&str, &Value)| {
        *name == "bytes" && settings.get("endian").and_then(Value::as_str) == Some("big")
    };
    let shard = Shard {
        chunks: sizes(settings.get("chunk_shape")).ok_or("has shards without pieces")?,
        index_at_end: settings.get("index_location").and_then(Value::as_str) != Some("start"),
        checked: index.iter().any(|(name, _)| *name == "crc32c"),
        big_endian: index.iter().any(big),
    };
    Ok((inner, Some(shard)))
}
