//! Status, alarms, databases.

use etcd_core::endpoint::Endpoint;
use etcd_core::error::InvalidArgument;
use etcd_core::message::{
    Alarm, AlarmType, Defragment, Downgrade, Hash, HashKv, MoveLeader, Snapshot, Status,
};

use super::group;
use crate::{Call, SnapshotCall};

group! {
    /// Status, alarms, databases. Made by [`Client::maintenance`](crate::Client::maintenance).
    ///
    /// What concerns one member takes its endpoint: one of the client's, or any other.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyetcd::Result<()> {
    /// # let client = anyetcd::Client::embedded()?;
    /// for endpoint in client.endpoints() {
    ///     let status = client.maintenance().status(&endpoint).await?;
    ///     println!("{endpoint} runs etcd {} with {} bytes", status.version, status.db_size);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    Maintenance
}

/// Calls to one member: each takes its endpoint first.
macro_rules! at_endpoint {
    ($( $(#[$meta:meta])* $name:ident($($argument:ident: $type:ty),*) -> $request:ty = $make:expr; )*) => {
        impl Maintenance<'_> {
            $(
                $(#[$meta])*
                pub fn $name<E>(&self, endpoint: E $(, $argument: $type)*) -> Call<$request>
                where
                    E: TryInto<Endpoint>,
                    E::Error: Into<InvalidArgument>,
                {
                    self.client.call($make).endpoint(endpoint)
                }
            )*
        }
    };
}

at_endpoint! {
    /// Asks the member at `endpoint` how it is.
    status() -> Status = Status::default();

    /// Returns the free space in the database of the member at `endpoint` to its file system. The member
    /// serves nothing meanwhile.
    defragment() -> Defragment = Defragment::default();

    /// Asks for a checksum of the database of the member at `endpoint`.
    hash() -> Hash = Hash::default();

    /// Asks for a checksum of the keys of the member at `endpoint` up to `revision`, 0 for all.
    ///
    /// The gateways of upstream etcd before 3.6 do not offer it: [`ErrorKind::Http`](crate::ErrorKind::Http).
    hash_kv(revision: i64) -> HashKv = HashKv::new(revision);

    /// Passes the leadership from the member at `endpoint`, which must have it, to the member `target_id`.
    move_leader(target_id: u64) -> MoveLeader = MoveLeader::new(target_id);
}

impl Maintenance<'_> {
    /// Lists the alarms that are raised.
    pub fn alarms(&self) -> Call<Alarm> {
        self.client.call(Alarm::list())
    }

    /// Raises an alarm for the member `member_id`.
    pub fn alarm_activate(&self, alarm: AlarmType, member_id: u64) -> Call<Alarm> {
        self.client.call(Alarm::activate(alarm, member_id))
    }

    /// Clears an alarm of the member `member_id`, which [`alarms`](Self::alarms) names. There is no id that stands for
    /// all members: 0 clears nothing.
    pub fn alarm_deactivate(&self, alarm: AlarmType, member_id: u64) -> Call<Alarm> {
        self.client.call(Alarm::deactivate(alarm, member_id))
    }

    /// Asks whether the cluster could go down to `version` (etcd 3.5 and newer).
    pub fn downgrade_validate(&self, version: impl Into<String>) -> Call<Downgrade> {
        self.client.call(Downgrade::validate(version))
    }

    /// Begins going down to `version` (etcd 3.5 and newer).
    pub fn downgrade_enable(&self, version: impl Into<String>) -> Call<Downgrade> {
        self.client.call(Downgrade::enable(version))
    }

    /// Calls a downgrade off (etcd 3.5 and newer).
    pub fn downgrade_cancel(&self) -> Call<Downgrade> {
        self.client.call(Downgrade::cancel())
    }

    /// Copies the database of the member at `endpoint`, to a file or wherever you like.
    pub fn snapshot<E>(&self, endpoint: E) -> SnapshotCall
    where
        E: TryInto<Endpoint>,
        E::Error: Into<InvalidArgument>,
    {
        SnapshotCall::new(self.client.call(Snapshot::default()).endpoint(endpoint))
    }
}
