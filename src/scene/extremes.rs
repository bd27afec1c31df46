//! The lowest and the highest values of a band, taken in one by one or part by part.

/// What is known of one band over the pixels that are not empty.
#[derive(Debug, Clone)]
pub(super) struct BandStatistics {
    /// Values that count: finite, not ignored.
    pub(super) count: usize,
    /// The lowest value and the highest.
    pub(super) low: Extreme,
    pub(super) high: Extreme,
    /// How often each sentinel occurs.
    pub(super) sentinels: [usize; 2],
}

/// The most extreme value of a band, how often it occurs, and the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extreme {
    pub(super) value: f32,
    pub(super) count: usize,
    pub(super) next: f32,
}

impl Extreme {
    /// Takes a value in; `beyond` says whether the first is more extreme than the second.
    fn add(&mut self, value: f32, count: usize, beyond: impl Fn(f32, f32) -> bool) {
        if beyond(value, self.value) {
            (self.value, self.count, self.next) = (value, count, self.value);
        } else if value == self.value {
            self.count += count;
        } else if beyond(value, self.next) {
            self.next = value;
        }
    }

    /// Takes in what other values have.
    fn merge(&mut self, other: Self, beyond: impl Fn(f32, f32) -> bool) {
        self.add(other.value, other.count, &beyond);
        self.add(other.next, 0, &beyond);
    }

    /// Takes the value out if it is the extreme one, and gives how often it was there.
    fn remove(&mut self, value: f32) -> usize {
        if self.value != value {
            return 0;
        }
        let count = self.count;
        (self.value, self.count) = (self.next, 0);
        count
    }
}

impl BandStatistics {
    /// Of no value.
    pub(super) fn new() -> Self {
        let at = |value| Extreme { value, count: 0, next: value };
        BandStatistics {
            count: 0,
            low: at(f32::INFINITY),
            high: at(f32::NEG_INFINITY),
            sentinels: [0; 2],
        }
    }

    /// Takes in a value that occurs so often.
    pub(super) fn add(&mut self, value: f32, count: usize) {
        self.count += count;
        self.low.add(value, count, |a, b| a < b);
        self.high.add(value, count, |a, b| a > b);
    }

    /// The extremes with nothing counted.
    pub(super) fn emptied(&self) -> Self {
        let at = |of: Extreme| Extreme { count: 0, ..of };
        BandStatistics { count: 0, low: at(self.low), high: at(self.high), sentinels: [0; 2] }
    }

    /// Takes in what other values of the band have.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.low.merge(other.low, |a, b| a < b);
        self.high.merge(other.high, |a, b| a > b);
        self.sentinels.iter_mut().zip(other.sentinels).for_each(|(to, n)| *to += n);
    }

    /// Takes out a value that stands for no data, where it is an extreme.
    pub(super) fn remove(&mut self, value: f32) {
        // A band of one value has it at both ends.
        let count = self.low.remove(value).max(self.high.remove(value));
        self.count -= count.min(self.count);
    }

    /// True when all of its values are the same.
    pub(super) fn is_constant(&self) -> bool {
        self.low.value == self.high.value
    }
}
