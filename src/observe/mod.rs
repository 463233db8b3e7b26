//! Ranges that are read and then followed.

mod call;
mod catch_up;
mod content;
mod decode;
mod goal;
mod leader;
mod mirror;
mod mirror_call;
mod stream;
mod task;
mod view;

pub use call::ObserveCall;
pub use decode::DecodeError;
pub use leader::{ObserveLeader, ObserveLeaderCall};
pub use mirror::Mirror;
pub use mirror_call::MirrorCall;
pub use stream::Observe;
pub use view::{MirrorUpdates, MirrorView};
