//! What the benchmarks have in common.

mod cpu;
mod memory;
mod runtime;
mod statistics;

pub use cpu::used;
pub use memory::peak_resident;
pub use runtime::{Runtime, Tokio};
pub use statistics::{median, range};
