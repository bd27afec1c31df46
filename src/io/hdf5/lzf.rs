//! LZF, the fast compression of h5py and PyTables.

use crate::engine::ground::spare::asking;

/// Number of the filter in HDF5's register.
pub(super) const ID: u16 = 32000;

/// Unpacks to at most `length` bytes; `None` when the bytes are damaged or yield more or less.
pub(super) fn unpack(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    // The size that the file states is reserved only as far as the input could fill it: a copy of
    // three bytes yields at most 264.
    let mut out = Vec::new();
    asking(|| out.try_reserve_exact(length.min(bytes.len().saturating_mul(88)))).ok()?;
    let mut rest = bytes.iter().copied();
    while let Some(control) = rest.next() {
        let control = usize::from(control);
        if control < 32 {
            for _ in 0..=control {
                out.push(rest.next()?);
            }
        } else {
            let mut count = control >> 5;
            if count == 7 {
                count += usize::from(rest.next()?);
            }
            let back = ((control & 31) << 8) + usize::from(rest.next()?) + 1;
            let from = out.len().checked_sub(back)?;
            // The copy may overlap what it writes.
            for i in 0..count + 2 {
                out.push(*out.get(from + i)?);
            }
        }
        if out.len() > length {
            return None;
        }
    }
    (out.len() == length).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_copies() {
        // "ab", then four bytes from two back.
        assert_eq!(unpack(&[1, b'a', b'b', 2 << 5, 1], 6).unwrap(), b"ababab");
        // A long copy: 7 + 1 + 2 bytes from one back.
        assert_eq!(unpack(&[0, b'x', 7 << 5, 1, 0], 11).unwrap(), b"xxxxxxxxxxx");
    }

    #[test]
    fn damage_is_none() {
        for (bytes, length) in [
            (&[1, b'a'][..], 2),
            (&[2 << 5, 0], 4),
            (&[0, b'a'], 2),
            (&[1, b'a', b'b'], 1),
            (&[7 << 5], 9),
        ] {
            assert_eq!(unpack(bytes, length), None);
        }
    }
}
