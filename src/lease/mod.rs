//! Leases that keep themselves alive.

mod call;
mod held;
mod keeper;
mod registration;
mod revocation;
mod states;
mod task;

pub use call::{KeepAliveCall, LeaseCall};
pub use held::Lease;
pub(crate) use keeper::Keeper;
pub use registration::{Registration, RegistrationCall, RegistrationState, RegistrationStates};
pub use states::LeaseStates;
