// What the passes of the pixels' posterior know: sizes, and where the words of the scene lie. The
// words of `posterior::nested::device::Sizes`, in their order.
struct Sizes {
    // Entries of the list of pixels.
    count: u32,
    bands: u32,
    // Floats from one spectrum to the next.
    stride: u32,
    // Rounds of what is done here: of places, or of draws.
    rounds: u32,
    // Rounds of places that were done before.
    begun: u32,
    // Shapes that bands share.
    shapes: u32,
    // Weight of the likelihood.
    weight: f32,
    // 1 / tau^2 of the log brightness.
    over_variance: f32,
    // Sum of the parameters of the Dirichlet.
    alpha: f32,
}

@group(0) @binding(0) var<uniform> p: Sizes;

override ENDMEMBERS: u32 = 3u;
override BRIGHT: bool = true;
override VARIES: bool = true;
override MIXED: bool = true;
override SHAPED: bool = true;
override ALIKE: bool = false;
const MOST_ENDMEMBERS = 31u;
const MOST_SHAPES = 88u;
// Shapes that are taken at a time, two vectors of four.
const SHAPE_BLOCK = 8u;

// Draws of the scene, and of a pixel given each in one round.
const SCENES = 32u;
const PER_SCENE = 16u;
const ROUND = SCENES * PER_SCENE;
// Logarithm of the weight of a draw that is none: drivers may take floats to be finite.
const NONE = -3e38;

// The scene: noise variances (L), variability (L, K), spectra that pixels are placed by (L, K);
// mean abundances, powers, steps of the points, (K) each; log odds of the common mixture and what
// it adds to the powers (1 + K, SCENES); heights (K, SCENES); spectra (L, K, SCENES); shapes (L, J)
// and the endmember of each, K for noise; tables of power normals.
fn variability_at() -> u32 { return p.bands; }
fn centre_at() -> u32 { return variability_at() + p.bands * ENDMEMBERS; }
fn mean_at() -> u32 { return centre_at() + p.bands * ENDMEMBERS; }
fn power_at() -> u32 { return mean_at() + ENDMEMBERS; }
fn step_at() -> u32 { return power_at() + ENDMEMBERS; }
fn odds_at() -> u32 { return step_at() + ENDMEMBERS; }
fn common_at() -> u32 { return odds_at() + SCENES; }
fn height_at() -> u32 { return common_at() + ENDMEMBERS * SCENES; }
fn spectra_at() -> u32 { return height_at() + ENDMEMBERS * SCENES; }
fn shapes_at() -> u32 { return spectra_at() + p.bands * ENDMEMBERS * SCENES; }
fn shape_of_at() -> u32 { return shapes_at() + p.bands * p.shapes; }
fn cells_at() -> u32 { return shape_of_at() + p.shapes; }
// Blocks of shapes: the last one is filled up with shapes that are nothing.
fn shape_blocks() -> u32 { return (p.shapes + SHAPE_BLOCK - 1u) / SHAPE_BLOCK; }
// Where the factors of a band and block of shapes lie, in vectors of four, (N, blocks, L, 2).
fn factor_at(pixel: u32, block: u32, band: u32) -> u32 {
    return 2u * ((pixel * shape_blocks() + block) * p.bands + band);
}
// Amounts that are drawn: without brightness the last one is what the others leave.
fn free() -> u32 { return select(ENDMEMBERS - 1u, ENDMEMBERS, BRIGHT); }
// Columns of the form of a pixel given a draw of the scene: slope (K), square (K, K); and of its
// proposals, that of the sparse Dirichlet and that of the common mixture where there is one: factor
// (K, K) above its diagonal, centre (K), inverse of the factor's diagonal (K).
fn slope_column() -> u32 { return 0u; }
fn square_column() -> u32 { return ENDMEMBERS; }
fn factor_column(mixed: bool) -> u32 {
    return square_column() + ENDMEMBERS * ENDMEMBERS + select(0u, proposal_size(), mixed);
}
fn centre_column(mixed: bool) -> u32 { return factor_column(mixed) + ENDMEMBERS * ENDMEMBERS; }
fn sd_column(mixed: bool) -> u32 { return centre_column(mixed) + ENDMEMBERS; }
fn proposal_size() -> u32 { return ENDMEMBERS * (ENDMEMBERS + 2u); }
fn proposal_columns() -> u32 { return factor_column(MIXED) + proposal_size(); }
fn proposal_at(entry: u32, column: u32, of_scene: u32) -> u32 {
    return (entry * proposal_columns() + column) * SCENES + of_scene;
}
// Columns of a draw: shares, brightness, log weight.
fn draw_columns() -> u32 { return ENDMEMBERS + 2u; }
// Columns of an answer: mean, sd and three quantiles of each share, brightness, worth.
fn answer_columns() -> u32 { return 5u * ENDMEMBERS + 2u; }
