//! Memory in whole pages, as the system gives it: vectors of the widest kind never lie across two
//! cache lines, and large arrays take huge pages where the system has them (Linux, 2 MiB on
//! x86-64), so that pixels at random places do not each wait for the address of their page.

use std::fmt;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::MmapMut;

/// A fixed number of values, zero at first.
pub struct Pages<T> {
    memory: Memory<T>,
    len: usize,
}

enum Memory<T> {
    Map(MmapMut),
    /// On systems that map no memory; also for no values, which have no pages.
    Heap(Vec<T>),
}

/// Bytes from which huge pages are worth asking for.
#[cfg(target_os = "linux")]
const HUGE: usize = 2 << 20;

impl<T: Pod> Pages<T> {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        Pages::try_zeros(len)
            .unwrap_or_else(|| Pages { memory: Memory::Heap(vec![T::zeroed(); len]), len })
    }

    /// `len` zeros; none where the system has not that much memory.
    pub fn try_zeros(len: usize) -> Option<Self> {
        let bytes = len.checked_mul(size_of::<T>())?;
        if bytes == 0 {
            return Some(Pages { memory: Memory::Heap(Vec::new()), len });
        }
        let map = MmapMut::map_anon(bytes).ok()?;
        #[cfg(target_os = "linux")]
        if bytes >= HUGE {
            // Speed only: a system without huge pages refuses, and all works as before.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        Some(Pages { memory: Memory::Map(map), len })
    }

    /// Keeps the first `len` values at most.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl<T: Pod> Deref for Pages<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.memory {
            Memory::Map(map) => bytemuck::cast_slice(&map[..self.len * size_of::<T>()]),
            Memory::Heap(values) => &values[..self.len],
        }
    }
}

impl<T: Pod> DerefMut for Pages<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.memory {
            Memory::Map(map) => bytemuck::cast_slice_mut(&mut map[..self.len * size_of::<T>()]),
            Memory::Heap(values) => &mut values[..self.len],
        }
    }
}

impl<T: Pod> Clone for Pages<T> {
    fn clone(&self) -> Self {
        let mut copy = Pages::zeros(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl<T: Pod + PartialEq> PartialEq for Pages<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Pod> IntoIterator for &'a mut Pages<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<'a, T: Pod> IntoIterator for &'a Pages<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_there_can_be_is_none() {
        assert!(Pages::<f32>::try_zeros(usize::MAX).is_none());
        assert!(Pages::<f32>::try_zeros(usize::MAX / 8).is_none());
    }

    #[test]
    fn pages_are_a_slice_that_begins_with_a_cache_line() {
        for len in [0, 1, 1000, 1 << 20] {
            let mut pages = Pages::<f32>::zeros(len);
            assert!(pages.len() == len && pages.iter().all(|&x| x == 0.0));
            assert!(len == 0 || pages.as_ptr().addr().is_multiple_of(64));
            for (i, x) in pages.iter_mut().enumerate() {
                *x = i as f32;
            }
            let copy = pages.clone();
            assert!(copy == pages && copy.last().is_none_or(|&x| x == (len - 1) as f32));
            if let Some(x) = pages.first_mut() {
                *x = -1.0;
                assert!(copy != pages);
            }
            pages.truncate(len / 2);
            assert_eq!(pages.len(), len / 2);
        }
    }
}
