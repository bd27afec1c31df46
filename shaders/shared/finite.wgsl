// Drivers may assume that floats are finite (`x != x` folds to false on some): ask the bits.
fn finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}
