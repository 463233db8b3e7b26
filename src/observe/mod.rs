//! Ranges that are read and then followed.

mod content;
mod decode;
mod goal;
mod leader;
mod mirror;
mod stream;
mod task;
mod view;

pub use decode::DecodeError;
pub use leader::{ObserveLeader, ObserveLeaderCall};
pub use mirror::{Mirror, MirrorCall};
pub use stream::{Observe, ObserveCall};
pub use view::{MirrorUpdates, MirrorView};
