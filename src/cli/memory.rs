//! The end of a program that the system gives no more memory: a sentence and an exit code, where
//! Rust would abort, and some threads would wait for each other in the attempt to say where.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use unmixel::engine::ground::spare::is_asking;

/// The system's allocator. Where it refuses, and nobody can do with a refusal, the program ends.
/// What it was writing stays out of sight, and the next run removes it.
pub struct OrEnd;

#[global_allocator]
static ALLOCATOR: OrEnd = OrEnd;

// SAFETY: memory comes from the system's allocator alone, as it is, and goes back there.
unsafe impl GlobalAlloc for OrEnd {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: what the caller promises is what the system's allocator asks for.
        given(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: what the caller promises is what the system's allocator asks for.
        given(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: what the caller promises is what the system's allocator asks for.
        given(unsafe { System.realloc(memory, layout, size) }, size)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: what the caller promises is what the system's allocator asks for.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn given(memory: *mut u8, bytes: usize) -> *mut u8 {
    if memory.is_null() && !is_asking() {
        end(bytes);
    }
    memory
}

/// What threads take before anything is read, bytes: their stacks, and what the C library keeps of
/// each. Where that gets none it ends the process by itself, with words of its own.
const BEFORE_ANYTHING: usize = 32 << 20;

/// Ends the program where there is not even room for its threads. Takes none.
pub fn check_room() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(BEFORE_ANYTHING)));
}

/// Whether a thread has told the end of the memory.
static TOLD: AtomicBool = AtomicBool::new(false);

/// Takes no memory itself.
#[cold]
fn end(bytes: usize) -> ! {
    if TOLD.swap(true, Ordering::Relaxed) {
        // Threads run out together: the first one says it and ends them all.
        std::thread::sleep(Duration::from_secs(1));
        leave();
    }
    let _ = writeln!(
        std::io::stderr(),
        "error: the machine, or a limit set for this program, has no memory left ({} KiB more \
         were needed); use a part of the scene (--window), a smaller --batch-size, fewer \
         --particles, or fewer threads (RAYON_NUM_THREADS)",
        bytes.div_ceil(1024)
    );
    leave();
}

/// Ends the process as it is. An orderly exit runs what threads and libraries left for the end, and
/// that may ask for memory again: a second exit within the first one, at which Rust panics.
fn leave() -> ! {
    #[cfg(unix)]
    // SAFETY: nothing of this program runs after it.
    unsafe {
        nix::libc::_exit(1)
    }
    #[cfg(not(unix))]
    std::process::exit(1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const CHILD: &str = "UNMIXEL_MEMORY_CHILD";

    /// Asks for memory that is not there as its thread ends.
    struct AsksAtTheEnd;

    impl Drop for AsksAtTheEnd {
        fn drop(&mut self) {
            end(1024);
        }
    }

    thread_local! {
        static LEFT: AsksAtTheEnd = const { AsksAtTheEnd };
    }

    /// Not a test: the process that runs out of memory.
    #[test]
    #[ignore = "run by the test below, in a process of its own"]
    fn child() {
        if std::env::var_os(CHILD).is_some() {
            LEFT.with(|_| end(30 * 1024));
        }
    }

    #[test]
    fn what_asks_for_memory_at_the_end_does_not_end_the_program_twice() {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["child", "--ignored", "--nocapture"]).env(CHILD, "");
        let output = command.output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.starts_with("error: ") && errors.contains("(30 KiB more"), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}
