// Four bands of the spectra, floats of 32 bits, or of 16 bits if HALF: then four words are eight
// bands.
override HALF: bool = false;

fn observed(at: u32) -> vec4f {
    if (HALF) {
        let eight = cube[at / 2u];
        let four = select(eight.xy, eight.zw, at % 2u == 1u);
        return vec4f(unpack2x16float(four.x), unpack2x16float(four.y));
    }
    return bitcast<vec4f>(cube[at]);
}
