//! The gateway as a plain program, for profilers that lose their way in an interpreter: `benches/profiling.py` runs it.

/// The allocator of the shipped gateway.
#[global_allocator]
static ALLOCATOR: airside_heap::Heap = airside_heap::Heap;

fn main() {
    std::process::exit(airside_server::main(std::env::args_os().skip(1)));
}
