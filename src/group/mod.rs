//! The calls of etcd's services other than KV, in groups: `client.leases().grant(60)`.

mod auth;
mod cluster;
mod election;
mod lease;
mod lock;
mod maintenance;

pub use auth::Auth;
pub use cluster::Cluster;
pub use election::Elections;
pub(crate) use lease::renew_once;
pub use lease::{KeepAliveOnce, Leases};
pub use lock::Locks;
pub use maintenance::Maintenance;

/// Declares a group: a borrowed client with methods of its own.
macro_rules! group {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'c> {
            client: &'c $crate::Client,
        }

        impl<'c> $name<'c> {
            pub(crate) fn new(client: &'c $crate::Client) -> Self {
                Self { client }
            }
        }
    };
}
use group;
