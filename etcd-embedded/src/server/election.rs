//! The election service.
//!
//! Source: `server/etcdserver/api/v3election/election.go`, `client/v3/concurrency/election.go`.

use bytes::Bytes;
use etcd_core::error::EtcdError;
use etcd_core::message::{
    Campaign, CampaignResponse, Compare, Delete, Get, KeyValue, Leader, LeaderKey, LeaderResponse, Observe,
    Proclaim, ProclaimResponse, Put, Resign, ResignResponse, ResponseHeader, SortOrder, Txn, TxnOpResponse,
    TxnResponse,
};

use super::waiting::{Contest, Goal, Observation, Waiting, contest_prefix, contestant_key, first_created};
use super::{CallId, Server};
use crate::store::{Change, ChangeKind};
use crate::{Response, Status};

impl Server {
    pub(super) fn take_campaign(&mut self, call: CallId, token: Option<&str>, campaign: &Campaign) {
        let entered = self.enter_campaign(token, campaign);
        self.entered_campaign(call, entered);
    }

    /// Goes on with a campaign whose key is written.
    pub(super) fn entered_campaign(&mut self, call: CallId, entered: Result<Contest, Status>) {
        match entered {
            Ok(contest) => self.contend(call, contest),
            Err(status) => self.end(call, Err(status.wrapped())),
        }
    }

    pub(super) fn enter_campaign(
        &mut self,
        token: Option<&str>,
        campaign: &Campaign,
    ) -> Result<Contest, Status> {
        let lease = self.session(token, campaign.lease)?;
        let prefix = contest_prefix(&campaign.name);
        let key = contestant_key(&prefix, lease);
        let txn = Txn::when([Compare::create_revision(&key).eq(0)])
            .then([Put::new(&key, &campaign.value).lease(lease)])
            .otherwise([Get::new(&key)]);
        let entered = self.txn(token, &txn)?;
        let mut revision = entered.header.revision;
        if let Some(TxnOpResponse::Get(got)) = entered.responses.first()
            && let Some(pair) = got.first()
        {
            revision = pair.create_revision;
            if pair.value != campaign.value
                && let Err(status) = self.proclaim_as(token, &key, revision, lease, &campaign.value)
            {
                drop(self.delete_created(token, &key, revision));
                return Err(status);
            }
        }
        let mut leader = LeaderKey::default();
        leader.name = campaign.name.clone();
        leader.key = key.clone();
        leader.revision = revision;
        leader.lease = lease;
        let mut response = CampaignResponse::default();
        (response.header, response.leader) = (entered.header, leader);
        Ok(Contest {
            prefix,
            key,
            revision,
            goal: Goal::Campaign(response),
            predecessor: Bytes::new(),
            from: 0,
        })
    }

    pub(super) fn proclaim(
        &mut self,
        token: Option<&str>,
        proclaim: &Proclaim,
    ) -> Result<ProclaimResponse, Status> {
        let leader = proclaim.leader.as_ref().ok_or(EtcdError::MissingLeaderKey)?;
        let lease = self.session(token, leader.lease).map_err(Status::wrapped)?;
        let mut response = ProclaimResponse::default();
        response.header = self
            .proclaim_as(token, &leader.key, leader.revision, lease, &proclaim.value)
            .map_err(Status::wrapped)?;
        Ok(response)
    }

    pub(super) fn resign(&mut self, token: Option<&str>, resign: &Resign) -> Result<ResignResponse, Status> {
        let leader = resign.leader.as_ref().ok_or(EtcdError::MissingLeaderKey)?;
        self.session(token, leader.lease).map_err(Status::wrapped)?;
        let mut response = ResignResponse::default();
        // Somebody who does not lead any more has nothing to give up, and that is no error.
        response.header = self
            .delete_created(token, &leader.key, leader.revision)
            .map_err(Status::wrapped)?
            .header;
        Ok(response)
    }

    pub(super) fn leader(&mut self, token: Option<&str>, leader: &Leader) -> Result<LeaderResponse, Status> {
        let get = first_created(&contest_prefix(&leader.name), SortOrder::Ascend);
        let found = self.range(token, &get).map_err(Status::wrapped)?;
        match found.first() {
            Some(pair) => Ok(leading(found.header.clone(), pair.clone())),
            None => Err(EtcdError::ElectionNoLeader.into()),
        }
    }

    pub(super) fn take_observe(&mut self, call: CallId, token: Option<&str>, observe: &Observe) {
        self.observe(call, token, contest_prefix(&observe.name));
    }

    /// Looks who leads, says so, and goes on from there.
    fn observe(&mut self, call: CallId, token: Option<&str>, prefix: Bytes) {
        // Go's client closes its channel when the read fails, and the stream ends well, without a word.
        let Ok(found) = self.range(token, &first_created(&prefix, SortOrder::Ascend)) else {
            return self.end(call, Ok(()));
        };
        let leader = found.first().cloned();
        let observation = Observation {
            prefix,
            leader: leader.as_ref().map(|pair| pair.key.clone()),
            from: found.header.revision + 1,
        };
        if let Some(pair) = leader {
            self.send(call, Response::Observe(leading(found.header, pair)));
        }
        self.wait(call, Waiting::Observing(observation));
    }

    pub(super) fn observe_changes(&mut self, call: CallId, observation: Observation, changes: &[Change]) {
        let Some(leader) = &observation.leader else {
            let first = changes.iter().find(|change| {
                change.kind == ChangeKind::Put && change.pair.key.starts_with(&observation.prefix)
            });
            if let Some(change) = first {
                self.send_leader(call, change);
                let (leader, from) = (Some(change.pair.key.clone()), change.pair.mod_revision + 1);
                self.wait(
                    call,
                    Waiting::Observing(Observation {
                        leader,
                        from,
                        ..observation
                    }),
                );
            }
            return;
        };
        for change in changes.iter().filter(|change| change.pair.key == *leader) {
            match change.kind {
                ChangeKind::Put => self.send_leader(call, change),
                ChangeKind::Delete => {
                    let token = self.calls.get(&call).and_then(|known| known.token.clone());
                    return self.observe(call, token.as_deref(), observation.prefix);
                }
            }
        }
    }

    fn send_leader(&mut self, call: CallId, change: &Change) {
        let header = self.header_at(change.pair.mod_revision);
        self.send(
            call,
            Response::Observe(leading(header, KeyValue::clone(&change.pair))),
        );
    }

    fn proclaim_as(
        &mut self,
        token: Option<&str>,
        key: &Bytes,
        revision: i64,
        lease: i64,
        value: &Bytes,
    ) -> Result<ResponseHeader, Status> {
        let txn =
            Txn::when([Compare::create_revision(key).eq(revision)]).then([Put::new(key, value).lease(lease)]);
        let response = self.txn(token, &txn)?;
        if response.succeeded {
            Ok(response.header)
        } else {
            Err(EtcdError::ElectionNotLeader.into())
        }
    }

    /// Deletes a key unless somebody else has created it since.
    pub(super) fn delete_created(
        &mut self,
        token: Option<&str>,
        key: &Bytes,
        revision: i64,
    ) -> Result<TxnResponse, Status> {
        self.txn(token, &delete_if_created(key, revision))
    }
}

/// Deletes a key unless somebody else has created it since.
pub(super) fn delete_if_created(key: &Bytes, revision: i64) -> Txn {
    Txn::when([Compare::create_revision(key).eq(revision)]).then([Delete::new(key)])
}

fn leading(header: ResponseHeader, pair: KeyValue) -> LeaderResponse {
    let mut response = LeaderResponse::default();
    (response.header, response.kv) = (header, Some(pair));
    response
}
