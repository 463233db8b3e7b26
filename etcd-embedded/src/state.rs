//! What a cluster agrees on: the part of a server that every member has alike.

use std::collections::BTreeSet;
use std::time::Instant;

use etcd_core::message::{AlarmType, Member};

use crate::Config;
use crate::auth::Users;
use crate::lease::{LeaseError, Leases};
use crate::snapshot::{Reader, SnapshotError, Writer};
use crate::store::Store;

/// Store, leases, users, alarms and members.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) leases: Leases,
    pub(crate) users: Users,
    pub(crate) alarms: BTreeSet<(Alarm, u64)>,
    pub(crate) members: Vec<Member>,
    /// Ids that were members once.
    pub(crate) removed_members: BTreeSet<u64>,
    /// The version a downgrade that is under way goes to.
    pub(crate) downgrade: Option<String>,
}

/// What an alarm can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    NoSpace,
    Corrupt,
}

impl Alarm {
    pub(crate) fn from_type(kind: &AlarmType) -> Option<Self> {
        match kind {
            AlarmType::NoSpace => Some(Self::NoSpace),
            AlarmType::Corrupt => Some(Self::Corrupt),
            _ => None,
        }
    }

    pub(crate) fn to_type(self) -> AlarmType {
        match self {
            Self::NoSpace => AlarmType::NoSpace,
            Self::Corrupt => AlarmType::Corrupt,
        }
    }

    /// Its name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NoSpace => "NOSPACE",
            Self::Corrupt => "CORRUPT",
        }
    }
}

impl State {
    pub(crate) fn new(config: &Config, member_id: u64) -> Self {
        let mut member = Member::default();
        member.id = member_id;
        member.name.clone_from(&config.name);
        member.peer_urls.clone_from(&config.peer_urls);
        member.client_urls.clone_from(&config.client_urls);
        Self {
            store: Store::new(),
            leases: Leases::default(),
            users: Users::default(),
            alarms: BTreeSet::new(),
            members: vec![member],
            removed_members: BTreeSet::new(),
            downgrade: None,
        }
    }

    /// Ends a lease and deletes its keys, all at one revision.
    pub(crate) fn revoke(&mut self, lease: i64) -> Result<(), LeaseError> {
        let keys = self.leases.remove(lease)?;
        let mut txn = self.store.write(&mut self.leases);
        for key in keys {
            txn.delete_existing(key);
        }
        txn.commit();
        Ok(())
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        self.store.write_snapshot(writer);
        writer.list(self.leases.iter(), |writer, (id, lease)| {
            writer.number(id);
            writer.number(lease.ttl);
            writer.list(lease.keys.iter(), |writer, key| writer.bytes(key));
        });
        self.users.write_snapshot(writer);
    }

    /// Alarms and members are not part of it: a restored cluster is a new one.
    pub(crate) fn read(&mut self, reader: &mut Reader<'_>, now: Instant) -> Result<(), SnapshotError> {
        self.store = Store::read_snapshot(reader)?;
        let leases = reader.list(|reader| {
            let (id, ttl) = (reader.number()?, reader.number()?);
            Ok((id, ttl, reader.list(Reader::bytes)?))
        })?;
        for (id, ttl, keys) in leases {
            self.leases
                .grant(now, id, ttl, 0)
                .map_err(|_| SnapshotError::Corrupt)?;
            for key in keys {
                self.leases.attach(id, &key);
            }
        }
        self.users = Users::read_snapshot(reader)?;
        Ok(())
    }

    pub(crate) fn has_alarm(&self, kind: Alarm) -> bool {
        self.alarms.iter().any(|(alarm, _)| *alarm == kind)
    }
}
