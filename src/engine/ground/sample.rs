//! Fair samples of what is numbered: where a few thousand pixels say as much as all of them.

use std::iter::StepBy;
use std::ops::Range;

/// At most `most` of the numbers below `count`, from 0 on at equal distances.
pub(crate) fn spaced(count: usize, most: usize) -> StepBy<Range<usize>> {
    (0..count).step_by(distance(count, most))
}

/// How far the numbers of [`spaced`] are apart, at least 1.
pub(crate) fn distance(count: usize, most: usize) -> usize {
    count.div_ceil(most.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_asked_for_at_most_and_all_where_they_are_few() {
        let of = |count, most| spaced(count, most).collect::<Vec<usize>>();
        assert_eq!(of(10, 3), [0, 4, 8]);
        assert_eq!(of(9, 3), [0, 3, 6]);
        assert_eq!(of(3, 7), [0, 1, 2]);
        assert_eq!(of(5, 1), [0]);
        // Of none none, and one where none is asked for.
        assert_eq!(of(0, 3), [0; 0]);
        assert_eq!(of(5, 0), [0]);
    }
}
