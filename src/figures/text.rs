//! Text in pictures: bundled fonts, so that it looks the same on machines without any.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};

/// The text font first, then the one asked for characters that it lacks.
static FONTS: LazyLock<Vec<FontRef<'static>>> = LazyLock::new(|| {
    [epaint_default_fonts::UBUNTU_LIGHT, epaint_default_fonts::HACK_REGULAR]
        .into_iter()
        .filter_map(|bytes| FontRef::try_from_slice(bytes).ok())
        .collect()
});

/// Glyphs of one line in reading order, starting at x = 0 on the baseline y = 0.
struct Line {
    glyphs: Vec<(usize, Glyph)>,
    width: f32,
}

/// The font that has `c`, else the first with a question mark in its place.
fn font_for(c: char) -> (usize, char) {
    let holder = FONTS.iter().position(|font| font.glyph_id(c).0 != 0);
    holder.map_or((0, '?'), |font| (font, c))
}

fn lay_out(text: &str, size: f32) -> Line {
    let mut line = Line { glyphs: Vec::new(), width: 0.0 };
    let mut previous = None;
    for c in text.chars().filter(|c| !c.is_control()) {
        let (index, c) = font_for(c);
        let Some(font) = FONTS.get(index) else { continue };
        // ab_glyph scales by the height of the font; `size` is the em, as everywhere else.
        let em = font.units_per_em().unwrap_or(1000.0);
        let scale = PxScale::from(size * font.height_unscaled() / em);
        let scaled = font.as_scaled(scale);
        let id = font.glyph_id(c);
        if let Some((other, before)) = previous
            && other == index
        {
            line.width += scaled.kern(before, id);
        }
        line.glyphs.push((index, id.with_scale_and_position(scale, point(line.width, 0.0))));
        line.width += scaled.h_advance(id);
        previous = Some((index, id));
    }
    line
}

/// Width in pixels of `text` on one line, `size` pixels an em.
pub fn width(text: &str, size: f32) -> f32 {
    lay_out(text, size).width
}

/// Calls `dot(x, y, coverage)` for every inked pixel, with the line's start at (0, 0), x along the
/// line, y downwards from the middle of the capital letters.
pub fn draw(text: &str, size: f32, mut dot: impl FnMut(i32, i32, f32)) {
    // Half the height of a capital, a typical share of the em.
    let drop = (0.35 * size).round() as i32;
    for (index, glyph) in lay_out(text, size).glyphs {
        let Some(outline) = FONTS.get(index).and_then(|font| font.outline_glyph(glyph)) else {
            continue;
        };
        let corner = outline.px_bounds().min;
        outline.draw(|x, y, coverage| {
            // The font is a light one: a little more ink makes small sizes readable.
            let ink = coverage.clamp(0.0, 1.0).powf(0.7);
            dot(corner.x as i32 + x as i32, corner.y as i32 + y as i32 + drop, ink);
        });
    }
}

/// `text`, or as much of it as `limit` pixels hold, ending in an ellipsis.
pub fn shorten(text: &str, size: f32, limit: f32) -> String {
    if width(text, size) <= limit {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while kept.pop().is_some() {
        let short: String = kept.iter().collect::<String>().trim_end().to_owned() + "…";
        if width(&short, size) <= limit {
            return short;
        }
    }
    String::new()
}

/// Breaks `text` at spaces into lines of at most `limit` pixels; a word longer than that is
/// shortened.
pub fn wrap(text: &str, size: f32, limit: f32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        if let Some(last) = lines.last_mut() {
            let longer = format!("{last} {word}");
            if width(&longer, size) <= limit {
                *last = longer;
                continue;
            }
        }
        lines.push(shorten(word, size, limit));
    }
    lines
}
