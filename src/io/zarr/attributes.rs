//! Attributes of Zarr arrays, as Python, xarray and GDAL write them in JSON.

use serde_json::Value;

use crate::io::numbers::Kind;

/// Numbers of an attribute. xarray writes the value for no data of a float as its bytes in base 64.
pub(super) fn numbers_of(value: &Value, kind: Kind) -> Option<Vec<f64>> {
    match value {
        Value::Array(list) => list.iter().map(|v| numbers_of(v, kind)?.first().copied()).collect(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(vec![f64::NAN]),
            "Infinity" => Some(vec![f64::INFINITY]),
            "-Infinity" => Some(vec![f64::NEG_INFINITY]),
            text => {
                let plain = text.trim().parse().ok();
                let packed = || base64(text)?.try_into().ok().map(f64::from_le_bytes);
                plain.or_else(|| (!kind.is_integer()).then(packed)?).map(|v| vec![v])
            }
        },
        Value::Bool(flag) => Some(vec![f64::from(*flag)]),
        _ => Some(vec![value.as_f64()?]),
    }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut out = Vec::new();
    let (mut bits, mut held) = (0u32, 0);
    for c in text.bytes() {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(six)) & 0xff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

/// Text of an attribute; GDAL writes coordinate systems as objects with their text in several
/// forms.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(object) => object.get("wkt").or_else(|| object.get("url")).and_then(text_of),
        _ => None,
    }
}

/// JSON as Python writes it, in which numbers may be `NaN` and `Infinity`.
pub(super) fn json(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(error) => {
            let mut quoted = text.to_owned();
            for word in ["-Infinity", "Infinity", "NaN"] {
                for before in [": ", ":", "[", ", ", ",\n"] {
                    quoted =
                        quoted.replace(&format!("{before}{word}"), &format!("{before}\"{word}\""));
                }
            }
            serde_json::from_str(&quoted).map_err(|_| error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_as_python_and_xarray_write_them() {
        assert_eq!(base64("AAAAAACHw8A="), Some((-9998.0f64).to_le_bytes().to_vec()));
        let numbers = |text: &str| {
            numbers_of(&json(text.as_bytes()).unwrap(), Kind::F32).map(|v| v[0].to_bits())
        };
        assert_eq!(numbers("\"AAAAAACHw8A=\""), Some((-9998.0f64).to_bits()));
        assert_eq!(numbers("\"NaN\""), Some(f64::NAN.to_bits()));
        assert_eq!(numbers("[-1]"), Some((-1.0f64).to_bits()));
        let python = json(b"{\"fill_value\": NaN, \"list\": [NaN, -Infinity]}").unwrap();
        assert_eq!(python["list"][1], "-Infinity");
        assert!(json(b"{").is_err());
    }
}
