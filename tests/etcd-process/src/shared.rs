use std::sync::OnceLock;

use crate::{Dialect, Server};

/// The server that all tests of this process share, started at the first call for each dialect: for tests that need *a*
/// server and keep to keys of their own.
///
/// It has the default settings, and cannot be frozen or killed through a shared reference. It ends with the process,
/// though a static is never dropped.
///
/// ```no_run
/// # use etcd_process::{Dialect, shared};
/// for dialect in Dialect::ALL {
///     println!("{}", shared(dialect).client_url());
/// }
/// ```
///
/// # Panics
///
/// As [`Server::start`].
pub fn shared(dialect: Dialect) -> &'static Server {
    static SERVERS: [OnceLock<Server>; 3] = [const { OnceLock::new() }; 3];
    let place = Dialect::ALL.iter().position(|each| *each == dialect);
    SERVERS[place.expect("`ALL` holds every dialect")].get_or_init(|| Server::start(dialect))
}
