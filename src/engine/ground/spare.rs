//! Memory that may not be there. A program may have an allocator that ends it with a sentence where
//! the system gives no more; who can do with a refusal says so here, and gets it.

use std::cell::Cell;

thread_local! {
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// Does something whose allocations may be refused: it must cope with that, as `try_reserve` does.
pub fn asking<T>(ask: impl FnOnce() -> T) -> T {
    let before = ASKING.replace(true);
    let asked = ask();
    ASKING.set(before);
    asked
}

/// Whether this thread is within [`asking`]: for allocators.
pub fn is_asking() -> bool {
    // A thread that ends has no such place any more, and asks for nothing.
    ASKING.try_with(Cell::get).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_asks_for_itself_and_only_so_long() {
        assert!(!is_asking());
        let inner = asking(|| (is_asking(), asking(is_asking), is_asking()));
        assert_eq!(inner, (true, true, true));
        let other = asking(|| std::thread::spawn(is_asking).join().unwrap());
        assert!(!other && !is_asking());
    }
}
